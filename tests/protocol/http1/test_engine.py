"""The HTTP/1 engine: persistence, order of replies, streamed replies, and all the ways it ends."""

from __future__ import annotations

from typing import cast

import pytest

from qhttpserver_py._protocol.engine import Engine, Limits, Message, Refusal
from qhttpserver_py._protocol.http1.engine import Http1Engine

from ...support.h1requests import GET, SHUT, message, refusal, request, sent, upload


def answered(data: bytes, limits: Limits | None = None) -> tuple[Http1Engine, str]:
    engine = Http1Engine(limits or Limits())
    message(engine.receive_data(data))
    engine.send_response(1, 200, (), b"hi")
    return engine, sent(engine)


@pytest.fixture
def engine() -> Http1Engine:
    return Http1Engine(Limits())


def test_it_is_an_engine(engine: Http1Engine) -> None:
    typed: Engine = engine
    assert not typed.interleaves
    assert (typed.state.partial, typed.state.should_close, typed.state.linger) == (0, False, False)
    assert typed.backlog(1) == 0
    typed.consumed(1, 5)
    assert typed.data_to_send() == b""


# ---- persistence (RFC 9112 9.3)

KEEP = "connection: keep-alive|keep-alive: timeout=15||"


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
    limits = Limits()
    for _ in range(2):  # the second time from memory
        engine, reply = answered(data, limits)
        spoken = "1.0" if version == "1.0" else "1.1"
        assert reply == f"HTTP/{spoken} 200 OK|content-length: 2|" + (KEEP if persistent else SHUT) + "hi"
        assert engine.state.should_close is not persistent
        assert not engine.state.linger  # it was the peer who wanted it
        assert bool(engine.receive_data(GET)) is persistent


def test_connection_fields_are_one_list() -> None:
    engine, _ = answered(request(b"GET / HTTP/1.1", b"Connection: keep-alive", b"Connection: close"))
    assert engine.state.should_close


def test_rfc9112_9_6_what_follows_close_is_not_interpreted(engine: Http1Engine) -> None:
    message(engine.receive_data(request(b"GET / HTTP/1.1", b"Connection: close") + GET * 3))
    assert engine.receive_data(GET) == []
    engine.send_response(1, 200, (), b"")
    assert engine.state.should_close
    assert engine.state.linger  # unread requests would make the close a reset


def test_close_by_the_handler_lingers(engine: Http1Engine) -> None:
    assert len(engine.receive_data(GET * 2)) == 2
    engine.send_response(1, 200, ((b"connection", b"close"),), b"")
    assert sent(engine) == "HTTP/1.1 200 OK|content-length: 0|" + SHUT
    assert engine.state.should_close
    assert engine.state.linger
    engine.send_response(1, 200, (), b"late")  # the second request's: nobody is there to take it
    assert engine.data_to_send() == b""


def test_keep_alive_announces_the_limit_of_now(engine: Http1Engine) -> None:
    for seconds in (15, 0, -1, 3):
        engine._limits.set_keep_alive(seconds)
        message(engine.receive_data(GET))
        engine.send_response(1, 200, (), b"")
        assert f"keep-alive: timeout={seconds}|" in sent(engine)


# ---- order


def test_rfc9112_9_3_2_replies_depend_on_their_request(engine: Http1Engine) -> None:
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
    assert engine.state.should_close
    engine.refuse(cast("Refusal", second))
    assert engine.data_to_send() == b""


@pytest.mark.parametrize("status", [400, 408, 413, 414, 417, 431, 501, 505])
def test_refusals_are_whole_replies(status: int, engine: Http1Engine) -> None:
    engine.refuse(Refusal(1, status, "why"))
    assert sent(engine).startswith(f"HTTP/1.1 {status} ")
    assert engine.state.should_close
    assert engine.state.linger


def test_a_refusal_without_an_answer(engine: Http1Engine) -> None:
    engine.refuse(Refusal(1, 0, "gone"))
    assert engine.data_to_send() == b""
    assert engine.state.should_close


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
    assert not engine.state.should_close


