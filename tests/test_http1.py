"""The HTTP/1 engine: bodies, order, persistence, continuation, upgrade, ends; and what it keeps."""

from __future__ import annotations

import re
from typing import cast

import pytest

from qhttpserver_py._protocol.engine import Engine, Event, Headers, Limits, Message, Refusal
from qhttpserver_py._protocol.http1 import Http1Engine
from qhttpserver_py._protocol.receiver import MAX_UNREAD, MEMO_ENTRIES, MEMO_HEAD

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes, body: bytes = b"") -> bytes:
    return b"".join(field + b"\r\n" for field in (line, b"Host: h", *fields)) + b"\r\n" + body


def upload(size: int = 5, body: bytes = b"", *fields: bytes) -> bytes:
    return request(b"POST /up HTTP/1.1", b"Content-Length: %d" % size, *fields, body=body)


def message(events: list[Event]) -> Message:
    (event,) = events
    assert isinstance(event, Message)
    return event


def refusal(events: list[Event]) -> Refusal:
    (event,) = events
    assert isinstance(event, Refusal)
    return event


def sent(engine: Http1Engine) -> str:
    """Return what was queued on one line, without dates."""
    text = engine.data_to_send().decode("latin-1").replace("\r\n", "|")
    return re.sub(r"date: [^|]*GMT\|", "", text)


def answered(data: bytes, status: int = 200, headers: Headers = (), body: bytes = b"hi") -> tuple[Http1Engine, str]:
    engine = Http1Engine(Limits())
    message(engine.receive_data(data))
    engine.send_response(1, status, headers, body)
    return engine, sent(engine)


@pytest.fixture
def engine() -> Http1Engine:
    return Http1Engine(Limits())


def test_it_is_an_engine(engine: Http1Engine) -> None:
    typed: Engine = engine
    assert not typed.interleaves
    assert (typed.partial, typed.should_close, typed.linger) == (0, False, False)
    assert typed.backlog(1) == 0
    typed.consumed(1, 5)
    assert typed.data_to_send() == b""


# ---- persistence (RFC 9112 9.3)

KEEP = "connection: keep-alive|keep-alive: timeout=15||"
SHUT = "connection: close||"


@pytest.mark.parametrize(
    ("version", "connection", "persistent"),
    [
        ("1.1", None, True),
        ("1.1", "keep-alive", True),
        ("1.1", "Keep-Alive", True),
        ("1.1", "upgrade", True),
        ("1.1", "TE, foo", True),
        ("1.1", "", True),
        ("1.1", "closed", True),
        ("1.1", "close", False),
        ("1.1", "CLOSE", False),
        ("1.1", "keep-alive, close", False),
        ("1.1", "foo ,\tclose", False),
        ("1.2", None, True),
        ("1.2", "close", False),
        ("1.0", None, False),
        ("1.0", "foo", False),
        ("1.0", "close", False),
        ("1.0", "keep-alive", True),
        ("1.0", "Keep-Alive, foo", True),
        ("1.0", "keep-alive, close", False),
    ],
)
def test_rfc9112_9_3_persistence(version: str, connection: str | None, persistent: bool) -> None:
    fields = [] if connection is None else [f"Connection: {connection}".encode()]
    data = request(f"GET / HTTP/{version}".encode(), *fields)
    for _ in range(2):  # the second time from memory
        engine, reply = answered(data)
        spoken = "1.0" if version == "1.0" else "1.1"
        assert reply == f"HTTP/{spoken} 200 OK|content-length: 2|" + (KEEP if persistent else SHUT) + "hi"
        assert engine.should_close is not persistent
        assert not engine.linger  # it was the peer who wanted it
        assert bool(engine.receive_data(GET)) is persistent


def test_connection_fields_are_one_list() -> None:
    engine, _ = answered(request(b"GET / HTTP/1.1", b"Connection: keep-alive", b"Connection: close"))
    assert engine.should_close


