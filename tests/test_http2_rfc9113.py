"""What RFC 9113 and RFC 7541 demand of a server: one test per section, named after it.

``connection_error`` and ``stream_error`` say what is to come of frames sent by a raw client.
"""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes

from qhttpserver_py._protocol.engine import Message, Refusal
from qhttpserver_py._protocol.http2 import Http2Settings

from .h2frames import (
    ACK,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Client,
    Fields,
    Frame,
    alive,
    block,
    data,
    ended_by,
    frame,
    headers,
    ping,
    priority,
    rst_stream,
    settings,
    window_update,
)

OPEN = END_HEADERS
NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED = list(ErrorCodes)[:8]
COMPRESSION = ErrorCodes.COMPRESSION_ERROR
BLOCK = block(GET)


def connection_error(code: ErrorCodes, *frames: bytes, client: Client | None = None) -> None:
    client = client or Client()
    events = client.send(*frames)
    assert [type(event) for event in events][-1] is Refusal
    assert not any(isinstance(event, Message) for event in events)
    assert ended_by(client, code)


def stream_error(code: ErrorCodes, *frames: bytes, client: Client | None = None, stream_id: int = 1) -> None:
    client = client or Client()
    events = client.send(*frames)
    assert [(type(event), event.stream_id) for event in events][-1] == (Refusal, stream_id)
    assert not any(isinstance(event, Message) and event.stream_id == stream_id for event in events)
    resets = [one for one in client.frames() if one.kind == RST_STREAM]
    assert [(one.stream_id, one.code) for one in resets] == [(stream_id, code)]
    assert alive(client)
    assert client.get(1001)


def requested(stream_id: int = 1) -> Client:
    """A client whose request waits for its reply: half-closed (remote)."""
    client = Client()
    client.get(stream_id)
    return client


def closed(stream_id: int = 1) -> Client:
    """A client whose exchange is over."""
    client = requested(stream_id)
    client.engine.send_response(stream_id, 200, (), b"")
    client.frames()
    return client


def uploading(fields: Fields = POST) -> Client:
    client = Client()
    client.send(headers(1, fields, OPEN))
    return client


# ---- 3.4 preface


def test_3_4_settings_come_first_from_us() -> None:
    first, *_ = Client(greet=False).frames()
    assert (first.kind, first.flags, first.stream_id) == (SETTINGS, 0, 0)


