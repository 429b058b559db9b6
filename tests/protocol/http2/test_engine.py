"""The HTTP/2 engine seen from the connection: settings, messages, bodies, the end."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import pytest

from qhttpserver_py._protocol.engine import Limits, Message, Refusal, Reset
from qhttpserver_py._protocol.http2.engine import Http2Engine
from qhttpserver_py._protocol.http2.settings import Http2Settings

from ...support.h2frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    OPEN,
    POST,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    TEXT,
    WINDOW_UPDATE,
    Client,
    data,
    frame,
    headers,
    limits,
    parse,
    rst_stream,
    settings,
)

# ---- settings


@pytest.mark.parametrize(
    ("given", "said", "increment"),
    [
        (Http2Settings(), {}, 0),
        (Http2Settings(stream_window=100000), {INITIAL_WINDOW_SIZE: 100000}, 0),
        (Http2Settings(max_frame_size=20000), {MAX_FRAME_SIZE: 20000}, 0),
        (Http2Settings(session_window=65536), {}, 1),
        (Http2Settings(session_window=2**31 - 1), {}, 2**31 - 1 - 65535),
        (Http2Settings(session_window=1000), {}, 0),
        (Http2Settings(max_concurrent_streams=7), {MAX_CONCURRENT_STREAMS: 7}, 0),
        (Http2Settings(max_frame_size=5, stream_window=0, session_window=-3), {INITIAL_WINDOW_SIZE: 1}, 0),
    ],
)
def test_what_the_server_announces(given: Http2Settings, said: dict[int, int], increment: int) -> None:
    first, *rest = parse(Http2Engine(Limits(), given).data_to_send())
    assert (first.kind, first.flags, first.stream_id) == (SETTINGS, 0, 0)
    pairs = {
        int.from_bytes(first.payload[i : i + 2], "big"): int.from_bytes(first.payload[i + 2 : i + 6], "big")
        for i in range(0, len(first.payload), 6)
    }
    assert pairs == {2: 0, MAX_CONCURRENT_STREAMS: 100, MAX_HEADER_LIST_SIZE: 65536} | said
    assert [(one.kind, one.stream_id, one.code) for one in rest] == [(WINDOW_UPDATE, 0, increment)] * bool(increment)


def test_no_header_limit_is_no_announcement() -> None:
    (first,) = parse(Http2Engine(limits(header_size=-1), Http2Settings()).data_to_send())
    assert first.payload[-6:-4] != MAX_HEADER_LIST_SIZE.to_bytes(2, "big")


# ---- messages


def test_a_get_is_one_complete_message() -> None:
    message = Client().get(1, [*GET[:2], (b":path", b"/a?b=c"), GET[3], (b"x-a", b"1"), (b"x-a", b"2")])
    assert (message.stream_id, message.method, message.target, message.version) == (1, "GET", b"/a?b=c", 20)
    assert (message.scheme, message.authority) == (b"https", b"host")
    assert message.headers == [(b"x-a", b"1"), (b"x-a", b"2")]
    assert message.complete
    assert not message.streaming
    assert message.body == b""


def test_host_replaces_a_missing_authority_and_stays_a_field() -> None:
    message = Client().get(1, [*GET[:3], (b"host", b"other:81")])
    assert message.authority == b"other:81"
    assert message.headers == [(b"host", b"other:81")]


def test_cookie_crumbs_are_joined_where_the_first_was() -> None:
    crumbs = [(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]
    assert Client().get(1, GET + crumbs).headers == [(b"cookie", b"a=1; b=2; c=3"), (b"x", b"y")]


def test_connect_has_its_authority_as_target() -> None:
    client = Client()
    (message,) = client.send(headers(1, [(b":method", b"CONNECT"), (b":authority", b"a:443")], OPEN))
    assert isinstance(message, Message)
    assert (message.method, message.target, message.complete) == ("CONNECT", b"a:443", True)
    client.engine.send_response(1, 501, (), b"")
    client.frames()
    assert client.answers[1].status == 501
    assert client.answers[1].ended


def test_an_unknown_method_keeps_its_name() -> None:
    assert Client().get(1, [(b":method", b"bReW"), *GET[1:]]).method == "bReW"


def test_the_same_block_again_hands_on_the_routers_caches() -> None:
    client = Client()
    first = client.get(1)
    first.path, first.route = "/", (1, "rule")
    second = client.get(3)
    assert (second.stream_id, second.path, second.route) == (3, "/", (1, "rule"))
    assert client.get(5, [*GET, (b"x", b"y")]).route is None


def test_a_block_that_changes_the_table_is_read_anew() -> None:
    client = Client()
    for number in range(30):
        fields = [*GET, (b"x-number", b"%d" % (number % 3)), (b"x-once", b"%d" % number)]
        encoded = client.encoder.encode(fields)
        (message,) = client.send(frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, encoded))
        assert isinstance(message, Message)
        assert message.headers == fields[4:]


def test_indexed_fields_mean_something_else_after_trailers_changed_the_table() -> None:
    client = Client()
    client.send(frame(HEADERS, 5, 1, client.encoder.encode([*GET, (b"x", b"1")])))
    same = client.encoder.encode([*GET, (b"x", b"1")])
    client.send(frame(HEADERS, 5, 3, same))
    client.send(frame(HEADERS, OPEN, 5, client.encoder.encode([*POST, (b"x", b"1")])))
    client.send(frame(HEADERS, 5, 5, b"\x40\x01t\x011"))
    (event,) = client.send(frame(HEADERS, 5, 7, same))
    assert isinstance(event, Refusal), "what was :authority is x now"


@pytest.mark.parametrize("cut", [1, 2, 5, 9, 10, 24, 33, 40, 1000])
def test_input_may_be_cut_anywhere(cut: int) -> None:
    client = Client(greet=False)
    wire = PREFACE + settings() + headers(1, POST, OPEN) + data(1, b"abc") + data(1, b"def", END_STREAM)
    events = []
    for start in range(0, len(wire), cut):
        events += client.send(wire[start : start + cut])
    message = events[-1]
    assert isinstance(message, Message)
    assert message.complete
    assert message.body == b"abcdef"
    assert {id(event) for event in events} == {id(message)}


# ---- bodies of requests


def test_a_body_in_later_reads_makes_two_events() -> None:
    client = Client()
    (head,) = client.send(headers(1, POST, OPEN))
    assert isinstance(head, Message)
    assert not head.complete
    assert client.engine.state.partial == 2
    assert client.send(data(1, b"abc")) == []
    assert client.send(data(1, b"de", END_STREAM)) == [head]
    assert head.complete
    assert (head.body, head.pieces) == (b"abcde", [])
    assert client.engine.state.partial == 0


def test_a_body_in_the_same_read_makes_one_event() -> None:
    (message,) = Client().send(headers(1, POST, OPEN), data(1, b"abc"), data(1, b"", END_STREAM))
    assert isinstance(message, Message)
    assert message.complete
    assert message.body == b"abc"


def test_streaming_reports_each_arrival_once_and_credits_what_was_used() -> None:
    client = Client()
    (head,) = client.send(headers(1, POST, OPEN), data(1, b"x" * 16384))
    assert isinstance(head, Message)
    head.streaming = True
    assert head.pieces == [b"x" * 16384]
    assert client.frames() == []
    assert client.send(data(1, b"y" * 16384), data(1, b"z" * 10000)) == [head]
    assert sum(map(len, head.pieces)) == 42768
    assert [one.stream_id for one in client.frames() if one.kind == WINDOW_UPDATE] == [0]
    client.engine.consumed(1, 42768)
    assert [(one.stream_id, one.code) for one in client.frames()] == [(1, 42768)]
    client.engine.consumed(1, 10**6)
    assert client.frames() == []
    assert client.send(data(1, b"!", END_STREAM)) == [head]
    assert head.complete
    assert head.body == b""
    assert head.pieces[-1] == b"!"
    client.engine.consumed(1, 1)


def test_streaming_decided_at_the_head_keeps_bytes_that_came_with_it() -> None:
    client = Client()
    (head,) = client.send(headers(1, POST, OPEN), data(1, b"abc"))
    assert isinstance(head, Message)
    head.streaming = True
    assert client.send(data(1, b"def", END_STREAM)) == [head]
    assert b"".join(head.pieces) == b"abcdef"
    assert head.body == b""


def test_a_body_that_is_not_streamed_is_credited_as_it_comes() -> None:
    client = Client()
    client.send(headers(1, POST, OPEN))
    sent = 0
    stream_window = session_window = 65535
    while sent < 1_000_000:
        size = min(16384, stream_window, session_window)
        assert size > 0, "the engine let the windows run dry"
        client.send(data(1, b"x" * size))
        sent += size
        stream_window -= size
        session_window -= size
        for one in client.frames():
            assert one.kind == WINDOW_UPDATE
            if one.stream_id:
                stream_window += one.code
            else:
                session_window += one.code
    (message,) = client.send(data(1, b"", END_STREAM))
    assert isinstance(message, Message)
    assert len(message.body) == sent


@pytest.mark.parametrize("window", [1, 1000, 65534, 65535, 65536, 1000000])
def test_any_window_lets_an_upload_through(window: int) -> None:
    client = Client(settings_=Http2Settings(stream_window=window, session_window=window), greet=False)
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
    peer.initiate_connection()
    peer.send_headers(1, [(n.decode(), v.decode()) for n, v in POST])
    client.send(peer.data_to_send())
    peer.receive_data(client.engine.data_to_send())
    left = 400 if window == 1 else 300000
    total = left
    while left:
        size = min(left, peer.local_flow_control_window(1), peer.max_outbound_frame_size)
        assert size > 0, "the engine let the windows run dry"
        peer.send_data(1, b"x" * size, end_stream=size == left)
        left -= size
        client.send(peer.data_to_send())
        peer.receive_data(client.engine.data_to_send())
    message = client.events[-1]
    assert isinstance(message, Message)
    assert len(message.body) == total


def test_padding_does_not_use_up_the_window() -> None:
    client = Client()
    (head,) = client.send(headers(1, POST, OPEN))
    assert isinstance(head, Message)
    head.streaming = True
    for _ in range(1000):
        client.send(frame(DATA, 0x8, 1, b"\xff" + b"x" + b"\0" * 255))
        client.engine.consumed(1, 1)
        client.frames()
    assert b"".join(head.pieces) == b"x" * 1000


def test_trailers_are_read() -> None:
    (message,) = Client().send(headers(1, POST, OPEN), data(1, b"abc"), headers(1, [(b"x-sum", b"1")]))
    assert isinstance(message, Message)
    assert message.trailers == [(b"x-sum", b"1")]
    assert (message.complete, message.body) == (True, b"abc")
    assert message.headers == []


def test_continue_is_an_interim_head_until_body_comes() -> None:
    client = Client()
    (head,) = client.send(headers(1, [*POST, (b"expect", b"100-Continue")], OPEN))
    assert isinstance(head, Message)
    assert head.expects_continue
    client.engine.send_continue(1)
    client.send(data(1, b"abc"))
    client.engine.send_continue(1)
    client.send(data(1, b"", END_STREAM))
    client.engine.send_response(1, 200, (), b"ok")
    client.engine.send_continue(7)
    client.frames()
    assert [head[0] for head in client.answers[1].heads] == [(b":status", b"100"), (b":status", b"200")]
    assert client.answers[1].body == b"ok"


# ---- the peer gives up, the end


def test_a_request_that_is_reset_in_the_same_read_is_no_event() -> None:
    client = Client()
    assert client.send(headers(1), rst_stream(1), headers(3)) == [client.events[-1]]
    assert client.events[-1].stream_id == 3


def test_close_lets_replies_finish_and_sends_goaway_behind_them() -> None:
    client = Client()
    client.get(1)
    client.get(3)
    client.engine.send_headers(3, 200, TEXT, None)
    client.engine.close()
    client.engine.close()
    client.frames()
    assert not client.engine.state.should_close
    assert client.send(headers(5)) == []
    assert [(one.kind, one.code) for one in client.frames()] == [(RST_STREAM, 7)]
    client.engine.send_response(1, 200, (), b"late")
    assert not client.engine.state.should_close
    client.engine.end_stream(3)
    last = client.frames()[-1]
    assert client.engine.state.should_close
    assert (last.kind, last.code, last.payload[:4]) == (GOAWAY, 0, b"\0\0\0\3")
    assert client.answers[1].body == b"late"
    assert client.answers[3].ended


def test_close_of_an_idle_connection_closes() -> None:
    client = Client()
    client.engine.close()
    assert client.engine.state.should_close
    assert not client.engine.state.linger


def test_half_close_ends_uploads_and_lets_replies_finish() -> None:
    client = Client()
    client.get(1)
    client.send(headers(3, POST, OPEN))
    (reset,) = client.engine.receive_eof()
    assert isinstance(reset, Reset)
    assert reset.stream_id == 3
    assert not client.engine.state.should_close
    client.engine.send_response(1, 200, (), b"x")
    assert client.engine.state.should_close
    client.frames()
    assert client.answers[1].body == b"x"


def test_half_close_of_an_idle_connection_closes() -> None:
    client = Client()
    assert client.engine.receive_eof() == []
    assert client.engine.state.should_close


def test_the_last_stream_number_asks_the_client_to_reconnect() -> None:
    client = Client()
    client.get(2**31 - 1)
    client.engine.send_response(2**31 - 1, 200, (), b"x")
    assert client.frames()[-1].kind == GOAWAY
    assert client.engine.state.should_close


def test_partial_distinguishes_heads_bodies_and_neither() -> None:
    client = Client(greet=False)
    assert client.engine.state.partial == 1
    client.send(PREFACE + settings())
    assert client.engine.state.partial == 0
    client.send(headers(1)[:5])
    assert client.engine.state.partial == 1
    client.send(headers(1)[5:] + headers(3)[:5])
    assert client.engine.state.partial == 0, "something came: this is no peer that hesitates"
    client.send(headers(3)[5:])
    client.send(headers(5, POST, 0))
    assert client.engine.state.partial == 1
    client.send(frame(CONTINUATION, END_HEADERS, 5))
    assert client.engine.state.partial == 2
    client.send(data(5, b"", END_STREAM))
    assert client.engine.state.partial == 0


def test_an_error_cancels_what_was_handed_out_and_withholds_the_rest() -> None:
    client = Client()
    client.get(1)
    events = client.send(headers(3), frame(DATA, 0, 0, b"x"), headers(5))
    assert [(type(event), event.stream_id) for event in events] == [(Reset, 1), (Refusal, 0)]
    assert client.frames()[-1].payload[:4] == b"\0\0\0\1"


# ---- with h2 as the client


def test_a_conversation_with_h2() -> None:
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
    engine = Http2Engine(Limits(), Http2Settings())
    peer.initiate_connection()
    bodies: dict[int, bytes] = {}
    for number in range(40):
        stream_id = peer.get_next_available_stream_id()
        fields = [(n.decode(), v.decode()) for n, v in POST] + [("x-number", str(number % 5))]
        peer.send_headers(stream_id, fields)
        peer.send_data(stream_id, b"%d" % number, end_stream=True)
    pending = True
    while pending:
        for event in engine.receive_data(peer.data_to_send()):
            assert isinstance(event, Message)
            reply = [(b"content-type", b"text/plain"), (b"x-echo", dict(event.headers)[b"x-number"])]
            engine.send_response(event.stream_id, 200, reply, event.body * 5000)
        events = peer.receive_data(engine.data_to_send())
        pending = bool(events)
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    assert bodies == {2 * number + 1: b"%d" % number * 5000 for number in range(40)}


def test_settings_acknowledged() -> None:
    client = Client(greet=False)
    client.send(PREFACE + settings((MAX_FRAME_SIZE, 20000)))
    assert [(one.kind, one.flags) for one in client.frames()] == [(SETTINGS, 0), (SETTINGS, ACK)]
