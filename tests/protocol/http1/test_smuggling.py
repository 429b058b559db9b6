"""The request smuggling corpora of public research, as one table: none yields two requests.

Each row is one request as one party sees it, with ``GET /smuggled`` hidden where the other party
would look for the next request. In what is accepted, the hidden request must be part of the body; all else is refused,
and the connection ends.
"""

# ruff: noqa: E501 - in the tables a row is a line

from __future__ import annotations

import pytest

from qhttpserver_py._protocol.engine import Limits, Message, Refusal
from qhttpserver_py._protocol.http1.engine import Http1Engine

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
SIZE = len(HIDDEN)


def head(*fields: bytes, line: bytes = b"POST / HTTP/1.1") -> bytes:
    return b"".join(field + b"\r\n" for field in (line, b"Host: h", *fields)) + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
EMPTY = b"0\r\n\r\n" + HIDDEN  # a chunked body that is over at once
INSIDE = b"%x\r\n%b\r\n0\r\n\r\n" % (SIZE, HIDDEN)

# Spellings that one parser takes for "chunked" and another does not.
TE_TE = [
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding:\x0cchunked",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: \x00chunked",
    b"Transfer-Encoding: chunked\x0b",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: chunk",
    b"Transfer-Encoding: chunkedfoo",
    b"Transfer-Encoding: chunked;",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: chunked chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: cow, chunked",
    b"Transfer-Encoding: chunked, cow",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: deflate, gzip",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: \xffchunked",
    b"Transfer-Encoding: c\xc5\xabunked",
    b"Transfer-Encoding: chunKed\xe2\x84\xaa",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding:\n chunked",
    b"Transfer-Encoding: chunked\r\n cow",
    b"Transfer-Encoding: x\nTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\r\rTransfer-Encoding: chunked",
    b" Transfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked",
    b"\x0bTransfer-Encoding: chunked",
    b"\x00Transfer-Encoding: chunked",
    b"Transfer-Encoding\x00: chunked",
    b"Transfer-Encoding\x85: chunked",
    b"Transfer-Encoding\xa0: chunked",
    b"Transfer-Encoding chunked",
    b"Transfer Encoding: chunked",
    b": chunked\r\nTransfer-Encoding: chunked\x01",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-encoding: identity",
]

LENGTHS = [
    b"Content-Length: 0\r\nContent-Length: %d" % SIZE,
    b"Content-Length: %d\r\nContent-Length: 0" % SIZE,
    b"Content-Length: 0, %d" % SIZE,
    b"Content-Length: %d, 0" % SIZE,
    b"Content-Length: +%d" % SIZE,
    b"Content-Length: -%d" % SIZE,
    b"Content-Length: -0",
    b"Content-Length: 0x%x" % SIZE,
    b"Content-Length: 0o57",
    b"Content-Length: %d abc" % SIZE,
    b"Content-Length: %d;" % SIZE,
    b'Content-Length: "%d"' % SIZE,
    b"Content-Length: %d\x00" % SIZE,
    b"Content-Length: \x00%d" % SIZE,
    b"Content-Length: %d\x0b" % SIZE,
    b"Content-Length: \xa0%d" % SIZE,
    b"Content-Length : %d" % SIZE,
    b"Content-Length\x00: %d" % SIZE,
    b" Content-Length: %d" % SIZE,
    b"Content-Length:\r\n %d" % SIZE,
    b"Content-Length: %d\r\n 0" % SIZE,
    b"X: y\nContent-Length: %d" % SIZE,
    b"X: y\rContent-Length: %d" % SIZE,
    b"Content-Length: 4_7",
    b"Content-Length: \xd9\xa4\xd9\xa7",
    b"Content-Length: 1e1",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: 18446744073709551663",
    b"Content-Length: 4294967296",
]

CHUNKS = [
    b"0\r\n" + HIDDEN,
    b"0\n\n" + HIDDEN,
    b"0\r\r" + HIDDEN,
    b"0\r\n\n" + HIDDEN,
    b"0;\r\n\r\n" + HIDDEN,
    b"0;a\nb\r\n\r\n" + HIDDEN,
    b"0;a\n\r\n\r\n" + HIDDEN,
    b"0;\n%x\r\n" % SIZE + HIDDEN,
    b"0 \r\n\r\n" + HIDDEN,
    b" 0\r\n\r\n" + HIDDEN,
    b"0x0\r\n\r\n" + HIDDEN,
    b"-0\r\n\r\n" + HIDDEN,
    b"+0\r\n\r\n" + HIDDEN,
    b"0_0\r\n\r\n" + HIDDEN,
    b"00000000000000000\r\n\r\n" + HIDDEN,
    b"10000000000000000\r\n\r\n" + HIDDEN,
    b"\r\n\r\n" + HIDDEN,
    b";a\r\n\r\n" + HIDDEN,
    b"z\r\n\r\n" + HIDDEN,
    b"1\r\nab\r\n0\r\n\r\n" + HIDDEN,
    b"2\r\nab0\r\n\r\n" + HIDDEN,
    b"2\r\nab\n0\r\n\r\n" + HIDDEN,
    b"2\r\nabXX0\r\n\r\n" + HIDDEN,
    b"2\r\nab\r\r\n0\r\n\r\n" + HIDDEN,
    b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n' + HIDDEN,
]

