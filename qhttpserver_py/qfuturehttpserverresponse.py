"""QFutureHttpServerResponse: a reply that is computed elsewhere."""

from __future__ import annotations

import concurrent.futures
from typing import Any, overload

from qhttpserver_py._qt.snake_case import with_snake_case


class _Shared:
    """What all copies of a handle have in common."""

    __slots__ = ("canceled", "future", "suspended")

    def __init__(self, future: concurrent.futures.Future[Any] | None) -> None:
        self.future = future
        self.canceled = future is None
        self.suspended = False


@with_snake_case
class QFutureHttpServerResponse:
    """A handle on a future result; a handler may return it.

    It wraps a ``concurrent.futures.Future`` whose result may be anything a handler may return.
    Returning that future itself does the same; this class is for programs that want Qt's names.
    Copies share their state. Without a future it is invalid, finished and canceled, as in PySide6,
    and the client gets 500.

    All methods may be called from any thread.

    Qt: QFuture (PySide6 calls QFuture<QHttpServerResponse> so).
    """

    __slots__ = ("__weakref__", "_shared")

    @overload
    def __init__(self, /) -> None: ...
    @overload
    def __init__(self, QFutureHttpServerResponse: QFutureHttpServerResponse, /) -> None: ...
    @overload
    def __init__(self, future: concurrent.futures.Future[Any], /) -> None: ...
    def __init__(self, source: QFutureHttpServerResponse | concurrent.futures.Future[Any] | None = None, /) -> None:
        if source is None or isinstance(source, concurrent.futures.Future):
            self._shared = _Shared(source)
        elif isinstance(source, QFutureHttpServerResponse):
            self._shared = source._shared
        else:
            raise TypeError(
                "QFutureHttpServerResponse wraps a concurrent.futures.Future or another "
                f"QFutureHttpServerResponse, not {type(source).__name__}"
            )

    def __copy__(self, /) -> QFutureHttpServerResponse:
        return type(self)(self)

    @property
    def _future(self) -> concurrent.futures.Future[Any]:
        """What the server waits for."""
        future = self._shared.future
        if future is None:
            future = concurrent.futures.Future()
            future.cancel()
        return future

    # ---- cancelling

    def cancel(self, /) -> None:
        """Cancel the computation, unless it runs already.

        Qt: QFuture::cancel.
        """
        self._shared.canceled = True
        if self._shared.future is not None:
            self._shared.future.cancel()

    def cancelChain(self, /) -> None:
        """Do as ``cancel()``: there are no continuations that could be cancelled as well.

        Qt: QFuture::cancelChain.
        """
        self.cancel()

    def isCanceled(self, /) -> bool:
        """Return whether ``cancel()`` was called or the future was cancelled. It may still run.

        Qt: QFuture::isCanceled.
        """
        future = self._shared.future
        return self._shared.canceled or (future is not None and future.cancelled())

    # ---- the state

    def isValid(self, /) -> bool:
        """Return whether there is a future, whose result the client will get.

        Qt: QFuture::isValid.
        """
        return self._shared.future is not None

    def isStarted(self, /) -> bool:
        """Return whether the computation has begun; true without a future.

        Qt: QFuture::isStarted.
        """
        future = self._shared.future
        return future is None or future.running() or future.done()

    def isRunning(self, /) -> bool:
        """Return whether the computation runs now.

        Qt: QFuture::isRunning.
        """
        future = self._shared.future
        return future is not None and future.running()

    def isFinished(self, /) -> bool:
        """Return whether there is a result, an exception or a cancellation; true without a future.

        Qt: QFuture::isFinished.
        """
        future = self._shared.future
        return future is None or future.done()

    def waitForFinished(self, /) -> None:
        """Block until the computation is finished. It raises nothing; ``result()`` does.

        In the server's thread this blocks all other clients.

        Qt: QFuture::waitForFinished.
        """
        if self._shared.future is not None:
            concurrent.futures.wait((self._shared.future,))

    def result(self, /) -> Any:
        """Block until the computation is finished and return its result.

        Raises:
            concurrent.futures.CancelledError: it was cancelled, or there is no future.
            Exception: what the computation raised.

        Qt: QFuture::result (PySide6 has no such method).
        """
        return self._future.result()

    def resultCount(self, /) -> int:
        """Return 1 if there is a result, else 0.

        Qt: QFuture::resultCount.
        """
        future = self._shared.future
        if future is None or not future.done() or future.cancelled():
            return 0
        return int(future.exception() is None)

    # ---- progress

    def progressMinimum(self, /) -> int:
        """Return 0.

        Qt: QFuture::progressMinimum.
        """
        return 0

    def progressMaximum(self, /) -> int:
        """Return 1, for the one result; 0 without a future.

        Qt: QFuture::progressMaximum.
        """
        return int(self.isValid())

    def progressValue(self, /) -> int:
        """Return 1 once there is a result, else 0.

        Qt: QFuture::progressValue.
        """
        return self.resultCount()

    def progressText(self, /) -> str:
        """Return an empty text.

        Qt: QFuture::progressText.
        """
        return ""

    # ---- suspending: asked for, never in effect, because Python's futures cannot be suspended

    def setSuspended(self, suspend: bool, /) -> None:
        """Note whether suspending is asked for; the computation may check ``isSuspending()``.

        Qt: QFuture::setSuspended.
        """
        self._shared.suspended = bool(suspend)

    def suspend(self, /) -> None:
        """Do as ``setSuspended(True)``.

        Qt: QFuture::suspend.
        """
        self.setSuspended(True)

    def resume(self, /) -> None:
        """Do as ``setSuspended(False)``.

        Qt: QFuture::resume.
        """
        self.setSuspended(False)

    def toggleSuspended(self, /) -> None:
        """Ask for the contrary of what was asked for last.

        Qt: QFuture::toggleSuspended.
        """
        self.setSuspended(not self._shared.suspended)

    def isSuspending(self, /) -> bool:
        """Return whether suspending was asked for.

        Qt: QFuture::isSuspending.
        """
        return self._shared.suspended

    def isSuspended(self, /) -> bool:
        """Return False: a request to suspend is never in effect by itself.

        Qt: QFuture::isSuspended.
        """
        return False

    def setPaused(self, paused: bool, /) -> None:
        """Do as ``setSuspended()``.

        Qt: QFuture::setPaused (deprecated).
        """
        self.setSuspended(paused)

    def pause(self, /) -> None:
        """Do as ``suspend()``.

        Qt: QFuture::pause (deprecated).
        """
        self.suspend()

    def togglePaused(self, /) -> None:
        """Do as ``toggleSuspended()``.

        Qt: QFuture::togglePaused (deprecated).
        """
        self.toggleSuspended()

    def isPaused(self, /) -> bool:
        """Return whether suspending was asked for.

        Qt: QFuture::isPaused (deprecated).
        """
        return self._shared.suspended
