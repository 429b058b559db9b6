"""The writer of a connection: it writes what the engine has queued, no faster than the peer takes it.

Strategy: most replies fit into the system's buffer, so head and body are written to it directly, without a copy. What
it does not take is given to Qt, which buffers it and goes on writing; and while Qt buffers anything of a connection,
everything behind it is given to Qt as well.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from shiboken6 import isValid

from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.half_close import Tail, UnsentBytes
from qhttpserver_py._transport.lingering import GRACE
from qhttpserver_py._transport.reader import HELD_BY_PEER, Readable, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from PySide6.QtNetwork import QLocalSocket, QTcpSocket

    from qhttpserver_py._transport.core import ServerCore

WRITE_HIGH = 1048576
"""With more reply bytes than this unread by the peer, its next requests wait."""

FAIR = 262144
"""Bytes of HTTP/2 replies that are written at a time; a small reply may have to wait for so many."""

FAIR_TURNS = 8
"""How often in a row they are written while the system takes all of it at once."""

_MAX_PIECES = 64  # for one call; the system's limit is 1024, and many small ones are better joined


class Writable(Readable, Protocol):
    """What the writer needs of its connection."""

    @property
    def reader(self) -> Reader:
        """The part that reads."""
        ...

    def flush(self) -> None:
        """Write what the engine has queued."""
        ...

    def finish(self) -> None:
        """Close once everything queued has left."""
        ...

    def resume(self) -> None:
        """Go on with requests that waited."""
        ...

    def on_disconnected(self) -> None:
        """The socket has ended."""
        ...

    def on_bytes_written(self, count: int = 0) -> None:
        """The peer took bytes."""
        ...


class Writer:
    """Writes to the socket, and knows how much of that is not written yet.

    *exchanges* are the open ones of the connection, which the writer only reads.
    """

    __slots__ = (
        "_behind",
        "_descriptor",
        "_exchanges",
        "_file",
        "_has_unsent_streams",
        "_unsent",
        "_watches_drain",
        "unchecked",
        "watches_end",
        "windowed",
    )

    _qt_wrote: ClassVar[bool] = False
    """Whether Qt has written before, by which SIGPIPE is ignored in the process."""

    def __init__(self, socket: QTcpSocket | QLocalSocket, exchanges: Mapping[int, object]) -> None:
        self._exchanges = exchanges
        self._descriptor: Callable[[], int] | None = sockets.descriptor_of(socket)
        self._file = -1  # the descriptor, kept only while the signal of the socket's end is connected
        self._behind = True  # Qt may still buffer something that must be written first
        self._unsent: UnsentBytes | None = None  # what Qt may still buffer of replies
        self._watches_drain = self.watches_end = False
        self._has_unsent_streams = False  # HTTP/2: streams have more to send than was written
        self.windowed = False  # HTTP/2: no more requests are served until the peer opens its windows
        self.unchecked = 0  # bytes of replies since Qt was last asked for its backlog; who queues a reply adds to it

    def flush(self, connection: Writable) -> None:
        """Write what the engine has queued; close if it says so."""
        if connection.socket is None or connection.reader.first is not None:
            return
        engine = connection.engine
        if engine.interleaves:
            self._flush_fairly(connection)
        elif len(pieces := engine.pieces_to_send()) == 1 and self._file >= 0 and not (self._behind or self._exchanges):
            self._put_piece(connection, pieces)
        elif pieces:
            self._put(connection, pieces)
        if engine.state.should_close:
            connection.finish()

    def _flush_fairly(self, connection: Writable) -> None:
        """Write what HTTP/2 streams have, in turns, no more at a time than the peer takes.

        Bytes in the socket cannot be overtaken: a small reply must not wait behind a large one.
        """
        for _ in range(FAIR_TURNS):
            socket, engine = connection.socket, connection.engine
            if socket is None or (self._has_unsent_streams and sockets.bytes_to_write(socket) >= FAIR):
                return
            data = engine.data_to_send(FAIR)
            if data:
                self._put(connection, (data,))
            self._has_unsent_streams = engine.can_send
            if not self._has_unsent_streams:
                if self.windowed:
                    self.look_at_windows(connection)
                return
            self.watch_drain(connection)
        connection.core.post(connection.flush)

    def _put(self, connection: Writable, pieces: Sequence[bytes]) -> None:
        """Write *pieces* to the system as far as it takes them, and the rest to Qt.

        Exchanges need Qt's signal that bytes were written, so their pieces are given to Qt.
        """
        if self._descriptor is None or self._exchanges or (self._behind and self._is_behind(connection)):
            self._put_in_qt(connection, b"".join(pieces) if len(pieces) > 1 else pieces[0])
            return
        if len(pieces) > _MAX_PIECES:
            pieces = [b"".join(pieces)]
        # Asked each time while no signal is connected: it is -1 as soon as Qt has closed it, after which its number may
        # be used again.
        descriptor = self._file if self._file >= 0 else self._descriptor()
        try:
            sent = os.writev(descriptor, pieces)
        except OSError:  # Qt gets the same error and handles it
            sent = 0
        if sent != sum(map(len, pieces)):
            self._leave_to_qt(connection, pieces, sent)

    def _put_piece(self, connection: Writable, pieces: Sequence[bytes]) -> None:
        """Do the same for most replies: one piece, nothing before it, and the descriptor known."""
        piece = pieces[0]
        try:
            sent = os.write(self._file, piece)
        except OSError:
            sent = 0
        if sent != len(piece):
            self._leave_to_qt(connection, pieces, sent)

    def _leave_to_qt(self, connection: Writable, pieces: Sequence[bytes], sent: int) -> None:
        self._behind = True
        for piece in pieces:
            if sent < len(piece):
                rest = piece[sent:]
                connection.socket.write(rest)
                self._remember(connection, rest)
            sent = max(0, sent - len(piece))

    def _put_in_qt(self, connection: Writable, data: bytes) -> None:
        self._behind = True
        if not Writer._qt_wrote:  # storing it each time would invalidate Python's cache of the class
            Writer._qt_wrote = True
        socket = connection.socket
        socket.write(data)
        # At once, because on a peer's half-close Qt drops what it still buffers; and the write notifier costs as much
        # as this system call.
        socket.flush()
        self._remember(connection, data)

    def write_raw(self, connection: Writable, data: bytes) -> None:
        """Write bytes of our own making behind what the engine has queued."""
        self.flush(connection)
        if connection.socket is not None:
            self._put(connection, (data,))

    # ---- what Qt keeps, and drops where the peer closes its half

    def _remember(self, connection: Writable, data: bytes) -> None:
        """Keep *data* as long as Qt buffers it."""
        socket = connection.socket
        if self._descriptor is None or socket is None or connection.engine.interleaves:
            return
        waiting = int(socket.bytesToWrite())
        if self._unsent is None:
            if not waiting:
                return
            try:
                self._unsent = UnsentBytes(self._descriptor())
            except OSError:  # no descriptor is left, so it is lost if the peer closes its half
                return
            self.watch_end(connection)
        self._unsent.add(data, waiting)

    def forget_unsent(self) -> None:
        """Forget what Qt may still buffer."""
        given, self._unsent = self._unsent, None
        if given is not None:
            given.close()

    def hand_over_unsent(self, core: ServerCore, socket: Any, *, whole: bool) -> None:
        """Have the last bytes of a *whole* reply written although Qt has closed *socket*, where its peer goes on
        reading.
        """
        given, self._unsent = self._unsent, None
        if given is None:
            return
        waiting = int(socket.bytesToWrite()) if isValid(socket) else 0  # Qt deletes it when the program ends
        if waiting and whole and sockets.peer_closed(socket):
            core.tails.add(Tail(given.file, given.last(waiting), GRACE, core.socket_parent, core.tails.discard))
        else:
            given.close()

    def _is_behind(self, connection: Writable) -> bool:
        self._behind = not Writer._qt_wrote or connection.socket.bytesToWrite() > 0
        if self._unsent is not None and not self._behind:
            self.forget_unsent()
        return self._behind

    # ---- what the peer does

    def watch_end(self, connection: Writable) -> None:
        """Connect to the signal of the socket's end; if that is past, act as on the signal.

        Connecting a signal costs a fifth of a connection for one request, which does not need it.
        """
        socket = connection.socket
        if self.watches_end or socket is None:
            return
        descriptor = self._descriptor() if self._descriptor is not None else -1
        if self._descriptor is not None and descriptor < 0:
            connection.on_disconnected()
            return
        self.watches_end = True
        socket.disconnected.connect(connection.on_disconnected)
        # Qt closes it only just before that signal, and no user code runs before the slot has run.
        self._file = descriptor

    @property
    def writes_to_system(self) -> bool:
        """Return whether plain bytes may be written to a descriptor; where not, only Qt can write."""
        return self._descriptor is not None

    def watch_drain(self, connection: Writable) -> None:
        """Connect to the signal that the peer took bytes. Most connections never need it."""
        if not self._watches_drain and connection.socket is not None:
            self._watches_drain = True
            sockets.connect_written(connection.socket, connection.on_bytes_written)

    def unwatch(self, connection: Writable, socket: Any) -> None:
        """Disconnect all signals of *socket*, which another protocol takes over."""
        if self.watches_end:
            socket.disconnected.disconnect(connection.on_disconnected)
        if self._watches_drain:
            sockets.disconnect_written(socket, connection.on_bytes_written)
        self.forget_unsent()

    def go_on(self, connection: Writable) -> None:
        """Write what HTTP/2 streams have left, because the peer took bytes."""
        if self._has_unsent_streams:
            self.flush(connection)
        if self.windowed:
            self.look_at_windows(connection)

    # ---- how much waits for the peer

    def backlog(self, connection: Writable, stream_id: int) -> int:
        """Return the bytes queued for this stream, or in the socket, that are not written yet."""
        if connection.socket is None:
            return 0
        return connection.engine.backlog(stream_id) + sockets.bytes_to_write(connection.socket)

    def check_backlog(self, connection: Writable) -> None:
        """Stop reading requests of a peer that does not read its replies."""
        if connection.engine.interleaves:
            self._check_windows(connection)
            return
        self.flush(connection)
        self.unchecked = 0
        if connection.socket is not None and sockets.bytes_to_write(connection.socket) >= WRITE_HIGH:
            self.watch_drain(connection)
            connection.reader.hold(connection, HELD_BY_PEER, True)

    def release_reader(self, connection: Writable) -> None:
        """Go on reading and serving, where the peer has taken most of what waited for it."""
        if sockets.bytes_to_write(connection.socket) < WRITE_HIGH // 2:
            connection.reader.hold(connection, HELD_BY_PEER, False)
            connection.resume()

    def _unread(self, connection: Writable) -> int:
        """Return the bytes of replies that the socket and the engine hold for the peer, except for the largest in the
        engine.
        """
        return int(sockets.bytes_to_write(connection.socket)) + connection.engine.waits.queued()

    def look_at_windows(self, connection: Writable) -> None:
        """Go on serving, where the peer has taken what waited for its windows, or has cancelled it."""
        if connection.socket is not None and self._unread(connection) < WRITE_HIGH // 2:
            self.windowed = False
            connection.core.post(connection.resume)

    def _check_windows(self, connection: Writable) -> None:
        self.unchecked = 0
        if connection.socket is None:
            return
        # Before the flush, because over TLS a write makes Qt read more.
        self.windowed = self._unread(connection) >= WRITE_HIGH
        self.flush(connection)
        if self.windowed and connection.socket is not None:
            self.windowed = self._unread(connection) >= WRITE_HIGH
            self.watch_drain(connection)
