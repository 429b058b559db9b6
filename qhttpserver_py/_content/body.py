"""A request body that is taken as it arrives, and not faster than its consumer keeps up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QIODevice

from qhttpserver_py._content.saving import Saving
from qhttpserver_py._loop.peers import PeerError
from qhttpserver_py._qt.hooks import call_each

if TYPE_CHECKING:
    import asyncio

    from qhttpserver_py._protocol.engine import Message

HIGH_WATER = 262144
"""Bytes that the consumer has not taken, beyond which no more are read from the peer."""


class BodyAborted(PeerError):  # noqa: N818 - named for what happened
    """The body will not be completed: the peer left or broke a rule or a limit, or was answered before."""


class BodyOwner(Protocol):
    """What a body needs of the exchange that it is part of."""

    label: str

    @property
    def is_connected(self) -> bool:
        """Whether the peer is still connected."""
        ...

    def want_body(self) -> None:
        """Send ``100 Continue`` to a peer that waits for it."""
        ...

    def hold_body(self, on: bool) -> None:
        """Stop reading from the peer, or go on."""
        ...

    def consumed_body(self, size: int) -> None:
        """Let the peer send *size* bytes more."""
        ...

    def body_failed(self, error: Exception) -> None:
        """Answer the request whose consumer raised."""
        ...


class Thread(Protocol):
    """What a body needs of its server."""

    post: Callable[[Callable[[], Any]], None]

    def report(self, error: Exception, label: str = "") -> None:
        """Report an error of user code."""
        ...


class BodyStream:
    """The body of a request whose route asked for it as it arrives: ``route(..., stream=True)``.

    There are three ways to take it: ``on_data`` with a callback, ``save_to`` a QIODevice, or ``async for``. Pieces that
    are not taken yet are kept, up to 256 KiB; then no more is read from the socket, or the HTTP/2 stream's window is
    not widened. Callbacks run from the event loop, never inside
    the call that sets them; one that raises ends the request with 500. A peer that waits for
    ``100 Continue`` gets it when the first consumer comes. Belongs to the server's thread.

    A reply that is sent before the body is complete aborts the body.

    Not in Qt.
    """

    def __init__(self, exchange: BodyOwner, message: Message, core: Thread) -> None:
        self._exchange = exchange
        self._message = message
        self._core = core
        self._ident = threading.get_ident()
        self._waiting: deque[bytes] = deque()
        self._size_waiting = 0
        self._received = 0
        self._length = _announced(message)
        self._ended = False  # all of it has arrived
        self._error: BodyAborted | None = None
        self._paused = False  # the application called pause()
        self._device_full = False  # the device of save_to() has too much unwritten
        self._on_data: Callable[[bytes], Any] | None = None
        self._on_end: list[Callable[[], Any]] = []
        self._on_abort: list[Callable[[BodyAborted], Any]] = []
        self._on_progress: list[Callable[[int, int], Any]] = []
        self._arrivals: list[asyncio.Future[None]] = []  # the futures of coroutines that wait for a piece
        self._delivering = False
        self._due = False  # a call of _deliver() is posted
        self._progress_due = False  # a progress callback that was set later has to be called
        if not exchange.is_connected:
            self._error = BodyAborted("the peer left")

    # ---- state

    def bytesReceived(self) -> int:
        """Return how many bytes of the body have arrived. Not in Qt."""
        return self._received

    def contentLength(self) -> int:
        """Return the announced size in bytes, -1 where the peer did not announce one. Not in Qt."""
        return self._length

    def atEnd(self) -> bool:
        """Return whether the whole body has arrived and been taken. Not in Qt."""
        return self._ended and not self._waiting

    def isAborted(self) -> bool:
        """Return whether the body was given up before it was complete. Not in Qt."""
        return self._error is not None

    # ---- taking it

    def on_data(
        self,
        callback: Callable[[bytes], Any],
        *,
        end: Callable[[], Any] | None = None,
        aborted: Callable[[BodyAborted], Any] | None = None,
    ) -> None:
        """Call *callback* with each piece, and *end* after the last, or *aborted* if the body is given up before that.

        A second call replaces the callback, and adds to those for the end.

        Raises:
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        self._check_thread()
        if self._error is not None:
            if aborted is not None:
                aborted(self._error)
            return
        if end is not None:
            self._on_end.append(end)
        if aborted is not None:
            self._on_abort.append(aborted)
        self._on_data = callback
        self._exchange.want_body()
        self._schedule()

    def on_progress(self, callback: Callable[[int, int], Any]) -> None:
        """Call ``callback(bytesReceived, contentLength)`` at each arrival; the length is -1 if unknown.

        For what arrived before, it is called once, from the event loop. Not in Qt.
        """
        self._on_progress.append(callback)
        if self._received:
            self._progress_due = True
            self._schedule()

    def pause(self) -> None:
        """Take no more pieces until ``resume()``; once 256 KiB wait, no more is read from the peer. Not in Qt."""
        self._paused = True

    def resume(self) -> None:
        """Go on after ``pause()``. Not in Qt."""
        self._paused = False
        self._schedule()

    def save_to(self, device: QIODevice) -> Future[None]:
        """Write the body to *device*, no faster than it takes the bytes; return a future of the end.

        A *device* that is not open is opened for writing, and closed at the end; a QSaveFile is
        committed then, so that the file appears whole or not at all. One that is open stays open.
        *device* is kept alive until the end.

        A handler may return the future: the peer gets an empty 200 once everything is written. A
        coroutine awaits it wrapped by ``asyncio.wrap_future``. ``bytesReceived()`` tells the size.

        Returns:
            A future that fails with ``OSError`` where the device does not take the bytes (a full
            disk), and with ``BodyAborted`` where the body will not be complete.

        Raises:
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        saving = Saving(self, device)
        if not saving.done.done():
            self.on_data(saving.write, end=saving.end, aborted=saving.fail)
        return saving.done

    def discard(self) -> None:
        """Take the rest and discard it. Not in Qt."""
        self.on_data(_discard)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces in a coroutine; raises ``BodyAborted`` if the body will not be complete."""
        while (piece := await self._next_piece()) is not None:
            yield piece

    async def _next_piece(self) -> bytes | None:
        """Return the next piece, None behind the last (coroutine); raises ``BodyAborted``.

        One that is cancelled takes nothing; several get one piece each.
        """
        import asyncio

        self._check_thread()
        loop = asyncio.get_running_loop()
        self._exchange.want_body()
        while True:
            if self._error is not None:
                raise self._error
            if self._waiting and not self._paused:
                return self._take()
            if self._ended and not self._waiting:
                return None
            arrival: asyncio.Future[None] = loop.create_future()
            self._arrivals.append(arrival)
            try:
                await arrival
            finally:
                if arrival in self._arrivals:  # cancelled
                    self._arrivals.remove(arrival)

    async def read(self) -> bytes:
        """Return the whole rest of the body (coroutine). Not in Qt."""
        return b"".join([piece async for piece in self])

    # ---- from the exchange

    def feed(self) -> None:
        """Take in what has arrived, or the end."""
        message = self._message
        pieces, message.pieces = message.pieces, []
        self.add(pieces, ended=message.complete)

    def add(self, pieces: list[bytes], *, ended: bool) -> None:
        """Take in *pieces*; *ended*: they are the last."""
        if self._error is not None:
            return
        size = sum(map(len, pieces))
        self._waiting.extend(piece for piece in pieces if piece)
        self._size_waiting += size
        self._received += size
        self._ended = self._ended or ended
        self._progress_due = self._progress_due or size > 0
        self._deliver()
        if self._size_waiting > HIGH_WATER and not self._ended:
            self._exchange.hold_body(True)

    def abort(self, reason: str) -> None:
        """Tell the consumer that the body will not be completed."""
        if self._ended or self._error is not None:
            return
        self._error = error = BodyAborted(reason)
        self._waiting.clear()
        self._size_waiting = 0
        hooks, self._on_abort = self._on_abort, []
        self._drop_callbacks()
        told = [partial(hook, error) for hook in hooks]
        call_each(told, lambda fault: self._core.report(fault, self._exchange.label), self._core.post)
        self._wake_waiters()

    def waits_for_peer(self) -> bool:
        """Return whether the peer is late: all that came was taken by a consumer, which waits for more."""
        return not (self._ended or self._waiting or self._paused or self._message.expects_continue)

    # ---- delivering

    def _tell_progress(self) -> None:
        self._progress_due = False
        for progress in tuple(self._on_progress):
            progress(self._received, self._length)

    def _take(self) -> bytes:
        piece = self._waiting.popleft()
        self._size_waiting -= len(piece)
        self._exchange.consumed_body(len(piece))
        if self._size_waiting <= HIGH_WATER // 2:
            self._exchange.hold_body(False)
        return piece

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            self._core.post(self._deliver_due)

    def _deliver_due(self) -> None:
        self._due = False
        self._deliver()

    def _deliver(self) -> None:
        """Give the consumer what waits. A call from a nested event loop leaves that to the outer call."""
        self._wake_waiters()
        if self._delivering:
            return
        self._delivering = True
        try:
            if self._progress_due:
                self._tell_progress()
            while self._waiting and self._on_data is not None and not self._is_paused():
                self._on_data(self._take())
            if self._ended and self._on_data is not None and not self._waiting and not self._is_paused():
                self._end()
        except Exception as error:  # noqa: BLE001 - user code
            self._exchange.body_failed(error)
        finally:
            self._delivering = False

    def hold_device(self, full: bool) -> None:
        """Stop giving the device data because it has too much unwritten, or go on."""
        before, self._device_full = self._device_full, full
        if before and not full:
            self._schedule()

    def _is_paused(self) -> bool:
        return self._paused or self._device_full

    def _end(self) -> None:
        hooks, self._on_end = self._on_end, []
        self._drop_callbacks()
        for hook in hooks:
            hook()

    def _drop_callbacks(self) -> None:
        """Forget the callbacks, which often refer to this object and would be a cycle with it."""
        self._on_data = None
        self._on_end, self._on_abort, self._on_progress = [], [], []

    def _wake_waiters(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        for arrival in arrivals:
            if not arrival.done():
                arrival.set_result(None)

    def _check_thread(self) -> None:
        if threading.get_ident() != self._ident:
            raise RuntimeError(
                "a request's body is taken in the server's thread; a handler that runs in another thread "
                "uses a route without stream=True and request.body()"
            )


def _announced(message: Message) -> int:
    for name, value in message.headers:
        if name == b"content-length":
            return int(value.partition(b",")[0])  # repeated equal values were accepted (RFC 9110 8.6)
    return -1


def _discard(_piece: bytes) -> None:
    """Discard a piece."""
