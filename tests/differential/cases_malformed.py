"""Cases about input that is wrong or at a limit."""

from __future__ import annotations

from .cases import HOST, Case, case, chunked, get, head, octets, post

LENGTHS = {
    "plus": "+3",
    "minus": "-1",
    "letters": "abc",
    "hex": "0x3",
    "decimal": "3.0",
    "list-same": "3, 3",
    "list-different": "3, 4",
    "empty": "",
    "space-inside": "3 3",
    "overflow": "99999999999999999999",
    "leading-zeros": "0003",
    "trailing-text": "3a",
}

CODINGS = {
    "upper": "CHUNKED",
    "spaces": " \tchunked ",
    "xchunked": "xchunked",
    "chunkedx": "chunkedx",
    "quoted": '"chunked"',
    "then-gzip": "chunked, gzip",
    "after-gzip": "gzip, chunked",
    "then-identity": "chunked, identity",
    "twice": "chunked, chunked",
    "gzip": "gzip",
    "identity": "identity",
    "empty": "",
}

ENDED = b"3\r\nabc\r\n0\r\n\r\n"

CHUNK_BODIES: dict[str, bytes] = {
    "plain": ENDED,
    "empty": b"0\r\n\r\n",
    "upper-hex": b"A\r\n0123456789\r\n0\r\n\r\n",
    "leading-zeros": b"0003\r\nabc\r\n0\r\n\r\n",
    "many-zeros-end": b"3\r\nabc\r\n0000\r\n\r\n",
    "one-octet-each": b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
    "extension": b"3;name=value\r\nabc\r\n0\r\n\r\n",
    "extension-quoted": b'3;name="a b"\r\nabc\r\n0\r\n\r\n',
    "extension-last": b"3\r\nabc\r\n0;x=y\r\n\r\n",
    "trailer": b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
    "hex-prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "plus": b"+3\r\nabc\r\n0\r\n\r\n",
    "space-before": b" 3\r\nabc\r\n0\r\n\r\n",
    "space-after": b"3 \r\nabc\r\n0\r\n\r\n",
    "minus": b"-3\r\nabc\r\n0\r\n\r\n",
    "letters": b"xyz\r\nabc\r\n0\r\n\r\n",
    "overflow": b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "lf-only": b"3\nabc\n0\n\n",
    "data-too-long": b"3\r\nabcd\r\n0\r\n\r\n",
    "empty-size": b"\r\nabc\r\n0\r\n\r\n",
}

FIELDS: dict[str, str] = {
    "space-before-colon": "X-A : 1",
    "no-colon": "no colon here",
    "empty-name": ": 1",
    "space-in-name": "X A: 1",
    "control-in-name": "X\x01A: 1",
    "latin1-in-name": "X-\u00e9: 1",
    "nul-in-value": "X-A: a\0b",
    "control-in-value": "X-A: a\x01b",
    "delete-in-value": "X-A: a\x7fb",
    "cr-in-value": "X-A: a\rb",
    "folded": "X-A: a\r\n b",
    "folded-tab": "X-A: a\r\n\tb",
    "parenthesis-in-name": "X(A): 1",
    "quote-in-name": 'X"A": 1',
    "slash-in-name": "X/A: 1",
}

LINES: dict[str, bytes] = {
    "garbage": b"garbage\r\n\r\n",
    "binary": bytes(range(128, 160)) + b"\r\n\r\n",
    "tls-hello": b"\x16\x03\x01\0\x05\x01\0\0\x01\0\r\n\r\n",
    "space-in-target": octets(f"GET /a b HTTP/1.1\r\n{HOST}\r\n\r\n"),
    "two-spaces": octets(f"GET  /plain  HTTP/1.1\r\n{HOST}\r\n\r\n"),
    "tab": octets(f"GET\t/plain\tHTTP/1.1\r\n{HOST}\r\n\r\n"),
    "leading-space": octets(f" GET /plain HTTP/1.1\r\n{HOST}\r\n\r\n"),
    "trailing-space": octets(f"GET /plain HTTP/1.1 \r\n{HOST}\r\n\r\n"),
    "no-target": octets(f"GET HTTP/1.1\r\n{HOST}\r\n\r\n"),
    "method-symbols": octets(f"G@T /plain HTTP/1.1\r\n{HOST}\r\n\r\n"),
    "nul-in-target": octets(f"GET /pl\0ain HTTP/1.1\r\n{HOST}\r\n\r\n"),
    "control-in-target": octets(f"GET /pl\x01ain HTTP/1.1\r\n{HOST}\r\n\r\n"),
    "tab-in-target": octets(f"GET /pl\tain HTTP/1.1\r\n{HOST}\r\n\r\n"),
    "lf-lines": octets(f"GET /plain HTTP/1.1\n{HOST}\n\n"),
    "lf-field": octets(f"GET /plain HTTP/1.1\r\n{HOST}\nX-A: 1\r\n\r\n"),
    "cr-lines": octets(f"GET /plain HTTP/1.1\r{HOST}\r\r"),
    "space-first-field": octets(f"GET /plain HTTP/1.1\r\n X-A: 1\r\n{HOST}\r\n\r\n"),
}


