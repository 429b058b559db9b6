"""What RFC 9112 and 9110 ask of a server that receives a request; each row names its section.

Every row is read whole, octet by octet, and with another request behind it: the verdict is the
same, and behind a refusal nothing is interpreted.
"""

# ruff: noqa: E501 - in the tables a row is a line

from __future__ import annotations

from collections.abc import Callable

import pytest

from qhttpserver_py._protocol.engine import Limits, Message, Refusal
from qhttpserver_py._protocol.http1.engine import Http1Engine

NEXT = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n"


def whole(data: bytes) -> list[bytes]:
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def in_two(data: bytes) -> list[bytes]:
    return [data[: len(data) // 2], data[len(data) // 2 :]]


WAYS = [whole, bytewise, in_two]


def serve(pieces: list[bytes], limits: Limits | None = None) -> tuple[list[Message], int, Http1Engine]:
    """Return complete messages, the status of the refusal (0: none), and the engine."""
    engine = Http1Engine(limits or Limits())
    messages, status = [], 0
    for piece in pieces:
        for event in engine.receive_data(piece):
            if isinstance(event, Refusal):
                assert not status, "refused twice"
                status = event.status
            elif isinstance(event, Message) and event.complete:
                assert not status, "interpreted behind a refusal"
                messages.append(event)
    return messages, status, engine


def req(line: str = "GET / HTTP/1.1", *fields: str, body: bytes = b"", host: str | None = "Host: h") -> bytes:
    lines = [line, *([host] if host is not None else []), *fields]
    return "".join(field + "\r\n" for field in lines).encode("latin-1") + b"\r\n" + body


def post(*fields: str, body: bytes = b"", version: str = "1.1") -> bytes:
    return req(f"POST / HTTP/{version}", *fields, body=body)


def chunked(body: bytes) -> bytes:
    return post("Transfer-Encoding: chunked", body=body)


REFUSED: list[tuple[str, bytes, int]] = [
    ("9112-2.2 bare LF ends the request line", b"GET / HTTP/1.1\nHost: h\r\n\r\n", 400),
    ("9112-2.2 bare LF ends a field", b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400),
    ("9112-2.2 bare LF ends the head", b"GET / HTTP/1.1\r\nHost: h\n\n", 400),
    ("9112-2.2 bare CR in a value", req("GET / HTTP/1.1", "X: a\rb"), 400),
    ("9112-2.2 bare CR ends lines", b"GET / HTTP/1.1\rHost: h\r\r", 400),
    ("9112-2.2 bare CR in the request line", b"GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("9112-2.2 CR CR LF", b"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", 400),
    ("9112-2.2 bare LF before the request", b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("9112-2.2 whitespace before the first field", b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    ("9112-2.2 whitespace before the request line", b" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("9112-2.2 endless empty lines", b"\r\n" * 9 + NEXT, 400),
    ("9112-2.3 HTTP/2.0", req("GET / HTTP/2.0"), 505),
    ("9112-2.3 HTTP/3.0", req("GET / HTTP/3.0"), 505),
    ("9112-2.3 HTTP/0.9", req("GET / HTTP/0.9"), 505),
    ("9112-2.3 HTTP/9.9", req("GET / HTTP/9.9"), 505),
    ("9112-2.3 the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("9112-2.3 no minor version", req("GET / HTTP/1"), 400),
    ("9112-2.3 two-digit minor version", req("GET / HTTP/1.10"), 400),
    ("9112-2.3 leading zero", req("GET / HTTP/01.1"), 400),
    ("9112-2.3 letters", req("GET / HTTP/a.b"), 400),
    ("9112-2.3 comma", req("GET / HTTP/1,1"), 400),
    ("9112-2.3 lower case", req("GET / http/1.1"), 400),
    ("9112-2.3 another name", req("GET / HTCPCP/1.0"), 400),
    ("9112-2.3 no version", b"GET /\r\n\r\n", 400),
    ("9112-3 method alone", b"GET\r\n\r\n", 400),
    ("9112-3 no target", b"GET HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("9112-3 two spaces", req("GET  / HTTP/1.1"), 400),
    ("9112-3 two spaces behind the target", req("GET /  HTTP/1.1"), 400),
    ("9112-3 trailing space", req("GET / HTTP/1.1 "), 400),
    ("9112-3 junk behind the version", req("GET / HTTP/1.1 junk"), 400),
    ("9112-3 space in the target", req("GET /a b HTTP/1.1"), 400),
    ("9112-3 tab as a separator", req("GET\t/\tHTTP/1.1"), 400),
    ("9112-3.1 method is no token", req("G(T / HTTP/1.1"), 400),
    ("9112-3.1 method with an octet above ASCII", req("G\xc9T / HTTP/1.1"), 400),
    ("9112-3.2 fragment", req("GET /#frag HTTP/1.1"), 400),
    ("9112-3.2 NUL in the target", req("GET /\0 HTTP/1.1"), 400),
    ("9112-3.2 DEL in the target", req("GET /\x7f HTTP/1.1"), 400),
    ("9112-3.2 relative target", req("GET relative HTTP/1.1"), 400),
    ("9112-3.2 query alone", req("GET ?a=b HTTP/1.1"), 400),
    ("9112-3.2 no host", req(host=None), 400),
    ("9112-3.2 no host in HTTP/1.2", req("GET / HTTP/1.2", host=None), 400),
    ("9112-3.2 two hosts", req("GET / HTTP/1.1", "Host: i"), 400),
    ("9112-3.2 the same host twice", req("GET / HTTP/1.1", "Host: h"), 400),
    ("9112-3.2 two hosts in HTTP/1.0", req("GET / HTTP/1.0", "Host: i"), 400),
    ("9112-3.2 empty host", req(host="Host:"), 400),
    ("9112-3.2 blank host", req(host="Host:   "), 400),
    ("9112-3.2 host with a path", req(host="Host: h/p"), 400),
    ("9112-3.2 host with a query", req(host="Host: h?q"), 400),
    ("9112-3.2 host with user information", req(host="Host: u@h"), 400),
    ("9112-3.2 host with a space", req(host="Host: a b"), 400),
    ("9112-3.2 list of hosts", req(host="Host: a, b"), 400),
    ("9112-3.2 joined hosts", req(host="Host: a,b"), 400),
    ("9112-3.2 host with a bad port", req(host="Host: h:8x"), 400),
    ("9112-3.2 host with a port out of range", req(host="Host: h:65536"), 400),
    ("9112-3.2 port alone", req(host="Host: :80"), 400),
    ("9112-3.2 host with two ports", req(host="Host: h:1:2"), 400),
    ("9112-3.2 open bracket", req(host="Host: [::1"), 400),
    ("9112-3.2 bad IPv6 address", req(host="Host: [::1::2]"), 400),
    ("9112-3.2 bare IPv6 address", req(host="Host: ::1"), 400),
    ("9112-3.2 bad percent-encoding in host", req(host="Host: a%zz"), 400),
    ("9112-3.2 host above ASCII", req(host="Host: h\xe9"), 400),
    ("9112-3.2 invalid host in HTTP/1.0", req("GET / HTTP/1.0", host="Host: a b"), 400),
    ("9112-3.2.2 invalid host beside absolute-form", req("GET http://h/ HTTP/1.1", host="Host: a b"), 400),
    ("9112-3.2.2 no host beside absolute-form", req("GET http://h/ HTTP/1.1", host=None), 400),
    ("9110-4.2.1 empty host in absolute-form", req("GET http:///p HTTP/1.1"), 400),
    ("9110-4.2.4 user information in absolute-form", req("GET http://u:p@h/ HTTP/1.1"), 400),
    ("9112-3.2.2 scheme without authority", req("GET http:p HTTP/1.1"), 400),
    ("9112-3.2.3 authority-form for GET", req("GET h:80 HTTP/1.1"), 400),
    ("9112-3.2.3 CONNECT with origin-form", req("CONNECT / HTTP/1.1"), 400),
    ("9112-3.2.3 CONNECT with absolute-form", req("CONNECT http://h:80/ HTTP/1.1"), 400),
    ("9112-3.2.3 CONNECT without port", req("CONNECT h HTTP/1.1"), 400),
    ("9112-3.2.3 CONNECT with an empty port", req("CONNECT h: HTTP/1.1"), 400),
    ("9112-3.2.3 CONNECT with user information", req("CONNECT u@h:1 HTTP/1.1"), 400),
    ("9112-3.2.4 * for GET", req("GET * HTTP/1.1"), 400),
    ("9112-5 no colon", req("GET / HTTP/1.1", "nocolon"), 400),
    ("9112-5 empty name", req("GET / HTTP/1.1", ": v"), 400),
    ("9112-5 name is no token", req("GET / HTTP/1.1", "a[b]: v"), 400),
    ("9112-5 name above ASCII", req("GET / HTTP/1.1", "\xe9: v"), 400),
    ("9112-5.1 space before the colon", req("GET / HTTP/1.1", "X : v"), 400),
    ("9112-5.1 tab before the colon", req("GET / HTTP/1.1", "X\t: v"), 400),
    ("9112-5.1 tab in the name", req("GET / HTTP/1.1", "X\tY: v"), 400),
    ("9112-5.2 obs-fold with a space", req("GET / HTTP/1.1", "X: a", " b"), 400),
    ("9112-5.2 obs-fold with a tab", req("GET / HTTP/1.1", "X: a", "\tb"), 400),
    ("9112-5.2 obs-fold that looks like a field", req("GET / HTTP/1.1", "X: a", " Y: b"), 400),
    ("9112-5.2 folded transfer-encoding", post("Transfer-Encoding:", " chunked", body=b"0\r\n\r\n"), 400),
    ("9110-5.5 NUL in a value", req("GET / HTTP/1.1", "X: a\0b"), 400),
    ("9110-5.5 control character in a value", req("GET / HTTP/1.1", "X: a\x0bb"), 400),
    ("9110-5.5 DEL in a value", req("GET / HTTP/1.1", "X: a\x7f"), 400),
    (
        "9112-6.1 transfer-encoding and content-length",
        post("Content-Length: 3", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        400,
    ),
    ("9112-6.1 the other way round", post("Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n"), 400),
    (
        "9112-6.1 transfer-encoding in HTTP/1.0",
        post("Transfer-Encoding: chunked", body=b"0\r\n\r\n", version="1.0"),
        400,
    ),
    ("9112-6.1 a coding we lack", post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    ("9112-6.1 a coding we lack, on two lines", post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), 501),
    ("9112-6.1 chunked twice", post("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    ("9112-6.1 chunked on two lines", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400),
    ("9112-6.3 chunked is not last", post("Transfer-Encoding: chunked, gzip"), 400),
    ("9112-6.3 no chunked", post("Transfer-Encoding: gzip"), 400),
    ("9112-6.3 identity", post("Transfer-Encoding: identity"), 400),
    ("9112-6.3 empty transfer-encoding", post("Transfer-Encoding:"), 400),
    ("9112-6.3 length with letters", post("Content-Length: abc"), 400),
    ("9112-6.3 negative length", post("Content-Length: -1"), 400),
    ("9112-6.3 length with a sign", post("Content-Length: +3", body=b"abc"), 400),
    ("9112-6.3 hexadecimal length", post("Content-Length: 0x3", body=b"abc"), 400),
    ("9112-6.3 length with a point", post("Content-Length: 3.0", body=b"abc"), 400),
    ("9112-6.3 length with an underscore", post("Content-Length: 1_0", body=b"abc"), 400),
    ("9112-6.3 length with a space", post("Content-Length: 1 0", body=b"abc"), 400),
    ("9112-6.3 empty length", post("Content-Length:"), 400),
    ("9112-6.3 list of equal lengths", post("Content-Length: 3, 3", body=b"abc"), 400),
    ("9112-6.3 list of lengths", post("Content-Length: 3, 4", body=b"abc"), 400),
    ("9112-6.3 two equal lengths", post("Content-Length: 3", "Content-Length: 3", body=b"abc"), 400),
    ("9112-6.3 two lengths", post("Content-Length: 3", "Content-Length: 4", body=b"abc"), 400),
    ("9110-8.6 length beyond 64 bits", post("Content-Length: 18446744073709551619"), 400),
    ("9110-8.6 length beyond 63 bits", post("Content-Length: 9223372036854775808"), 400),
    ("9110-8.6 very long length", post("Content-Length: " + "9" * 5000), 400),
    ("9110-15.5.14 length over the limit", post("Content-Length: 33554433"), 413),
    ("9112-7.1 chunk size is no number", chunked(b"xyz\r\n"), 400),
    ("9112-7.1 negative chunk size", chunked(b"-3\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk size with a sign", chunked(b"+3\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk size with 0x", chunked(b"0x3\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk size with an underscore", chunked(b"1_0\r\n"), 400),
    ("9112-7.1 space before the chunk size", chunked(b" 3\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 space behind the chunk size", chunked(b"3 \r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 empty chunk size", chunked(b"\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk size ends in LF", chunked(b"3\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk size ends in CR", chunked(b"3\rabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk size beyond 64 bits", chunked(b"10000000000000003\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk size beyond 63 bits", chunked(b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk over the limit", chunked(b"2000001\r\n"), 413),
    ("9112-7.1 chunk longer than its size", chunked(b"3\r\nabcd\r\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk without CRLF", chunked(b"3\r\nabc0\r\n\r\n"), 400),
    ("9112-7.1 chunk ends in LF", chunked(b"3\r\nabc\n0\r\n\r\n"), 400),
    ("9112-7.1 chunk ends in CR", chunked(b"3\r\nabc\rX0\r\n\r\n"), 400),
    ("9112-7.1.1 extension without a name", chunked(b"3;\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1.1 NUL in an extension", chunked(b"3;a\0\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1.1 bare CR in an extension", chunked(b"3;a\rb\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1.1 bare LF in an extension", chunked(b"3;a\nb\r\nabc\r\n0\r\n\r\n"), 400),
    ("9112-7.1.1 open quote in an extension", chunked(b'3;a="b\r\nabc\r\n0\r\n\r\n'), 400),
    ("9112-7.1.1 endless extension", chunked(b"3;" + b"a" * 5000), 400),
    ("9112-7.1.1 many extensions", chunked((b"1;" + b"a" * 4000 + b"\r\nx\r\n") * 5), 400),
    ("9112-7.1.2 malformed trailer", chunked(b"0\r\nno colon\r\n\r\n"), 400),
    ("9112-7.1.2 folded trailer", chunked(b"0\r\nA: b\r\n c\r\n\r\n"), 400),
    ("9112-7.1.2 bare LF in a trailer", chunked(b"0\r\nA: b\nC: d\r\n\r\n"), 400),
    ("9112-7.1.2 too many trailers", chunked(b"0\r\n" + b"A: b\r\n" * 129 + b"\r\n"), 431),
    ("9112-7.1.2 endless trailer", chunked(b"0\r\nA: " + b"b" * 70000), 431),
    ("9110-10.1.1 unknown expectation", post("Content-Length: 3", "Expect: tea", body=b"abc"), 417),
    ("9110-10.1.1 unknown expectation without content", req("GET / HTTP/1.1", "Expect: tea"), 417),
    ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("data", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_must_refuse(data: bytes, status: int, way: Callable[[bytes], list[bytes]]) -> None:
    messages, refused, engine = serve([*way(data), NEXT, *bytewise(NEXT)])
    assert (messages, refused) == ([], status)
    engine.refuse(Refusal(1, status, ""))
    reply = engine.data_to_send()
    assert reply.startswith(b"HTTP/1.1 %d " % status)
    assert reply.endswith(b"content-length: 0\r\nconnection: close\r\n\r\n")
    assert engine.state.should_close
    assert engine.state.linger
    assert engine.receive_data(NEXT) == []


ACCEPTED: list[tuple[str, bytes, tuple[str, bytes, int, bytes]]] = [
    ("9112-2.2 one empty line first", b"\r\n" + req(), ("GET", b"/", 11, b"")),
    ("9112-2.2 eight empty lines first", b"\r\n" * 8 + req(), ("GET", b"/", 11, b"")),
    ("9112-2.3 a higher minor version is 1.1", req("GET / HTTP/1.2"), ("GET", b"/", 11, b"")),
    ("9112-2.3 HTTP/1.9", req("GET / HTTP/1.9"), ("GET", b"/", 11, b"")),
    ("9112-3.2 HTTP/1.0 without host", req("GET / HTTP/1.0", host=None), ("GET", b"/", 10, b"")),
    ("9112-3.1 unknown method", req("FOO / HTTP/1.1"), ("FOO", b"/", 11, b"")),
    ("9112-3.1 methods are case-sensitive", req("get / HTTP/1.1"), ("get", b"/", 11, b"")),
    ("9112-3.1 every token character", req("!#$%&'*+-.^_`|~09 / HTTP/1.1"), ("!#$%&'*+-.^_`|~09", b"/", 11, b"")),
    ("9112-3.1 TRACE", req("TRACE / HTTP/1.1"), ("TRACE", b"/", 11, b"")),
    ("9112-3.1 PRI on HTTP/1", req("PRI / HTTP/1.1"), ("PRI", b"/", 11, b"")),
    ("9112-3.2.1 query", req("GET /a?b=c&d HTTP/1.1"), ("GET", b"/a?b=c&d", 11, b"")),
    ("9112-3.2.1 two slashes", req("GET //a HTTP/1.1"), ("GET", b"//a", 11, b"")),
    ("9112-3.2.1 what browsers leave raw", req("GET /{a}|^`\"<>\\[] HTTP/1.1"), ("GET", b"/{a}|^`\"<>\\[]", 11, b"")),
    ("9112-3.2.2 absolute-form", req("GET http://i/p HTTP/1.1"), ("GET", b"http://i/p", 11, b"")),
    ("9112-3.2.2 absolute-form without path", req("GET http://i HTTP/1.1"), ("GET", b"http://i", 11, b"")),
    ("9112-3.2.3 CONNECT", req("CONNECT i:443 HTTP/1.1"), ("CONNECT", b"i:443", 11, b"")),
    ("9112-3.2.4 OPTIONS *", req("OPTIONS * HTTP/1.1"), ("OPTIONS", b"*", 11, b"")),
    ("9110-4.2.3 OPTIONS of a whole server", req("OPTIONS http://i:81 HTTP/1.1"), ("OPTIONS", b"*", 11, b"")),
    ("9110-4.2.3 OPTIONS of its root", req("OPTIONS http://i/ HTTP/1.1"), ("OPTIONS", b"http://i/", 11, b"")),
    ("9112-3.2.4 OPTIONS with a query", req("OPTIONS http://i?q HTTP/1.1"), ("OPTIONS", b"http://i?q", 11, b"")),
    ("9112-3.2.4 OPTIONS of a path that ends like it", req("OPTIONS http://i/http://i HTTP/1.1"), ("OPTIONS", b"http://i/http://i", 11, b"")),
    ("9112-6.2 length", post("Content-Length: 3", body=b"abc"), ("POST", b"/", 11, b"abc")),
    ("9112-6.2 length in any case, blanks around it", post("cOnTeNt-LeNgTh: \t3 \t", body=b"abc"), ("POST", b"/", 11, b"abc")),
    ("9112-6.2 no length", post("Content-Length: 0"), ("POST", b"/", 11, b"")),
    ("9112-6.3 no framing is no body", post(), ("POST", b"/", 11, b"")),
    ("9112-6.2 body of a GET", req("GET / HTTP/1.1", "Content-Length: 3", body=b"abc"), ("GET", b"/", 11, b"abc")),
    ("9112-6.2 body in HTTP/1.0", post("Content-Length: 3", body=b"abc", version="1.0"), ("POST", b"/", 10, b"abc")),
    ("9112-7.1 chunks", chunked(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), ("POST", b"/", 11, b"abcde")),
    ("9112-7.1 no chunk", chunked(b"0\r\n\r\n"), ("POST", b"/", 11, b"")),
    ("9112-7.1 hexadecimal in both cases", chunked(b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), ("POST", b"/", 11, b"0123456789" * 2)),
    ("9110-8.6 length with leading zeros", post("Content-Length: 0003", body=b"abc"), ("POST", b"/", 11, b"abc")),
    ("9110-8.6 many leading zeros", post(f"Content-Length: {3:040}", body=b"abc"), ("POST", b"/", 11, b"abc")),
    ("9110-8.6 length of zeros", post("Content-Length: 000"), ("POST", b"/", 11, b"")),
    ("9112-3.2 octets above ASCII in the target", req("GET /\xe9?\xff HTTP/1.1"), ("GET", b"/\xe9?\xff", 11, b"")),
    ("9112-3.2 overlong UTF-8 in the target", req("GET /\xc0\xaf HTTP/1.1"), ("GET", b"/\xc0\xaf", 11, b"")),
    ("9112-7.1 leading zeros in chunk sizes", chunked(b"0003\r\nabc\r\n0000\r\n\r\n"), ("POST", b"/", 11, b"abc")),
    ("9112-7.1 chunk data that looks like framing", chunked(b"7\r\n0\r\n\r\nGE\r\n0\r\n\r\n"), ("POST", b"/", 11, b"0\r\n\r\nGE")),
    ("9112-7.1 coding name in any case", post("Transfer-Encoding: CHUNKED", body=b"0\r\n\r\n"), ("POST", b"/", 11, b"")),
    ("9112-7.1.1 extensions are ignored", chunked(b'3;a;b=c ; d="e;\\"\r"\r\n'.replace(b"\r\"", b"\"") + b"abc\r\n0;x\r\n\r\n"), ("POST", b"/", 11, b"abc")),
    ("9112-7.1.2 trailers", chunked(b"3\r\nabc\r\n0\r\nA: b\r\n\r\n"), ("POST", b"/", 11, b"abc")),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("data", "expected"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_must_accept(data: bytes, expected: tuple[str, bytes, int, bytes], way: Callable[[bytes], list[bytes]]) -> None:
    follows = expected[2] == 11
    messages, refused, engine = serve([*way(data), NEXT])
    assert not refused
    first = messages[0]
    assert (first.method, first.target, first.version, first.body) == expected
    assert [message.target for message in messages[1:]] == [b"/next"] * follows
    assert engine.state.partial == 0


VALID_HOSTS = [
    "h",
    "h:80",
    "h:",
    "H.Example",
    "127.0.0.1:1",
    "[::1]",
    "[::1]:8080",
    "[v1.a:b]",
    "a_b",
    "a%41",
    "xn--e1a",
    "a.",
    "h" * 300,
]


@pytest.mark.parametrize("host", VALID_HOSTS)
def test_rfc9112_3_2_valid_hosts(host: str) -> None:
    messages, refused, _ = serve([req(host=f"Host: {host}")])
    assert not refused
    assert messages[0].authority == host.encode()


@pytest.mark.parametrize(
    ("line", "scheme", "authority"),
    [
        ("GET / HTTP/1.1", b"", b"h"),
        ("GET HTTP://i:81/p HTTP/1.1", b"http", b"i:81"),
        ("GET https://[::1]/p?q HTTP/1.1", b"https", b"[::1]"),
        ("GET ws+x://i?q HTTP/1.1", b"ws+x", b"i"),
        ("CONNECT i:443 HTTP/1.1", b"", b"i:443"),
        ("OPTIONS * HTTP/1.1", b"", b"h"),
        ("OPTIONS https://i HTTP/1.1", b"https", b"i"),
    ],
)
def test_rfc9112_3_2_2_the_target_outweighs_host(line: str, scheme: bytes, authority: bytes) -> None:
    (message,), _, _ = serve([req(line)])
    assert (message.scheme, message.authority) == (scheme, authority)


def test_rfc9110_5_3_fields_keep_order_repetition_and_octets() -> None:
    fields = ("B: 1", "a:2", "B:  3\t ", "Empty:", "Latin: \xe9", "Tab: a\tb")
    (message,), _, _ = serve([req("GET / HTTP/1.1", *fields)])
    assert message.headers == [
        (b"host", b"h"),
        (b"b", b"1"),
        (b"a", b"2"),
        (b"b", b"3"),
        (b"empty", b""),
        (b"latin", b"\xe9"),
        (b"tab", b"a\tb"),
    ]


def test_rfc9110_6_5_trailers_are_kept_apart_and_cannot_change_framing() -> None:
    body = b"0\r\nA: b \r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: evil\r\nA: c\r\n\r\n"
    messages, refused, _ = serve([chunked(body) + NEXT])
    assert not refused
    assert messages[0].trailers == [(b"a", b"b"), (b"a", b"c")]
    assert (b"a", b"b") not in messages[0].headers
    assert messages[1].target == b"/next"


TOKEN = set(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
TEXT = {9, *range(0x20, 0x7F), *range(0x80, 0x100)}
EVERYWHERE: list[tuple[str, bytes, set[int]]] = [
    ("method", b"G%bT / HTTP/1.1\r\nHost: h\r\n\r\n", TOKEN),
    ("target", b"GET /a%bb HTTP/1.1\r\nHost: h\r\n\r\n", (set(range(0x21, 0x100)) - {0x23, 0x7F})),
    ("name", b"GET / HTTP/1.1\r\nHost: h\r\nX%bY: v\r\n\r\n", TOKEN | {0x3A}),
    ("first of a name", b"GET / HTTP/1.1\r\nHost: h\r\n%bX: v\r\n\r\n", TOKEN),
    ("value", b"GET / HTTP/1.1\r\nHost: h\r\nX: a%bb\r\n\r\n", TEXT),
    ("end of a value", b"GET / HTTP/1.1\r\nHost: h\r\nX: a%b\r\n\r\n", TEXT),
    ("chunk extension", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0;a%bb\r\n\r\n", TOKEN | {0x3B, 0x3D}),
    ("quoted extension", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0;a=\"%bb\"\r\n\r\n", TEXT - {0x22}),
    ("trailer", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a%bb\r\n\r\n", TEXT),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "allowed"), [row[1:] for row in EVERYWHERE], ids=[row[0] for row in EVERYWHERE])
def test_every_octet_in(frame: bytes, allowed: set[int]) -> None:
    """No octet means more, or less, than the grammar says."""
    for way in WAYS:
        accepted = {octet for octet in range(256) if len(serve(way(frame % bytes([octet])))[0]) == 1}
        assert accepted == allowed


LIMITS: list[tuple[str, dict[str, int], bytes, int]] = [
    ("target at the limit", {"url_size": 10}, req("GET /123456789 HTTP/1.1"), 0),
    ("target over the limit", {"url_size": 10}, req("GET /1234567890 HTTP/1.1"), 414),
    ("target at the limit, long method", {"url_size": 10}, req("OPTIONS /123456789 HTTP/1.1"), 0),
    ("absolute target over the limit", {"url_size": 10}, req("GET http://h/ab HTTP/1.1"), 414),
    ("method over the limit", {"url_size": 10}, req("ABCDEFGHIJK / HTTP/1.1"), 414),
    ("endless target", {"url_size": 10}, b"GET /" + b"a" * 1000, 414),
    ("endless method", {"url_size": 10}, b"G" * 1000, 414),
    ("endless version", {"url_size": 10}, b"GET / " + b"a" * 1000, 400),
    ("no target allowed", {"url_size": 0}, req(), 414),
    ("no limit of the target", {"url_size": -1}, req("GET /" + "a" * 70000 + " HTTP/1.1"), 0),
    ("default limit of the target", {}, req("GET /" + "a" * 65535 + " HTTP/1.1"), 0),
    ("over the default limit of the target", {}, req("GET /" + "a" * 65536 + " HTTP/1.1"), 414),
    ("fields at the limit", {"header_size": 16}, req("GET / HTTP/1.1", "A:b"), 0),
    ("fields over the limit", {"header_size": 16}, req("GET / HTTP/1.1", "A: b"), 431),
    ("endless fields", {"header_size": 100}, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 50, 431),
    ("endless field", {"header_size": 100}, b"GET / HTTP/1.1\r\nA: " + b"b" * 200, 431),
    ("endless field, total unlimited", {"header_size": -1, "field_size": 100}, b"GET / HTTP/1.1\r\nA: " + b"b" * 500, 431),
    ("no fields allowed", {"header_size": 0}, req(), 431),
    ("field at the limit", {"field_size": 6}, req("GET / HTTP/1.1", "A:   1234   "), 0),
    ("field over the limit", {"field_size": 6}, req("GET / HTTP/1.1", "A: 12345"), 431),
    ("field of any size", {"field_size": -1, "header_size": -1}, req("GET / HTTP/1.1", "A: " + "b" * 70000), 0),
    ("count at the limit", {"field_count": 3}, req("GET / HTTP/1.1", "A: b", "C: d"), 0),
    ("count over the limit", {"field_count": 3}, req("GET / HTTP/1.1", "A: b", "C: d", "E: f"), 431),
    ("count over the limit, head incomplete", {"field_count": 3}, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4, 431),
    ("any count", {"field_count": -1}, req("GET / HTTP/1.1", *["A: b"] * 2000), 0),
    ("body at the limit", {"body_size": 3}, post("Content-Length: 3", body=b"abc"), 0),
    ("body over the limit, before it arrives", {"body_size": 3}, post("Content-Length: 4"), 413),
    ("no body allowed", {"body_size": 0}, post("Content-Length: 1"), 413),
    ("no body allowed, none sent", {"body_size": 0}, post("Content-Length: 0"), 0),
    ("any body", {"body_size": -1}, post("Content-Length: 3", body=b"abc"), 0),
    ("chunks at the limit", {"body_size": 3}, chunked(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), 0),
    ("chunks over the limit, before they arrive", {"body_size": 3}, chunked(b"2\r\nab\r\n2\r\n"), 413),
]  # fmt: skip


@pytest.mark.parametrize("way", [whole, in_two, bytewise])
@pytest.mark.parametrize(("values", "data", "status"), [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS])
def test_limits(values: dict[str, int], data: bytes, status: int, way: Callable[[bytes], list[bytes]]) -> None:
    limits = Limits()
    for name, value in values.items():
        setattr(limits, name, value)
    messages, refused, _ = serve(way(data), limits)
    assert (len(messages), refused) == (int(not status), status)


def test_limits_are_looked_up_anew() -> None:
    limits = Limits()
    engine = Http1Engine(limits)
    assert isinstance(engine.receive_data(NEXT)[0], Message)
    limits.url_size = 3
    event = engine.receive_data(NEXT)[0]
    assert isinstance(event, Refusal)
    assert event.status == 414


def test_rfc9112_9_3_2_pipelined_requests_keep_their_order() -> None:
    parts = [
        req("GET /0 HTTP/1.1"),
        post("Content-Length: 3", body=b"abc"),
        chunked(b"2\r\nde\r\n0\r\n\r\n"),
        req("HEAD /3 HTTP/1.1"),
    ] * 25
    for way in WAYS:
        messages, refused, _ = serve(way(b"".join(parts)))
        assert not refused
        assert [(message.method, message.body) for message in messages] == [
            ("GET", b""),
            ("POST", b"abc"),
            ("POST", b"de"),
            ("HEAD", b""),
        ] * 25