def test_rfc9112_9_6_what_follows_close_is_not_interpreted(engine: Http1Engine) -> None:
    message(engine.receive_data(request(b"GET / HTTP/1.1", b"Connection: close") + GET * 3))
    assert engine.receive_data(GET) == []
    engine.send_response(1, 200, (), b"")
    assert engine.should_close
    assert engine.linger  # unread requests would make the close a reset


def test_close_by_the_handler_lingers(engine: Http1Engine) -> None:
    assert len(engine.receive_data(GET * 2)) == 2
    engine.send_response(1, 200, ((b"connection", b"close"),), b"")
    assert sent(engine) == "HTTP/1.1 200 OK|content-length: 0|" + SHUT
    assert engine.should_close
    assert engine.linger
    engine.send_response(1, 200, (), b"late")  # the second request's: nobody is there to take it
    assert engine.data_to_send() == b""


def test_keep_alive_announces_the_limit_of_now(engine: Http1Engine) -> None:
    for seconds in (15, 0, -1, 3):
        engine._limits.set_keep_alive(seconds)
        message(engine.receive_data(GET))
        engine.send_response(1, 200, (), b"")
        assert f"keep-alive: timeout={seconds}|" in sent(engine)


# ---- order


def test_rfc9112_9_3_2_replies_know_their_request(engine: Http1Engine) -> None:
    events = engine.receive_data(
        GET + request(b"HEAD / HTTP/1.1") + request(b"GET / HTTP/1.0", b"Connection: keep-alive") + GET
    )
    assert len(events) == 4
    for body in (b"1", b"2", b"3", b"4"):
        engine.send_response(1, 200, (), body)
    heads = ["HTTP/1.1 200 OK|", "HTTP/1.1 200 OK|", "HTTP/1.0 200 OK|", "HTTP/1.1 200 OK|"]
    bodies = ["1", "", "3", "4"]
    assert sent(engine) == "".join(
        f"{head}content-length: 1|{KEEP}{body}" for head, body in zip(heads, bodies, strict=True)
    )


def test_a_refusal_waits_for_its_turn(engine: Http1Engine) -> None:
    first, second = engine.receive_data(GET + b"BAD\r\n\r\n")
    assert isinstance(first, Message)
    engine.send_response(1, 200, (), b"")
    engine.refuse(cast("Refusal", second))
    assert sent(engine) == f"HTTP/1.1 200 OK|content-length: 0|{KEEP}HTTP/1.1 400 Bad Request|content-length: 0|{SHUT}"
    assert engine.should_close
    engine.refuse(cast("Refusal", second))
    assert engine.data_to_send() == b""


@pytest.mark.parametrize("status", [400, 408, 413, 414, 417, 431, 501, 505])
def test_refusals_are_whole_replies(status: int, engine: Http1Engine) -> None:
    engine.refuse(Refusal(1, status, "why"))
    assert sent(engine).startswith(f"HTTP/1.1 {status} ")
    assert engine.should_close
    assert engine.linger


def test_a_refusal_without_an_answer(engine: Http1Engine) -> None:
    engine.refuse(Refusal(1, 0, "gone"))
    assert engine.data_to_send() == b""
    assert engine.should_close


# ---- bodies


def test_a_body_that_is_all_here(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(5, b"hello")))
    assert (got.body, got.complete, engine.partial) == (b"hello", True, 0)
    assert message(engine.receive_data(GET)).target == b"/"


def test_a_body_in_pieces_is_announced_and_handed_over_once(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(5, b"he")))
    assert (got.complete, engine.partial) == (False, 2)
    assert engine.receive_data(b"ll") == []
    assert message(engine.receive_data(b"o" + GET[:3])) is got
    assert (got.body, got.complete, got.pieces, engine.partial) == (b"hello", True, [], 1)


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
    assert engine.should_close
    assert engine.aborted


