"""The closer of a connection: it closes when all is written, lingers, or closes in time or at once.

A refusing reply must reach a peer that is still sending, so its close lingers (RFC 9112 9.6): our side is shut, input
is discarded for a while, then the socket is closed.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from shiboken6 import isValid

from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.lingering import GRACE, Drain
from qhttpserver_py._transport.requests import Requests, Serving

if TYPE_CHECKING:
    from qhttpserver_py._transport.core import ServerCore

LINGER = 2.0
"""How long a refused peer may go on sending before the socket is closed, in seconds."""

LAST_BYTES = 1.0
"""How long a peer may take to read the last bytes once the server was closed and its timeout is over, in seconds."""


class Ending(Serving, Protocol):
    """What the closer needs of its connection."""

    slots: int

    @property
    def requests(self) -> Requests:
        """The part that holds the requests."""
        ...

    def take_socket(self) -> Any:
        """Release the socket, and return it."""
        ...


class Closer:
    """Ends a connection, on our side or after its peer."""

    __slots__ = ("_disconnected", "closing", "closing_at", "grace_is_over")

    def __init__(self) -> None:
        self.closing = False
        self.closing_at = 0.0  # when lingering ends
        self.grace_is_over = False  # the server was closed, and its timeout is over
        self._disconnected: Any = None  # the socket, disconnected, while a slot of it is on the stack

    # ---- by ourselves

    def finish(self, connection: Ending) -> None:
        """Close once everything queued is written; by a reset, where a reply was cut short."""
        if self.closing:
            return
        if getattr(connection.engine, "aborted", False):
            self.abort(connection)
            return
        self.closing = True
        requests, reader, writer = connection.requests, connection.reader, connection.writer
        if requests.queue or requests.exchanges:
            requests.cancel_all()
        socket = connection.socket
        if socket is None:  # user code that was called deleted the server
            return
        self.closing_at = monotonic() + GRACE
        if not connection.engine.state.linger:
            sockets.disconnect(socket)
            writer.watch_end(connection)
            return
        writer.watch_end(connection)
        reader.drop_input()
        socket.flush()
        if connection.socket is not None:
            writer.watch_drain(connection)
            self.written_while_closing(connection)

    def written_while_closing(self, connection: Ending) -> None:
        """Go on closing after bytes were written: after the last one, shut our side and wait for the peer's."""
        socket = connection.socket
        if not connection.reader.drops_input or sockets.bytes_to_write(socket):
            return
        self.closing_at = monotonic() + LINGER
        if sockets.is_secure(socket):
            self._linger_below_tls(connection.core, socket)
        elif not sockets.shut_writing(socket):
            sockets.disconnect(socket)

    def _linger_below_tls(self, core: ServerCore, socket: Any) -> None:
        if not sockets.is_connected(socket):  # the close_notify itself is written
            return
        file = sockets.duplicate(socket)
        if file >= 0:  # else the process has no descriptor left, or the system does not duplicate them
            drain = Drain(file, LINGER, core.socket_parent, core.tails.discard)
            core.tails.add(drain)
            socket.disconnected.connect(drain.shut)
        sockets.disconnect(socket)

    def close(self, connection: Ending) -> None:
        """Take no new request; close when the replies in flight are done."""
        if connection.socket is None or self.closing:
            return
        connection.reader.use_http1(connection)
        requests, engine = connection.requests, connection.engine
        requests.drop_queue()
        engine.close()
        connection.flush()
        # HTTP/1 would wait for replies to queued requests, which are not dispatched any more.
        if not engine.interleaves and not requests.busy and connection.socket is not None:
            self.finish(connection)

    def drop(self, connection: Ending) -> None:
        """Cut replies in flight, because the timeout is over; but not the one whose handler is closing the server
        now.
        """
        self.grace_is_over = True
        if self.closing:
            self.closing_at = min(self.closing_at, monotonic() + LAST_BYTES)
        elif not connection.requests.dispatching:
            self._cut(connection)

    def _cut(self, connection: Ending) -> None:
        """Give up the replies in flight; over HTTP/2 the peer is told what was processed (RFC 9113 6.8)."""
        if connection.socket is None or connection.reader.first is not None or not connection.engine.terminate():
            self.abort(connection)
            return
        connection.flush()
        if connection.socket is not None and self.closing:
            self.closing_at = min(self.closing_at, monotonic() + LAST_BYTES)

    def abort(self, connection: Ending) -> None:
        """Close at once; the peer sees that the reply was cut."""
        socket = connection.socket
        if socket is not None:
            self.closing = True
            sockets.reset(socket)
            self.disconnected(connection)

    def postpone(self, seconds: float) -> None:
        """Extend lingering by the *seconds* in which the event loop did not run."""
        self.closing_at += seconds

    def wait_for_acknowledgement(self, now: float) -> None:
        """Linger from the time *now* on, because the system still holds bytes for the peer."""
        self.closing_at = now + LINGER

    # ---- after the peer, or with the server

    def disconnected(self, connection: Ending) -> None:
        """Cancel what was in flight and forget the connection: the socket has disconnected."""
        socket = connection.take_socket()
        if socket is None:
            return
        self.closing = True
        requests = connection.requests
        whole = not (requests.busy or requests.exchanges or self.grace_is_over)
        connection.writer.hand_over_unsent(connection.core, socket, whole=whole)
        if requests.queue or requests.exchanges:
            requests.cancel_all()
        connection.core.forget(connection)
        self._delete_later(connection, socket)

    def abandon_socket(self, connection: Ending) -> None:
        """Close, cancel what was in flight, and dispatch no more: the server is being deleted."""
        socket = connection.take_socket()
        self.closing = True
        connection.requests.cancel_all()
        if socket is not None and isValid(socket):
            socket.abort()
            self._delete_later(connection, socket)
        connection.writer.forget_unsent()

    def _delete_later(self, connection: Ending, socket: Any) -> None:
        """Delete *socket*, but not while it emits a signal: Qt uses it when our slot returns."""
        if connection.slots:
            self._disconnected = socket
        elif isValid(socket):  # not where it is Qt that deletes it, when the program ends
            # The wrapper of its parent would keep its own for ever. The core keeps it until it is deleted: without a
            # parent, the last reference deletes it at once, perhaps while it emits.
            socket.setParent(None)
            socket.deleteLater()
            connection.core.keep_until_deleted(socket)

    def delete_disconnected(self, connection: Ending) -> None:
        """Delete a disconnected socket, after the last of its slots on the stack has returned."""
        if self._disconnected is not None and not connection.slots:
            socket, self._disconnected = self._disconnected, None
            self._delete_later(connection, socket)