@pytest.mark.parametrize("wire", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\x00", b"X"])
def test_3_4_an_invalid_preface_ends_the_connection(wire: bytes) -> None:
    connection_error(PROTOCOL, wire, client=Client(greet=False))


@pytest.mark.parametrize("first", [ping(), headers(1), settings(flags=ACK), window_update(0, 1)])
def test_3_4_the_first_frame_is_settings(first: bytes) -> None:
    connection_error(PROTOCOL, PREFACE, first, client=Client(greet=False))


# ---- 4 frames


@pytest.mark.parametrize("flags", [0, 0xFF])
@pytest.mark.parametrize("stream_id", [0, 1, 8])
@pytest.mark.parametrize("kind", [10, 16, 255])
def test_4_1_frames_of_unknown_type_are_ignored(kind: int, stream_id: int, flags: int) -> None:
    client = Client()
    assert client.send(frame(kind, flags, stream_id, b"whatever")) == []
    assert alive(client)


def test_4_1_undefined_flags_are_ignored() -> None:
    client = Client()
    client.send(frame(PING, 0x16, 0, b"12345678"))
    assert client.frames() == [Frame(PING, ACK, 0, b"12345678")]


def test_4_1_the_reserved_bit_is_ignored() -> None:
    client = Client()
    client.send(frame(PING, 0, 0x80000000, b"12345678"))
    assert client.frames()[0].flags == ACK
    (message,) = client.send(frame(HEADERS, 5, 0x80000001, BLOCK))
    assert message.stream_id == 1


def test_4_2_frames_up_to_the_limit_are_taken() -> None:
    client = Client()
    (message,) = client.send(headers(1, POST, OPEN), data(1, b"x" * 16384, END_STREAM))
    assert isinstance(message, Message)
    assert len(message.body) == 16384


@pytest.mark.parametrize("kind", [DATA, HEADERS, SETTINGS, PING, 77])
def test_4_2_a_frame_above_the_limit_ends_the_connection_before_it_is_here(kind: int) -> None:
    client = uploading()
    events = client.send(frame(kind, 0, 1, b"x" * 16385)[:9])
    assert events
    assert ended_by(client, SIZE)


def test_4_2_the_limit_is_ours_to_set() -> None:
    client = Client(settings_=Http2Settings(max_frame_size=20000))
    (message,) = client.send(headers(1, POST, OPEN), data(1, b"x" * 20000, END_STREAM))
    assert message.complete
    connection_error(SIZE, data(1, b"x" * 20001), client=client)


@pytest.mark.parametrize("junk", [b"\xff\xff\xff\xff\xff", b"\x40", b"\x00\x05ab", b"\xc0", b"\x80"])
def test_4_3_an_invalid_block_ends_the_connection(junk: bytes) -> None:
    connection_error(COMPRESSION, frame(HEADERS, 5, 1, junk))


@pytest.mark.parametrize(
    "between",
    [
        priority(1),
        priority(3),
        headers(1),
        headers(3),
        ping(),
        settings(),
        data(1, b"x"),
        frame(99, 0, 1),
        frame(CONTINUATION, END_HEADERS, 3),
        window_update(0, 1),
        rst_stream(1),
    ],
)
def test_4_3_a_header_block_is_not_interrupted(between: bytes) -> None:
    connection_error(PROTOCOL, frame(HEADERS, END_STREAM, 1, BLOCK[:3]), between)


def test_4_3_a_block_for_a_reset_stream_still_counts_for_the_table() -> None:
    client = uploading()
    client.engine.abort(1)
    client.frames()
    trailers = client.encoder.encode([(b"x-inserted", b"yes")])
    assert client.send(frame(HEADERS, 5, 1, trailers)) == []
    message = client.send(frame(HEADERS, 5, 3, client.encoder.encode([*GET, (b"x-inserted", b"yes")])))[0]
    assert isinstance(message, Message)
    assert message.headers == [(b"x-inserted", b"yes")]


# ---- 5.1 stream states


@pytest.mark.parametrize(
    "early",
    [data(1, b"x"), data(2, b"x"), rst_stream(1), rst_stream(2), window_update(1, 1), frame(CONTINUATION, 4, 1, BLOCK)],
)
def test_5_1_idle_takes_headers_and_priority_only(early: bytes) -> None:
    connection_error(PROTOCOL, early)


def test_5_1_idle_takes_priority() -> None:
    client = Client()
    assert client.send(priority(1), priority(2, 4), priority(7, 1)) == []
    assert alive(client)
    assert client.get(1)


@pytest.mark.parametrize("late", [data(1, b"x"), headers(1), headers(1, GET, OPEN)])
def test_5_1_half_closed_remote_takes_no_more_request(late: bytes) -> None:
    stream_error(CLOSED, late, client=requested())


def test_5_1_half_closed_remote_takes_no_continuation() -> None:
    connection_error(PROTOCOL, frame(CONTINUATION, END_HEADERS, 1, BLOCK), client=requested())


def test_5_1_half_closed_remote_takes_window_update_priority_and_rst_stream() -> None:
    client = requested()
    assert client.send(window_update(1, 2), priority(1, 3)) == []
    assert len(client.send(rst_stream(1))) == 1
    assert alive(client)


@pytest.mark.parametrize("late", [data(1, b"x"), headers(1)])
def test_5_1_closed_takes_no_request(late: bytes) -> None:
    connection_error(CLOSED, late, client=closed())


@pytest.mark.parametrize("late", [data(1, b"x"), headers(1)])
def test_5_1_closed_by_rst_stream_takes_no_request(late: bytes) -> None:
    client = uploading()
    client.send(rst_stream(1))
    connection_error(CLOSED, late, client=client)


def test_5_1_closed_takes_no_continuation() -> None:
    connection_error(PROTOCOL, frame(CONTINUATION, END_HEADERS, 1, BLOCK), client=closed())


def test_5_1_closed_takes_priority_window_update_and_rst_stream() -> None:
    client = closed()
    assert client.send(priority(1, 3), window_update(1, 5), rst_stream(1)) == []
    assert alive(client)


def test_5_1_frames_that_crossed_our_reset_are_ignored() -> None:
    client = uploading()
    client.engine.abort(1)
    client.frames()
    assert client.send(data(1, b"x" * 1000), window_update(1, 1), rst_stream(1), headers(1)) == []
    assert alive(client)


def test_5_1_frames_that_cannot_have_crossed_our_reset_are_not() -> None:
    client = uploading()
    client.engine.abort(1)
    client.frames()
    with_credit = [data(1, b"x" * 16384)] * 3 + [data(1, b"x" * 16383)]
    assert client.send(*with_credit) == []
    client.frames()
    connection_error(CLOSED, data(1, b"x"), client=client)


@pytest.mark.parametrize("stream_id", [2, 4, 1000])
def test_5_1_1_clients_have_odd_numbers(stream_id: int) -> None:
    connection_error(PROTOCOL, headers(stream_id))


def test_5_1_1_numbers_only_grow() -> None:
    client = Client()
    client.get(5)
    connection_error(PROTOCOL, headers(3), client=client)


def test_5_1_1_a_number_passed_over_is_closed() -> None:
    client = Client()
    client.get(5)
    connection_error(CLOSED, data(3, b"x"), client=client)


def test_5_1_2_too_many_streams_are_refused() -> None:
    client = Client(settings_=Http2Settings(max_concurrent_streams=2))
    client.get(1)
    client.get(3)
    assert client.send(headers(5, POST, OPEN), data(5, b"crossed", END_STREAM)) == []
    assert [(one.stream_id, one.code) for one in client.frames()] == [(5, REFUSED)]
    client.engine.send_response(3, 200, (), b"")
    assert client.get(7)


# ---- 5.3 priority (RFC 7540; old clients send it)


def test_5_3_1_headers_must_not_depend_on_themselves() -> None:
    stream_error(PROTOCOL, frame(HEADERS, 5 | PRIORITIZED, 1, b"\0\0\0\1\x10" + BLOCK))


def test_5_3_1_priority_must_not_depend_on_itself() -> None:
    stream_error(PROTOCOL, priority(1, 1), client=requested())
    connection_error(PROTOCOL, priority(2, 2))


def test_5_3_2_priority_in_headers_is_skipped() -> None:
    client = Client()
    (message,) = client.send(frame(HEADERS, 5 | PRIORITIZED, 3, b"\x80\0\0\1\x10" + BLOCK))
    assert message.target == b"/"


# ---- 5.4, 5.5


def test_5_4_1_goaway_comes_before_the_close_and_names_the_last_stream() -> None:
    client = requested(7)
    client.send(frame(PING, 0, 0, b"short"))
    last = client.frames()[-1]
    assert (last.kind, last.payload[:4], last.code) == (GOAWAY, b"\0\0\0\7", SIZE)
    assert client.engine.should_close


def test_5_4_2_a_reset_is_not_answered_with_a_reset() -> None:
    client = requested()
    client.send(rst_stream(1))
    assert client.send(rst_stream(1)) == []
    assert client.frames() == []


# ---- 6.1 DATA


def test_6_1_data_on_stream_0() -> None:
    connection_error(PROTOCOL, data(0, b"x"))


@pytest.mark.parametrize(
    ("payload", "body"), [(b"\0abc", b"abc"), (b"\2abc\0\0", b"abc"), (b"\3\0\0\0", b""), (b"\0", b"")]
)
def test_6_1_padding_is_taken_off(payload: bytes, body: bytes) -> None:
    client = uploading()
    (message,) = client.send(data(1, payload, PADDED | END_STREAM))
    assert message.body == body


@pytest.mark.parametrize("payload", [b"\4abc", b"\1", b"\xff" + b"x" * 254])
def test_6_1_padding_as_long_as_the_payload(payload: bytes) -> None:
    connection_error(PROTOCOL, data(1, payload, PADDED), client=uploading())


def test_6_1_padded_without_a_pad_length() -> None:
    connection_error(SIZE, data(1, b"", PADDED), client=uploading())


# ---- 6.2 HEADERS


def test_6_2_headers_on_stream_0() -> None:
    connection_error(PROTOCOL, headers(0))
    connection_error(PROTOCOL, headers(0, GET, 0))


def test_6_2_padding_is_taken_off() -> None:
    client = Client()
    (message,) = client.send(frame(HEADERS, 5 | PADDED | PRIORITIZED, 1, b"\2\0\0\0\0\x10" + BLOCK + b"\0\0"))
    assert message.method == "GET"


def test_6_2_padding_as_long_as_the_payload() -> None:
    connection_error(PROTOCOL, frame(HEADERS, 5 | PADDED, 1, bytes((len(BLOCK) + 1,)) + BLOCK))
    connection_error(SIZE, frame(HEADERS, 5 | PADDED, 1))
    connection_error(SIZE, frame(HEADERS, 5 | PRIORITIZED, 1, b"\0\0\0"))


# ---- 6.3 PRIORITY


def test_6_3_priority_on_stream_0() -> None:
    connection_error(PROTOCOL, priority(0))


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\0", b"\0" * 6])
def test_6_3_priority_of_a_wrong_size(payload: bytes) -> None:
    stream_error(SIZE, frame(PRIORITY, 0, 1, payload), client=requested())


# ---- 6.4 RST_STREAM


def test_6_4_rst_stream_on_stream_0() -> None:
    connection_error(PROTOCOL, rst_stream(0))


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", b"\0" * 5])
def test_6_4_rst_stream_of_a_wrong_size(payload: bytes) -> None:
    connection_error(SIZE, frame(RST_STREAM, 0, 1, payload), client=requested())


# ---- 6.5 SETTINGS


def test_6_5_an_acknowledgement_is_empty() -> None:
    connection_error(SIZE, settings((MAX_FRAME_SIZE, 16384), flags=ACK))


def test_6_5_settings_on_a_stream() -> None:
    connection_error(PROTOCOL, frame(SETTINGS, 0, 1))


@pytest.mark.parametrize("size", [1, 3, 5, 7, 11])
def test_6_5_settings_of_a_wrong_size(size: int) -> None:
    connection_error(SIZE, frame(SETTINGS, 0, 0, b"\0" * size))


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        ((ENABLE_PUSH, 2), PROTOCOL),
        ((INITIAL_WINDOW_SIZE, 2**31), FLOW),
        ((MAX_FRAME_SIZE, 16383), PROTOCOL),
        ((MAX_FRAME_SIZE, 2**24), PROTOCOL),
    ],
)
def test_6_5_2_values_out_of_range(pair: tuple[int, int], code: ErrorCodes) -> None:
    connection_error(code, settings(pair))


