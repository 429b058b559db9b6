"""The way out: what an engine has queued, to the socket, no faster than the peer takes it.

Strategy: most replies fit the system's buffer, so they are written to it directly, head and body as
they are. What it does not take goes to Qt, which keeps it and writes on; and while Qt keeps anything
of a connection, everything behind it goes to Qt as well.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from shiboken6 import isValid

from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.closer import GRACE
from qhttpserver_py._transport.lingering import Tail, UnsentBytes
from qhttpserver_py._transport.reader import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtNetwork import QLocalSocket, QTcpSocket

    from qhttpserver_py._qt.peer import Peer
    from qhttpserver_py._transport.core import ServerCore

WRITE_HIGH = 1048576
"""With more reply bytes than this unread by the peer, its next requests wait."""

FAIR = 262144
"""How much of HTTP/2 replies the socket is given at a time: what a small reply may have to wait behind."""

FAIR_TURNS = 8
"""How often in a row, while the system takes all of it at once."""

HELD_BY_PEER = 2
"""A reason not to read: the peer does not read its replies."""

_MAX_PIECES = 64  # for one call; the system's limit is 1024, and many small ones are better joined


class Sending(Incoming):
    """The part of a connection between the engine and the socket."""

    __slots__ = (
        "_behind",
        "_choked",
        "_descriptor",
        "_file",
        "_unchecked",
        "_watches_drain",
        "_watches_end",
    )

    _qt_wrote: ClassVar[bool] = False
    """Qt's first write made SIGPIPE harmless to the process."""

    def __init__(self, core: ServerCore, socket: QTcpSocket | QLocalSocket, host: str | None, peer: Peer) -> None:
        super().__init__(core, socket, host, peer)
        self._descriptor: Callable[[], int] | None = sockets.descriptor_of(socket)
        self._file = -1  # the descriptor, known for as long as the socket's end would be heard of
        self._behind = True  # Qt may still keep something that must leave first
        self._watches_drain = self._watches_end = False
        self._choked = False  # HTTP/2: streams have more to send than the socket was given
        self._unchecked = 0  # reply bytes written since Qt was last asked for its backlog

    def flush(self) -> None:
        """Write what the engine has queued; close if it says so."""
        if self.socket is None or self._first is not None:
            return
        engine = self.engine
        if engine.interleaves:
            self._flush_fairly()
        elif len(pieces := engine.pieces_to_send()) == 1 and self._file >= 0 and not (self._behind or self._exchanges):
            self._put_piece(pieces)
        elif pieces:
            self._put(pieces)
        if engine.should_close and not self.closing:
            self.finish()

    def _flush_fairly(self) -> None:
        """Write what HTTP/2 streams have, each its turn, no more at a time than the peer takes.

        Bytes in the socket cannot be overtaken: a small reply must not wait behind a large one.
        """
        for _ in range(FAIR_TURNS):
            socket, engine = self.socket, self.engine
            if socket is None or (self._choked and sockets.bytes_to_write(socket) >= FAIR):
                return
            data = engine.data_to_send(FAIR)
            if data:
                self._put((data,))
            self._choked = engine.can_send
            if not self._choked:
                if self._windowed:
                    self._look_at_windows()
                return
            self.watch_drain()
        self.core.post(self.flush)

    def _put(self, pieces: Sequence[bytes]) -> None:
        """Write *pieces*: to the system what it takes, the rest to Qt.

        Exchanges pace themselves by what Qt says it wrote, so theirs goes to Qt.
        """
        if self._descriptor is None or self._exchanges or (self._behind and self._is_behind()):
            self._put_in_qt(b"".join(pieces) if len(pieces) > 1 else pieces[0])
            return
        if len(pieces) > _MAX_PIECES:
            pieces = [b"".join(pieces)]
        # Asked while nobody tells us of the end: it is -1 as soon as Qt has closed it, and its number may be another's.
        descriptor = self._file if self._file >= 0 else self._descriptor()
        try:
            sent = os.writev(descriptor, pieces)
        except OSError:  # Qt meets the same, and knows what to do
            sent = 0
        if sent != sum(map(len, pieces)):
            self._leave_to_qt(pieces, sent)

    def _put_piece(self, pieces: Sequence[bytes]) -> None:
        """Do the same for the reply that most are: one piece, nothing before it, and the descriptor known."""
        piece = pieces[0]
        try:
            sent = os.write(self._file, piece)
        except OSError:
            sent = 0
        if sent != len(piece):
            self._leave_to_qt(pieces, sent)

    def _leave_to_qt(self, pieces: Sequence[bytes], sent: int) -> None:
        self._behind = True
        for piece in pieces:
            if sent < len(piece):
                rest = piece[sent:]
                self.socket.write(rest)
                self._remember(rest)
            sent = max(0, sent - len(piece))

    def _put_in_qt(self, data: bytes) -> None:
        self._behind = True
        if not Sending._qt_wrote:  # a store each time would have Python forget what it knows of the class
            Sending._qt_wrote = True
        self.socket.write(data)
        # At once: on a peer's half-close Qt drops what it still buffers, and the way through
        # the write notifier costs as much as this system call.
        self.socket.flush()
        self._remember(data)

    def _remember(self, data: bytes) -> None:
        """Keep *data* while Qt keeps it, which drops it where the peer closes its half."""
        socket = self.socket
        if self._descriptor is None or socket is None or self.engine.interleaves:
            return
        waiting = int(socket.bytesToWrite())
        if self._unsent is None:
            if not waiting:
                return
            try:
                self._unsent = UnsentBytes(self._descriptor())
            except OSError:  # no descriptor is left: then it is lost
                return
            self.watch_end()
        self._unsent.add(data, waiting)

    def _close_unsent(self) -> None:
        given, self._unsent = self._unsent, None
        if given is not None:
            given.close()

    def _keep_tail(self, socket: Any) -> None:
        given, self._unsent = self._unsent, None
        if given is None:
            return
        core = self.core
        waiting = int(socket.bytesToWrite()) if isValid(socket) else 0  # Qt deletes it when the program ends
        if waiting and sockets.peer_closed(socket) and not (self._busy or self._exchanges or self.grace_is_over):
            core.tails.add(Tail(given.file, given.last(waiting), GRACE, core.socket_parent, core.tails.discard))
        else:
            given.close()

    def _is_behind(self) -> bool:
        self._behind = not Sending._qt_wrote or self.socket.bytesToWrite() > 0
        if self._unsent is not None and not self._behind:
            self._close_unsent()
        return self._behind

    def flush_unless_dispatching(self, stream_id: int) -> None:
        """Flush, unless the handler of *stream_id* is on the stack: a flush follows it."""
        if self._dispatching != stream_id:
            self.flush()

    def write_raw(self, data: bytes) -> None:
        """Write bytes of our own making behind what the engine has queued."""
        self.flush()
        if self.socket is not None:
            self._put((data,))

    def write_last(self, reply: bytes) -> None:
        """Write a reply of our own making, and close lingering."""
        self.write_raw(reply)
        if self.socket is not None and not self.closing:
            self.engine.linger = True
            self._exchanges.clear()  # the one that wrote this is answered, not cancelled
            self.finish()

    # ---- what the peer does

    def watch_end(self) -> None:
        """From now on hear of the socket's end; if that was before, hear it now.

        Connecting a signal costs a fifth of what a connection for one request costs, and that needs none.
        """
        socket = self.socket
        if self._watches_end or socket is None:
            return
        descriptor = self._descriptor() if self._descriptor is not None else -1
        if self._descriptor is not None and descriptor < 0:
            self.on_disconnected()
            return
        self._watches_end = True
        socket.disconnected.connect(self.on_disconnected)
        # Qt closes it only on its way to that signal, and until the slot has run no code of others does.
        self._file = descriptor

    def backlog(self, stream_id: int) -> int:
        """Bytes queued for this stream, or written to the socket, that have not left yet."""
        if self.socket is None:
            return 0
        return self.engine.backlog(stream_id) + sockets.bytes_to_write(self.socket)

    def watch_drain(self) -> None:
        """From now on hear of bytes the peer takes. Most connections never need it."""
        if not self._watches_drain and self.socket is not None:
            self._watches_drain = True
            sockets.connect_written(self.socket, self.on_bytes_written)

    def on_bytes_written(self, count: int = 0) -> None:
        """The peer took bytes: feed streams, go on with requests that waited, or finish closing."""
        self._depth += 1
        try:
            self._feed_peer(count)
        except Exception as error:  # noqa: BLE001 - a fault of ours: it costs this connection, and no other
            self.core.report(error)
            self.abort()
        finally:
            self._leave_slot()

    def _feed_peer(self, count: int) -> None:
        if self.socket is None:
            return
        self.active_at = monotonic()
        self._taken += count
        if self._taken_at and not sockets.bytes_to_write(self.socket):
            self._taken_at = 0.0  # from here on the system may be given bytes that are not counted
        if self.closing:
            self.written_while_closing()
            return
        if self._choked:
            self.flush()
        if self._windowed:
            self._look_at_windows()
        for exchange in tuple(self._exchanges.values()):
            exchange.drained()
        if self._held & HELD_BY_PEER and self.socket is not None:
            self._unhold_if_taken()

    def _unhold_if_taken(self) -> None:
        if sockets.bytes_to_write(self.socket) < WRITE_HIGH // 2:
            self._hold(HELD_BY_PEER, False)
            self._resume()

    def _unread(self) -> int:
        """Bytes of replies that the socket and the engine hold for the peer, but for the largest in the engine."""
        return int(sockets.bytes_to_write(self.socket)) + self.engine.waits.queued()

    def _look_at_windows(self) -> None:
        """Serve on where the peer has taken what waited for its windows, or has given it up."""
        if self.socket is not None and self._unread() < WRITE_HIGH // 2:
            self._windowed = False
            self.core.post(self._resume)

    def _check_backlog(self) -> None:
        """Hold back further requests of a peer that does not read its replies."""
        if self.engine.interleaves:
            self._check_windows()
            return
        self.flush()
        self._unchecked = 0
        if self.socket is not None and sockets.bytes_to_write(self.socket) >= WRITE_HIGH:
            self.watch_drain()
            self._hold(HELD_BY_PEER, True)

    def _check_windows(self) -> None:
        self._unchecked = 0
        if self.socket is None:
            return
        self._windowed = self._unread() >= WRITE_HIGH  # before the flush: over TLS, a write makes Qt read on
        self.flush()
        if self._windowed and self.socket is not None:
            self._windowed = self._unread() >= WRITE_HIGH
            self.watch_drain()

    def _hold(self, reason: int, on: bool) -> None:
        """See ``Connection``."""
        raise NotImplementedError

    def _resume(self) -> None:
        """See ``Connection``."""
        raise NotImplementedError