@pytest.mark.parametrize("expects", [False, True])
def test_rfc9112_9_3_an_early_reply_ends_the_connection(expects: bool, engine: Http1Engine) -> None:
    fields = (b"Expect: 100-continue",) if expects else ()
    message(engine.receive_data(upload(5, b"", *fields)))
    engine.send_response(1, 404, (), b"")
    assert sent(engine) == f"HTTP/1.1 404 Not Found|content-length: 0|{SHUT}"
    assert engine.should_close
    assert engine.linger
    assert engine.receive_data(b"hello" + GET) == []


def test_a_reply_may_begin_while_the_body_arrives(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(5, b"he")))
    got.streaming = True
    engine.send_headers(1, 200, (), None)
    assert message(engine.receive_data(b"llo" + GET)) is got
    engine.send_chunk(1, b"hello")
    engine.end_stream(1)
    assert sent(engine) == f"HTTP/1.1 200 OK|transfer-encoding: chunked|{SHUT}5|hello|0||"
    assert engine.should_close


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
    assert not engine.should_close


def test_a_body_too_large_is_refused_before_100(engine: Http1Engine) -> None:
    engine.body_limit = lambda message: 4
    assert refusal(engine.receive_data(upload(5, b"", b"Expect: 100-continue"))).status == 413


# ---- streamed replies