def test_6_5_2_unknown_settings_are_ignored() -> None:
    client = Client()
    assert client.send(settings((0xFF, 1), (0, 2), (0x7FFF, 3))) == []
    assert client.frames() == [Frame(SETTINGS, ACK, 0, b"")]


def test_6_5_3_values_apply_in_order_and_are_acknowledged() -> None:
    client = Client()
    client.send(settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)))
    assert client.frames() == [Frame(SETTINGS, ACK, 0, b"")]
    client.get(1)
    client.engine.send_response(1, 200, (), b"abc")
    assert [one.payload for one in client.frames() if one.kind == DATA] == [b"a"]


# ---- 6.6 to 6.8


def test_6_6_push_promise_from_a_client() -> None:
    connection_error(PROTOCOL, frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + BLOCK), client=requested())


def test_6_7_ping_is_answered_with_its_payload() -> None:
    client = Client()
    client.send(ping(b"abcdefgh"))
    assert client.frames() == [Frame(PING, ACK, 0, b"abcdefgh")]


def test_6_7_an_answer_to_ping_is_not_answered() -> None:
    client = Client()
    client.send(ping(flags=ACK))
    assert client.frames() == []


def test_6_7_ping_on_a_stream() -> None:
    connection_error(PROTOCOL, frame(PING, 0, 1, b"12345678"))


