"""Heads of responses: field order, framing, and what the user's own fields may do."""

# ruff: noqa: E501 - in the tables a row is a line

from __future__ import annotations

import re

import pytest

from qhttpserver_py._protocol.engine import Header, Limits
from qhttpserver_py._protocol.http1 import response
from qhttpserver_py._protocol.http1.head import ASKED, CLOSE, CONNECT, HEAD, HTTP10, INCOMPLETE

TAIL = Limits().persistent_tail
KEEP = "connection: keep-alive|keep-alive: timeout=15|"
SHUT = "connection: close|"


def shown(data: bytes) -> str:
    """Return the head on one line, with the date cut out."""
    text = data.decode("latin-1").replace("\r\n", "|")
    assert text.endswith("||")
    return re.sub(r"date: [^|]*GMT\|", "D|", text)[:-1]


def render(status: int, headers: tuple[Header, ...], bits: int, size: int | None) -> tuple[str, int, bool]:
    head = response.ResponseHead(status, headers, bits, size, TAIL)
    return shown(head.data), head.framing, head.closes


TYPE = ((b"content-type", b"a/b"),)

HEADS: list[tuple[str, int, tuple[Header, ...], int, int | None, str, int]] = [
    ("plain", 200, TYPE, 0, 5, "HTTP/1.1 200 OK|content-type: a/b|D|content-length: 5|" + KEEP, response.SIZED),
    ("closing", 200, TYPE, CLOSE | ASKED, 5, "HTTP/1.1 200 OK|content-type: a/b|D|content-length: 5|" + SHUT, response.SIZED),
    ("early", 404, (), INCOMPLETE, 0, "HTTP/1.1 404 Not Found|D|content-length: 0|" + SHUT, response.SIZED),
    ("1.0", 200, (), HTTP10 | CLOSE, 1, "HTTP/1.0 200 OK|D|content-length: 1|" + SHUT, response.SIZED),
    ("1.0 kept", 200, (), HTTP10, 1, "HTTP/1.0 200 OK|D|content-length: 1|" + KEEP, response.SIZED),
    ("chunked", 200, (), 0, None, "HTTP/1.1 200 OK|D|transfer-encoding: chunked|" + KEEP, response.CHUNKS),
    ("1.0 unknown length", 200, (), HTTP10, None, "HTTP/1.0 200 OK|D|" + SHUT, response.UNTIL_CLOSE),
    ("9110-9.3.2 HEAD", 200, TYPE, HEAD, 5, "HTTP/1.1 200 OK|content-type: a/b|D|content-length: 5|" + KEEP, response.NOTHING),
    ("9110-8.6 HEAD, empty", 200, (), HEAD, 0, "HTTP/1.1 200 OK|D|content-length: 0|" + KEEP, response.NOTHING),
    ("9110-8.6 HEAD, own length", 200, ((b"content-length", b"9"),), HEAD, 0, "HTTP/1.1 200 OK|D|content-length: 9|" + KEEP, response.NOTHING),
    ("9110-8.6 HEAD, wrong length", 200, ((b"content-length", b"9"),), HEAD, 5, "HTTP/1.1 200 OK|D|content-length: 5|" + KEEP, response.NOTHING),
    ("HEAD, unknown length", 200, (), HEAD, None, "HTTP/1.1 200 OK|D|transfer-encoding: chunked|" + KEEP, response.NOTHING),
    ("HEAD, 1.0, unknown length", 200, (), HEAD | HTTP10, None, "HTTP/1.0 200 OK|D|" + KEEP, response.NOTHING),
    ("9110-8.6 204", 204, (), 0, 5, "HTTP/1.1 204 No Content|D|" + KEEP, response.NOTHING),
    ("9110-8.6 204, own length", 204, ((b"content-length", b"5"),), 0, 5, "HTTP/1.1 204 No Content|D|" + KEEP, response.NOTHING),
    ("9112-6.1 204, unknown length", 204, (), 0, None, "HTTP/1.1 204 No Content|D|" + KEEP, response.NOTHING),
    ("9110-15.3.6 205", 205, (), 0, 5, "HTTP/1.1 205 Reset Content|D|content-length: 0|" + KEEP, response.NOTHING),
    ("9110-8.6 304", 304, (), 0, 0, "HTTP/1.1 304 Not Modified|D|" + KEEP, response.NOTHING),
    ("9110-8.6 304, own length", 304, ((b"content-length", b"7"),), 0, 0, "HTTP/1.1 304 Not Modified|D|content-length: 7|" + KEEP, response.NOTHING),
    ("9111-3.2 304, no type of its own", 304, ((b"content-type", b"application/x-empty"), (b"etag", b"x")), 0, 0, "HTTP/1.1 304 Not Modified|etag: x|D|" + KEEP, response.NOTHING),
    ("9111-3.2 304, type", 304, TYPE, 0, 0, "HTTP/1.1 304 Not Modified|content-type: a/b|D|" + KEEP, response.NOTHING),
    ("9110-9.3.6 CONNECT accepted", 200, (), CONNECT, 5, "HTTP/1.1 200 OK|D|" + SHUT, response.NOTHING),
    ("CONNECT refused", 501, (), CONNECT, 0, "HTTP/1.1 501 Not Implemented|D|content-length: 0|" + KEEP, response.SIZED),
    ("9112-4 no phrase", 799, (), 0, 0, "HTTP/1.1 799 |D|content-length: 0|" + KEEP, response.SIZED),
    ("own date", 200, ((b"Date", b"x"), (b"a", b"b")), 0, 0, "HTTP/1.1 200 OK|date: x|a: b|content-length: 0|" + KEEP, response.SIZED),
    ("two dates", 200, ((b"date", b"x"), (b"date", b"y")), 0, 0, "HTTP/1.1 200 OK|date: x|content-length: 0|" + KEEP, response.SIZED),
    ("9110-8.6 own length", 200, ((b"content-length", b"5"),), 0, 5, "HTTP/1.1 200 OK|D|content-length: 5|" + KEEP, response.SIZED),
    ("9110-8.6 own length, wrong", 200, ((b"Content-Length", b"99"),), 0, 5, "HTTP/1.1 200 OK|D|content-length: 5|" + KEEP, response.SIZED),
    ("9110-8.6 own length, malformed", 200, ((b"content-length", b"x"),), HEAD, 0, "HTTP/1.1 200 OK|D|content-length: 0|" + KEEP, response.NOTHING),
    ("9112-6.1 own coding", 200, ((b"transfer-encoding", b"gzip"),), 0, 5, "HTTP/1.1 200 OK|D|content-length: 5|" + KEEP, response.SIZED),
    ("own coding, chunked", 200, ((b"transfer-encoding", b"chunked"),), 0, None, "HTTP/1.1 200 OK|D|transfer-encoding: chunked|" + KEEP, response.CHUNKS),
    ("9112-9.6 own close", 200, ((b"connection", b"Close"),), 0, 0, "HTTP/1.1 200 OK|D|content-length: 0|" + SHUT, response.SIZED),
    ("own keep-alive", 200, ((b"connection", b"keep-alive"), (b"keep-alive", b"timeout=9")), 0, 0, "HTTP/1.1 200 OK|D|content-length: 0|" + KEEP, response.SIZED),
    ("own option", 426, ((b"upgrade", b"h2c"), (b"connection", b"upgrade")), 0, 0, "HTTP/1.1 426 Upgrade Required|upgrade: h2c|D|content-length: 0|connection: upgrade, keep-alive|keep-alive: timeout=15|", response.SIZED),
    ("own option and close", 200, ((b"connection", b"x, close"), (b"connection", b"y")), 0, 0, "HTTP/1.1 200 OK|D|content-length: 0|connection: x, y, close|", response.SIZED),
    ("trailers announced", 200, ((b"trailer", b"etag"),), 0, None, "HTTP/1.1 200 OK|trailer: etag|D|transfer-encoding: chunked|" + KEEP, response.CHUNKS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "headers", "bits", "size", "expected", "framing"),
    [row[1:] for row in HEADS],
    ids=[row[0] for row in HEADS],
)
def test_heads(
    status: int, headers: tuple[Header, ...], bits: int, size: int | None, expected: str, framing: int
) -> None:
    assert render(status, headers, bits, size) == (expected, framing, expected.endswith("close|"))


