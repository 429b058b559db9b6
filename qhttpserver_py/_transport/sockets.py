"""What the three socket classes do differently, and two things Qt has no call for."""

from __future__ import annotations

import os
import socket as sockets
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

from PySide6.QtNetwork import QAbstractSocket, QLocalSocket, QSslSocket, QTcpServer, QTcpSocket

if sys.platform != "win32":
    from fcntl import ioctl
    from termios import TIOCOUTQ

AnySocket = QTcpSocket | QLocalSocket  # a QSslSocket is a QTcpSocket

_ENDS = (QAbstractSocket.SocketError.RemoteHostClosedError, QLocalSocket.LocalSocketError.PeerClosedError)

UNSENT_BYTES = 2097152
"""What the system holds for a peer that takes nothing, beyond what the peer's window asked for: with few connections,
so that a large reply leaves in one call;"""

CROWD = 16
"""with more connections than this, each new one gets its share of what these had,"""

CROWDED_UNSENT_BYTES = 131072
"""but no less than this. Without a limit some hundred peers that read nothing starve all sockets of the machine."""

INTERLEAVED_UNSENT_BYTES = 65536
"""The same for HTTP/2: what the system holds, no other stream can overtake."""

_UNSENT: int | None = getattr(sockets, "TCP_NOTSENT_LOWAT", None)


def descriptor_of(socket: AnySocket) -> Callable[[], int] | None:
    """Return what tells the descriptor that plain bytes can be written to; None where only Qt can write.

    A subclass may see to its writing itself.
    """
    if os.name == "posix" and type(socket) in (QTcpSocket, QLocalSocket):
        return socket.socketDescriptor
    return None


def peer_closed(socket: AnySocket) -> bool:
    """Whether *socket* was closed because its peer sends no more."""
    return socket.error() in _ENDS


def send_at_once(server: QTcpServer) -> bool:
    """Have the connections that *server* accepts send small writes at once; return False where they must each be told.

    Nagle's algorithm would hold a stream's pieces for the peer's delayed ACK. What is accepted inherits the
    option from what listens, and one call is less than one for each.
    """
    raw = _borrow(int(server.socketDescriptor()))
    if raw is None:
        return False
    try:
        raw.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    except OSError:
        return False
    finally:
        raw.detach()
    return True


def share_unsent(server: QTcpServer, connections: int) -> None:
    """Limit what the system holds for each of the connections that *server* accepts from now on."""
    _limit_unsent(server, max(CROWDED_UNSENT_BYTES, UNSENT_BYTES * CROWD // max(connections, CROWD)))


def interleave(socket: AnySocket) -> None:
    """Have the system hold little of *socket*, whose replies take turns."""
    if not isinstance(socket, QLocalSocket):
        _limit_unsent(socket, INTERLEAVED_UNSENT_BYTES)


def _limit_unsent(socket: QTcpServer | QTcpSocket, size: int) -> None:
    raw = _borrow(int(socket.socketDescriptor()))
    if raw is None or _UNSENT is None:
        return
    with suppress(OSError):
        raw.setsockopt(sockets.IPPROTO_TCP, _UNSENT, size)
    raw.detach()


def bytes_to_write(socket: AnySocket) -> int:
    """Return how many bytes given to *socket* have not reached the system yet."""
    waiting = int(socket.bytesToWrite())
    if isinstance(socket, QSslSocket):
        waiting += int(socket.encryptedBytesToWrite())
    return waiting


def unacknowledged(socket: AnySocket) -> int:
    """Return how many bytes the system still holds for the peer; 0 where it does not tell."""
    return held_by_system(int(socket.socketDescriptor()))


def held_by_system(descriptor: int) -> int:
    """Return the same for a descriptor."""
    held = bytes(4)
    if sys.platform != "win32":
        with suppress(OSError, ValueError):  # it is gone
            held = ioctl(descriptor, TIOCOUTQ, held)
    return int.from_bytes(held, sys.byteorder)


def connect_written(socket: AnySocket, slot: Callable[[int], None]) -> None:
    """Have *slot* called whenever bytes left for the system."""
    if isinstance(socket, QSslSocket):  # bytesWritten only says that they were encrypted
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
    """Half-close: the peer sees the end of our bytes, and we go on reading. Qt has no call for it."""
    return shut_descriptor(int(socket.socketDescriptor()))


def shut_descriptor(descriptor: int) -> bool:
    """Do the same for a descriptor."""
    raw = _borrow(descriptor)
    if raw is None:
        return False
    try:
        raw.shutdown(sockets.SHUT_WR)
    except OSError:
        return False
    finally:
        raw.detach()
    return True


def reset(socket: AnySocket) -> None:
    """Close at once and visibly broken, with a TCP reset, so that nothing cut short looks whole."""
    break_descriptor(int(socket.socketDescriptor()))
    socket.abort()


def break_descriptor(descriptor: int) -> None:
    """Have the close of *descriptor* be a TCP reset."""
    raw = _borrow(descriptor)
    if raw is not None:
        with suppress(OSError):
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        raw.detach()


def _borrow(descriptor: int) -> sockets.socket | None:
    if descriptor < 0:
        return None
    try:
        return sockets.socket(fileno=descriptor)
    except OSError:  # a Windows named pipe is no socket
        return None
