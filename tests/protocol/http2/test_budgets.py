"""What a client may have a connection hold, and what a frame may cost: budgets of bodies, of SETTINGS, of refusals."""

from __future__ import annotations

import tracemalloc
from time import process_time

import pytest
from h2.errors import ErrorCodes

from qhttpserver_py._protocol.engine import Limits, Message, Refusal, Reset
from qhttpserver_py._protocol.http2 import bodies
from qhttpserver_py._protocol.http2.settings import Http2Settings

from ...support.h2frames import (
    END_STREAM,
    FLOW,
    GET,
    GOAWAY,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    OPEN,
    POST,
    REFUSED,
    RST_STREAM,
    TEXT,
    WIDEST,
    WINDOW_UPDATE,
    Client,
    connection_error,
    data,
    headers,
    settings,
    window_update,
)

# ---- SETTINGS


def test_a_frame_of_a_thousand_window_sizes_costs_as_one() -> None:
    client = Client()
    for stream_id in range(1, 200, 2):
        client.serve(stream_id, (), bytes(100_000))
    client.frames()
    storm = settings(*[(INITIAL_WINDOW_SIZE, n % 2 * 1000) for n in range(2001)], (INITIAL_WINDOW_SIZE, 70_000))
    began = process_time()
    client.send(storm)
    assert process_time() - began < 0.25
    assert client.engine._outbox.initial_window == 70_000


def test_a_change_of_windows_is_charged_by_the_streams_it_moves() -> None:
    def frames_taken(streams: int) -> int:
        client = Client(settings_=Http2Settings(max_concurrent_streams=2000))
        for stream_id in range(1, 2 * streams, 2):
            client.get(stream_id)
        taken = 0
        while not client.engine.state.should_close:
            client.send(settings((INITIAL_WINDOW_SIZE, taken % 2)))
            taken += 1
        return taken

    assert frames_taken(1000) * 2 < frames_taken(1)


def test_an_illegal_value_among_legal_ones_is_a_connection_error() -> None:
    sizes = [(INITIAL_WINDOW_SIZE, size) for size in (1, WIDEST + 1, 2)]
    connection_error(FLOW, settings(*sizes))
    connection_error(ErrorCodes.PROTOCOL_ERROR, settings((MAX_FRAME_SIZE, 5), (MAX_FRAME_SIZE, 16384)))


def test_a_table_that_was_emptied_in_between_is_not_referred_to() -> None:
    client = Client()
    for stream_id in (1, 3, 5):
        client.serve(stream_id, TEXT, b"")
        client.frames()
    client.send(settings((HEADER_TABLE_SIZE, 0), (HEADER_TABLE_SIZE, 4096)))
    client.frames()
    client.decoder.header_table_size = 0
    client.decoder.header_table_size = 4096
    client.serve(7, TEXT, b"")
    client.frames()
    assert client.answers[7].fields == [*TEXT, (b"content-length", b"0")]


# ---- requests beyond the number of streams


@pytest.mark.parametrize("count", [1000, 10_000])
def test_of_many_requests_in_one_write_as_many_are_answered_as_were_allowed(count: int) -> None:
    client = Client()
    events = client.send(*[headers(stream_id) for stream_id in range(1, 2 * count, 2)])
    messages = [event for event in events if isinstance(event, Message)]
    assert [message.stream_id for message in messages] == list(range(1, 201, 2))
    assert not client.engine.state.should_close
    for message in messages:
        client.engine.send_response(message.stream_id, 200, (), b"hello")
    frames = client.frames()
    answered = [stream_id for stream_id, answer in client.answers.items() if answer.ended]
    assert answered == list(range(1, 201, 2))
    refused = [one for one in frames if one.kind == RST_STREAM]
    assert {one.code for one in refused} == {REFUSED}
    assert len(refused) == min(count, 2100) - 100
    if count == 1000:
        assert client.get(2 * count + 1)
        return
    assert client.engine.state.should_close
    assert client.engine.state.linger
    last = frames[-1]
    assert (last.kind, last.code, last.payload[:4]) == (GOAWAY, ErrorCodes.ENHANCE_YOUR_CALM, (199).to_bytes(4, "big"))


def test_behind_a_flood_incomplete_requests_are_given_up() -> None:
    client = Client()
    client.send(headers(1, POST, OPEN))
    events = client.send(*[headers(stream_id) for stream_id in range(3, 10_001, 2)])
    assert [event.stream_id for event in events if isinstance(event, Reset)] == [1]
    assert client.send(headers(10_001)) == []


# ---- GOAWAY


