"""A request body that is taken as it arrives, and not faster than its consumer keeps up."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QIODevice

if TYPE_CHECKING:
    from ._exchange import Exchange
    from ._protocol.engine import Message

HIGH_WATER = 262144
"""With more bytes than this not taken by the consumer, the peer is held back."""


class BodyAborted(ConnectionError):  # noqa: N818 - named for what happened
    """The body will not be completed: the peer left, or broke the protocol or a limit."""


class BodyStream:
    """The body of a request whose route asked for it as it arrives: ``route(..., stream=True)``.

    Take it in one of three ways: ``on_data`` with a callback, ``save_to`` a QIODevice, or
    ``async for``. Pieces that nobody takes yet are kept, up to 256 KiB; then the socket, or the
    HTTP/2 stream's window, holds the peer back. Lives in the server's thread. Not in Qt.
    """

    def __init__(self, exchange: Exchange, message: Message, length: int | None) -> None:
        self._exchange = exchange
        self._message = message
        self._waiting: deque[bytes] = deque()
        self._size_waiting = 0
        self._received = 0
        self._length = length
        self._ended = False
        self._error: BodyAborted | None = None
        self._paused = False
        self._on_data: Callable[[bytes], Any] | None = None
        self._on_end: list[Callable[[], Any]] = []
        self._on_abort: list[Callable[[BodyAborted], Any]] = []
        self._on_progress: list[Callable[[int, int], Any]] = []
        self._delivering = False

    # ---- state

    def bytesReceived(self) -> int:
        """Return how many bytes of the body have arrived. Not in Qt."""
        return self._received

    def contentLength(self) -> int:
        """Return the announced size in bytes, -1 where the peer did not announce one. Not in Qt."""
        return -1 if self._length is None else self._length

    def atEnd(self) -> bool:
        """Return whether the whole body has arrived and been taken. Not in Qt."""
        return self._ended and not self._waiting

    # ---- taking it

    def on_data(
        self,
        callback: Callable[[bytes], Any],
        *,
        end: Callable[[], Any] | None = None,
        aborted: Callable[[BodyAborted], Any] | None = None,
    ) -> None:
        """Call *callback* with each piece, *end* after the last, or *aborted* if it will never come. Not in Qt."""
        if end is not None:
            self._on_end.append(end)
        if aborted is not None:
            self._on_abort.append(aborted)
        self._on_data = callback
        self._deliver()

    def on_progress(self, callback: Callable[[int, int], Any]) -> None:
        """Call ``callback(bytesReceived, contentLength)`` at each arrival; the length is -1 if unknown. Not in Qt."""
        self._on_progress.append(callback)

    def pause(self) -> None:
        """Take no more pieces until ``resume()``; the peer is held back once 256 KiB wait. Not in Qt."""
        self._paused = True

    def resume(self) -> None:
        """Go on after ``pause()``. Not in Qt."""
        self._paused = False
        self._deliver()

    def save_to(self, device: QIODevice) -> Future[int]:
        """Write the body to *device*, opening it if need be, and return a future of its size in bytes.

        The future fails with ``OSError`` where the device does not take the bytes (a full disk), and
        with ``BodyAborted`` where the peer leaves. A handler may return it, or await it wrapped by
        ``asyncio.wrap_future``. Not in Qt.
        """
        done: Future[int] = Future()
        done.set_running_or_notify_cancel()
        if not device.isOpen() and not device.open(QIODevice.OpenModeFlag.WriteOnly):
            done.set_exception(OSError(f"cannot open the device for writing: {device.errorString()}"))
            return done

        def write(piece: bytes) -> None:
            if not done.done() and device.write(piece) != len(piece):
                self._on_data = _discard
                done.set_exception(OSError(f"cannot write the body: {device.errorString()}"))

        def end() -> None:
            if not done.done():
                flush = getattr(device, "flush", None)  # of files: a full disk may show only here
                if flush is not None and not flush():
                    done.set_exception(OSError(f"cannot write the body: {device.errorString()}"))
                else:
                    done.set_result(self._received)

        self.on_data(write, end=end, aborted=lambda error: None if done.done() else done.set_exception(error))
        return done

    def discard(self) -> None:
        """Take the rest and throw it away. Not in Qt."""
        self.on_data(_discard)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces in a coroutine; raises ``BodyAborted`` if the peer leaves."""
        import asyncio

        loop = asyncio.get_running_loop()
        wake: asyncio.Future[None] | None = None

        def stir(*_: object) -> None:
            if wake is not None and not wake.done():
                wake.set_result(None)

        self._on_end.append(stir)
        self._on_abort.append(stir)
        self._on_progress.append(stir)
        while True:
            if self._waiting:
                yield self._take()
                continue
            if self._error is not None:
                raise self._error
            if self._ended:
                return
            wake = loop.create_future()
            await wake

    async def read(self) -> bytes:
        """Return the whole rest of the body (coroutine). Not in Qt."""
        return b"".join([piece async for piece in self])

    # ---- from the exchange

    def feed(self) -> None:
        """Bytes arrived, or the end."""
        message = self._message
        pieces, message.pieces = message.pieces, []
        self.add(pieces, ended=message.complete)

    def add(self, pieces: list[bytes], *, ended: bool) -> None:
        """Take *pieces* in; *ended*: they are the last."""
        size = sum(map(len, pieces))
        self._waiting.extend(piece for piece in pieces if piece)
        self._size_waiting += size
        self._received += size
        self._ended = self._ended or ended
        if size:
            for progress in tuple(self._on_progress):
                progress(self._received, self.contentLength())
        self._deliver()
        if self._size_waiting > HIGH_WATER and not self._ended:
            self._exchange.hold_body(True)

    def abort(self, reason: str) -> None:
        """The body will not be completed."""
        if self._ended or self._error is not None:
            return
        self._error = BodyAborted(reason)
        hooks, self._on_abort = self._on_abort, []
        for hook in hooks:
            hook(self._error)

    def _take(self) -> bytes:
        piece = self._waiting.popleft()
        self._size_waiting -= len(piece)
        self._exchange.consumed_body(len(piece))
        if self._size_waiting <= HIGH_WATER // 2:
            self._exchange.hold_body(False)
        return piece

    def _deliver(self) -> None:
        if self._delivering or self._on_data is None:
            return
        self._delivering = True
        try:
            while self._waiting and not self._paused and self._on_data is not None:
                self._on_data(self._take())
        finally:
            self._delivering = False
        if self._ended and not self._waiting:
            hooks, self._on_end = self._on_end, []
            for hook in hooks:
                hook()


def _discard(_piece: bytes) -> None:
    """Throw a piece away."""