@pytest.mark.parametrize("size", [0, 7, 9])
def test_6_7_ping_of_a_wrong_size(size: int) -> None:
    connection_error(SIZE, frame(PING, 0, 0, b"x" * size))


def test_6_8_goaway_on_a_stream() -> None:
    connection_error(PROTOCOL, frame(GOAWAY, 0, 1, b"\0" * 8))


def test_6_8_goaway_of_a_wrong_size() -> None:
    connection_error(SIZE, frame(GOAWAY, 0, 0, b"\0" * 7))


# ---- 6.9 WINDOW_UPDATE


def test_6_9_an_increment_of_nothing() -> None:
    connection_error(PROTOCOL, window_update(0, 0))
    stream_error(PROTOCOL, window_update(1, 0), client=requested())


@pytest.mark.parametrize("stream_id", [0, 1])
def test_6_9_window_update_of_a_wrong_size(stream_id: int) -> None:
    connection_error(SIZE, frame(WINDOW_UPDATE, 0, stream_id, b"\0\0\1"), client=requested())


def test_6_9_1_data_stays_within_the_window() -> None:
    client = Client()
    client.send(settings((INITIAL_WINDOW_SIZE, 1)))
    client.get(1)
    client.engine.send_response(1, 200, (), b"abc")
    assert [one.payload for one in client.frames() if one.kind == DATA] == [b"a"]


