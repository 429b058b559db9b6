"""Carries the octets of a WebSocket: a TCP or TLS socket of Qt that was taken from HTTP/1."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from PySide6.QtCore import QObject
from PySide6.QtNetwork import QTcpSocket
from shiboken6 import isValid

from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.reader import READ_BUFFER

WATCHED = 65536
"""With more octets than this waiting for the peer, the signal of written octets is connected."""

_MAXIMUM_PIECES = 64

Pieces = Sequence[bytes | memoryview]


class Owner(Protocol):
    """The WebSocket on top, whose methods are called when something happens. They run user code."""

    def on_readable(self) -> None:
        """Octets have come, or may have."""
        ...

    def on_written(self, count: int) -> None:
        """The system took *count* octets that had waited."""
        ...

    def on_gone(self) -> None:
        """The connection is over."""
        ...

    def on_failed(self, error: Any, text: str) -> None:
        """The socket failed."""
        ...


class Carrier(Protocol):
    """A stream of octets in both directions. It reads only by ``read()``."""

    def attach(self, owner: Owner, parent: QObject) -> None:
        """Call *owner* from now on; objects of Qt are deleted with *parent*."""
        ...

    def start(self) -> None:
        """Call ``on_readable`` too."""
        ...

    def read(self) -> bytes:
        """Return what has come, b"" where nothing has."""
        ...

    def write(self, pieces: Pieces) -> None:
        """Write *pieces* behind what was written before."""
        ...

    def pending(self) -> int:
        """Return the octets that wait for the peer."""
        ...

    def watch(self) -> None:
        """Call ``on_written`` for all octets."""
        ...

    def flush(self) -> bool:
        """Write what the system takes now."""
        ...

    def finish(self) -> None:
        """Close once everything is written; nothing more will come."""
        ...

    def shut(self) -> None:
        """Send no more once everything is written; what comes is read and ignored."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class TcpCarrier:
    """A QTcpSocket or QSslSocket, written to directly where the system takes it.

    A write through Qt makes a copy, emits a signal, and leaves a buffer of 32 KiB with the socket; most messages fit
    into the system's buffer.
    """

    _qt_wrote: ClassVar[bool] = False
    """Whether Qt has written before, by which SIGPIPE is ignored in the process."""

    __slots__ = (
        "__weakref__", "_behind", "_file", "_is_tls", "_owner", "_shuts", "_socket", "_through_qt", "_watches",
    )  # fmt: skip

    def __init__(self, socket: QTcpSocket) -> None:
        self._socket: Any = socket
        self._owner: Owner
        self._is_tls = sockets.is_secure(socket)
        self._file = -1  # kept as long as the descriptor is this socket's
        self._behind = True  # Qt may buffer something that must be written first
        self._through_qt = False  # written octets are counted
        self._watches = False
        self._shuts = False

    def attach(self, owner: Owner, parent: QObject) -> None:
        """See ``Carrier``."""
        socket, self._owner = self._socket, owner
        socket.setParent(parent)
        socket.setReadBufferSize(READ_BUFFER)
        socket.disconnected.connect(self._gone)
        socket.errorOccurred.connect(self._failed)
        descriptor = sockets.descriptor_of(socket)
        if descriptor is not None:
            self._file = descriptor()

    def start(self) -> None:
        """See ``Carrier``."""
        self._socket.readyRead.connect(self._owner.on_readable)

    def read(self) -> bytes:
        """See ``Carrier``."""
        socket = self._socket
        if not isValid(socket):
            return b""
        # Exactly what there is: then Qt hands its buffer over, and keeps none for an idle connection.
        there = socket.bytesAvailable()
        return bytes(socket.read(there).data()) if there else b""

    def write(self, pieces: Pieces) -> None:
        """See ``Carrier``."""
        sent = 0
        if self._file >= 0 and not (self._through_qt or (self._behind and self._is_behind())) and TcpCarrier._qt_wrote:
            if len(pieces) > _MAXIMUM_PIECES:
                pieces = (b"".join(pieces),)
            try:
                sent = os.write(self._file, pieces[0]) if len(pieces) == 1 else os.writev(self._file, pieces)
            except OSError:  # Qt gets the same error and handles it
                sent = 0
        for piece in pieces:
            if sent >= len(piece):
                sent -= len(piece)
            else:
                self._leave_to_qt(bytes(piece[sent:]) if sent or type(piece) is memoryview else piece)
                sent = 0

    def _leave_to_qt(self, data: Any) -> None:
        socket = self._socket
        if data and isValid(socket) and socket.isOpen():
            self._behind = True
            socket.write(data)
            if not TcpCarrier._qt_wrote:
                TcpCarrier._qt_wrote = True
                socket.flush()
            if not self._watches and sockets.bytes_to_write(socket) > WATCHED:
                self._watch()

    def _is_behind(self) -> bool:
        self._behind = self.pending() > 0
        return self._behind

    def pending(self) -> int:
        """See ``Carrier``."""
        return sockets.bytes_to_write(self._socket) if self._behind and isValid(self._socket) else 0

    def watch(self) -> None:
        """See ``Carrier``."""
        self._through_qt = True
        self._watch()

    def _watch(self) -> None:
        if not self._watches and isValid(self._socket):
            self._watches = True
            sockets.connect_written(self._socket, self._written)

    def flush(self) -> bool:
        """See ``Carrier``."""
        return bool(self._socket.flush()) if isValid(self._socket) else False

    def finish(self) -> None:
        """See ``Carrier``."""
        if isValid(self._socket):
            sockets.disconnect(self._socket)

    def shut(self) -> None:
        """See ``Carrier``."""
        if self._is_tls:  # its close_notify has to be written by Qt
            self.finish()
            return
        self._shuts = True
        if self.pending():
            self._watch()
        elif isValid(self._socket):
            sockets.shut_writing(self._socket)

    def abort(self) -> None:
        """See ``Carrier``."""
        if isValid(self._socket):
            self._socket.abort()

    # ---- slots of the socket

    def _written(self, count: int) -> None:
        if not self._is_behind() and self._shuts:
            sockets.shut_writing(self._socket)
        self._owner.on_written(count)

    def _gone(self) -> None:
        self._file = -1
        self._owner.on_gone()

    def _failed(self, error: Any) -> None:
        if not sockets.peer_closed(self._socket):
            self._owner.on_failed(error, self._socket.errorString())
