"""The receiving half of the HTTP/1 engine: bodies, continuation, upgrades; and what is remembered."""

from __future__ import annotations

import pytest

from qhttpserver_py._protocol.engine import Limits, Message
from qhttpserver_py._protocol.http1.engine import Http1Engine
from qhttpserver_py._protocol.http1.receiver import MAX_UNREAD
from qhttpserver_py._protocol.http1.repeated import LARGEST

from ...support.h1requests import GET, SHUT, message, refusal, request, sent, upload


@pytest.fixture
def engine() -> Http1Engine:
    return Http1Engine(Limits())


# ---- bodies


def test_a_body_that_is_all_here(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(5, b"hello")))
    assert (got.body, got.complete, engine.state.partial) == (b"hello", True, 0)
    assert message(engine.receive_data(GET)).target == b"/"


def test_a_body_in_pieces_is_announced_and_handed_over_once(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(5, b"he")))
    assert (got.complete, engine.state.partial) == (False, 2)
    assert engine.receive_data(b"ll") == []
    assert message(engine.receive_data(b"o" + GET[:3])) is got
    assert (got.body, got.complete, got.pieces, engine.state.partial) == (b"hello", True, [], 1)


def test_a_chunked_body_in_pieces(engine: Http1Engine) -> None:
    got = message(engine.receive_data(request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"2\r\nhe")))
    assert not got.complete
    assert engine.receive_data(b"\r\n3\r\nll") == []
    assert message(engine.receive_data(b"o\r\n0\r\nA: b\r\n\r\n")) is got
    assert (got.body, got.trailers) == (b"hello", [(b"a", b"b")])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_streamed_body(chunked: bool, engine: Http1Engine) -> None:
    wrap = (lambda octets: b"%x\r\n%b\r\n" % (len(octets), octets)) if chunked else (lambda octets: octets)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 5"
    got = message(engine.receive_data(request(b"POST / HTTP/1.1", framing, body=wrap(b"he"))))
    got.streaming = True
    taken = got.pieces[:]
    got.pieces.clear()
    assert message(engine.receive_data(wrap(b"ll"))) is got
    taken += got.pieces
    got.pieces.clear()
    assert message(engine.receive_data(wrap(b"o") + b"0\r\n\r\n" * chunked + GET[:5])) is got
    taken += got.pieces
    assert (b"".join(taken), got.body, got.complete) == (b"hello", b"", True)


def test_streaming_may_be_decided_late(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(9, b"abc")))
    assert engine.receive_data(b"def") == []
    got.streaming = True
    assert message(engine.receive_data(b"g")) is got
    assert b"".join(got.pieces) == b"abcdefg"


