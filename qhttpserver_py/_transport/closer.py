"""How a connection ends: politely, lingering, in time, or at once.

Base of ``Connection``: the state of the socket's end and the deadlines. A refusing reply must
reach a peer that is still sending, so its close lingers (RFC 9112 9.6): our side is shut, what
comes is thrown away for a while, then the socket is closed.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from shiboken6 import isValid

from qhttpserver_py._protocol.engine import Refusal
from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.lingering import Drain
from qhttpserver_py._transport.progress import StreamDeadlines

if TYPE_CHECKING:
    from PySide6.QtNetwork import QLocalSocket, QTcpSocket

    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._protocol.engine import Engine
    from qhttpserver_py._qt.peer import Peer
    from qhttpserver_py._transport.core import ServerCore
    from qhttpserver_py._transport.lingering import UnsentBytes

LINGER = 2.0
"""How long a refused peer may go on sending before the socket is closed, in seconds."""

PROGRESS = 256
"""Bytes a second that a peer has to take of what waits for it, counted over the keep-alive timeout."""

GRACE = 15.0
"""How long a peer may take to read the last bytes of a connection that closes, in seconds."""

LAST_BYTES = 1.0
"""The same once the server was closed and its grace is over."""


class Closing:
    """The end of a connection; see the module's first lines."""

    __slots__ = (
        "__weakref__",
        "_busy",
        "_deadlines",
        "_depth",
        "_disconnected",
        "_dispatching",
        "_exchanges",
        "_first",
        "_held",
        "_keeps_alive",
        "_queue",
        "_taken",
        "_taken_at",
        "_taken_before",
        "_unsent",
        "_windowed",
        "active_at",
        "closing",
        "closing_at",
        "core",
        "counted",
        "drops_input",
        "engine",
        "grace_is_over",
        "head_since",
        "host",
        "peer",
        "socket",
    )

    engine: Engine

    def __init__(self, core: ServerCore, socket: QTcpSocket | QLocalSocket, host: str | None, peer: Peer) -> None:
        self.core = core
        self.counted = True  # against the limits of connections; one that was refused is not
        self.socket: Any = socket
        self.host = host
        self.peer = peer
        self._queue: deque[Any] = deque()  # events that wait for their turn
        self._exchanges: dict[int, Exchange] = {}
        self._busy = False  # HTTP/1: a message was dispatched and its reply is not complete
        self._deadlines: StreamDeadlines | None = None  # HTTP/2
        self._windowed = False  # HTTP/2: no more requests are served until the peer opens its windows
        self._dispatching = 0  # stream whose handler is on the stack
        self._depth = 0  # slots of the socket that are on the stack
        self._disconnected: Any = None  # the socket, disconnected, while such a slot runs
        self._unsent: UnsentBytes | None = None  # what Qt may still keep of replies, where the peer lags behind
        self._keeps_alive = False  # the system asks a silent peer whether it is there
        self._held = 0  # why we do not read, as bits
        self._first: bytes | None = b""  # bytes received before the protocol was clear
        now = monotonic()
        self.active_at = now  # when the peer last sent or took bytes
        self.head_since = 0.0  # when the head being received began, 0 between heads
        self.closing = False
        self.closing_at = 0.0  # when to stop being polite
        self.grace_is_over = False  # the server was closed, and its grace is over
        self.drops_input = False  # lingering: what the peer still sends is thrown away
        self._taken = 0  # bytes that left since they are counted: since a sweep found some waiting
        self._taken_before = 0
        self._taken_at = 0.0  # when enough had left, 0 while nothing waits

    # ---- closing by ourselves

    def finish(self) -> None:
        """Close once everything queued has left; a reply cut short is made to look so."""
        if getattr(self.engine, "aborted", False):
            self.abort()
            return
        self.closing = True
        if self._queue or self._exchanges:
            self._cancel_all()
        socket = self.socket
        if socket is None:  # whoever heard of the end deleted the server
            return
        self.closing_at = monotonic() + GRACE
        if not self.engine.linger:
            sockets.disconnect(socket)
            self.watch_end()
            return
        self.watch_end()
        self.drops_input = True
        socket.flush()
        if self.socket is not None:
            self.watch_drain()
            self.written_while_closing()

    def written_while_closing(self) -> None:
        """Bytes left while closing; after the last one, shut our side and wait for the peer's."""
        if not self.drops_input or sockets.bytes_to_write(self.socket):
            return
        self.closing_at = monotonic() + LINGER
        if sockets.is_secure(self.socket):
            self._linger_below_tls(self.socket)
        elif not sockets.shut_writing(self.socket):
            sockets.disconnect(self.socket)

    def _linger_below_tls(self, socket: Any) -> None:
        if not sockets.is_connected(socket):  # the close_notify itself has left
            return
        file = sockets.duplicate(socket)
        if file >= 0:  # else the process has none left, or the system no such thing
            drain = Drain(file, LINGER, self.core.socket_parent, self.core.tails.discard)
            self.core.tails.add(drain)
            socket.disconnected.connect(drain.shut)
        sockets.disconnect(socket)

    def watch_end(self) -> None:
        """See ``Sending``."""
        raise NotImplementedError

    def _keep_tail(self, socket: Any) -> None:
        """See ``Sending``."""
        raise NotImplementedError

    def _close_unsent(self) -> None:
        """See ``Sending``."""
        raise NotImplementedError

    def watch_drain(self) -> None:
        """See ``Sending``."""
        raise NotImplementedError

    def flush(self) -> None:
        """See ``Connection``."""
        raise NotImplementedError

    def refuse_now(self, refusal: Refusal) -> None:
        """See ``Connection``."""
        raise NotImplementedError

    def close(self) -> None:
        """Take no new request; close when the replies in flight are done."""
        if self.socket is None or self.closing:
            return
        if self._first is not None:
            self._decide()
        self._queue.clear()
        self.engine.close()
        self.flush()
        # HTTP/1 waits for replies to what was queued, which now never come.
        if not self.engine.interleaves and not self._busy and self.socket is not None and not self.closing:
            self.finish()

    def drop(self) -> None:
        """Time is up: cut replies in flight, but not the one whose handler is closing the server now."""
        self.grace_is_over = True
        if self.closing:
            self.closing_at = min(self.closing_at, monotonic() + LAST_BYTES)
        elif not self._dispatching:
            self._cut()

    def _cut(self) -> None:
        """Give up the replies in flight; over HTTP/2 the peer is told what was processed (RFC 9113 6.8)."""
        if self.socket is None or self._first is not None or not self.engine.terminate():
            self.abort()
            return
        self.flush()
        if self.socket is not None and self.closing:
            self.closing_at = min(self.closing_at, monotonic() + LAST_BYTES)

    def abort(self) -> None:
        """Close at once; the peer sees that the reply was cut."""
        socket = self.socket
        if socket is not None:
            self.closing = True
            sockets.reset(socket)
            self.on_disconnected()

    # ---- closing by the peer

    def on_disconnected(self) -> None:
        """The socket is gone: cancel what was in flight and forget the connection."""
        socket, self.socket = self.socket, None
        if socket is None:
            return
        self.closing = True
        if self._unsent is not None:
            self._keep_tail(socket)
        if self._queue or self._exchanges:
            self._cancel_all()
        self.core.forget(self)
        self._delete_later(socket)

    def abandon_socket(self) -> None:
        """The server is being deleted: close, cancel what was in flight, dispatch no more."""
        socket, self.socket = self.socket, None
        self.closing = True
        self._cancel_all()
        if socket is not None and isValid(socket):
            socket.abort()
            self._delete_later(socket)
        self._close_unsent()

    def _delete_later(self, socket: Any) -> None:
        """Delete *socket*, but not while it emits: Qt goes on with it when our slot returns."""
        if self._depth:
            self._disconnected = socket
        elif isValid(socket):  # not where it is Qt that deletes it, when the program ends
            # Its parent's wrapper would keep its own for good; ours keeps it until it is deleted:
            # without a parent the last reference deletes at once, and it may be emitting.
            socket.setParent(None)
            socket.deleteLater()
            self.core.keep_until_deleted(socket)

    def _leave_slot(self) -> None:
        """A slot of the socket returns to Qt; behind the last one a dead socket can go."""
        self._depth -= 1
        self._delete_disconnected()

    def _delete_disconnected(self) -> None:
        if self._disconnected is not None and not self._depth:
            socket, self._disconnected = self._disconnected, None
            self._delete_later(socket)

    def _cancel_all(self) -> None:
        self._queue.clear()
        for stream_id in tuple(self._exchanges):
            self._cancel(stream_id)

    def _cancel(self, stream_id: int, reason: str = "the peer left") -> None:
        exchange = self._exchanges.pop(stream_id, None)
        if exchange is not None:
            exchange.cancel(reason)

    # ---- deadlines

    def sweep(self, now: float, timeout: float) -> None:
        """Enforce the deadlines; *timeout* is the keep-alive timeout in seconds."""
        self.watch_end()
        socket = self.socket
        if socket is None:
            return
        if self.grace_is_over and not self._dispatching and (not self.closing or now >= self.closing_at):
            self.abort()  # the handler that closed the server answers late, or the peer takes nothing
            return
        if self.closing:
            if self._overdue(now):
                self.abort()
            return
        if self._exchanges and not self._keeps_alive:  # a peer that waits for a reply may vanish without a FIN
            self._keeps_alive = True
            sockets.keep_alive(socket)
        if self._depth:  # a handler spins an event loop: Qt keeps readyRead() back until its slot returns
            self.catch_up()
            return
        if self._peer_takes_nothing(now, max(timeout, 1.0)):
            self.core.log_timeout(self, "takes no bytes of its reply")
            self.abort()
        elif self._first is not None:
            self._sweep_undecided(now, timeout)
        elif self.head_since and now - self.head_since >= timeout and not self._busy:
            self._late("the request's head did not arrive in time")
        elif self.engine.interleaves:
            self._sweep_streams(now, timeout)
        elif now - self.active_at >= timeout and not self._taken_at:  # with bytes to take it is not idle
            self._sweep_idle()

    def _sweep_streams(self, now: float, timeout: float) -> None:
        """See ``Incoming``."""
        raise NotImplementedError

    def catch_up(self) -> None:
        """See ``Connection``."""
        raise NotImplementedError

    def postpone_deadlines(self, seconds: float) -> None:
        """The event loop stood still, or the machine slept: the peer is not to blame for that time."""
        self.active_at += seconds
        self.closing_at += seconds
        if self.head_since:
            self.head_since += seconds
        if self._taken_at:
            self._taken_at += seconds
        if self._deadlines is not None:
            self._deadlines.postpone_deadlines(seconds)

    def _overdue(self, now: float) -> bool:
        """Whether a closing connection has been waited for long enough; a slow download goes on."""
        if sockets.bytes_to_write(self.socket):
            return self._peer_takes_nothing(now, GRACE)
        if self.drops_input and sockets.unacknowledged(self.socket):  # a reset would drop what the system holds
            self.closing_at = now + LINGER
            return self._makes_no_progress(now, GRACE)
        return now >= self.closing_at

    def _sweep_undecided(self, now: float, timeout: float) -> None:
        if now - (self.head_since or self.active_at) < timeout:
            return
        began = bool(self._first)
        self._decide()
        if began:
            self._late("the request's head did not arrive in time")
        else:
            self._sweep_idle()

    def _decide(self) -> None:
        """No byte more will tell which protocol it is: HTTP/1."""
        self.engine = self.core.make_engine("http1")
        self._first = None

    def _sweep_idle(self) -> None:
        if self.engine.partial == 2 and not self._held:
            bodies = [exchange.body for exchange in self._exchanges.values() if exchange.body is not None]
            if all(body.is_hungry() for body in bodies):  # else the peer waits for us
                self._stalled("the request's body stalled")
        else:
            self._end_idle()

    def _end_idle(self) -> None:
        if not self._exchanges and not self._busy and not self._queue:
            self.engine.close()
            self.flush()
            if self.socket is not None and not self.closing:
                self.finish()

    def _stalled(self, detail: str) -> None:
        """End requests whose bodies do not go on: by 408 where it can be told which they are."""
        takers = [exchange for exchange in self._exchanges.values() if exchange.body is not None]
        if not takers:
            self._late(detail)
            return
        self.core.log_timeout(self, detail)
        for exchange in takers:
            self.refuse_now(Refusal(exchange.stream_id, 408, detail, exchange.message))
        self.flush()

    def _late(self, detail: str) -> None:
        """Answer 408 where a reply is still possible, and close (RFC 9110 15.5.9)."""
        self.core.log_timeout(self, detail)
        if self.engine.interleaves or self._busy:
            self.abort() if self._busy else self.close()
            return
        self._queue.clear()
        asked = self.engine.unfinished()
        self.refuse_now(Refusal(1, 408, detail, asked[0] if asked else None))
        self.flush()

    def _peer_takes_nothing(self, now: float, patience: float) -> bool:
        """Whether bytes wait for the peer and it took next to none for *patience* seconds."""
        if not sockets.bytes_to_write(self.socket):
            self._taken_at = 0.0
            return False
        return self._makes_no_progress(now, patience)

    def _makes_no_progress(self, now: float, patience: float) -> bool:
        # Counted, not seen from the backlog: a stream may add to that faster than the peer takes. What the
        # system took of it the peer has not: that would come by the megabyte, with long pauses.
        taken = self._taken - sockets.unacknowledged(self.socket)
        if not self._taken_at or taken - self._taken_before >= PROGRESS * patience:
            self.watch_drain()
            self._taken_before = taken
            self._taken_at = now
            return False
        return now - self._taken_at >= patience