def test_6_9_1_windows_stay_below_2_31() -> None:
    connection_error(FLOW, window_update(0, 2**31 - 1), window_update(0, 2**31 - 1))
    stream_error(FLOW, window_update(1, 2**31 - 1), client=requested())


@pytest.mark.parametrize("streams", [1, 2])
def test_6_9_1_a_peer_that_overruns_a_window(streams: int) -> None:
    """Of the connection; and of the stream, where the connection's is wider."""
    wide = Http2Settings(session_window=10**6) if streams == 2 else Http2Settings()
    client = Client(settings_=wide)
    (head,) = client.send(headers(1, POST, OPEN))
    head.streaming = True
    too_much = [data(1, b"x" * 16384)] * 3 + [data(1, b"x" * 16384)]
    if streams == 2:
        stream_error(FLOW, *too_much, client=client)
    else:
        connection_error(FLOW, *too_much, client=client)


def test_6_9_2_a_change_applies_to_open_streams_and_may_go_negative() -> None:
    client = Client()
    client.send(settings((INITIAL_WINDOW_SIZE, 3)))
    client.get(1)
    client.engine.send_response(1, 200, (), b"abcdef")
    client.frames()
    client.send(settings((INITIAL_WINDOW_SIZE, 2)))
    client.send(window_update(1, 1))
    assert not [one for one in client.frames() if one.kind == DATA]
    client.send(window_update(1, 1))
    assert [one.payload for one in client.frames() if one.kind == DATA] == [b"d"]


def test_6_9_2_a_change_that_lifts_a_window_above_2_31() -> None:
    client = requested()
    client.send(window_update(1, 2**31 - 1 - 65535))
    connection_error(FLOW, settings((INITIAL_WINDOW_SIZE, 65536)), client=client)


# ---- 6.10 CONTINUATION


def test_6_10_any_number_of_continuations() -> None:
    client = Client()
    wire = frame(HEADERS, END_STREAM, 1) + b"".join(
        frame(CONTINUATION, 0, 1, BLOCK[i : i + 5]) for i in range(0, 30, 5)
    )
    (message,) = client.send(wire, frame(CONTINUATION, END_HEADERS, 1, BLOCK[30:]))
    assert message.authority == b"host"


@pytest.mark.parametrize("before", [headers(1), headers(1, POST, OPEN) + data(1, b"x")])
def test_6_10_continuation_behind_a_complete_block(before: bytes) -> None:
    connection_error(PROTOCOL, before, frame(CONTINUATION, END_HEADERS, 1, b"\x00\1a\1b"))


def test_6_10_continuation_behind_a_complete_continuation() -> None:
    last = frame(CONTINUATION, END_HEADERS, 1)
    connection_error(PROTOCOL, frame(HEADERS, END_STREAM, 1, BLOCK), last, last)


def test_6_10_continuation_on_stream_0() -> None:
    connection_error(PROTOCOL, frame(HEADERS, END_STREAM, 1, BLOCK), frame(CONTINUATION, END_HEADERS, 0))


# ---- 7 error codes


@pytest.mark.parametrize("code", [0xFF, 0xFFFFFFFF])
def test_7_unknown_error_codes_are_nothing_special(code: int) -> None:
    client = requested()
    client.send(frame(GOAWAY, 0, 0, b"\0\0\0\0" + code.to_bytes(4, "big") + b"debug"))
    assert len(client.send(rst_stream(1, code))) == 1
    assert alive(client)


# ---- 8 messages


def test_8_1_a_second_head_ends_the_stream() -> None:
    stream_error(PROTOCOL, headers(1, [(b"x", b"y")], OPEN), client=uploading())