def test_tiny_chunks_are_joined(engine: Http1Engine) -> None:
    got = message(engine.receive_data(request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked")))
    got.streaming = True
    engine.receive_data(b"1\r\nx\r\n" * 10_000)
    assert got.pieces == [b"x" * 10_000]


def test_the_body_limit_is_asked_once_with_the_head_known(engine: Http1Engine) -> None:
    asked = []

    def limit(message: Message) -> int:
        asked.append((message.method, message.target, message.headers[-1]))
        return 4 if message.target == b"/up" else -1

    engine.body_limit = limit
    message(engine.receive_data(GET))
    assert asked == []
    assert refusal(engine.receive_data(upload(5))).status == 413
    assert asked == [("POST", b"/up", (b"content-length", b"5"))]


def test_a_body_refused_midway_answers_for_its_message(engine: Http1Engine) -> None:
    got = message(engine.receive_data(request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked")))
    event = refusal(engine.receive_data(b"zz\r\n"))
    assert not got.complete
    engine.refuse(event)
    assert sent(engine) == f"HTTP/1.1 400 Bad Request|content-length: 0|{SHUT}"


def test_a_body_refused_behind_a_begun_reply_aborts_it(engine: Http1Engine) -> None:
    message(engine.receive_data(request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked")))
    engine.send_headers(1, 200, (), None)
    event = refusal(engine.receive_data(b"zz\r\n"))
    engine.data_to_send()
    engine.refuse(event)
    assert engine.data_to_send() == b""
    assert engine.state.should_close
    assert engine.aborted


@pytest.mark.parametrize("expects", [False, True])
def test_rfc9112_9_3_an_early_reply_ends_the_connection(expects: bool, engine: Http1Engine) -> None:
    fields = (b"Expect: 100-continue",) if expects else ()
    message(engine.receive_data(upload(5, b"", *fields)))
    engine.send_response(1, 404, (), b"")
    assert sent(engine) == f"HTTP/1.1 404 Not Found|content-length: 0|{SHUT}"
    assert engine.state.should_close
    assert engine.state.linger
    assert engine.receive_data(b"hello" + GET) == []


def test_a_reply_may_begin_while_the_body_arrives(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(5, b"he")))
    got.streaming = True
    engine.send_headers(1, 200, (), None)
    assert message(engine.receive_data(b"llo" + GET)) is got
    engine.send_chunk(1, b"hello")
    engine.end_stream(1)
    assert sent(engine) == f"HTTP/1.1 200 OK|transfer-encoding: chunked|{SHUT}5|hello|0||"
    assert engine.state.should_close


# ---- 100-continue (RFC 9110 10.1.1)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (upload(5, b"", b"Expect: 100-continue"), True),
        (upload(5, b"", b"Expect: 100-Continue"), True),
        (request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", b"Expect: 100-continue"), True),
        (upload(5, b"h", b"Expect: 100-continue"), False),
        (upload(5, b"hello", b"Expect: 100-continue"), False),
        (upload(0, b"", b"Expect: 100-continue"), False),
        (request(b"GET / HTTP/1.1", b"Expect: 100-continue"), False),
        (request(b"POST / HTTP/1.0", b"Content-Length: 5", b"Expect: 100-continue"), False),
        (request(b"POST / HTTP/1.0", b"Content-Length: 5", b"Expect: tea"), False),
        (upload(5), False),
    ],
)
def test_rfc9110_10_1_1_who_waits_for_100(data: bytes, expected: bool, engine: Http1Engine) -> None:
    assert message(engine.receive_data(data)).expects_continue is expected


def test_rfc9110_10_1_1_continue(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(5, b"", b"Expect: 100-continue")))
    engine.send_continue(1)
    assert engine.data_to_send() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert message(engine.receive_data(b"hello")) is got
    engine.send_continue(1)  # the body is here meanwhile
    assert engine.data_to_send() == b""
    engine.send_response(1, 200, (), b"")
    assert not engine.state.should_close


def test_a_body_too_large_is_refused_before_100(engine: Http1Engine) -> None:
    engine.body_limit = lambda message: 4
    assert refusal(engine.receive_data(upload(5, b"", b"Expect: 100-continue"))).status == 413


# ---- upgrades

UPGRADE = request(b"GET /ws HTTP/1.1", b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (UPGRADE, True),
        (request(b"GET / HTTP/1.1", b"Connection: upgrade", b"Connection: x", b"Upgrade: websocket"), True),
        (request(b"GET / HTTP/1.1", b"Upgrade: websocket"), False),
        (request(b"GET / HTTP/1.1", b"Connection: upgrade"), False),
        (request(b"GET / HTTP/1.1", b"Connection: upgrade", b"Upgrade: h2c"), False),
        (request(b"GET / HTTP/1.1", b"Connection: upgrade", b"Upgrade: h2c, websocket"), False),
        (request(b"GET / HTTP/1.0", b"Connection: upgrade, keep-alive", b"Upgrade: websocket"), False),
        (request(b"POST / HTTP/1.1", b"Connection: upgrade", b"Upgrade: websocket"), False),
        (
            request(b"GET / HTTP/1.1", b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 1", body=b"x"),
            False,
        ),
    ],
)
def test_rfc6455_4_2_1_what_is_an_upgrade(data: bytes, expected: bool, engine: Http1Engine) -> None:
    for _ in range(2):
        got = message(Http1Engine(engine._limits).receive_data(data))
        assert (got.websocket, got.raw) == (expected, data if expected else b"")


def test_an_upgrade_keeps_what_follows(engine: Http1Engine) -> None:
    got = message(engine.receive_data(UPGRADE + b"\x81\x00"))
    assert got.websocket
    assert engine.receive_data(GET) == []
    assert engine.receive_eof() == []
    assert engine.unread() == b"\x81\x00" + GET
    assert engine.unread() == b""


def test_an_upgrade_not_taken_is_answered_and_ends(engine: Http1Engine) -> None:
    message(engine.receive_data(UPGRADE + GET))
    engine.resume()
    assert engine.unread() is None
    assert engine.receive_data(GET) == []
    engine.send_response(1, 403, (), b"no")
    assert sent(engine) == f"HTTP/1.1 403 Forbidden|content-length: 2|{SHUT}no"
    assert engine.state.should_close
    assert engine.state.linger


def test_what_follows_an_upgrade_is_bounded(engine: Http1Engine) -> None:
    message(engine.receive_data(UPGRADE))
    assert engine.receive_data(b"x" * MAX_UNREAD) == []
    assert refusal(engine.receive_data(b"x")).status == 400
    assert engine.unread() is None


def test_connect_is_a_request_like_others(engine: Http1Engine) -> None:
    connect = b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"
    assert len(engine.receive_data(connect + GET)) == 2
    engine.send_response(1, 501, (), b"")
    engine.send_response(1, 200, (), b"")
    assert not engine.state.should_close
    message(engine.receive_data(connect))
    engine.send_response(1, 200, (), b"tunnel?")
    assert sent(engine).endswith(f"HTTP/1.1 200 OK|{SHUT}")
    assert engine.state.should_close


# ---- what is remembered


def test_a_repeated_request_is_the_same_message_on_its_connection_only(engine: Http1Engine) -> None:
    first = message(engine.receive_data(GET))
    assert message(engine.receive_data(GET)) is first
    assert message(Http1Engine(engine._limits).receive_data(GET)) is not first


@pytest.mark.parametrize(
    "data", [UPGRADE, request(b"GET / HTTP/1.1", b"A: " + b"b" * LARGEST), GET[:-2], b"BAD\r\n\r\n"]
)
def test_what_is_not_remembered(data: bytes, engine: Http1Engine) -> None:
    engine.receive_data(data)
    assert engine._receiver.known.head == b""


def test_what_is_remembered_ends_with_a_change_of_limits(engine: Http1Engine) -> None:
    limits = engine._limits
    other = request(b"GET /other HTTP/1.1")
    for data in (GET, other):
        for name, value in (("url_size", 0), ("header_size", 0), ("field_size", 0), ("field_count", 0)):
            engine = Http1Engine(limits)
            assert message(engine.receive_data(GET)) is message(engine.receive_data(GET))
            before = getattr(limits, name)
            setattr(limits, name, value)
            assert refusal(engine.receive_data(data)).status in (414, 431)
            setattr(limits, name, before)


def test_engines_leave_no_cycles() -> None:
    import gc
    import weakref

    class Watched(Http1Engine):
        __slots__ = ("__weakref__",)

    gc.disable()
    try:
        engine = Watched(Limits())
        engine.receive_data(upload(5, b"he"))
        gone = weakref.ref(engine)
        del engine
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "body", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n"]
)
def test_a_repeated_head_with_a_body_is_a_message_of_its_own(body: bytes) -> None:
    given = Limits()
    engine = Http1Engine(given)
    request = b"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n" + body
    cut = request.index(b"\r\n\r\n") + 4
    seen = []
    for pieces in ([request], [request[:cut], request[cut:]], [request]):
        last = [engine.receive_data(piece) for piece in pieces]
        assert len(pieces) == 1 or last[0][0].expects_continue
        message = last[-1][-1]
        assert (message.body, message.complete, message.authority, message.target) == (b"abc", True, b"h", b"/a")
        assert message not in seen
        seen.append(message)
        engine.send_response(1, 200, (), b"")
    given.body_size = 2
    assert engine.receive_data(request)[-1].status == 413
