"""The deadlines of a connection: what is overdue at a sweep, and what follows."""

from __future__ import annotations

from typing import Protocol

from qhttpserver_py._protocol.engine import Message, Refusal
from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.closer import Closer, Ending
from qhttpserver_py._transport.lingering import GRACE
from qhttpserver_py._transport.progress import StreamDeadlines

PROGRESS = 256
"""Bytes per second that a peer has to take of what waits for it, on average over the keep-alive timeout."""

_HEAD_LATE = "the request's head did not arrive in time"
_STALLED = "the request's body stalled"
_STARVED = "takes no bytes of its reply"


class Timed(Ending, Protocol):
    """What the deadlines need of their connection."""

    active_at: float

    @property
    def closer(self) -> Closer:
        """The part that ends the connection."""
        ...

    def catch_up(self) -> None:
        """Read what came while a handler of this connection spins an event loop."""
        ...


class Deadlines:
    """Counts what the peer takes, and ends what makes no progress."""

    __slots__ = ("_keeps_alive", "_streams", "_taken", "_taken_at", "_taken_before")

    def __init__(self) -> None:
        self._streams: StreamDeadlines | None = None  # HTTP/2
        self._keeps_alive = False  # keep-alive probes of TCP are on
        self._taken = 0  # bytes written since a sweep found some waiting
        self._taken_before = 0
        self._taken_at = 0.0  # when enough had been taken, 0 while nothing waits

    @property
    def waits(self) -> bool:
        """Whether a sweep found bytes that wait for the peer."""
        return bool(self._taken_at)

    def count(self, connection: Timed, size: int) -> None:
        """Count *size* bytes that the peer took."""
        self._taken += size
        if self._taken_at and not sockets.bytes_to_write(connection.socket):
            self._taken_at = 0.0  # from here on bytes may be written that are not counted

    def postpone(self, seconds: float) -> None:
        """The event loop stood still, or the machine slept: the peer is not to blame for that time."""
        if self._taken_at:
            self._taken_at += seconds
        if self._streams is not None:
            self._streams.postpone_deadlines(seconds)

    def sweep(self, connection: Timed, now: float, timeout: float) -> None:
        """Enforce the deadlines; *timeout* is the keep-alive timeout in seconds."""
        connection.writer.watch_end(connection)
        socket, closer, requests = connection.socket, connection.closer, connection.requests
        if socket is None:
            return
        if closer.grace_is_over and not requests.dispatching and (not closer.closing or now >= closer.closing_at):
            connection.abort()  # the handler that closed the server has not answered, or the peer takes nothing
            return
        if closer.closing:
            if self._closing_is_overdue(connection, now):
                connection.abort()
            return
        if requests.exchanges and not self._keeps_alive:  # a peer that waits for a reply may vanish without a FIN
            self._keeps_alive = True
            sockets.keep_alive(socket)
        if connection.slots:  # a handler spins an event loop: Qt does not emit readyRead() until its slot has returned
            connection.catch_up()
        elif self._peer_takes_nothing(connection, now, max(timeout, 1.0)):
            connection.core.log_timeout(connection, _STARVED)
            connection.abort()
        else:
            self._sweep_requests(connection, now, timeout)

    def _sweep_requests(self, connection: Timed, now: float, timeout: float) -> None:
        reader = connection.reader
        if reader.first is not None:
            self._sweep_undecided(connection, now, timeout)
        elif reader.head_since and now - reader.head_since >= timeout and not connection.requests.busy:
            self._refuse_late(connection, _HEAD_LATE)
        elif connection.engine.interleaves:
            self._sweep_streams(connection, now, timeout)
        # while bytes wait for the peer, it is not idle
        elif now - connection.active_at >= timeout and not self._taken_at:
            self._sweep_idle(connection)

    def _sweep_undecided(self, connection: Timed, now: float, timeout: float) -> None:
        reader = connection.reader
        if now - (reader.head_since or connection.active_at) < timeout:
            return
        began = bool(reader.first)
        reader.use_http1(connection)
        if began:
            self._refuse_late(connection, _HEAD_LATE)
        else:
            self._sweep_idle(connection)

    def _sweep_idle(self, connection: Timed) -> None:
        if connection.engine.state.partial == 2 and not connection.reader.held:
            exchanges = connection.requests.exchanges.values()
            bodies = [exchange.body for exchange in exchanges if exchange.body is not None]
            if all(body.waits_for_peer() for body in bodies):  # else the peer waits for the server
                self._refuse_stalled(connection)
        else:
            _end_idle(connection)

    def _refuse_stalled(self, connection: Timed) -> None:
        """End requests whose bodies make no progress: by 408 where their streams are known."""
        exchanges = connection.requests.exchanges.values()
        takers = [exchange for exchange in exchanges if exchange.body is not None]
        if not takers:
            self._refuse_late(connection, _STALLED)
            return
        connection.core.log_timeout(connection, _STALLED)
        for exchange in takers:
            connection.refuse_now(Refusal(exchange.stream_id, 408, _STALLED, exchange.message))
        connection.flush()

    def _refuse_late(self, connection: Timed, detail: str) -> None:
        """Answer 408 where a reply is still possible, and close (RFC 9110 15.5.9)."""
        connection.core.log_timeout(connection, detail)
        requests, engine = connection.requests, connection.engine
        if requests.busy:
            connection.abort()
        elif engine.interleaves:
            connection.close()
        else:
            requests.drop_queue()
            asked = engine.unfinished()
            connection.refuse_now(Refusal(1, 408, detail, asked[0] if asked else None))
            connection.flush()

    # ---- HTTP/2

    def _sweep_streams(self, connection: Timed, now: float, timeout: float) -> None:
        """Check the deadlines of each stream (HTTP/2); other streams of the connection go on."""
        streams = self._streams
        if streams is None:
            streams = self._streams = StreamDeadlines()
        engine, writer = connection.engine, connection.writer
        late = _stalled_uploads(connection, streams, now, timeout)
        starved = _starved_replies(connection, streams, now, max(timeout, 1.0))  # the time of a round trip
        for stream_id in starved:
            connection.core.log_timeout(connection, _STARVED)
            engine.abort(stream_id)
            connection.requests.cancel(stream_id)
        for message in late:
            if not message.complete and connection.socket is not None:  # a hook may spin an event loop
                connection.core.log_timeout(connection, _STALLED)
                connection.refuse_now(Refusal(message.stream_id, 408, _STALLED, message))
        if starved or late or engine.waits.withheld:
            connection.flush()
        if writer.windowed:
            writer.look_at_windows(connection)
        if connection.socket is None or connection.closer.closing or self._taken_at:
            return
        if streams.is_idle(engine.requests, connection.active_at, now, timeout):
            _end_idle(connection)

    # ---- what the peer takes

    def _peer_takes_nothing(self, connection: Timed, now: float, limit: float) -> bool:
        """Return whether bytes wait for the peer, and it took less than it has to for *limit* seconds."""
        if not sockets.bytes_to_write(connection.socket):
            self._taken_at = 0.0
            return False
        return self._makes_no_progress(connection, now, limit)

    def _makes_no_progress(self, connection: Timed, now: float, limit: float) -> bool:
        # Counted, and not computed from the backlog, to which a stream may add faster than the peer takes. What the
        # system holds is subtracted: it takes megabytes at a time, with long pauses.
        taken = self._taken - sockets.unacknowledged(connection.socket)
        if not self._taken_at or taken - self._taken_before >= PROGRESS * limit:
            connection.writer.watch_drain(connection)
            self._taken_before = taken
            self._taken_at = now
            return False
        return now - self._taken_at >= limit

    def _closing_is_overdue(self, connection: Timed, now: float) -> bool:
        """Return whether lingering of a closing connection is over; a slow download goes on."""
        socket, closer = connection.socket, connection.closer
        if sockets.bytes_to_write(socket):
            return self._peer_takes_nothing(connection, now, GRACE)
        if connection.reader.drops_input and sockets.unacknowledged(socket):  # a reset would drop what the system holds
            closer.wait_for_acknowledgement(now)
            return self._makes_no_progress(connection, now, GRACE)
        return now >= closer.closing_at


