"""What differs between the three socket classes, and what Qt has no call for.

A descriptor belongs to Qt. For a system call it is borrowed by ``borrowed()``, the only place that makes a Python
socket of it, and is never closed. What only some systems have is in one function each, which says what it does
elsewhere.
"""

from __future__ import annotations

import os
import socket as sockets
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from PySide6.QtNetwork import QAbstractSocket, QLocalSocket, QSslSocket, QTcpServer, QTcpSocket

if sys.platform == "win32":
    TIOCOUTQ = 0

    def ioctl(*_: object) -> bytes:
        """Raise OSError: this system does not tell what it holds."""
        raise OSError("no ioctl on this system")
else:
    from fcntl import ioctl
    from termios import TIOCOUTQ

AnySocket = QTcpSocket | QLocalSocket  # a QSslSocket is a QTcpSocket

_ENDS = (QAbstractSocket.SocketError.RemoteHostClosedError, QLocalSocket.LocalSocketError.PeerClosedError)

UNSENT_BYTES = 2097152
"""What the system holds for a peer that takes nothing, beyond the peer's window: with few connections, so that a large
reply is written in one call;
"""

CROWD = 16
"""with more connections than this, each new one gets its share of what these had,"""

CROWDED_UNSENT_BYTES = 131072
"""but no less than this. Without a limit, some hundred peers that read nothing use up the memory of all sockets of the
machine.
"""

INTERLEAVED_UNSENT_BYTES = 65536
"""The same for HTTP/2, where no other stream can overtake what the system holds."""

KEEP_ALIVE_IDLE = 60
"""Seconds of silence after which the system probes the peer of a stream or a WebSocket."""