HOSTS_AND_LINES = [
    b"GET / HTTP/1.1\r\nHost: h\r\nX: \n\n" + HIDDEN,
    b"GET / HTTP/1.1\nHost: h\n\n" + HIDDEN,
    b"GET / HTTP/1.1\r\nHost: h\r\n\n" + HIDDEN,
    b"GET / HTTP/1.1\r\nHost: h\n\r\n" + HIDDEN,
    b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n" + HIDDEN,
    b"GET / HTTP/1.1\r\nHost: h, i\r\n\r\n" + HIDDEN,
    b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n" + HIDDEN,
    b"GET / HTTP/1.1\r\nHost: h\r\n Host: i\r\n\r\n" + HIDDEN,
    b"GET / HTTP/1.1\r\nHost : h\r\n\r\n" + HIDDEN,
    b"GET / HTTP/1.1\x0b\r\nHost: h\r\n\r\n" + HIDDEN,
    b"GET / HTTP/1.1 GET /x HTTP/1.1\r\nHost: h\r\n\r\n" + HIDDEN,
    b"GET / HTTP/1.1\r\n: x\r\nHost: h\r\n\r\n" + HIDDEN,
    b"GET http://h@i/ HTTP/1.1\r\nHost: h\r\n\r\n" + HIDDEN,
    b"GET /a\r\nHost: h\r\n\r\n" + HIDDEN,
]

