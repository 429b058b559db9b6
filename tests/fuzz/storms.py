"""A peer that opens and closes windows, changes its settings, and gives up, as the octets of an input say.

Random octets seldom make two frames that belong together, so here an input is a programme: each
pair of its octets is one act of the peer's or of a handler's. What must hold is the books: what an
engine says it holds is what its streams hold, within the budgets, and no act costs much.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from qhttpserver_py._protocol.engine import Limits, Message, Refusal
from qhttpserver_py._protocol.http2.bodies import CONNECTION_BODIES
from qhttpserver_py._protocol.http2.engine import Http2Engine
from qhttpserver_py._protocol.http2.settings import Http2Settings

from ..support.h2frames import GET, OPEN, POST, PREFACE, data, headers, ping, rst_stream, settings, window_update

MOST_SECONDS = 1.0
"""Of processor time for one act; a thousand settings with a hundred streams open once took sixteen."""

TUNNEL = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
STREAMS = 100
BODY = 65535


class Peer:
    """An engine, its peer, and the handlers behind it."""

    def __init__(self) -> None:
        self.engine = Http2Engine(Limits(), Http2Settings(tunnels=True), lambda: 0.0)
        self.messages: dict[int, Message] = {}
        self.next = 1
        self.take(PREFACE + settings() + settings(flags=1))

    def take(self, wire: bytes) -> None:
        """Hand *wire* to the engine, as one read."""
        for event in self.engine.receive_data(wire):
            if isinstance(event, Message):
                self.messages[event.stream_id] = event
            elif isinstance(event, Refusal):
                self.engine.refuse(event)
            else:
                self.messages.pop(event.stream_id, None)

    def stream(self, argument: int) -> int:
        """Return one of the streams so far."""
        return max(1, self.next - 2 - 2 * (argument % STREAMS))

    def open(self, fields: list[tuple[bytes, bytes]], flags: int, count: int = 1) -> None:
        """Begin *count* requests."""
        numbers = range(self.next, self.next + 2 * count, 2)
        self.next = numbers[-1] + 2
        self.take(b"".join(headers(number, fields, flags) for number in numbers))

    def unanswered(self, argument: int) -> int:
        """Return a stream that waits for its handler, or 0."""
        waiting = [
            number
            for number in self.messages
            if number in self.engine._streams.open and self.engine._streams.open[number].reply is None
        ]
        return waiting[argument % len(waiting)] if waiting else 0

    def reply(self, argument: int) -> None:
        """Have a handler answer as a whole."""
        number = self.unanswered(argument)
        if number:
            self.engine.send_response(number, 200, ((b"a", b"b"),), bytes(argument * 1000))

    def stream_reply(self, argument: int) -> None:
        """Have a handler begin a reply, and give a piece of it."""
        number = self.unanswered(argument)
        if number:
            self.messages[number].streaming = True
            self.engine.send_interim(number, 103, ())
            self.engine.send_headers(number, 200, (), None)
            self.engine.send_chunk(number, bytes(argument * 100))
            if argument & 1:
                self.engine.end_stream(number)

    def consume(self, argument: int) -> None:
        """Have a handler take what came of a body."""
        message = self.messages.get(self.stream(argument))
        if message is not None and message.streaming:
            size = sum(map(len, message.pieces))
            message.pieces.clear()
            self.engine.consumed(message.stream_id, size)

    def storm(self, argument: int) -> None:
        """Change the windows of all streams, again and again in one frame."""
        values = [(4, n % 2 * argument * 1000) for n in range(2000 if argument & 1 else 2)]
        self.take(settings(*values, (4, argument * 300)))

    def starve(self, argument: int) -> None:
        """End the replies that wait for the peer, as a sweep does."""
        starved = self.engine.waits.starved()
        if starved:
            for number in self.engine.waits.behind(starved[argument % len(starved)][0]):
                self.engine.abort(number)


ACTS: tuple[Callable[[Peer, int], None], ...] = (
    lambda peer, n: peer.open(GET, 5),
    lambda peer, n: peer.open(GET, 5, n + 1),
    lambda peer, n: peer.open(POST, OPEN),
    lambda peer, n: peer.open(TUNNEL, OPEN),
    lambda peer, n: peer.take(data(peer.stream(n), bytes(n * 60))),
    lambda peer, n: peer.take(data(peer.stream(n), bytes(n), 1)),
    lambda peer, n: peer.take(window_update(peer.stream(n), 1 + n * 500)),
    lambda peer, n: peer.take(window_update(0, 1 + n * 5000)),
    lambda peer, n: peer.take(rst_stream(peer.stream(n))),
    lambda peer, n: peer.take(ping()),
    Peer.storm,
    Peer.reply,
    Peer.stream_reply,
    Peer.consume,
    Peer.starve,
    lambda peer, n: peer.engine.close() if n == 255 else None,
)


def http2_windows(octets: bytes) -> None:
    """The books of an engine are right after each act, and no act costs much."""
    peer = Peer()
    engine = peer.engine
    for place in range(0, len(octets) - 1, 2):
        began = process_time()
        ACTS[octets[place] % len(ACTS)](peer, octets[place + 1])
        engine.data_to_send(65536)
        assert process_time() - began < MOST_SECONDS
        streams = engine._streams.open.values()
        assert len(streams) <= STREAMS
        assert engine.held == sum(stream.reply.size for stream in streams if stream.reply is not None)
        bodies, limits = engine._streams.bodies, engine._receiver._limits
        assert bodies.held == limits.pool.held == sum(stream.kept for stream in streams)
        assert bodies.held <= CONNECTION_BODIES + limits.body_size + STREAMS * BODY
        assert engine._streams.uploads == sum(s.upload is not None and not s.upload.tunnel for s in streams)
        assert {message.stream_id for message, _ in engine.waits.uploads()} <= set(engine._streams.open)
    engine.terminate()
    engine.data_to_send()
    assert not engine._streams.open
    assert engine.state.should_close
    assert not engine.held
    assert not engine._receiver._limits.pool.held


SEEDS = [
    bytes((10, 0, 1, 99, 11, 200, 11, 100, 10, 1, 10, 255, 7, 255, 6, 9, 14, 0)),  # closed windows, then storms
    bytes((2, 0, 4, 255, 4, 255, 5, 1, 11, 5, 8, 0)),
    bytes((3, 0, 12, 4, 4, 20, 13, 0, 5, 0, 12, 1)),
    bytes((1, 255, 1, 255, 9, 0, 15, 255)),
    bytes((1, 50, 12, 250, 12, 251, 10, 2, 7, 200, 14, 1, 15, 255, 2, 0)),
]
