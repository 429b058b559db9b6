"""Cases about connections: persistence, versions, pipelining, expectations, splits, local sockets."""

from __future__ import annotations

import itertools

from .cases import ANSWER, HOST, Case, Step, case, chunked, get, head, octets, post, words

CONNECTIONS = words(
    "keep-alive close Keep-Alive CLOSE upgrade TE closed x-other keep-alive,close close,keep-alive "
    "keep-alive,upgrade keepalive"
)

VERSIONS = words("HTTP/1.0 HTTP/1.2 HTTP/1.9 HTTP/0.9 HTTP/2.0 HTTP/3.0 HTTP/9.9")
BAD_VERSIONS = words("HTTP/a.b HTTP/1,1 HTTP/1 HTTP/ http/1.1 HTTP/01.1 HTTP/1.10 FTP/1.1")

CHUNKS = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"


def persistence() -> list[Case]:
    result = [case(f"connection/{value}", get("/plain", f"Connection: {value}")) for value in CONNECTIONS]
    result += [
        case("connection/empty", get("/plain", "Connection:")),
        case("connection/two-lines", get("/plain", "Connection: x", "Connection: close")),
        case("connection/none", get("/plain")),
        case("connection/1.0", get("/plain", version="HTTP/1.0")),
        case("connection/1.0-keep-alive", get("/plain", "Connection: keep-alive", version="HTTP/1.0")),
        case("connection/1.0-close", get("/plain", "Connection: close", version="HTTP/1.0")),
        case("connection/1.0-other", get("/plain", "Connection: x", version="HTTP/1.0")),
        case("connection/upgrade-h2c", get("/plain", "Connection: upgrade", "Upgrade: h2c")),
        case("connection/upgrade-alone", get("/plain", "Upgrade: websocket")),
        case(
            "connection/websocket",
            get(
                "/plain",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ),
        ),
        case("connection/h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        case("connection/advertised-20", get("/plain"), profile="small"),
        case("connection/advertised-3600", get("/plain"), profile="zero"),
    ]
    return result


def versions() -> list[Case]:
    return [
        *(case(f"version/{v}", get("/plain", version=v)) for v in (*VERSIONS, *BAD_VERSIONS)),
        case("version/1.2-keep-alive", get("/plain", "Connection: keep-alive", version="HTTP/1.2")),
        case("version/junk", get("/plain", version="HTTP/1.1 junk")),
        case("version/none", octets(f"GET /plain\r\n{HOST}\r\n\r\n")),
    ]


def pipelines() -> list[Case]:
    return [
        case("pipeline/two", get("/plain") * 2),
        case("pipeline/twenty", b"".join(get(f"/echo/query?n={n}") for n in range(20))),
        case("pipeline/mixed", get("/plain") + post("/echo/body", b"abc") + get("/nothing") + get("/dup")),
        case("pipeline/chunked-then-get", chunked("/echo/body", CHUNKS) + get("/plain")),
        case("pipeline/blank-between", get("/plain") + b"\r\n\r\n" + get("/dup")),
        case("pipeline/lf-between", get("/plain") + b"\n\n" + get("/dup")),
        case("pipeline/blank-before", b"\r\n" + get("/plain")),
        case("pipeline/blanks-before", b"\r\n\r\n\r\n" + get("/plain")),
        case("pipeline/large-replies", get("/result/long") * 3),
        case("pipeline/after-close", get("/plain", "Connection: close") + get("/dup"), follow=False),
        case("pipeline/then-malformed", get("/plain") + b"garbage\r\n\r\n", follow=False),
        case("pipeline/1.0-in-between", get("/plain", version="HTTP/1.0") + get("/dup"), follow=False),
        case("sequence/three", get("/plain"), ANSWER, get("/dup"), ANSWER, post("/echo/body", b"x")),
        case("sequence/after-missing", get("/nothing"), ANSWER, get("/plain")),
        case("sequence/after-raise", get("/raise"), ANSWER, get("/plain")),
    ]


def expectations() -> list[Case]:
    def asking(value: str, *rest: str, path: str = "/echo/body", version: str = "HTTP/1.1") -> bytes:
        return head("POST", path, f"Expect: {value}", *(rest or ("Content-Length: 3",)), version=version)

    return [
        case("expect/continue", asking("100-continue"), ANSWER, b"abc"),
        case("expect/upper", asking("100-CONTINUE"), ANSWER, b"abc"),
        case("expect/chunked", asking("100-continue", "Transfer-Encoding: chunked"), ANSWER, CHUNKS),
        case("expect/body-there", asking("100-continue") + b"abc"),
        case("expect/no-body", asking("100-continue", "X-A: 1")),
        case("expect/length-zero", asking("100-continue", "Content-Length: 0")),
        case("expect/1.0", asking("100-continue", version="HTTP/1.0"), 0.1, b"abc", follow=False),
        case("expect/other", asking("something") + b"abc"),
        case("expect/two", asking("100-continue, x") + b"abc"),
        case("expect/too-large", asking("100-continue", "Content-Length: 99"), profile="small"),
        case("expect/missing", asking("100-continue", path="/nothing"), ANSWER, b"abc"),
    ]


def splits() -> list[Case]:
    def slices(data: bytes, *places: int) -> tuple[Step, ...]:
        bounds = (0, *places, len(data))
        pieces: list[Step] = []
        for start, end in itertools.pairwise(bounds):
            pieces += [data[start:end], 0.02]
        return tuple(pieces[:-1])

    request = get("/echo/headers", "X-A: value")
    upload = post("/echo/body", b"abcdef")
    streamed = chunked("/echo/body", CHUNKS)
    every = slices(get("/plain"), *range(1, len(get("/plain"))))
    return [
        case("split/every-octet", *(step if isinstance(step, bytes) else 0.002 for step in every)),
        case("split/method", *slices(request, 2)),
        case("split/target", *slices(request, 8)),
        case("split/version", *slices(request, 24)),
        case("split/cr-lf", *slices(request, request.index(b"\n"))),
        case("split/field-name", *slices(request, request.index(b"X-A") + 1)),
        case("split/field-value", *slices(request, request.index(b"value") + 2)),
        case("split/last-crlf", *slices(request, len(request) - 2)),
        case("split/last-lf", *slices(request, len(request) - 1)),
        case("split/body-apart", *slices(upload, len(upload) - 6)),
        case("split/in-body", *slices(upload, len(upload) - 3)),
        case("split/chunk-size", *slices(streamed, len(streamed) - len(CHUNKS) + 1)),
        case("split/chunk-data", *slices(streamed, len(streamed) - len(CHUNKS) + 5)),
        case("split/chunk-end", *slices(streamed, len(streamed) - 2)),
        case("split/two-requests", *slices(request * 2, len(request) + 5)),
    ]


def other_sockets() -> list[Case]:
    requests = {
        "text": get("/result/text"),
        "close": get("/plain", "Connection: close"),
        "1.0": get("/plain", version="HTTP/1.0"),
        "address": get("/echo/address"),
        "url": get("/echo/url"),
        "body": post("/echo/body", b"abc"),
        "large": get("/result/long"),
        "missing": get("/nothing"),
        "pipeline": get("/plain") * 3,
    }
    return [case(f"{kind}/{name}", data, profile=kind) for kind in ("local", "tls") for name, data in requests.items()]


CASES: list[Case] = [
    *persistence(),
    *versions(),
    *pipelines(),
    *expectations(),
    *splits(),
    *other_sockets(),
]
