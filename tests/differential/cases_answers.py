"""Cases about answers: results, sniffing, responses, status lines, files, header changes."""

from __future__ import annotations

from .cases import Case, case, get, head, words

RESULTS = words(
    "text empty none utf8 doctype doctype-lower html html-space fragment xml svg svg-bare json-text pdf "
    "postscript shell python php css script mail diff calendar vcard rtf pem nul control "
    "escape newline space surrogate bom long kilobytes late-nul very-late-nul latin "
    "bytes bytearray dict int object"
)

RESPONSES = words(
    "text bytes empty empty-bytes created teapot mime mime-status mime-empty mime-charset mime-odd dict "
    "dict-numbers dict-escapes dict-empty dict-status array array-empty png gif jpeg zip gzip elf latin1 "
    "utf16 all-octets "
    "not-found found-body no-content-body not-modified-body reset-content-body continue-body"
)

HEADER_CHANGES = words(
    "append two duplicate insert-first replace-type remove-type second-type clear empty-value trimmed "
    "latin1 beyond-latin1 crlf-value nul-value bad-name empty-name long-value many server date "
    "location length-same "
    "length-short transfer-encoding connection-close keep-alive"
)

STATUSES = (
    *(100, 101, 102, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226),
    *(300, 301, 302, 303, 304, 305, 307, 308),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418),
    *(421, 422, 423, 424, 426, 428, 429, 431, 451),
    *(500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 599),
)

FILES: dict[str, bytes] = {
    "style.css": b"body { color: red }",
    "script.js": b"console.log(1)",
    "page.html": b"<!DOCTYPE html><p>x",
    "data.json": b'{"a": 1}',
    "note.txt": b"note",
    "empty.txt": b"",
    "empty": b"",
    "picture.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "picture.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "wrong.png": b"plain text in a png",
    "bare": b"no extension",
    "bare-svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "binary.bin": bytes(range(256)),
    "unknown.zzz": b"\0\1\2\3",
    "text.zzz": b"text",
    "UPPER.HTML": b"<p>x",
    "archive.tar.gz": b"\x1f\x8b\x08\0\0\0\0\0",
    "table.csv": b"a,b\n1,2\n",
    "code.py": b"print(1)\n",
    "read.md": b"# Title\n",
    "feed.xml": b'<?xml version="1.0"?><a/>',
    "module.wasm": b"\0asm\1\0\0\0",
    "font.woff2": b"wOF2\0\1\0\0",
    "large.txt": b"x" * 100_000,
    "with space.txt": b"space",
}

MISSING = ("no-such-file", "none", "directory", "no/such/file")


def header_cases() -> list[Case]:
    marked = [
        case("after/mark", get("/result/text", "X-Mark: 1")),
        case("after/mark-missing", get("/nothing", "X-Mark: 1")),
        case("after/mark-file", get("/file/style.css", "X-Mark: 1")),
        case("after/mark-status", get("/status/418", "X-Mark: 1")),
        case("after/mark-no-type", get("/after/remove-type", "X-Mark: 1")),
        case("after/raises", get("/result/text", "X-Fail-After: 1")),
        case("after/raises-missing", get("/nothing", "X-Fail-After: 1")),
    ]
    return [case(f"after/{name}", get(f"/after/{name}")) for name in HEADER_CHANGES] + marked


def head_cases() -> list[Case]:
    paths = words("result/text result/empty result/long swap/dict file/style.css status/204 status/304")
    return [
        *(case(f"head/{path}", head("HEAD", f"/{path}")) for path in paths),
        case("head/missing", head("HEAD", "/nothing")),
        case("head/pipelined", head("HEAD", "/result/text") + get("/result/text")),
    ]


CASES: list[Case] = [
    *(case(f"result/{name}", get(f"/result/{name}")) for name in RESULTS),
    case("result/raise", get("/raise")),
    *(case(f"swap/{name}", get(f"/swap/{name}")) for name in RESPONSES),
    *(case(f"status/{code}", get(f"/status/{code}")) for code in STATUSES),
    *(case(f"file/{name}", get("/file/" + name.replace(" ", "%20"))) for name in (*FILES, *MISSING)),
    *header_cases(),
    *head_cases(),
    case("missing/plain", get("/nothing")),
    case("missing/close", get("/nothing", "Connection: close"), follow=False),
    case("missing/1.0", get("/nothing", version="HTTP/1.0"), follow=False),
    case("accepted", get("/accepted")),
]