def drained(client: Client, size: int) -> int:
    """Send DATA behind an early reply, as the windows allow; return how much it took to be stopped."""
    sent = 0
    windows = {0: 65535, 1: 65535}
    while sent < size:
        piece = min(16384, *windows.values())
        assert piece, "neither credit nor RST_STREAM"
        assert client.send(data(1, b"x" * piece)) == []
        sent += piece
        windows = {stream_id: window - piece for stream_id, window in windows.items()}
        for one in client.frames():
            if one.kind == RST_STREAM:
                assert one.code == NO_ERROR
                return sent
            if one.kind == PING:
                assert client.send(frame(PING, ACK, 0, one.payload)) == []
            else:
                windows[one.stream_id] += one.code
    return sent


def test_8_1_an_early_reply_lets_the_client_finish() -> None:
    client = uploading()
    client.engine.send_response(1, 403, (), b"no")
    client.frames()
    answer = client.answers[1]
    assert (answer.status, answer.body, answer.ended, answer.reset) == (403, b"no", True, None)
    assert client.engine.partial == 0
    assert drained(client, 1_000_000) >= 1_000_000
    assert client.send(data(1, b"x", END_STREAM)) == []
    assert alive(client)
    connection_error(CLOSED, data(1, b"x"), client=client)


def test_8_1_an_early_reply_is_followed_by_rst_stream_no_error_if_there_is_no_end() -> None:
    client = uploading()
    client.engine.send_response(1, 403, (), b"no")
    client.frames()
    assert 2**26 <= drained(client, 2**27) <= 2**26 + 2**15
    assert client.send(data(1, b"crossed")) == []
    assert alive(client)


def test_8_1_an_early_reply_is_followed_by_rst_stream_no_error_once_the_client_has_stopped() -> None:
    client = uploading()
    client.engine.send_response(1, 403, (), b"")
    asked = client.frames()[-1]
    answer = frame(PING, ACK, 0, asked.payload)
    assert (asked.kind, asked.flags) == (PING, 0)
    assert client.send(data(1, b"was under way"), answer) == []
    assert client.frames() == [asked]
    for _ in range(2):
        assert client.send(data(1, b"still sending"), answer) == []
        assert client.frames() == [asked]
        assert client.send(answer) == []
        assert client.frames() == [asked]
        assert client.send(answer) == []
        assert client.frames() == [asked]
    assert client.send(answer) == []
    assert [(one.kind, one.stream_id, one.code) for one in client.frames()] == [(RST_STREAM, 1, NO_ERROR)]
    assert client.send(answer) == []
    assert client.frames() == []


def test_8_1_few_early_replies_wait_for_their_requests() -> None:
    client = Client()
    for stream_id in range(1, 41, 2):
        client.send(headers(stream_id, POST, OPEN))
        client.engine.send_response(stream_id, 403, (), b"")
    resets = [(one.stream_id, one.code) for one in client.frames() if one.kind == RST_STREAM]
    assert resets == [(stream_id, NO_ERROR) for stream_id in range(1, 25, 2)]


@pytest.mark.parametrize("last", [rst_stream(1), headers(1, [(b"x", b"y")]), data(1, b"", END_STREAM)])
def test_8_1_a_client_may_end_its_request_behind_the_reply(last: bytes) -> None:
    client = uploading()
    client.engine.send_response(1, 403, (), b"")
    client.frames()
    assert client.send(window_update(1, 5), last) == []
    assert client.engine._lingering == {}
    assert alive(client)


def test_8_1_data_beyond_the_window_behind_the_reply() -> None:
    client = Client(settings_=Http2Settings(stream_window=1000))
    client.send(headers(1, POST, OPEN))
    client.engine.send_response(1, 403, (), b"")
    client.send(data(1, b"x" * 1001))
    client.frames()
    assert client.answers[1].reset == FLOW


def malformed(fields: Fields, more: bytes = b"", flags: int = END_STREAM | END_HEADERS) -> None:
    stream_error(PROTOCOL, headers(1, fields, flags) + more)


@pytest.mark.parametrize("name", [b"X-Upper", b"x y", b"", b"x\0", b"x:y", b"x\x7f", b"\xe9", b"x\r\n"])
def test_8_2_1_illegal_names(name: bytes) -> None:
    malformed([*GET, (name, b"v")])