@pytest.mark.parametrize("status", [-5, 0, 1, 99, 100, 101, 199, 1000])
def test_rfc9110_15_what_is_no_final_status(status: int) -> None:
    with pytest.raises(ValueError, match="use 200 to 999"):
        response.ResponseHead(status, (), 0, 0, TAIL)
    with pytest.raises(ValueError, match="use 200 to 999"):
        response.plain_prefix(0, status, ())


@pytest.mark.parametrize(
    "field", [(b"a\r\nb", b"c"), (b"a", b"b\r\nc: d"), (b"connection", b"x\r\ny: z"), (b"date", b"\n")]
)
def test_nothing_is_injected(field: Header) -> None:
    with pytest.raises(ValueError, match=r"RFC 9110"):
        response.ResponseHead(200, (field,), 0, 0, TAIL)
    with pytest.raises(ValueError, match=r"RFC 9110"):
        response.plain_prefix(0, 200, ((b"x", b"y\n"),))


def test_plain_replies_have_the_same_head_the_long_way() -> None:
    headers = ((b"content-type", b"a/b"), (b"X-Y", b"z "))
    for bits in (0, CLOSE | ASKED, HTTP10 | CLOSE | ASKED, HTTP10, 0):
        prefix = response.plain_prefix(bits, 200, headers)
        long = response.ResponseHead(200, headers, bits, 5, TAIL).data
        tail = shown(response.CLOSING_TAIL).rstrip("|") + "|" if bits & CLOSE else KEEP
        assert long.startswith(prefix)
        assert shown(long) == shown(prefix + b"\r\n").rstrip("|") + "|D|content-length: 5|" + tail


@pytest.mark.parametrize("name", [b"date", b"Content-Length", b"transfer-encoding", b"CONNECTION", b"keep-alive"])
def test_what_is_not_plain(name: bytes) -> None:
    assert response.plain_prefix(0, 200, ((name, b"1"),)) == b""


@pytest.mark.parametrize("status", [204, 205, 304])
def test_which_status_is_not_plain(status: int) -> None:
    assert response.plain_prefix(0, status, ()) == b""


def test_refusal() -> None:
    assert (
        shown(response.refusal(431))
        == "HTTP/1.1 431 Request Header Fields Too Large|D|content-length: 0|connection: close|"
    )


def test_last_chunk() -> None:
    assert response.last_chunk(()) == b"0\r\n\r\n"
    assert response.last_chunk(((b"ETag", b"e"), (b"b", b"c"))) == b"0\r\netag: e\r\nb: c\r\n\r\n"
    with pytest.raises(ValueError, match="not allowed as a trailer"):
        response.last_chunk(((b"content-length", b"1"),))
