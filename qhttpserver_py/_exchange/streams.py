"""The sources of streamed replies: devices, iterators and asynchronous iterators.

Strategy: a source is pulled. A piece is read only while little waits for the peer, so a source is read as fast as the
peer takes it, and what is held is bounded.
"""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QByteArray, QIODevice, QTimer

from qhttpserver_py._exchange.devices import DeviceNotReadable, SourceFailed, device_source
from qhttpserver_py._protocol.engine import Header

if TYPE_CHECKING:
    import asyncio

__all__ = ["AsyncSource", "DeviceNotReadable", "IteratorSource", "Source", "SourceFailed", "make_source"]

_EMPTY_PIECES = 64
"""How many empty pieces in a row are taken before the pump returns to Qt."""

_FILE_PIECE = 65536


class Source(Protocol):
    """The body of a streamed reply. It belongs to the server's thread."""

    size: int | None
    """How many bytes there will be, if that is certain; None sends the reply in chunks."""
    headers: tuple[Header, ...]
    """Fields of the reply, unless the handler gave them itself."""

    def start(self, on_ready: Callable[[], None]) -> None:
        """Begin; *on_ready* is called when there is something to read after ``read`` gave None."""
        ...

    def read(self, limit: int) -> bytes | None:
        """Return up to *limit* bytes, None if there are none now, or ``b""`` at the end.

        Raises what made the source fail; what was read is then not the whole body.
        """
        ...

    def close(self) -> None:
        """Stop at once and release everything. Idempotent."""
        ...


def make_source(result: object) -> Source | None:
    """Return a source for a QIODevice, an iterator, an async iterator or a binary file, else None.

    Raises:
        DeviceNotReadable: the device cannot be opened or read; it was deleted.
    """
    if isinstance(result, QIODevice):
        return device_source(result)
    if isinstance(result, io.IOBase):
        return IteratorSource(iter(partial(_read_file, result), b""), result.close)
    if isinstance(result, Iterator):
        return IteratorSource(result, getattr(result, "close", None))
    if isinstance(result, AsyncIterable):
        return AsyncSource(aiter(result))
    make = getattr(result, "_make_source", None)
    return make() if make is not None else None


def _read_file(file: Any) -> bytes:
    return to_bytes(file.read(_FILE_PIECE))


def to_bytes(piece: object) -> bytes:
    """Return the bytes of a piece that user code produced.

    Raises:
        TypeError: it is neither text nor bytes.
    """
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, QByteArray):
        return bytes(piece.data())
    if isinstance(piece, bytearray | memoryview):
        return bytes(piece)
    raise TypeError(f"a stream is made of bytes or str, not {type(piece).__name__}")


class _Pieces:
    """Cuts pieces of any length into what is asked for."""

    __slots__ = ("_offset", "_piece")

    def __init__(self) -> None:
        self._piece = b""
        self._offset = 0

    def put(self, piece: bytes) -> None:
        self._piece, self._offset = piece, 0

    def take(self, limit: int) -> bytes:
        piece, offset = self._piece, self._offset
        if not offset and len(piece) <= limit:
            self._piece = b""
            return piece
        self._offset = offset + limit
        if self._offset >= len(piece):
            self._piece, self._offset = b"", 0
        return piece[offset : offset + limit]


class IteratorSource:
    """Reads from a generator or another iterator of bytes or str."""

    __slots__ = ("__weakref__", "_busy", "_close", "_items", "_on_ready", "_pieces", "headers", "size")

    def __init__(self, items: Iterator[object], close: Callable[[], object] | None = None) -> None:
        self.size: int | None = None
        self.headers: tuple[Header, ...] = ()
        self._items: Iterator[object] | None = items
        self._close = close
        self._pieces = _Pieces()
        self._on_ready: Callable[[], None] | None = None
        self._busy = False  # the generator's frame is on the stack

    def start(self, on_ready: Callable[[], None]) -> None:
        """See ``Source``."""
        self._on_ready = on_ready

    def read(self, limit: int) -> bytes | None:
        """See ``Source``."""
        piece = self._pieces.take(limit)
        if piece or self._items is None:
            return piece
        if self._busy:  # called from a nested event loop inside of the generator
            return None
        for _ in range(_EMPTY_PIECES):
            items = self._items
            if items is None or not self._next(items):
                return b""
            piece = self._pieces.take(limit)
            if piece:
                return piece
        QTimer.singleShot(0, self._again)
        return None

    def _next(self, items: Iterator[object]) -> bool:
        self._busy = True
        try:
            piece = to_bytes(next(items))
        except StopIteration:
            self._items = None
            return False
        except BaseException:
            self._busy = False
            self.close()
            raise
        finally:
            self._busy = False
            if self._items is None and self._close is not None:  # closed meanwhile
                self._finish()
        self._pieces.put(piece)
        return self._items is not None

    def _again(self) -> None:
        if self._on_ready is not None:
            self._on_ready()

    def close(self) -> None:
        """See ``Source``."""
        self._items = self._on_ready = None
        self._pieces.put(b"")
        if not self._busy:
            self._finish()

    def _finish(self) -> None:
        close, self._close = self._close, None
        if close is None:
            return
        try:
            close()
        except Exception as error:  # noqa: BLE001 - the user's finally block; nobody else is told
            sys.excepthook(type(error), error, error.__traceback__)


class _InterruptedError(Exception):
    """An asynchronous generator raised what is no Exception: asyncio.CancelledError, GeneratorExit, Ctrl-C."""


class AsyncSource:
    """Reads from an asynchronous generator or iterator, one item ahead of the peer."""

    __slots__ = (
        "__weakref__", "_done", "_error", "_items", "_on_ready", "_pieces", "_room", "_task", "headers", "size"
    )  # fmt: skip

    def __init__(self, items: AsyncIterator[object]) -> None:
        self.size: int | None = None
        self.headers: tuple[Header, ...] = ()
        self._items = items
        self._pieces = _Pieces()
        self._on_ready: Callable[[], None] | None = None
        self._room: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._done = False

    def start(self, on_ready: Callable[[], None]) -> None:
        """See ``Source``."""
        import asyncio  # loaded by the first coroutine

        from qhttpserver_py._loop import eventloop

        self._on_ready = on_ready
        self._room = asyncio.Event()
        self._task = eventloop.start(self._run(self._room))

    async def _run(self, room: asyncio.Event) -> None:
        try:
            try:
                async for item in self._items:
                    piece = to_bytes(item)
                    if not piece:
                        continue
                    self._pieces.put(piece)
                    room.clear()
                    self._tell()
                    await room.wait()
            finally:
                close = getattr(self._items, "aclose", None)
                if close is not None:
                    await close()
        except Exception as error:  # noqa: BLE001 - read() raises it
            self._error = error
        except BaseException as error:  # the reply must end, and the task with what its code raised
            if self._on_ready is not None:  # else close() ended it
                self._error = _InterruptedError(f"the generator raised {type(error).__name__}")
                self._error.__cause__ = error
            raise
        finally:
            self._done = True
            self._tell()

    def _tell(self) -> None:
        if self._on_ready is not None:
            self._on_ready()

    def read(self, limit: int) -> bytes | None:
        """See ``Source``."""
        piece = self._pieces.take(limit)
        if piece:
            if self._room is not None and not self._pieces._piece:
                self._room.set()
            return piece
        error, self._error = self._error, None
        if error is not None:
            raise error
        return b"" if self._done else None

    def close(self) -> None:
        """See ``Source``."""
        self._on_ready = None
        self._pieces.put(b"")
        if self._task is not None:
            self._task.cancel()
        self._done = True
