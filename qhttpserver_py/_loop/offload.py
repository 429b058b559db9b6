"""Handlers that block, moved to a pool of threads."""

from __future__ import annotations

import atexit
import functools
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar, overload

from PySide6.QtCore import QCoreApplication, QObject, Qt

P = ParamSpec("P")
T = TypeVar("T")

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_hooked: QObject | None = None


@overload
def threaded(handler: Callable[P, T], /) -> Callable[P, Future[T]]: ...
@overload
def threaded(*, executor: Executor) -> Callable[[Callable[P, T]], Callable[P, Future[T]]]: ...
def threaded(
    handler: Callable[P, T] | None = None, /, *, executor: Executor | None = None
) -> Callable[P, Future[T]] | Callable[[Callable[P, T]], Callable[P, Future[T]]]:
    """Run *handler* in a thread, so that it may block without holding the event loop.

    Use it as a decorator below ``@server.route(...)``. The handler keeps its signature, gets a copy
    of the context variables, and returns or raises what it always did; the reply is sent when it is
    done. It must not touch widgets or other objects of the GUI thread. If the client leaves before
    the handler began, it never begins; a running one is not interrupted.

    Args:
        handler: the function. Without it, the call returns a decorator.
        executor: where to run it; by default a pool of threads that belongs to the application and
            is shut down when it quits.

    Returns:
        A function that returns a ``concurrent.futures.Future`` of the handler's result.

    Raises:
        TypeError: *handler* is a coroutine function, which needs no thread.

    Not in Qt.
    """
    if handler is not None:
        return _wrap(handler, executor)
    return lambda function: _wrap(function, executor)


def _wrap(handler: Callable[P, T], executor: Executor | None) -> Callable[P, Future[T]]:
    if inspect.iscoroutinefunction(handler):
        raise TypeError("threaded() is for functions that block; a coroutine function runs without a thread")

    @functools.wraps(handler)
    def submit(*args: P.args, **kwargs: P.kwargs) -> Future[T]:
        call = functools.partial(copy_context().run, handler, *args, **kwargs)
        return (executor or _shared_pool()).submit(call)

    return submit


def _shared_pool() -> ThreadPoolExecutor:
    global _pool, _hooked  # noqa: PLW0603 - one pool per application
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(thread_name_prefix="qhttpserver")
        app = QCoreApplication.instance()
        if app is not None and app is not _hooked:
            _hooked = app
            app.aboutToQuit.connect(shut_down, Qt.ConnectionType.DirectConnection)
        return _pool


def shut_down() -> None:
    """Cancel what waits in the pool and let its threads end; the next use makes a new pool."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.shutdown(wait=False, cancel_futures=True)


atexit.register(shut_down)
