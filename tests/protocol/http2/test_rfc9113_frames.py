"""What RFC 9113 sections 6 and 7 demand of a server: one test per section, named after it."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes

from qhttpserver_py._protocol.http2.settings import Http2Settings

from ...support.h2frames import (
    ACK,
    BLOCK,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    FLOW,
    GET,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    OPEN,
    PADDED,
    PING,
    POST,
    PRIORITIZED,
    PRIORITY,
    PROTOCOL,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    SIZE,
    WINDOW_UPDATE,
    Client,
    Frame,
    alive,
    connection_error,
    data,
    frame,
    headers,
    ping,
    priority,
    requested,
    rst_stream,
    settings,
    stream_error,
    uploading,
    window_update,
)

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
    client.serve(1, (), b"abc")
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
    client.serve(1, (), b"abc")
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
    client.serve(1, (), b"abcdef")
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
