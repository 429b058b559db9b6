"""The asyncio loops of the threads: which one a coroutine runs on, and when those of this package are closed."""

from __future__ import annotations

import asyncio
import atexit
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Self, TypeVar

from PySide6.QtCore import QAbstractEventDispatcher, QCoreApplication, QObject, Qt, QThread

from qhttpserver_py._loop.peers import is_peers_fault
from qhttpserver_py._loop.qteventloop import CLOSE_SECONDS, QtEventLoop, set_aside

T = TypeVar("T")


class StartedTask(asyncio.Task[T]):
    """A task begun from Qt code: an exception that is not awaited goes to sys.excepthook."""

    _watched = False

    def add_done_callback(self, fn: Callable[[Self], object], /, *, context: Context | None = None) -> None:
        """As in asyncio; the exception is then left to what waits for the task."""
        self._watched = True
        super().add_done_callback(fn, context=context)

    def _ended(self, _: object) -> None:
        _tasks.discard(self)
        if self._watched or self.cancelled():
            return
        error = self.exception()
        # asyncio itself lets SystemExit and KeyboardInterrupt out.
        if isinstance(error, Exception) and not is_peers_fault(error):
            sys.excepthook(type(error), error, error.__traceback__)


_tasks: set[asyncio.Task[Any]] = set()  # a loop holds its tasks weakly
_loops: dict[int, QtEventLoop] = {}  # by thread: threading.local does not last between slots of a QThread
_hooks: dict[int, list[Callable[[], asyncio.Task[Any] | None]]] = {}  # by thread
_hooked: weakref.WeakSet[QObject] = weakref.WeakSet()


def start(coroutine: Coroutine[Any, Any, T], *, context: Context | None = None) -> asyncio.Task[T]:
    """See ``aio.start``."""
    running = asyncio._get_running_loop()
    try:
        target = running if running is not None else own_loop()
    except RuntimeError:
        coroutine.close()
        raise
    task = StartedTask(coroutine, loop=target, context=context)
    _tasks.add(task)
    asyncio.Task.add_done_callback(task, task._ended)
    return task


def start_now(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Return a task that has run up to its first wait; where another loop runs, the task begins in that loop's next
    turn.
    """
    if asyncio._get_running_loop() is not None:
        return start(coroutine)
    task = own_loop().run_now(coroutine)
    if not task.done():
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
    return task


def start_asyncio_task(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Return what ``start_now()`` does, but on a loop of ours where PySide6.QtAsyncio runs.

    Its tasks are not those of asyncio, and AnyIO, on which Starlette and others are built, can neither cancel them nor
    start threads from them.
    """
    running = asyncio._get_running_loop()
    if running is not None and type(running).__module__.startswith("PySide6."):
        with set_aside(running):
            return start_now(coroutine)
    return start_now(coroutine)


def before_close(hook: Callable[[], asyncio.Task[Any] | None]) -> None:
    """Call *hook* before the loop of this thread closes with the program; a task that it returns is awaited."""
    _hooks.setdefault(threading.get_ident(), []).append(hook)


def _let_end(loop: QtEventLoop) -> None:
    tasks = [task for hook in _hooks.pop(threading.get_ident(), []) if (task := hook()) is not None and not task.done()]
    if tasks and not loop.is_closed():
        loop.run_aside(asyncio.wait(tasks, timeout=CLOSE_SECONDS))


def own_loop() -> QtEventLoop:
    """Return this package's loop in this thread, made at the first call."""
    ident = threading.get_ident()
    found = _loops.get(ident)
    if found is not None and not found.is_closed():
        if found.is_served():
            found.keep()
            return found
        found.shut_down()
    if QAbstractEventDispatcher.instance() is None:
        raise RuntimeError("coroutines need Qt's event loop: make a QCoreApplication (or use a QThread) first")
    _close_at_exit()
    made = _loops[ident] = QtEventLoop()
    return made


def is_of_this_thread(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether *loop* runs in this thread, so that its futures may be touched."""
    return loop is asyncio._get_running_loop() or loop is _loops.get(threading.get_ident())


def _close_at_exit() -> None:
    """Close the loop of this thread before its Qt event loop ends."""
    thread = QThread.currentThread()
    app = QCoreApplication.instance()
    if app is not None and thread is app.thread():
        if app not in _hooked:
            _hooked.add(app)
            app.aboutToQuit.connect(close)
    elif thread not in _hooked:
        _hooked.add(thread)
        thread.finished.connect(close, Qt.ConnectionType.DirectConnection)


def close() -> None:
    """See ``aio.close``."""
    found = _loops.get(threading.get_ident())
    if found is not None:
        found.before_end = _let_end  # in a step, which called quit(), it happens behind the step
        found.end("now")
        _forget_closed()


def release() -> None:
    """Close this thread's own loop once no task is left on it, unless it is used again before."""
    found = _loops.get(threading.get_ident())
    if found is not None and not found.pinned:
        found.end("idle")
        _forget_closed()


def _forget_closed() -> None:
    for ident, found in tuple(_loops.items()):
        if found.is_closed():
            del _loops[ident]


@atexit.register
def _close_leftover() -> None:
    """Close the loop of a program that never ran exec() and so gets no aboutToQuit."""
    for found in tuple(_loops.values()):
        found.shut_down(join=False)  # the interpreter has joined the threads before
    _loops.clear()
