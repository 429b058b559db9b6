"""Waits for results that come later: futures of threads and processes, coroutines, asyncio futures."""

from __future__ import annotations

import concurrent.futures
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from qhttpserver_py._loop.peers import is_peers_fault
from qhttpserver_py._qt.first_use import first_use
from qhttpserver_py.qfuturehttpserverresponse import QFutureHttpServerResponse

if TYPE_CHECKING:
    import asyncio

Done = Callable[[Any, BaseException | None], object]
"""Called with the value and None, or with None and the exception."""

Post = Callable[[Callable[[], object]], None]
"""Posts a call to the server's thread; safe from any thread."""

Cancel = Callable[[], None]
"""Stops waiting, and cancels what was waited for. Idempotent."""

CANCELLED = concurrent.futures.CancelledError
"""The exceptions that *done* is given for a future or task that was cancelled."""


def watch(result: object, done: Done, post: Post) -> Cancel | None:
    """Call *done* in this thread once *result* is there, never before this function has returned.

    Returns:
        A function that cancels; *done* is not called after it. None if *result* is nothing to wait for.

    Raises:
        RuntimeError: a coroutine cannot be started in this thread; it was closed.
    """
    if isinstance(result, QFutureHttpServerResponse):
        result = result._future
    if isinstance(result, concurrent.futures.Future):
        return _watch_future(result, _Wait(done), post)
    if inspect.iscoroutine(result):
        coroutine = result
        return _watch_task(first_use("asyncio", lambda: _start(coroutine)), _Wait(done), post)
    loaded = sys.modules.get("asyncio")
    if loaded is not None and loaded.isfuture(result):
        return _watch_task(result, _Wait(done), post)  # type: ignore[arg-type]
    if isinstance(result, Awaitable):
        return watch(_await(result), done, post)
    return None


def _start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    from qhttpserver_py._loop import eventloop  # and asyncio with it

    return eventloop.start(coroutine)


async def _await(result: Awaitable[Any]) -> Any:
    return await result


class _Wait:
    """Calls *done* once, unless the wait was cancelled before."""

    __slots__ = ("done",)

    def __init__(self, done: Done) -> None:
        self.done: Done | None = done

    def settle(self, future: concurrent.futures.Future[Any] | asyncio.Future[Any]) -> None:
        """Call *done* with the outcome, once."""
        done, self.done = self.done, None
        if done is None:
            # The peer left, and the task was cancelled; its exception is read, or asyncio would log that it was not.
            # wait_for() raises what its own task ended with, where that was first.
            if isinstance(future, concurrent.futures.Future) or future.cancelled():
                return
            error = future.exception()
            if isinstance(error, Exception) and not is_peers_fault(error):
                sys.excepthook(type(error), error, error.__traceback__)
            return
        try:
            value = future.result()
        except BaseException as error:  # noqa: BLE001 - cancellation too is an outcome
            done(None, error)
        else:
            done(value, None)


def _watch_future(future: concurrent.futures.Future[Any], wait: _Wait, post: Post) -> Cancel:
    future.add_done_callback(lambda ended: post(partial(wait.settle, ended)))

    def cancel() -> None:
        wait.done = None
        future.cancel()

    return cancel


def _watch_task(future: asyncio.Future[Any], wait: _Wait, post: Post) -> Cancel:
    loop = future.get_loop()
    if _steps_here(loop):
        future.add_done_callback(wait.settle)
        cancel_future: Callable[[], object] = future.cancel
    else:  # the loop belongs to another thread, and neither may use objects of the other
        loop.call_soon_threadsafe(future.add_done_callback, lambda ended: post(partial(wait.settle, ended)))
        cancel_future = partial(_cancel_elsewhere, future, loop)

    def cancel() -> None:
        wait.done = None
        cancel_future()

    return cancel


def _steps_here(loop: asyncio.AbstractEventLoop) -> bool:
    from qhttpserver_py._loop import eventloop

    return eventloop.is_of_this_thread(loop)


def _cancel_elsewhere(future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(future.cancel)