_KEEP_ALIVE = (("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))

_UNSENT: int | None = getattr(sockets, "TCP_NOTSENT_LOWAT", None)
_DARWIN_NWRITE = 0x1024  # SO_NWRITE of <sys/socket.h>, which the socket module does not name
_LINGER = struct.Struct("HH" if sys.platform == "win32" else "ii")  # struct linger: u_short on Windows, else int


@contextmanager
def borrowed(descriptor: int) -> Iterator[sockets.socket | None]:
    """Give *descriptor* as a Python socket to the block; it stays open, whatever the block does.

    None where there is no descriptor, or none of a socket: a Windows named pipe.
    """
    raw = None
    if descriptor >= 0:
        with suppress(OSError):
            raw = sockets.socket(fileno=descriptor)
    try:
        yield raw
    finally:
        if raw is not None:
            raw.detach()


def adopted(descriptor: int) -> sockets.socket:
    """Return a Python socket that owns *descriptor* and closes it. Raises OSError."""
    return sockets.socket(fileno=descriptor)


def descriptor_of(socket: AnySocket) -> Callable[[], int] | None:
    """Return the function that returns the descriptor to which plain bytes can be written; None where only Qt can
    write.

    A subclass may write in its own way.
    """
    if os.name == "posix" and type(socket) in (QTcpSocket, QLocalSocket):
        return socket.socketDescriptor
    return None


def peer_closed(socket: AnySocket) -> bool:
    """Whether *socket* was closed because its peer sends no more."""
    return socket.error() in _ENDS


def send_at_once(server: QTcpServer) -> bool:
    """Set TCP_NODELAY for the connections that *server* accepts; return False where it has to be set for each.

    Nagle's algorithm would delay a stream's pieces until the peer's ACK. Accepted sockets inherit the option from the
    listening one, so one call is enough.
    """
    with borrowed(int(server.socketDescriptor())) as raw:
        if raw is None:
            return False
        try:
            raw.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        except OSError:
            return False
        return True


def share_unsent(server: QTcpServer, connections: int) -> None:
    """Limit what the system holds for each of the connections that *server* accepts from now on."""
    _limit_unsent(server, max(CROWDED_UNSENT_BYTES, UNSENT_BYTES * CROWD // max(connections, CROWD)))


def interleave(socket: AnySocket) -> None:
    """Have the system hold little of *socket*, whose replies take turns."""
    if not isinstance(socket, QLocalSocket):
        _limit_unsent(socket, INTERLEAVED_UNSENT_BYTES)


def _limit_unsent(socket: QTcpServer | QTcpSocket, size: int) -> None:
    """Set TCP_NOTSENT_LOWAT where the system has it (Linux, macOS); elsewhere the system's own limits apply."""
    if _UNSENT is None:
        return
    with borrowed(int(socket.socketDescriptor())) as raw, suppress(OSError):
        if raw is not None:
            raw.setsockopt(sockets.IPPROTO_TCP, _UNSENT, size)


def keep_alive(socket: AnySocket) -> None:
    """Turn keep-alive probes on, by which a peer that vanished without a FIN is found."""
    if isinstance(socket, QTcpSocket):
        socket.setSocketOption(QAbstractSocket.SocketOption.KeepAliveOption, 1)
        for name, value in (("TCP_KEEPIDLE", KEEP_ALIVE_IDLE), ("TCP_KEEPALIVE", KEEP_ALIVE_IDLE), *_KEEP_ALIVE):
            # Linux and Windows, macOS; elsewhere it is the system's default, two hours
            option = getattr(sockets, name, None)
            if option is not None:
                with borrowed(int(socket.socketDescriptor())) as raw, suppress(OSError):
                    if raw is not None:
                        raw.setsockopt(sockets.IPPROTO_TCP, option, value)


def bytes_to_write(socket: AnySocket) -> int:
    """Return how many bytes given to *socket* have not reached the system yet."""
    waiting = int(socket.bytesToWrite())
    if isinstance(socket, QSslSocket):
        waiting += int(socket.encryptedBytesToWrite())
    return waiting


def unacknowledged(socket: AnySocket) -> int:
    """Return how many bytes the system still holds for the peer; 0 where that is not known."""
    return held_by_system(int(socket.socketDescriptor()))


def held_by_system(descriptor: int) -> int:
    """Return the same for a descriptor."""
    if sys.platform == "darwin":
        with borrowed(descriptor) as raw, suppress(OSError):
            return 0 if raw is None else raw.getsockopt(sockets.SOL_SOCKET, _DARWIN_NWRITE)
        return 0
    with suppress(OSError, ValueError):  # it is closed, or the system does not tell
        return int.from_bytes(ioctl(descriptor, TIOCOUTQ, bytes(4)), sys.byteorder)
    return 0


def connect_written(socket: AnySocket, slot: Callable[[int], None]) -> None:
    """Call *slot* each time bytes were written to the system."""
    if isinstance(socket, QSslSocket):  # bytesWritten is emitted when they were encrypted
        socket.encryptedBytesWritten.connect(slot)
    else:
        socket.bytesWritten.connect(slot)


def disconnect_written(socket: AnySocket, slot: Callable[[int], None]) -> None:
    """Undo ``connect_written``."""
    if isinstance(socket, QSslSocket):
        socket.encryptedBytesWritten.disconnect(slot)
    else:
        socket.bytesWritten.disconnect(slot)


def disconnect(socket: AnySocket) -> None:
    """Close once everything is written."""
    if isinstance(socket, QLocalSocket):
        socket.disconnectFromServer()
    else:
        socket.disconnectFromHost()


def is_secure(socket: AnySocket) -> bool:
    """Whether *socket* speaks TLS."""
    return isinstance(socket, QSslSocket)


def is_connected(socket: QTcpSocket) -> bool:
    """Whether *socket* is neither closed nor about to be."""
    return socket.state() is QAbstractSocket.SocketState.ConnectedState


def duplicate(socket: AnySocket) -> int:
    """Return a second descriptor of *socket*, -1 where there is none."""
    if os.name == "posix":
        with suppress(OSError):
            return os.dup(int(socket.socketDescriptor()))
    return -1


def shut_writing(socket: AnySocket) -> bool:
    """Half-close: the peer gets the end of our bytes, and we go on reading. Qt has no call for it."""
    return shut_descriptor(int(socket.socketDescriptor()))


def shut_descriptor(descriptor: int) -> bool:
    """Do the same for a descriptor."""
    with borrowed(descriptor) as raw:
        if raw is None:
            return False
        try:
            raw.shutdown(sockets.SHUT_WR)
        except OSError:
            return False
        return True


def reset(socket: AnySocket) -> None:
    """Close at once with a TCP reset, so that a reply that was cut does not look complete."""
    break_descriptor(int(socket.socketDescriptor()))
    socket.abort()


def break_descriptor(descriptor: int) -> None:
    """Have the close of *descriptor* be a TCP reset."""
    with borrowed(descriptor) as raw, suppress(OSError):
        if raw is not None:
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, _LINGER.pack(1, 0))
