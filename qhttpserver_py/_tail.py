"""The last bytes of a reply to a peer that has closed its half of the connection.

Qt takes the end of what a peer sends for the end of the connection and drops what it still buffers,
though the peer may go on reading (RFC 9112 9.6, RFC 9293 3.6.1). So that much is written here, to a
second descriptor: Qt has closed the other before it tells. There is one only while a peer lags behind.
"""

from __future__ import annotations

import os
import socket as sockets
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSocketNotifier, QTimer

from qhttpserver_py._socket import held_by_system

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESET = struct.pack("ii", 1, 0)


class Given:
    """What Qt was given to write and may still keep, the same objects, not copies; and a descriptor to write it to.

    Until ``close()`` the system does not tell the peer that Qt has closed the connection. Raises OSError where the
    process has no descriptor left.
    """

    __slots__ = ("_pieces", "_size", "file")

    def __init__(self, descriptor: int) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self.file = os.dup(descriptor)

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self.file)

    def add(self, piece: bytes, waiting: int) -> None:
        """Remember *piece*, now that *waiting* bytes are left to write in all."""
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


class Tail:
    """Writes bytes to a descriptor as the peer takes them, then closes it. Lives in the server's thread."""

    def __init__(
        self,
        file: int,
        pieces: Iterable[memoryview],
        patience: float,
        parent: QObject,
        done: Callable[[Tail], object],
    ) -> None:
        self._file = file
        self._pieces = deque(pieces)
        self._done = done
        self._held = held_by_system(file)  # it takes more by the megabyte, with long pauses
        self._notifier = QSocketNotifier(self._file, QSocketNotifier.Type.Write, parent)
        self._notifier.activated.connect(self._write)
        self._timer = QTimer(self._notifier)
        self._timer.setSingleShot(True)
        self._timer.setInterval(round(patience * 1000))
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def _write(self) -> None:
        pieces = self._pieces
        try:
            self._drop(os.writev(self._file, _some(pieces)))
        except BlockingIOError:
            return
        except OSError:  # the peer is gone for good
            pieces.clear()
        if pieces:
            self._held = held_by_system(self._file)
            self._timer.start()
        else:
            self._end()

    def _look(self) -> None:
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

    def stop(self) -> None:
        """Give up, visibly: what was cut short must not look whole."""
        if self._file >= 0:
            with sockets.socket(fileno=os.dup(self._file)) as raw, suppress(OSError):
                raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, _RESET)
            self._end()

    def _end(self) -> None:
        self._timer.stop()
        self._notifier.setEnabled(False)
        self._notifier.deleteLater()
        os.close(self._file)
        self._file = -1
        self._done(self)


def _some(pieces: deque[memoryview]) -> Sequence[memoryview]:
    return [pieces[index] for index in range(min(len(pieces), 64))]