def test_chunks_and_trailers(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_headers(1, 200, ((b"trailer", b"etag"),), None)
    engine.send_chunk(1, b"")
    engine.send_chunk(1, b"0123456789abcdef")
    with pytest.raises(ValueError, match="not allowed as a trailer"):
        engine.end_stream(1, ((b"host", b"x"),))
    engine.end_stream(1, ((b"etag", b"e"),))
    assert (
        sent(engine)
        == f"HTTP/1.1 200 OK|trailer: etag|transfer-encoding: chunked|{KEEP}10|0123456789abcdef|0|etag: e||"
    )
    assert message(engine.receive_data(GET))


def test_large_pieces_are_framed_alike(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_headers(1, 200, (), None)
    engine.send_chunk(1, b"x" * 100_000)
    engine.end_stream(1)
    assert sent(engine).endswith("|186a0|" + "x" * 100_000 + "|0||")


def test_a_large_body_goes_out_whole(engine: Http1Engine) -> None:
    for _ in range(2):
        message(engine.receive_data(GET))
        engine.send_response(1, 200, (), b"x" * 1_000_000)
    assert sent(engine) == (f"HTTP/1.1 200 OK|content-length: 1000000|{KEEP}" + "x" * 1_000_000) * 2


def test_announced_length(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_headers(1, 200, (), 5)
    engine.send_chunk(1, b"hel")
    with pytest.raises(ValueError, match="longer than announced by 1 bytes"):
        engine.send_chunk(1, b"lo!")
    engine.send_chunk(1, b"lo")
    engine.end_stream(1)
    assert sent(engine) == f"HTTP/1.1 200 OK|content-length: 5|{KEEP}hello"
    assert not engine.should_close


def test_a_body_shorter_than_announced_is_an_abort(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_headers(1, 200, (), 5)
    engine.send_chunk(1, b"hel")
    engine.end_stream(1)
    assert (engine.should_close, engine.aborted, engine.linger) == (True, True, False)
    assert engine.receive_data(GET) == []


def test_http10_gets_a_stream_ended_by_the_close(engine: Http1Engine) -> None:
    message(engine.receive_data(request(b"GET / HTTP/1.0", b"Connection: keep-alive")))
    engine.send_headers(1, 200, (), None)
    engine.send_chunk(1, b"one")
    assert not engine.should_close
    engine.end_stream(1)
    assert sent(engine) == f"HTTP/1.0 200 OK|{SHUT}one"
    assert (engine.should_close, engine.aborted) == (True, False)


@pytest.mark.parametrize("data", [request(b"HEAD / HTTP/1.1"), request(b"HEAD / HTTP/1.0", b"Connection: keep-alive")])
@pytest.mark.parametrize("length", [None, 5])
def test_rfc9110_9_3_2_head_gets_no_body(data: bytes, length: int | None, engine: Http1Engine) -> None:
    message(engine.receive_data(data))
    engine.send_headers(1, 200, (), length)
    engine.send_chunk(1, b"hello")
    engine.end_stream(1)
    assert sent(engine).endswith(KEEP)
    assert not engine.should_close


@pytest.mark.parametrize("status", [204, 205, 304])
def test_rfc9112_6_3_status_without_content(status: int, engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_response(1, status, (), b"body")
    message(engine.receive_data(GET))
    engine.send_headers(1, status, (), None)
    engine.send_chunk(1, b"body")
    engine.end_stream(1, ((b"a", b"b"),))
    assert "body" not in sent(engine)
    assert not engine.should_close


def test_misuse_raises_and_changes_nothing(engine: Http1Engine) -> None:
    with pytest.raises(RuntimeError, match="no message waits"):
        engine.send_response(1, 200, (), b"")
    message(engine.receive_data(GET))
    for call in (lambda: engine.send_chunk(1, b"x"), lambda: engine.end_stream(1)):
        with pytest.raises(RuntimeError, match="no reply was begun"):
            call()
    with pytest.raises(ValueError, match="cannot be the status"):
        engine.send_response(1, 101, (), b"")
    with pytest.raises(ValueError, match="control character"):
        engine.send_headers(1, 200, ((b"a", b"\n"),), None)
    engine.send_headers(1, 200, (), None)
    with pytest.raises(RuntimeError, match="no message waits"):
        engine.send_response(1, 200, (), b"")
    engine.send_chunk(1, b"x")
    engine.end_stream(1)
    assert sent(engine) == f"HTTP/1.1 200 OK|transfer-encoding: chunked|{KEEP}1|x|0||"


def test_abort(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_headers(1, 200, (), None)
    engine.abort(1)
    assert (engine.should_close, engine.aborted, engine.linger) == (True, True, False)
    engine.send_chunk(1, b"late")
    engine.end_stream(1)
    assert sent(engine) == f"HTTP/1.1 200 OK|transfer-encoding: chunked|{KEEP}"


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
    assert engine.unread() == b""
    assert engine.receive_data(GET) == []
    engine.send_response(1, 403, (), b"no")
    assert sent(engine) == f"HTTP/1.1 403 Forbidden|content-length: 2|{SHUT}no"
    assert engine.should_close
    assert engine.linger


def test_what_follows_an_upgrade_is_bounded(engine: Http1Engine) -> None:
    message(engine.receive_data(UPGRADE))
    assert engine.receive_data(b"x" * MAX_UNREAD) == []
    assert refusal(engine.receive_data(b"x")).status == 400
    assert engine.unread() == b""


def test_connect_is_a_request_like_others(engine: Http1Engine) -> None:
    connect = b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"
    assert len(engine.receive_data(connect + GET)) == 2
    engine.send_response(1, 501, (), b"")
    engine.send_response(1, 200, (), b"")
    assert not engine.should_close
    message(engine.receive_data(connect))
    engine.send_response(1, 200, (), b"tunnel?")
    assert sent(engine).endswith(f"HTTP/1.1 200 OK|{SHUT}")
    assert engine.should_close


# ---- ends


def test_eof_between_messages(engine: Http1Engine) -> None:
    assert engine.receive_eof() == []
    assert engine.should_close


def test_eof_behind_requests_lets_them_be_answered(engine: Http1Engine) -> None:
    assert len(engine.receive_data(GET * 2)) == 2
    assert engine.receive_eof() == []
    assert not engine.should_close
    engine.send_response(1, 200, (), b"")
    assert not engine.should_close
    engine.send_response(1, 200, (), b"")
    assert sent(engine) == f"HTTP/1.1 200 OK|content-length: 0|{KEEP}HTTP/1.1 200 OK|content-length: 0|{SHUT}"
    assert (engine.should_close, engine.linger) == (True, False)


@pytest.mark.parametrize(
    "data",
    [GET[:-2], b"G", upload(5, b"he"), request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"0\r\n")],
)
def test_rfc9112_8_a_request_cut_short_is_refused(data: bytes, engine: Http1Engine) -> None:
    engine.receive_data(data)
    event = refusal(engine.receive_eof())
    assert event.status == 400
    engine.refuse(event)
    assert engine.should_close
    assert not engine.linger  # there is nothing more to wait for


def test_empty_lines_are_no_request(engine: Http1Engine) -> None:
    assert engine.receive_data(b"\r\n\r\n") == []
    assert engine.partial == 0
    assert engine.receive_eof() == []
    assert engine.should_close


@pytest.mark.parametrize(
    ("data", "partial"),
    [
        (b"", 0),
        (b"\r\n", 0),
        (b"G", 1),
        (GET[:-1], 1),
        (GET, 0),
        (upload(2), 2),
        (upload(2, b"x"), 2),
        (upload(2, b"xy"), 0),
        (b"BAD\r\n", 0),
    ],
)
def test_partial(data: bytes, partial: int, engine: Http1Engine) -> None:
    engine.receive_data(data)
    assert engine.partial == partial


def test_close_when_idle(engine: Http1Engine) -> None:
    engine.receive_data(GET[:5])
    engine.close()
    assert engine.should_close
    assert engine.receive_data(GET[5:]) == []


def test_close_lets_the_reply_in_hand_finish(engine: Http1Engine) -> None:
    assert len(engine.receive_data(GET * 2)) == 2
    engine.close()
    assert not engine.should_close
    assert engine.receive_data(GET) == []
    engine.send_response(1, 200, (), b"x")
    assert sent(engine) == f"HTTP/1.1 200 OK|content-length: 1|{SHUT}x"
    assert engine.should_close
    assert engine.linger


def test_close_inside_a_streamed_reply(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_headers(1, 200, (), None)
    engine.close()
    engine.send_chunk(1, b"x")
    engine.end_stream(1)
    assert sent(engine).endswith("1|x|0||")
    assert engine.should_close


def test_close_inside_an_upload_waits_for_the_rest(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(5, b"he")))
    engine.close()
    assert message(engine.receive_data(b"llo" + GET)) is got
    engine.send_response(1, 200, (), b"")
    assert sent(engine) == f"HTTP/1.1 200 OK|content-length: 0|{SHUT}"


# ---- memory


def test_a_request_seen_before_is_the_same_message(engine: Http1Engine) -> None:
    first = message(engine.receive_data(GET))
    assert message(Http1Engine(engine._limits).receive_data(GET)) is first
    assert message(Http1Engine(Limits()).receive_data(GET)) is not first
    one, two = engine.receive_data(GET * 2)
    assert one is two is first


@pytest.mark.parametrize(
    "data",
    [
        upload(1, b"x"),
        UPGRADE,
        request(b"GET / HTTP/1.1", b"A: " + b"b" * MEMO_HEAD),
        GET * 2,
        GET[:-2],
        b"BAD\r\n\r\n",
    ],
)
def test_what_is_not_remembered(data: bytes, engine: Http1Engine) -> None:
    engine.receive_data(data)
    assert data not in engine._limits.memo


def test_memory_of_requests_is_bounded(engine: Http1Engine) -> None:
    for number in range(MEMO_ENTRIES * 3):
        engine.receive_data(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
        assert len(engine._limits.memo) <= MEMO_ENTRIES


def test_memory_does_not_outlive_a_limit(engine: Http1Engine) -> None:
    limits = engine._limits
    for name, value in (("url_size", 0), ("header_size", 0), ("field_size", 0), ("field_count", 0)):
        message(engine.receive_data(GET))
        before = getattr(limits, name)
        setattr(limits, name, value)
        assert refusal(Http1Engine(limits).receive_data(GET)).status in (414, 431)
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