def _end_idle(connection: Timed) -> None:
    """Close a connection without requests."""
    if connection.requests.idle:
        connection.engine.close()
        connection.flush()
        if connection.socket is not None:
            connection.finish()


def _stalled_uploads(connection: Timed, streams: StreamDeadlines, now: float, timeout: float) -> list[Message]:
    """Return the requests whose bodies the peer could send, but does not."""
    uploads = {}
    for message, size in connection.engine.waits.uploads():
        exchange = connection.requests.exchanges.get(message.stream_id)
        # Where it does not wait for the peer, the peer waits for the server.
        if exchange is None or exchange.body is None or exchange.body.waits_for_peer():
            uploads[message.stream_id] = message, size
    counts = [(stream_id, size) for stream_id, (_, size) in uploads.items()]
    return [uploads[stream_id][0] for stream_id in streams.uploads.overdue(counts, 1, now, timeout)]


def _starved_replies(connection: Timed, streams: StreamDeadlines, now: float, limit: float) -> list[int]:
    """Return the streams whose replies wait for windows that the peer does not open."""
    waits = connection.engine.waits
    starved = waits.starved()
    keys = streams.replies.overdue(starved, PROGRESS * limit / max(1, len(starved)), now, limit)
    return [stream_id for key in keys for stream_id in waits.behind(key)]