CORPUS: list[tuple[str, bytes]] = [
    ("CL.TE", head(b"Content-Length: %d" % len(EMPTY), CHUNKED) + EMPTY),
    ("CL.TE, length short", head(b"Content-Length: 6", CHUNKED) + EMPTY),
    ("TE.CL", head(CHUNKED, b"Content-Length: 4") + INSIDE),
    ("TE.CL zero", head(CHUNKED, b"Content-Length: 0") + EMPTY),
    ("TE.0 in HTTP/1.0", head(CHUNKED, line=b"POST / HTTP/1.0") + EMPTY),
    ("TE.CL in HTTP/1.0", head(CHUNKED, b"Content-Length: 4", b"Connection: keep-alive", line=b"POST / HTTP/1.0") + EMPTY),
    ("TE.0 for OPTIONS", head(b"Transfer-Encoding: gzip", line=b"OPTIONS / HTTP/1.1") + HIDDEN),
    ("expectation in disguise", head(b"Expect: y 100-continue", b"Content-Length: %d" % SIZE) + HIDDEN),
    ("expectation twice", head(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: %d" % SIZE) + HIDDEN),
    *((f"TE.TE {field!r}", head(field) + EMPTY) for field in TE_TE),
    *((f"CL.TE.TE {field!r}", head(b"Content-Length: %d" % len(EMPTY), field) + EMPTY) for field in TE_TE),
    *((f"CL {field!r}", head(field) + HIDDEN) for field in LENGTHS),
    *((f"chunks {body!r}", head(CHUNKED) + body) for body in CHUNKS),
    *((f"lines {data!r}", data) for data in HOSTS_AND_LINES),
]  # fmt: skip

# Valid for everybody: the hidden request is content, whatever the method says of content.
SWALLOWED: list[tuple[str, bytes]] = [
    ("CL.0 POST", head(b"Content-Length: %d" % SIZE) + HIDDEN),
    ("CL.0 GET", head(b"Content-Length: %d" % SIZE, line=b"GET / HTTP/1.1") + HIDDEN),
    ("CL.0 HEAD", head(b"Content-Length: %d" % SIZE, line=b"HEAD / HTTP/1.1") + HIDDEN),
    ("CL.0 DELETE", head(b"Content-Length: %d" % SIZE, line=b"DELETE / HTTP/1.1") + HIDDEN),
    ("CL.0 CONNECT", head(b"Content-Length: %d" % SIZE, line=b"CONNECT h:1 HTTP/1.1") + HIDDEN),
    ("CL.0 unknown method", head(b"Content-Length: %d" % SIZE, line=b"FOO / HTTP/1.1") + HIDDEN),
    ("CL.0 upgrade", head(b"Content-Length: %d" % SIZE, b"Connection: Upgrade", b"Upgrade: websocket", line=b"GET / HTTP/1.1") + HIDDEN),
    ("CL.0 upgrade to h2c", head(b"Content-Length: %d" % SIZE, b"Connection: Upgrade", b"Upgrade: h2c") + HIDDEN),
    ("CL.0 named as hop-by-hop", head(b"Content-Length: %d" % SIZE, b"Connection: Content-Length, keep-alive") + HIDDEN),
    ("CL.0 with an expectation", head(b"Content-Length: %d" % SIZE, b"Expect: 100-continue") + HIDDEN),
    ("TE.0 GET", head(CHUNKED, line=b"GET / HTTP/1.1") + INSIDE),
    ("TE.0 HEAD", head(CHUNKED, line=b"HEAD / HTTP/1.1") + INSIDE),
    ("TE.0 OPTIONS", head(CHUNKED, line=b"OPTIONS / HTTP/1.1") + INSIDE),
    ("TE.0 in capitals", head(b"TRANSFER-ENCODING: ChUnKeD") + INSIDE),
    ("TE.0 blanks around", head(b"Transfer-Encoding: \t chunked \t") + INSIDE),
    ("content_length is another field", head(b"Content_Length: 0", b"Content-Length: %d" % SIZE) + HIDDEN),
    ("a long extension", head(CHUNKED) + b"%x;%b\r\n" % (SIZE, b"a" * 1000) + INSIDE.split(b"\r\n", 1)[1]),
]  # fmt: skip


def run(pieces: list[bytes]) -> tuple[list[Message], list[Refusal], Http1Engine]:
    engine = Http1Engine(Limits())
    messages: list[Message] = []
    refusals: list[Refusal] = []
    for piece in pieces:
        for event in engine.receive_data(piece):
            if isinstance(event, Refusal):
                refusals.append(event)
            elif isinstance(event, Message) and event.complete:
                messages.append(event)
    return messages, refusals, engine


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(("digits", "count"), [(b"00", 2), (b"0%d" % SIZE, 1)])
def test_leading_zeros_are_decimal(digits: bytes, count: int, size: int) -> None:
    """RFC 9110 8.6: 1*DIGIT; they must not be read as octal, so that the next request begins at the right octet."""
    data = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %b\r\n\r\n" % digits + HIDDEN
    messages, refusals, _ = run(pieces_of(data, size))
    complete = [message for message in messages if message.complete]
    assert (len({id(message) for message in complete}), refusals) == (count, [])


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("data", [row[1] for row in CORPUS], ids=[row[0] for row in CORPUS])
def test_none_yields_two_requests(data: bytes, size: int) -> None:
    messages, refusals, engine = run([*pieces_of(data, size), HIDDEN])
    assert messages == []
    assert len(refusals) == 1
    engine.refuse(refusals[0])
    assert engine.state.should_close
    assert engine.state.linger
    assert engine.data_to_send().count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("data", [row[1] for row in SWALLOWED], ids=[row[0] for row in SWALLOWED])
def test_content_is_content(data: bytes, size: int) -> None:
    messages, refusals, _ = run(pieces_of(data, size))
    assert refusals == []
    assert [message.body for message in messages] == [HIDDEN]


@pytest.mark.parametrize(
    "start",
    [head(b"Content-Length: %d" % SIZE), head(CHUNKED) + b"%x\r\n" % SIZE],
    ids=["length", "chunk"],
)
def test_pause_based_a_refused_upload_is_not_the_next_request(start: bytes) -> None:
    """Answered early, the peer pauses, then sends what it owed: not a request (CL.0 by pause)."""
    engine = Http1Engine(Limits())
    (message,) = engine.receive_data(start)
    assert isinstance(message, Message)
    assert not message.complete
    engine.send_response(1, 404, (), b"")
    assert b"connection: close" in engine.data_to_send()
    assert engine.state.should_close
    assert engine.state.linger
    assert engine.receive_data(HIDDEN) == []
    assert engine.receive_data(HIDDEN) == []


def test_nothing_behind_close_is_interpreted() -> None:
    messages, refusals, _ = run([head(b"Connection: close", line=b"GET / HTTP/1.1") + HIDDEN, HIDDEN])
    assert (len(messages), refusals) == (1, [])


def test_nothing_behind_an_upgrade_is_interpreted() -> None:
    data = head(b"Connection: upgrade", b"Upgrade: websocket", line=b"GET / HTTP/1.1") + HIDDEN
    messages, refusals, engine = run([data, HIDDEN])
    assert (len(messages), refusals) == (1, [])
    engine.resume()
    assert engine.receive_data(HIDDEN) == []
