"""Floods, bombs and stalls: each ends with ENHANCE_YOUR_CALM, and none takes memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count, repeat

import pytest
from h2.errors import ErrorCodes

from qhttpserver_py._protocol.engine import Limits, Message, Refusal
from qhttpserver_py._protocol.http2.settings import Http2Settings

from ...support import h2frames as raw
from ...support.h2frames import Client

CALM = ErrorCodes.ENHANCE_YOUR_CALM
ODD = range(1, 10**9, 2)


def rapid_reset() -> Iterator[bytes]:
    """CVE-2023-44487."""
    for stream_id in ODD:
        yield raw.headers(stream_id) + raw.rst_stream(stream_id)


def rapid_reset_next_read() -> Iterator[bytes]:
    for stream_id in ODD:
        yield raw.headers(stream_id)
        yield raw.rst_stream(stream_id)


def made_you_reset(fault: Callable[[int], bytes]) -> Iterator[bytes]:
    """CVE-2025-8671: our resets instead of the client's."""
    for stream_id in ODD:
        yield raw.headers(stream_id) + fault(stream_id)


def malformed() -> Iterator[bytes]:
    for stream_id in ODD:
        yield raw.headers(stream_id, raw.GET[:2])


def too_many_streams() -> Iterator[bytes]:
    for stream_id in ODD:
        yield raw.headers(stream_id, raw.POST, raw.OPEN)


def refused() -> Iterator[bytes]:
    """Heads that are answered 431 at once."""
    for stream_id in ODD:
        yield raw.headers(stream_id, [*raw.GET, *[(b"x-%d" % n, b"") for n in range(200)]])


def on_an_upload(one: bytes) -> Iterator[bytes]:
    yield raw.headers(1, raw.POST, raw.OPEN)
    yield from repeat(one)


def continuations(part: bytes) -> Iterator[bytes]:
    """CVE-2024-27316 and its siblings."""
    yield raw.frame(raw.HEADERS, raw.END_STREAM, 1, raw.BLOCK)
    yield from repeat(raw.frame(raw.CONTINUATION, 0, 1, part))


def empty_uploads() -> Iterator[bytes]:
    for stream_id in ODD:
        yield raw.headers(stream_id, raw.POST, raw.OPEN) + raw.rst_stream(stream_id)


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "rapid reset": rapid_reset,
    "rapid reset, reads apart": rapid_reset_next_read,
    "reset uploads": empty_uploads,
    "made you reset: window": lambda: made_you_reset(lambda i: raw.window_update(i, 0)),
    "made you reset: priority": lambda: made_you_reset(lambda i: raw.frame(2, 0, i, b"xxx")),
    "made you reset: data": lambda: made_you_reset(lambda i: raw.data(i, b"x")),
    "malformed": malformed,
    "too many streams": too_many_streams,
    "refused heads": refused,
    "ping": lambda: repeat(raw.ping()),
    "ping ack": lambda: repeat(raw.ping(flags=raw.ACK)),
    "settings": lambda: repeat(raw.settings()),
    "settings with windows": lambda: (raw.settings((raw.INITIAL_WINDOW_SIZE, n % 2)) for n in count()),
    "settings ack": lambda: repeat(raw.settings(flags=raw.ACK)),
    "priority": lambda: repeat(raw.priority(1)),
    "priority of ever new streams": lambda: (raw.priority(n) for n in range(1, 2**31)),
    "window update": lambda: repeat(raw.window_update(0, 1)),
    "window update of a closed stream": lambda: (
        raw.headers(1, raw.GET) + raw.rst_stream(1) if n == 0 else raw.window_update(1, 1) for n in count()
    ),
    "unknown frames": lambda: repeat(raw.frame(0xEE, 0, 0, b"x" * 1000)),
    "goaway": lambda: repeat(raw.frame(raw.GOAWAY, 0, 0, b"\0" * 8)),
    "reset of a closed stream": lambda: (
        raw.headers(1, raw.GET) + raw.rst_stream(1) if n == 0 else raw.rst_stream(1) for n in count()
    ),
    "empty data": lambda: on_an_upload(raw.data(1, b"")),
    "padded empty data": lambda: on_an_upload(raw.frame(raw.DATA, raw.PADDED, 1, b"\x05" + b"\0" * 5)),
    "continuation": lambda: continuations(b"\0\1x\1y"),
    "empty continuation": lambda: continuations(b""),
    "large continuation": lambda: continuations(b"\0\1x\x7f\x81\x7e" + b"y" * 16253),
}