@pytest.mark.parametrize("value", [b"a\0", b"a\r", b"a\nb", b" a", b"a\t", b"\t", b"a\x01", b"\x7f"])
def test_8_2_1_illegal_values(value: bytes) -> None:
    malformed([*GET, (b"x", value)])


@pytest.mark.parametrize("name", [b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"])
def test_8_2_2_connection_specific_fields(name: bytes) -> None:
    malformed([*GET, (name, b"close")])


def test_8_2_2_te_is_trailers_or_nothing() -> None:
    malformed([*GET, (b"te", b"gzip")])
    malformed([*GET, (b"te", b"trailers, deflate")])
    assert Client().get(1, [*GET, (b"te", b"trailers")]).headers == [(b"te", b"trailers")]


def without(name: bytes) -> Fields:
    return [field for field in GET if field[0] != name]


@pytest.mark.parametrize(
    "fields",
    [
        [*GET, (b":unknown", b"x")],
        [*GET, (b":status", b"200")],
        [*GET, (b":protocol", b"websocket")],
        [*GET[:3], (b"x", b"y"), GET[3]],
        [(b"x", b"y"), *GET],
        *[[*GET, field] for field in GET],
        [*GET, (b":", b"x")],
    ],
)
def test_8_3_pseudo_headers_come_once_first_and_known(fields: Fields) -> None:
    malformed(fields)


def test_8_1_trailers_have_no_pseudo_headers() -> None:
    stream_error(PROTOCOL, headers(1, [(b":path", b"/admin")]), client=uploading())
    stream_error(PROTOCOL, headers(1, [(b"X", b"y")]), client=uploading())


@pytest.mark.parametrize("name", [b":method", b":scheme", b":path", b":authority"])
def test_8_3_1_what_a_request_cannot_do_without(name: bytes) -> None:
    malformed(without(name))


@pytest.mark.parametrize(
    "field",
    [
        (b":path", b""),
        (b":path", b"relative"),
        (b":path", b"*"),
        (b":path", b"/a b"),
        (b":path", b"/a\0"),
        (b":path", b"/a#b"),
        (b":path", b"http://host/"),
        (b":method", b""),
        (b":method", b"GE T"),
        (b":scheme", b""),
        (b":scheme", b"1http"),
        (b":authority", b"user@host"),
        (b":authority", b"host/path"),
        (b":authority", b"ho st"),
        (b"host", b"other"),
    ],
)
def test_8_3_1_illegal_pseudo_headers(field: tuple[bytes, bytes]) -> None:
    malformed([*without(field[0]), field])


def test_8_3_1_options_may_ask_for_the_server() -> None:
    fields = [(b":method", b"OPTIONS"), (b":scheme", b"https"), (b":path", b"*"), (b":authority", b"host")]
    assert Client().get(1, fields).target == b"*"


def test_8_3_1_host_may_repeat_authority() -> None:
    assert Client().get(1, [*GET, (b"host", b"HOST")]).authority == b"host"


def test_8_3_1_host_comes_once() -> None:
    malformed([*GET[:3], (b"host", b"host"), (b"host", b"host")])


@pytest.mark.parametrize(
    "fields",
    [
        [(b":method", b"CONNECT")],
        [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b":path", b"/")],
        [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b":scheme", b"https")],
    ],
)
def test_8_5_connect_names_an_authority_alone(fields: Fields) -> None:
    malformed(fields)


# ---- 8.1.1 malformed messages: content-length


@pytest.mark.parametrize("length", [b"", b"-1", b"+3", b"3, 3", b"0x3", b"3.0", b"9" * 30, b"\xb2"])
def test_8_1_1_illegal_content_length(length: bytes) -> None:
    malformed([*POST, (b"content-length", length)], flags=OPEN)


def test_8_1_1_repeated_content_length() -> None:
    malformed([*POST, (b"content-length", b"3"), (b"content-length", b"3")], flags=OPEN)


@pytest.mark.parametrize(
    "body",
    [
        data(1, b"xx", END_STREAM),
        data(1, b"xxxx", END_STREAM),
        data(1, b"xx") + data(1, b"xx", END_STREAM),
        data(1, b"x") + data(1, b"x", END_STREAM),
        data(1, b"x") + headers(1, [(b"x", b"y")]),
    ],
)
def test_8_1_1_content_length_that_does_not_match(body: bytes) -> None:
    stream_error(PROTOCOL, body, client=uploading([*POST, (b"content-length", b"3")]))