def sized(path: str, length: int, *lines: str) -> bytes:
    """A GET whose target is *length* octets."""
    return get((path + "?" + "x" * length)[:length], *lines)


def total(octets_wanted: int) -> bytes:
    """A GET whose header block, empty line included, is that long; profile small allows 50 a field."""
    lines = [HOST]
    left = octets_wanted - len(HOST) - 4
    while left > 0:
        take = min(left, 48) if left - 48 == 0 or left - 48 >= 8 or left <= 48 else 40
        lines.append("X-A: " + "v" * (take - 7))
        left -= take
    return get("/plain", *lines, host=None)


def fields(count: int) -> bytes:
    return get("/plain", *(f"X-{i}: 1" for i in range(count - 1)))


def limits() -> list[Case]:
    small = {
        "url-at": sized("/plain", 40),
        "url-over": sized("/plain", 41),
        "url-absolute-over": sized("http://localhost/plain", 41),
        "field-at": get("/plain", "X-A: " + "v" * 46),
        "field-over": get("/plain", "X-A: " + "v" * 47),
        "field-padded": get("/plain", "X-A:    " + "v" * 46 + "   "),
        "count-at": fields(8),
        "count-over": fields(9),
        "total-at": total(200),
        "total-over": total(201),
        "body-at": post("/echo/body", b"0123456789"),
        "body-over": post("/echo/body", b"0123456789a"),
        "body-over-missing": post("/nothing", b"0123456789a"),
        "chunks-at": chunked("/echo/body", b"5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"),
        "chunks-over": chunked("/echo/body", b"5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n"),
    }
    rate = {
        "third": get("/plain") * 3,
        "missing-counts": get("/nothing") * 3,
        "after-handlers": get("/plain", "X-Mark: 1") * 3,
        "close": get("/plain") * 2 + get("/plain", "Connection: close"),
    }
    return [
        *(case(f"limit/{name}", data, profile="small") for name, data in small.items()),
        case("limit/zero-body", post("/echo/body", b"a"), profile="zero"),
        case("limit/zero-body-empty", post("/echo/body", b""), profile="zero"),
        case("limit/zero-body-none", get("/plain"), profile="zero"),
        case("limit/zero-url", get("/"), profile="zero-url", follow=False),
        case("limit/zero-count", get("/"), profile="zero-count", follow=False),
        case("limit/none-url", sized("/plain", 100_000), profile="unlimited"),
        case("limit/none-field", get("/plain", "X-A: " + "v" * 100_000), profile="unlimited"),
        case("limit/none-count", fields(1000), profile="unlimited"),
        case("limit/default-url-at", sized("/plain", 65_536)),
        case("limit/default-url-over", sized("/plain", 65_537)),
        case("limit/default-field-over", get("/plain", "X-A: " + "v" * 49_150)),
        case("limit/default-count-at", fields(128)),
        case("limit/default-count-over", fields(129)),
        case("limit/default-body-over", head("POST", "/echo/body", "Content-Length: 33554433"), follow=False),
        *(
            case(f"rate/{name}", data, profile="rate", source=f"127.0.0.{21 + n}", follow=name != "close")
            for n, (name, data) in enumerate(rate.items())
        ),
        case("excess/total", b"", profile="connections", held=1, source="127.0.0.31"),
        case("excess/per-host", b"", profile="per-host", held=1, source="127.0.0.32"),
        case("excess/other-host", get("/plain"), profile="per-host", source="127.0.0.33"),
    ]


def upload(body: bytes, *lines: str, version: str = "HTTP/1.1") -> bytes:
    return head("POST", "/echo/body", *lines, version=version) + body


def lengths() -> list[Case]:
    two = "Content-Length: 3", "Content-Length: 4"
    return [
        *(
            case(f"length/{name}", upload(b"abc", f"Content-Length: {value}"), follow=False)
            for name, value in LENGTHS.items()
        ),
        case("length/two-same", upload(b"abc", two[0], two[0])),
        case("length/two-different", upload(b"abcd", *two)),
        case("length/nul", upload(b"abc", "Content-Length: 3\0"), follow=False),
    ]


def codings() -> list[Case]:
    return [
        *(
            case(f"coding/{name}", upload(ENDED, f"Transfer-Encoding: {value}"), follow=False)
            for name, value in CODINGS.items()
        ),
        case("coding/nul", upload(ENDED, "Transfer-Encoding: chunked\0"), follow=False),
        case("coding/and-length", chunked("/echo/body", ENDED, "Content-Length: 3"), follow=False),
        case("coding/1.0", upload(ENDED, "Transfer-Encoding: chunked", version="HTTP/1.0")),
        *(
            case(f"chunked/{name}", chunked("/echo/body", data), follow=name != "minus")
            for name, data in CHUNK_BODIES.items()
        ),
    ]


CASES: list[Case] = [
    *lengths(),
    *codings(),
    *(case(f"field/{name}", get("/echo/headers", line)) for name, line in FIELDS.items()),
    *(case(f"line/{name}", data, follow=False) for name, data in LINES.items()),
    *limits(),
]
