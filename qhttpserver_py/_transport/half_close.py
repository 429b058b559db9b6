"""The rest of a large reply to a client that closes its half while it reads.

When a peer ends what it sends, Qt closes the connection and drops what it still buffers, although the peer may go on
reading (RFC 9112 9.6, RFC 9293 3.6.1). Those bytes are written here, to a second descriptor, because Qt has closed the
first before it emits a signal. There is one only while Qt buffers bytes for a peer.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSocketNotifier

from qhttpserver_py._transport.lingering import LingeringDescriptor
from qhttpserver_py._transport.sockets import held_by_system

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def _some(pieces: deque[memoryview]) -> Sequence[memoryview]:
    return [pieces[index] for index in range(min(len(pieces), 64))]