def test_a_body_shorter_than_announced_is_an_abort(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_headers(1, 200, (), 5)
    engine.send_chunk(1, b"hel")
    engine.end_stream(1)
    assert (engine.state.should_close, engine.aborted, engine.state.linger) == (True, True, False)
    assert engine.receive_data(GET) == []


def test_http10_gets_a_stream_ended_by_the_close(engine: Http1Engine) -> None:
    message(engine.receive_data(request(b"GET / HTTP/1.0", b"Connection: keep-alive")))
    engine.send_headers(1, 200, (), None)
    engine.send_chunk(1, b"one")
    assert not engine.state.should_close
    engine.end_stream(1)
    assert sent(engine) == f"HTTP/1.0 200 OK|{SHUT}one"
    assert (engine.state.should_close, engine.aborted) == (True, False)


@pytest.mark.parametrize("data", [request(b"HEAD / HTTP/1.1"), request(b"HEAD / HTTP/1.0", b"Connection: keep-alive")])
@pytest.mark.parametrize("length", [None, 5])
def test_rfc9110_9_3_2_head_gets_no_body(data: bytes, length: int | None, engine: Http1Engine) -> None:
    message(engine.receive_data(data))
    engine.send_headers(1, 200, (), length)
    engine.send_chunk(1, b"hello")
    engine.end_stream(1)
    assert sent(engine).endswith(KEEP)
    assert not engine.state.should_close


@pytest.mark.parametrize("status", [204, 205, 304])
def test_rfc9112_6_3_status_without_content(status: int, engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_response(1, status, (), b"body")
    message(engine.receive_data(GET))
    engine.send_headers(1, status, (), None)
    engine.send_chunk(1, b"body")
    engine.end_stream(1, ((b"a", b"b"),))
    assert "body" not in sent(engine)
    assert not engine.state.should_close


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
    assert (engine.state.should_close, engine.aborted, engine.state.linger) == (True, True, False)
    engine.send_chunk(1, b"late")
    engine.end_stream(1)
    assert sent(engine) == f"HTTP/1.1 200 OK|transfer-encoding: chunked|{KEEP}"


# ---- ends


def test_eof_between_messages(engine: Http1Engine) -> None:
    assert engine.receive_eof() == []
    assert engine.state.should_close


def test_eof_behind_requests_lets_them_be_answered(engine: Http1Engine) -> None:
    assert len(engine.receive_data(GET * 2)) == 2
    assert engine.receive_eof() == []
    assert not engine.state.should_close
    engine.send_response(1, 200, (), b"")
    assert not engine.state.should_close
    engine.send_response(1, 200, (), b"")
    assert sent(engine) == f"HTTP/1.1 200 OK|content-length: 0|{KEEP}HTTP/1.1 200 OK|content-length: 0|{SHUT}"
    assert (engine.state.should_close, engine.state.linger) == (True, False)


@pytest.mark.parametrize(
    "data",
    [GET[:-2], b"G", upload(5, b"he"), request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"0\r\n")],
)
def test_rfc9112_8_a_request_cut_short_is_refused(data: bytes, engine: Http1Engine) -> None:
    engine.receive_data(data)
    event = refusal(engine.receive_eof())
    assert event.status == 400
    engine.refuse(event)
    assert engine.state.should_close
    assert not engine.state.linger  # there is nothing more to wait for


def test_empty_lines_are_no_request(engine: Http1Engine) -> None:
    assert engine.receive_data(b"\r\n\r\n") == []
    assert engine.state.partial == 0
    assert engine.receive_eof() == []
    assert engine.state.should_close


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
    assert engine.state.partial == partial


def test_close_when_idle(engine: Http1Engine) -> None:
    engine.receive_data(GET[:5])
    engine.close()
    assert engine.state.should_close
    assert engine.receive_data(GET[5:]) == []


def test_close_lets_the_reply_in_hand_finish(engine: Http1Engine) -> None:
    assert len(engine.receive_data(GET * 2)) == 2
    engine.close()
    assert not engine.state.should_close
    assert engine.receive_data(GET) == []
    engine.send_response(1, 200, (), b"x")
    assert sent(engine) == f"HTTP/1.1 200 OK|content-length: 1|{SHUT}x"
    assert engine.state.should_close
    assert engine.state.linger


def test_close_inside_a_streamed_reply(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_headers(1, 200, (), None)
    engine.close()
    engine.send_chunk(1, b"x")
    engine.end_stream(1)
    assert sent(engine).endswith("1|x|0||")
    assert engine.state.should_close


def test_close_inside_an_upload_waits_for_the_rest(engine: Http1Engine) -> None:
    got = message(engine.receive_data(upload(5, b"he")))
    engine.close()
    assert message(engine.receive_data(b"llo" + GET)) is got
    engine.send_response(1, 200, (), b"")
    assert sent(engine) == f"HTTP/1.1 200 OK|content-length: 0|{SHUT}"


# ---- interim responses (RFC 9110 15.2)

HINT = (b"Link", b"</style.css>; rel=preload")


def test_interim_responses_come_before_the_reply(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    engine.send_interim(1, 103, [HINT, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")])
    engine.send_interim(1, 102, ())
    assert sent(engine) == "HTTP/1.1 103 Early Hints|link: </style.css>; rel=preload||HTTP/1.1 102 Processing||"
    engine.send_response(1, 200, (), b"hi")
    assert sent(engine).startswith("HTTP/1.1 200 OK|")


def test_an_http_1_0_peer_is_sent_no_interim_response(engine: Http1Engine) -> None:
    message(engine.receive_data(b"GET / HTTP/1.0\r\n\r\n"))
    engine.send_interim(1, 103, [HINT])
    assert engine.data_to_send() == b""
    engine.send_response(1, 200, (), b"hi")
    assert sent(engine).startswith("HTTP/1.0 200 OK|")


@pytest.mark.parametrize("status", [0, 99, 101, 200, 1000])
def test_a_status_that_is_not_interim_is_refused_at_the_call(engine: Http1Engine, status: int) -> None:
    message(engine.receive_data(GET))
    with pytest.raises(ValueError, match="interim"):
        engine.send_interim(1, status, ())


def test_an_interim_response_with_a_bad_field_or_behind_the_head_is_refused(engine: Http1Engine) -> None:
    message(engine.receive_data(GET))
    with pytest.raises(ValueError, match="header"):
        engine.send_interim(1, 103, [HINT, (b"x", b"a\r\nb")])
    assert engine.data_to_send() == b""
    engine.send_headers(1, 200, (), None)
    with pytest.raises(RuntimeError):
        engine.send_interim(1, 103, ())