def test_goaway_tells_what_was_processed_at_the_end_of_the_timeout() -> None:
    client = Client()
    client.get(1)
    client.send(headers(3, POST, OPEN))
    client.engine.close()
    client.send(headers(5))
    client.frames()
    assert client.engine.terminate()
    assert client.engine.state.should_close
    *resets, last = client.frames()
    assert {(one.kind, one.stream_id) for one in resets} == {(RST_STREAM, 1), (RST_STREAM, 3)}
    assert (last.kind, last.code, last.payload[:4]) == (GOAWAY, 0, b"\0\0\0\3")
    assert client.send(headers(7)) == []


def test_a_connection_error_names_the_last_request_that_was_handed_out() -> None:
    client = Client(settings_=Http2Settings(max_concurrent_streams=1))
    client.get(1)
    client.send(headers(3))  # refused
    client.frames()
    client.send(headers(5), data(0, b"x"))
    assert client.frames()[-1].payload[:4] == b"\0\0\0\1"


# ---- bodies


class Uploader:
    """Sends bodies of *size* on many streams at once, each as far as the windows allow."""

    def __init__(self, client: Client, streams: int, size: int) -> None:
        self.client = client
        self.left = dict.fromkeys(range(1, 2 * streams, 2), size)
        self.windows = dict.fromkeys(self.left, 65535)
        self.connection = 65535
        self.complete: list[Message] = []
        client.send(*[headers(stream_id, POST, OPEN) for stream_id in self.left])
        self.read()

    def read(self) -> None:
        for one in self.client.frames():
            if one.kind == WINDOW_UPDATE and one.stream_id:
                self.windows[one.stream_id] += int.from_bytes(one.payload, "big")
            elif one.kind == WINDOW_UPDATE:
                self.connection += int.from_bytes(one.payload, "big")

    def step(self) -> bool:
        """Send a round of frames; return whether anything could be sent."""
        moved = False
        for stream_id, left in self.left.items():
            size = min(left, self.windows[stream_id], self.connection, 16384)
            if size <= 0:
                continue
            moved = True
            self.left[stream_id] = left - size
            self.windows[stream_id] -= size
            self.connection -= size
            ended = END_STREAM if size == left else 0
            events = self.client.engine.receive_data(data(stream_id, bytes(size), ended))
            self.complete += [event for event in events if isinstance(event, Message) and event.complete]
            self.read()
        return moved

    def until_still(self) -> None:
        while self.step():
            pass