def flood(client: Client, frames: Iterator[bytes], most: int, batch: int) -> int:
    """Send until the engine wants to close; return how many were taken."""
    sent = 0
    while not client.engine.state.should_close:
        wire = b"".join(next(frames) for _ in range(batch))
        sent += batch
        assert sent <= most, "never calmed down"
        for event in client.engine.receive_data(wire):
            if isinstance(event, Refusal):
                client.engine.refuse(event)
        if not client.engine.state.should_close:
            client.engine.data_to_send()
    return sent


@pytest.mark.parametrize("batch", [1, 500])
@pytest.mark.parametrize("name", FLOODS)
def test_floods_end_in_goaway(name: str, batch: int) -> None:
    client = Client()
    flood(client, FLOODS[name](), 5000, batch)
    assert raw.ended_by(client, CALM)


@pytest.mark.parametrize("name", FLOODS)
def test_floods_take_no_memory(name: str) -> None:
    client = Client()
    frames = FLOODS[name]()
    wires = [b"".join(next(frames) for _ in range(50)) for _ in range(40)]
    tracemalloc.start()
    try:
        for wire in wires * 3:
            client.engine.receive_data(wire)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert client.engine.state.should_close
    assert peak < 3_000_000


def test_after_an_error_nothing_is_held() -> None:
    client = Client()
    client.send(raw.frame(raw.DATA, 0, 0, b"x"))
    tracemalloc.start()
    try:
        for _ in range(2000):
            assert client.engine.receive_data(bytes(10_000)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("size", [16385, 100_000, 2**24 - 1])
def test_an_over_long_frame_is_refused_by_its_first_nine_bytes(size: int) -> None:
    client = Client()
    client.send(size.to_bytes(3, "big") + bytes((raw.DATA, 0, 0, 0, 0, 1)))
    assert raw.ended_by(client, ErrorCodes.FRAME_SIZE_ERROR)


def test_a_large_frame_in_small_reads_is_cheap() -> None:
    client = Client(
        settings_=Http2Settings(max_frame_size=2**24 - 1, session_window=2**31 - 1, stream_window=2**31 - 1)
    )
    client.send(raw.headers(1, raw.POST, raw.OPEN))
    wire = raw.data(1, bytes(8_000_000), raw.END_STREAM)
    events = []
    for start in range(0, len(wire), 1000):
        events += client.engine.receive_data(wire[start : start + 1000])
    assert len(events[0].body) == 8_000_000


def test_a_preface_of_one_byte_at_a_time_holds_no_more_than_it() -> None:
    client = Client(greet=False)
    for octet in raw.PREFACE[:-1]:
        assert client.send(bytes((octet,))) == []
    assert client.engine._receiver._reader.holds == 23


# ---- HPACK bombs


def test_an_indexed_bomb_ends_the_connection() -> None:
    client = Client()
    entry = b"\x40" + raw.string(b"x") + raw.string(b"y" * 4000)
    client.send(raw.frame(raw.HEADERS, raw.END_STREAM | raw.END_HEADERS, 1, raw.BLOCK + entry))
    tracemalloc.start()
    try:
        client.send(raw.frame(raw.HEADERS, raw.END_STREAM | raw.END_HEADERS, 3, raw.BLOCK + b"\xbe" * 16000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert raw.ended_by(client, CALM)
    assert peak < 500_000


def test_a_moderate_bomb_is_refused_alone() -> None:
    client = Client()
    entry = b"\x40" + raw.string(b"x") + raw.string(b"y" * 4000)
    client.send(raw.frame(raw.HEADERS, raw.END_STREAM | raw.END_HEADERS, 1, raw.BLOCK + entry))
    (event,) = client.send(raw.frame(raw.HEADERS, raw.END_STREAM | raw.END_HEADERS, 3, raw.BLOCK + b"\xbe" * 20))
    assert isinstance(event, Refusal)
    assert event.status == 431


def test_many_tiny_fields_decode_in_linear_time() -> None:
    client = Client()
    small = raw.BLOCK + b"\x82" * 7000
    (event,) = client.send(raw.frame(raw.HEADERS, raw.END_STREAM | raw.END_HEADERS, 1, small))
    assert isinstance(event, Refusal)


def test_a_body_octet_by_octet_costs_what_it_weighs() -> None:
    client = Client()
    client.send(raw.headers(1, raw.POST, raw.OPEN))
    wire = raw.data(1, b"x") * 5000
    tracemalloc.start()
    try:
        for _ in range(10):
            client.engine.receive_data(wire)
            client.engine.data_to_send()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 200_000
    (message,) = client.send(raw.data(1, b"", raw.END_STREAM))
    assert isinstance(message, Message)
    assert len(message.body) == 50_000


def test_streams_that_come_and_go_leave_nothing() -> None:
    client = Client()

    def exchange(first: int) -> None:
        for stream_id in range(first, first + 2000, 2):
            for event in client.engine.receive_data(raw.headers(stream_id)):
                client.engine.send_response(event.stream_id, 200, (), b"")
            client.engine.data_to_send()

    exchange(1)
    tracemalloc.start()
    try:
        exchange(2001)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20_000


def test_streams_passed_over_are_remembered_in_bounds() -> None:
    client = Client()
    for stream_id in range(1, 40001, 4):
        for event in client.engine.receive_data(raw.headers(stream_id)):
            client.engine.send_response(event.stream_id, 200, (), b"")
    assert len(client.engine._streams.history._gaps) <= 64


def test_stalled_windows_hold_what_the_handlers_gave_and_no_more() -> None:
    client = Client()
    client.send(raw.settings((raw.INITIAL_WINDOW_SIZE, 0)))
    body = bytes(1_000_000)
    for stream_id in range(1, 201, 2):
        client.serve(stream_id, (), body)
    tracemalloc.start()
    try:
        wire = client.engine.data_to_send()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(wire) < 10_000
    assert client.engine.held == 100 * len(body)
    assert peak < 1_000_000, "held back without copies"
    assert client.send(raw.headers(201)) == []


# ---- what must not be taken for abuse


def test_heavy_use_is_no_abuse() -> None:
    """h2load: ten streams a read, a hundred thousand requests."""
    client = Client()
    encoded = client.encoder.encode(raw.GET)
    stream_id = 1
    for _ in range(10_000):
        wire = b""
        for _ in range(10):
            wire += raw.frame(raw.HEADERS, raw.END_STREAM | raw.END_HEADERS, stream_id, encoded)
            stream_id += 2
        events = client.engine.receive_data(wire)
        assert len(events) == 10
        for event in events:
            client.engine.send_response(event.stream_id, 200, (), b"Hello")
        client.engine.data_to_send()
        client.engine.receive_data(raw.window_update(0, 50))
        encoded = client.encoder.encode(raw.GET)
    assert not client.engine.state.should_close


def test_a_download_with_an_update_per_kilobyte_is_no_abuse() -> None:
    client = Client()
    client.serve(1, (), bytes(5_000_000))
    client.engine.data_to_send()
    while client.engine.backlog(1):
        client.engine.receive_data((raw.window_update(0, 1024) + raw.window_update(1, 1024)) * 16)
        client.engine.data_to_send()
    assert not client.engine.state.should_close


def test_an_upload_in_small_chunks_is_no_abuse() -> None:
    client = Client(Limits(), Http2Settings(session_window=10**6, stream_window=10**6))
    client.send(raw.headers(1, raw.POST, raw.OPEN))
    for _ in range(1000):
        client.engine.receive_data(raw.data(1, b"one line of text\n") * 20)
        client.engine.data_to_send()
    (message,) = client.engine.receive_data(raw.data(1, b"", raw.END_STREAM))
    assert isinstance(message, Message)
    assert len(message.body) == 340_000


def test_a_browser_that_cancels_half_of_its_requests_is_no_abuse() -> None:
    client = Client()
    for stream_id in range(1, 20001, 4):
        client.engine.receive_data(raw.headers(stream_id) + raw.headers(stream_id + 2))
        client.engine.receive_data(raw.rst_stream(stream_id))
        client.engine.send_response(stream_id + 2, 200, (), b"")
        client.engine.data_to_send()
    assert not client.engine.state.should_close


def test_time_forgives() -> None:
    now = 0.0
    client = Client(clock=lambda: now)
    for stream_id in range(1, 4001, 2):
        client.engine.receive_data(raw.headers(stream_id))
        client.engine.receive_data(raw.rst_stream(stream_id) + raw.ping() * 10)
        now += 0.06
    assert not client.engine.state.should_close
    for _ in range(5000):
        client.engine.receive_data(raw.ping())
    assert raw.ended_by(client, CALM)


def test_settings_are_acknowledged_in_bounds() -> None:
    client = Client()
    client.engine.receive_data(raw.settings() * 5000)
    frames = client.frames()
    assert len([one for one in frames if one.kind == raw.SETTINGS]) <= 200
    assert frames[-1].kind == raw.GOAWAY