def test_8_1_1_content_length_without_content() -> None:
    malformed([*POST, (b"content-length", b"3")])
    assert Client().get(1, [*POST, (b"content-length", b"0")]).complete


def test_8_4_a_server_does_not_push() -> None:
    assert b"\0\2\0\0\0\0" in Client(greet=False).engine.data_to_send()


# ---- RFC 7541

PSEUDO = b"\x82\x84\x87\x41\x04host"  # GET, /, https, :authority into the table


@pytest.mark.parametrize(
    "field",
    [
        b"\xbe" * 2,  # indexed, dynamic
        b"\x90",  # indexed, static
        b"\x40\1x\1y",  # literal, inserted, new name
        b"\x7a\1y",  # literal, inserted, static name
        b"\0\1x\1y",  # literal, not inserted
        b"\x0f\x2b\1y",  # the same, static name
        b"\x10\1x\1y",  # literal, never indexed
        b"\x1f\x2b\1y",
        b"\0\x81\xf3\x81\x07",  # Huffman, both
    ],
)
def test_hpack_6_every_representation(field: bytes) -> None:
    client = Client()
    first = b"\x40\1x\1y"
    client.send(frame(HEADERS, 5, 1, PSEUDO + first))
    (event,) = client.send(frame(HEADERS, 5, 3, PSEUDO[:3] + b"\xbf" + field))
    assert isinstance(event, Message)
    assert len(event.headers) in {1, 2}


@pytest.mark.parametrize(
    "index", [b"\x80", b"\xc0", b"\xff\x00", b"\x7f\x80\x10\0", b"\x0f\xff\xff\xff\xff\xff\xff\x01"]
)
def test_hpack_2_3_3_an_index_outside_the_tables(index: bytes) -> None:
    connection_error(COMPRESSION, frame(HEADERS, 5, 1, PSEUDO + index))


def test_hpack_4_2_a_size_update_comes_first() -> None:
    client = Client()
    assert client.send(frame(HEADERS, 5, 1, b"\x20\x3f\xe1\x1f" + PSEUDO))[0].stream_id == 1
    connection_error(COMPRESSION, frame(HEADERS, 5, 3, PSEUDO + b"\x20"), client=client)


def test_hpack_4_3_a_size_update_evicts() -> None:
    client = Client()
    client.send(frame(HEADERS, 5, 1, PSEUDO))
    connection_error(COMPRESSION, frame(HEADERS, 5, 3, b"\x20" + PSEUDO[:3] + b"\xbe"), client=client)


def test_hpack_4_4_an_entry_larger_than_the_table_empties_it() -> None:
    client = Client()
    client.send(frame(HEADERS, 5, 1, PSEUDO))
    large = b"\x40\1x\x7f" + b"\x81\x1f" + b"y" * 4096
    (message,) = client.send(frame(HEADERS, 5, 3, PSEUDO[:3] + b"\xbe" + large))
    assert isinstance(message, Message)
    assert message.headers == [(b"x", b"y" * 4096)]
    connection_error(COMPRESSION, frame(HEADERS, 5, 5, PSEUDO[:3] + b"\xbe"), client=client)


@pytest.mark.parametrize(
    "text",
    [
        b"\x82\xf3\xff",  # more than seven bits of padding
        b"\x81\x00" + b"",  # padded with zeros: '0' and 000
        b"\x84\xff\xff\xff\xff",  # EOS
    ],
)
def test_hpack_5_2_illegal_huffman_code(text: bytes) -> None:
    connection_error(COMPRESSION, frame(HEADERS, 5, 1, PSEUDO + b"\0\1x" + text))


def test_hpack_6_3_a_size_above_the_setting() -> None:
    connection_error(COMPRESSION, frame(HEADERS, 5, 1, b"\x3f\xe2\x1f" + PSEUDO))


def test_hpack_our_size_updates_follow_the_clients_setting() -> None:
    client = Client()
    client.send(settings((HEADER_TABLE_SIZE, 0)))
    client.decoder.max_allowed_table_size = 0
    client.get(1)
    client.engine.send_response(1, 200, (), b"")
    client.frames()
    assert client.decoder.header_table_size == 0
    assert client.answers[1].status == 200
