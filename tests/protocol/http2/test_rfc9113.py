"""What RFC 9113 sections 3 to 5 demand of a server: one test per section, named after it."""

from __future__ import annotations

import pytest

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._protocol.http2.settings import Http2Settings

from ...support import h2frames as raw
from ...support.h2frames import Client, Frame

# ---- 3.4 preface


def test_3_4_settings_come_first_from_us() -> None:
    first, *_ = Client(greet=False).frames()
    assert (first.kind, first.flags, first.stream_id) == (raw.SETTINGS, 0, 0)


@pytest.mark.parametrize("wire", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\x00", b"X"])
def test_3_4_an_invalid_preface_ends_the_connection(wire: bytes) -> None:
    raw.connection_error(raw.PROTOCOL, wire, client=Client(greet=False))


@pytest.mark.parametrize("first", [raw.ping(), raw.headers(1), raw.settings(flags=raw.ACK), raw.window_update(0, 1)])
def test_3_4_the_first_frame_is_settings(first: bytes) -> None:
    raw.connection_error(raw.PROTOCOL, raw.PREFACE, first, client=Client(greet=False))


# ---- 4 frames


@pytest.mark.parametrize("flags", [0, 0xFF])
@pytest.mark.parametrize("stream_id", [0, 1, 8])
@pytest.mark.parametrize("kind", [10, 16, 255])
def test_4_1_frames_of_unknown_type_are_ignored(kind: int, stream_id: int, flags: int) -> None:
    client = Client()
    assert client.send(raw.frame(kind, flags, stream_id, b"whatever")) == []
    assert raw.alive(client)


def test_4_1_undefined_flags_are_ignored() -> None:
    client = Client()
    client.send(raw.frame(raw.PING, 0x16, 0, b"12345678"))
    assert client.frames() == [Frame(raw.PING, raw.ACK, 0, b"12345678")]


def test_4_1_the_reserved_bit_is_ignored() -> None:
    client = Client()
    client.send(raw.frame(raw.PING, 0, 0x80000000, b"12345678"))
    assert client.frames()[0].flags == raw.ACK
    (message,) = client.send(raw.frame(raw.HEADERS, 5, 0x80000001, raw.BLOCK))
    assert message.stream_id == 1


def test_4_2_frames_up_to_the_limit_are_taken() -> None:
    client = Client()
    (message,) = client.send(raw.headers(1, raw.POST, raw.OPEN), raw.data(1, b"x" * 16384, raw.END_STREAM))
    assert isinstance(message, Message)
    assert len(message.body) == 16384


@pytest.mark.parametrize("kind", [raw.DATA, raw.HEADERS, raw.SETTINGS, raw.PING, 77])
def test_4_2_a_frame_above_the_limit_ends_the_connection_before_it_is_here(kind: int) -> None:
    client = raw.uploading()
    events = client.send(raw.frame(kind, 0, 1, b"x" * 16385)[:9])
    assert events
    assert raw.ended_by(client, raw.SIZE)


def test_4_2_the_limit_is_ours_to_set() -> None:
    client = Client(settings_=Http2Settings(max_frame_size=20000))
    (message,) = client.send(raw.headers(1, raw.POST, raw.OPEN), raw.data(1, b"x" * 20000, raw.END_STREAM))
    assert message.complete
    raw.connection_error(raw.SIZE, raw.data(1, b"x" * 20001), client=client)


@pytest.mark.parametrize("junk", [b"\xff\xff\xff\xff\xff", b"\x40", b"\x00\x05ab", b"\xc0", b"\x80"])
def test_4_3_an_invalid_block_ends_the_connection(junk: bytes) -> None:
    raw.connection_error(raw.COMPRESSION, raw.frame(raw.HEADERS, 5, 1, junk))


@pytest.mark.parametrize(
    "between",
    [
        raw.priority(1),
        raw.priority(3),
        raw.headers(1),
        raw.headers(3),
        raw.ping(),
        raw.settings(),
        raw.data(1, b"x"),
        raw.frame(99, 0, 1),
        raw.frame(raw.CONTINUATION, raw.END_HEADERS, 3),
        raw.window_update(0, 1),
        raw.rst_stream(1),
    ],
)
def test_4_3_a_header_block_is_not_interrupted(between: bytes) -> None:
    raw.connection_error(raw.PROTOCOL, raw.frame(raw.HEADERS, raw.END_STREAM, 1, raw.BLOCK[:3]), between)


def test_4_3_a_block_for_a_reset_stream_still_counts_for_the_table() -> None:
    client = raw.uploading()
    client.engine.abort(1)
    client.frames()
    trailers = client.encoder.encode([(b"x-inserted", b"yes")])
    assert client.send(raw.frame(raw.HEADERS, 5, 1, trailers)) == []
    message = client.send(raw.frame(raw.HEADERS, 5, 3, client.encoder.encode([*raw.GET, (b"x-inserted", b"yes")])))[0]
    assert isinstance(message, Message)
    assert message.headers == [(b"x-inserted", b"yes")]


# ---- 5.1 stream states


@pytest.mark.parametrize(
    "early",
    [
        raw.data(1, b"x"),
        raw.data(2, b"x"),
        raw.rst_stream(1),
        raw.rst_stream(2),
        raw.window_update(1, 1),
        raw.frame(raw.CONTINUATION, 4, 1, raw.BLOCK),
    ],
)
def test_5_1_idle_takes_headers_and_priority_only(early: bytes) -> None:
    raw.connection_error(raw.PROTOCOL, early)


def test_5_1_idle_takes_priority() -> None:
    client = Client()
    assert client.send(raw.priority(1), raw.priority(2, 4), raw.priority(7, 1)) == []
    assert raw.alive(client)
    assert client.get(1)


@pytest.mark.parametrize("late", [raw.data(1, b"x"), raw.headers(1), raw.headers(1, raw.GET, raw.OPEN)])
def test_5_1_half_closed_remote_takes_no_more_request(late: bytes) -> None:
    raw.stream_error(raw.CLOSED, late, client=raw.requested())


def test_5_1_half_closed_remote_takes_no_continuation() -> None:
    raw.connection_error(
        raw.PROTOCOL,
        raw.frame(raw.CONTINUATION, raw.END_HEADERS, 1, raw.BLOCK),
        client=raw.requested(),
    )


def test_5_1_half_closed_remote_takes_window_update_priority_and_rst_stream() -> None:
    client = raw.requested()
    assert client.send(raw.window_update(1, 2), raw.priority(1, 3)) == []
    assert len(client.send(raw.rst_stream(1))) == 1
    assert raw.alive(client)


@pytest.mark.parametrize("late", [raw.data(1, b"x"), raw.headers(1)])
def test_5_1_closed_takes_no_request(late: bytes) -> None:
    raw.connection_error(raw.CLOSED, late, client=raw.closed())


@pytest.mark.parametrize("late", [raw.data(1, b"x"), raw.headers(1)])
def test_5_1_closed_by_rst_stream_takes_no_request(late: bytes) -> None:
    client = raw.uploading()
    client.send(raw.rst_stream(1))
    raw.connection_error(raw.CLOSED, late, client=client)


def test_5_1_closed_takes_no_continuation() -> None:
    raw.connection_error(
        raw.PROTOCOL,
        raw.frame(raw.CONTINUATION, raw.END_HEADERS, 1, raw.BLOCK),
        client=raw.closed(),
    )


def test_5_1_closed_takes_priority_window_update_and_rst_stream() -> None:
    client = raw.closed()
    assert client.send(raw.priority(1, 3), raw.window_update(1, 5), raw.rst_stream(1)) == []
    assert raw.alive(client)


def test_5_1_frames_that_crossed_our_reset_are_ignored() -> None:
    client = raw.uploading()
    client.engine.abort(1)
    client.frames()
    assert client.send(raw.data(1, b"x" * 1000), raw.window_update(1, 1), raw.rst_stream(1), raw.headers(1)) == []
    assert raw.alive(client)


def test_5_1_frames_that_cannot_have_crossed_our_reset_are_not() -> None:
    client = raw.uploading()
    client.engine.abort(1)
    client.frames()
    with_credit = [raw.data(1, b"x" * 16384)] * 3 + [raw.data(1, b"x" * 16383)]
    assert client.send(*with_credit) == []
    client.frames()
    raw.connection_error(raw.CLOSED, raw.data(1, b"x"), client=client)


@pytest.mark.parametrize("stream_id", [2, 4, 1000])
def test_5_1_1_clients_have_odd_numbers(stream_id: int) -> None:
    raw.connection_error(raw.PROTOCOL, raw.headers(stream_id))


def test_5_1_1_numbers_only_grow() -> None:
    client = Client()
    client.get(5)
    raw.connection_error(raw.PROTOCOL, raw.headers(3), client=client)


def test_5_1_1_a_number_passed_over_is_closed() -> None:
    client = Client()
    client.get(5)
    raw.connection_error(raw.CLOSED, raw.data(3, b"x"), client=client)


def test_5_1_2_too_many_streams_are_refused() -> None:
    client = Client(settings_=Http2Settings(max_concurrent_streams=2))
    client.get(1)
    client.get(3)
    assert client.send(raw.headers(5, raw.POST, raw.OPEN), raw.data(5, b"crossed", raw.END_STREAM)) == []
    assert [(one.stream_id, one.code) for one in client.frames()] == [(5, raw.REFUSED)]
    client.engine.send_response(3, 200, (), b"")
    assert client.get(7)


# ---- 5.3 priority (RFC 7540; old clients send it)


def test_5_3_1_headers_must_not_depend_on_themselves() -> None:
    raw.stream_error(
        raw.PROTOCOL,
        raw.frame(raw.HEADERS, 5 | raw.PRIORITIZED, 1, b"\0\0\0\1\x10" + raw.BLOCK),
    )


def test_5_3_1_priority_must_not_depend_on_itself() -> None:
    raw.stream_error(raw.PROTOCOL, raw.priority(1, 1), client=raw.requested())
    raw.connection_error(raw.PROTOCOL, raw.priority(2, 2))


def test_5_3_2_priority_in_headers_is_skipped() -> None:
    client = Client()
    (message,) = client.send(raw.frame(raw.HEADERS, 5 | raw.PRIORITIZED, 3, b"\x80\0\0\1\x10" + raw.BLOCK))
    assert message.target == b"/"


# ---- 5.4, 5.5


def test_5_4_1_goaway_comes_before_the_close_and_names_the_last_stream() -> None:
    client = raw.requested(7)
    client.send(raw.frame(raw.PING, 0, 0, b"short"))
    last = client.frames()[-1]
    assert (last.kind, last.payload[:4], last.code) == (raw.GOAWAY, b"\0\0\0\7", raw.SIZE)
    assert client.engine.state.should_close


def test_5_4_2_a_reset_is_not_answered_with_a_reset() -> None:
    client = raw.requested()
    client.send(raw.rst_stream(1))
    assert client.send(raw.rst_stream(1)) == []
    assert client.frames() == []