MIB = 1 << 20


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets of which a test may send many."""
    monkeypatch.setattr(bodies, "CONNECTION_BODIES", 2 * MIB)
    monkeypatch.setattr(bodies, "SERVER_BODIES", 4 * MIB)
    monkeypatch.setattr(bodies, "COMPLETE_BODIES", MIB // 2)


@pytest.mark.usefixtures("small")
def test_bodies_of_a_connection_are_held_within_its_budget_and_all_arrive() -> None:
    client = Client()
    uploader = Uploader(client, 40, MIB)
    held, answered = 0, 0
    while uploader.step() or uploader.complete:
        held = max(held, client.engine._streams.bodies.held)
        for message in uploader.complete:
            assert len(message.body) == MIB
            client.engine.send_response(message.stream_id, 200, (), b"")
            answered += 1
        uploader.complete.clear()
        uploader.read()
    assert answered == 40
    windows = 40 * 65535
    assert held <= 2 * MIB + MIB + windows
    assert client.engine._streams.bodies.held == client.engine._receiver._limits.pool.held == 0


@pytest.mark.usefixtures("small")
def test_bodies_whose_requests_are_not_answered_count_too() -> None:
    client = Client()
    uploader = Uploader(client, 40, MIB)
    uploader.until_still()
    assert client.engine._streams.bodies.held <= 2 * MIB + MIB + 40 * 65535
    done = len(uploader.complete)
    assert 1 <= done < 5
    assert client.engine.waits.uploads() == []  # they wait for us
    assert client.engine.waits.withheld
    for message in uploader.complete:
        client.engine.send_response(message.stream_id, 200, (), b"")
    uploader.read()
    uploader.until_still()
    assert len(uploader.complete) > done


@pytest.mark.usefixtures("small")
def test_connections_share_the_servers_budget_and_each_goes_on_with_one_body() -> None:
    limits = Limits()
    clients = [Client(limits) for _ in range(4)]
    uploaders = [Uploader(client, 10, MIB) for client in clients]
    for _ in range(200):
        for uploader in uploaders:
            uploader.step()
    assert limits.pool.held <= 4 * MIB + 4 * (MIB + 10 * 65535)
    assert all(uploader.complete for uploader in uploaders)
    for client in clients[1:]:
        client.engine.lost()
        client.engine.lost()
    assert limits.pool.held == clients[0].engine._streams.bodies.held
    for message in uploaders[0].complete:
        clients[0].engine.send_response(message.stream_id, 200, (), b"")
    uploaders[0].read()
    assert uploaders[0].step()


@pytest.mark.usefixtures("small")
def test_a_body_that_is_given_up_makes_room() -> None:
    client = Client()
    uploader = Uploader(client, 40, MIB)
    uploader.until_still()
    for stream_id in [message.stream_id for message in uploader.complete]:
        client.engine.abort(stream_id)
    uploader.read()
    assert uploader.step()
    client.engine.receive_eof()
    for stream_id in tuple(client.engine._streams.open):
        client.engine.abort(stream_id)
    assert client.engine._receiver._limits.pool.held == 0


@pytest.mark.usefixtures("small")
def test_a_body_that_is_taken_in_pieces_is_not_collected() -> None:
    client = Client()
    uploader = Uploader(client, 1, 8 * MIB)
    (message,) = client.events
    assert isinstance(message, Message)
    message.streaming = True
    total = 0
    while uploader.step():
        size = sum(map(len, message.pieces))
        total += size
        message.pieces.clear()
        client.engine.consumed(1, size)
        uploader.read()
    assert total == 8 * MIB
    assert message.complete
    assert client.engine._streams.bodies.held == 0


def test_what_came_before_a_consumer_is_there_first() -> None:
    client = Client()
    (message,) = client.send(headers(1, POST, OPEN), data(1, b"a"))
    assert isinstance(message, Message)
    client.frames()
    client.send(data(1, b"b"))
    message.streaming = True
    assert client.send(data(1, b"c"), data(1, b"d", END_STREAM)) == [message]
    assert b"".join(message.pieces) == b"abcd"
    assert message.body == b""


def test_a_collected_body_is_in_memory_once() -> None:
    client = Client()
    size = 32 * MIB
    tracemalloc.start()
    try:
        uploader = Uploader(client, 1, size)
        uploader.until_still()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(uploader.complete[0].body) == size
    assert peak < 1.3 * size


# ---- replies


def test_the_largest_reply_and_paced_ones_are_not_counted_as_queued() -> None:
    client = Client()
    client.send(settings((INITIAL_WINDOW_SIZE, 0)))
    waits = client.engine.waits
    for stream_id, size in ((1, 10 * MIB), (3, 1000), (5, 2000)):
        client.serve(stream_id, (), bytes(size))
    client.get(7)
    client.engine.send_headers(7, 200, (), None)
    client.engine.send_chunk(7, bytes(300_000))
    client.frames()
    assert waits.queued() == 3000
    client.engine.send_chunk(7, bytes(300_000))
    assert waits.queued() == 603_000
    client.send(window_update(1, 20 * MIB), window_update(0, 20 * MIB))
    client.frames()
    assert waits.queued() == 3000


# ---- :scheme


@pytest.mark.parametrize(
    ("connection", "asked", "status"),
    [
        (b"https", b"http", 421),
        (b"http", b"https", 421),
        (b"http", b"HTTP", 0),
        (b"https", b"https", 0),
        (b"", b"x", 0),
    ],
)
def test_a_request_for_another_scheme_than_the_connections_is_misdirected(
    connection: bytes, asked: bytes, status: int
) -> None:
    client = Client(settings_=Http2Settings(scheme=connection))
    for stream_id in (1, 3):  # the second from what is remembered of the first
        (event,) = client.send(headers(stream_id, [GET[0], (b":scheme", asked), *GET[2:]]))
        if status:
            assert isinstance(event, Refusal)
            assert event.status == status
            client.engine.refuse(event)
            client.frames()
            assert client.answers[stream_id].status == 421
        else:
            assert isinstance(event, Message)


def test_connect_names_no_scheme() -> None:
    client = Client(settings_=Http2Settings(scheme=b"https"))
    assert client.get(1, [(b":method", b"CONNECT"), (b":authority", b"host:443")])


def test_few_octets_that_stand_for_many_are_not_remembered() -> None:
    client = Client()
    entry = [(b"x", b"y" * 4000)]
    for stream_id in range(1, 200, 2):
        encoded = client.encoder.encode([*GET, *entry, *entry, *entry, (b"n", b"%d" % (stream_id % 20))])
        client.send(len(encoded).to_bytes(3, "big") + bytes((1, 5)) + stream_id.to_bytes(4, "big") + encoded)
        client.engine.send_response(stream_id, 200, (), b"")
    assert not any(head.size > 8192 for head in client.engine._receiver.heads._kept.values())
