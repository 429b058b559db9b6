"""What remains of a connection that Qt has closed: last bytes of a reply, or input to be discarded.

When a peer ends what it sends, Qt closes the connection and drops what it still buffers, although the peer may go on
reading (RFC 9112 9.6, RFC 9293 3.6.1). Those bytes are written here, to a second descriptor, because Qt has closed the
first before it emits a signal. There is one only while Qt buffers bytes for a peer.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSocketNotifier, QTimer

from qhttpserver_py._transport.sockets import break_descriptor, held_by_system, shut_descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence

GRACE = 15.0
"""How long a peer may take to read the last bytes of a connection that closes, in seconds."""


class UnsentBytes:
    """What Qt was given to write and may still buffer, as the same objects, not copies; and a descriptor to write it
    to.

    Until ``close()`` the system does not tell the peer that Qt has closed the connection. Raises OSError where the
    process has no descriptor left.
    """

    __slots__ = ("_pieces", "_size", "file")

    def __init__(self, descriptor: int) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self.file = os.dup(descriptor)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.file)

    def add(self, piece: bytes, waiting: int) -> None:
        """Keep *piece*; *waiting* bytes are not written yet in all."""
        self._pieces.append(piece)
        self._size += len(piece)
        while self._pieces and self._size - len(self._pieces[0]) >= waiting:
            self._size -= len(self._pieces.popleft())

    def last(self, count: int) -> list[memoryview]:
        """Return the last *count* bytes."""
        views = [memoryview(piece) for piece in self._pieces]
        surplus = self._size - count
        while views and surplus >= len(views[0]):
            surplus -= len(views.pop(0))
        if views and surplus > 0:
            views[0] = views[0][surplus:]
        return views


class LingeringDescriptor:
    """A second descriptor, used for a while after its connection was closed. It belongs to the server's thread."""

    def __init__(
        self,
        file: int,
        kind: QSocketNotifier.Type,
        limit: float,
        parent: QObject,
        done: Callable[[LingeringDescriptor], object],
    ) -> None:
        self._file = file
        self._done = done
        self._notifier = QSocketNotifier(file, kind, parent)
        self._notifier.activated.connect(self._activated)
        self._timer = QTimer(self._notifier)
        self._timer.setSingleShot(True)
        self._timer.setInterval(round(limit * 1000))
        self._timer.timeout.connect(self._late)
        self._timer.start()

    def _activated(self) -> None:
        raise NotImplementedError

    def _late(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Give up, by a reset: what was cut short must not look complete."""
        if self._file >= 0:
            break_descriptor(self._file)
            self._end()

    def _end(self) -> None:
        self._timer.stop()
        self._notifier.setEnabled(False)
        self._notifier.deleteLater()
        os.close(self._file)
        self._file = -1
        self._done(self)


class Tail(LingeringDescriptor):
    """Writes bytes as the peer takes them."""

    def __init__(
        self,
        file: int,
        pieces: Iterable[memoryview],
        limit: float,
        parent: QObject,
        done: Callable[[LingeringDescriptor], object],
    ) -> None:
        super().__init__(file, QSocketNotifier.Type.Write, limit, parent, done)
        self._pieces = deque(pieces)
        self._held = held_by_system(file)  # it takes megabytes at a time, with long pauses

    def _activated(self) -> None:
        pieces = self._pieces
        try:
            self._drop(os.writev(self._file, _some(pieces)))
        except BlockingIOError:
            return
        except OSError:  # the peer has closed both halves
            pieces.clear()
        if pieces:
            self._held = held_by_system(self._file)
            self._timer.start()
        else:
            self._end()

    def _late(self) -> None:
        held, before = held_by_system(self._file), self._held
        self._held = held
        if held < before:
            self._timer.start()
        else:
            self.stop()

    def _drop(self, count: int) -> None:
        pieces = self._pieces
        while pieces and count >= len(pieces[0]):
            count -= len(pieces.popleft())
        if count:
            pieces[0] = pieces[0][count:]


class Drain(LingeringDescriptor):
    """Discards what a peer still sends below a TLS connection that was closed.

    The peer has to get a close_notify (RFC 9112 9.8). Qt sends it only when it closes the connection, and that would be
    a reset, by which the peer loses our last reply.
    """

    def __init__(self, file: int, limit: float, parent: QObject, done: Callable[[LingeringDescriptor], object]) -> None:
        super().__init__(file, QSocketNotifier.Type.Read, limit, parent, done)

    def shut(self) -> None:
        """Shut our side, because Qt has written all."""
        if self._file >= 0:
            shut_descriptor(self._file)

    def _activated(self) -> None:
        try:
            data = os.read(self._file, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()


def _some(pieces: deque[memoryview]) -> Sequence[memoryview]:
    return [pieces[index] for index in range(min(len(pieces), 64))]
