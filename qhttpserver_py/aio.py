"""Coroutines in a plain Qt program, with or without a server. Not in Qt.

``async def`` handlers need nothing of this module: the server starts them by itself. It is for the
application's own coroutines, started from slots::

    from qhttpserver_py import aio

    button.clicked.connect(lambda: aio.start(fetch()))

Where an asyncio loop already runs in the thread (PySide6.QtAsyncio, qasync), it is used. Where none
does, asyncio's own loop is stepped from Qt's event loop: sleep, streams, HTTP clients, threads,
subprocesses, task groups and timeouts all work, modal dialogs do not stop them, and an idle program
is not woken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

from qhttpserver_py._loop import eventloop
from qhttpserver_py._loop.offload import threaded

__all__ = ["close", "loop", "start", "threaded"]

T = TypeVar("T")


def start(coroutine: Coroutine[Any, Any, T], *, context: Context | None = None) -> asyncio.Task[T]:
    """Start *coroutine* from Qt code, a slot for example, and return its task at once.

    The task is kept alive until it ends. An exception of it goes to whoever awaits the task or has
    added a callback to it by then; where nobody has, it is reported through ``sys.excepthook``.

    Args:
        coroutine: what an ``async def`` function returned.
        context: the context variables it runs with; None for a copy of the caller's.

    Returns:
        The task, on the asyncio loop of this thread. ``task.cancel()`` may be called from a slot.

    Raises:
        RuntimeError: the thread has no Qt event loop, because there is no QCoreApplication yet or
            the thread is not a QThread. The coroutine is closed.
        TypeError: *coroutine* is not a coroutine.

    Thread-safe in the sense that each thread gets a loop of its own; call it in the thread the
    coroutine is to run in.

    Not in Qt.
    """
    return eventloop.start(coroutine, context=context)


def loop() -> asyncio.AbstractEventLoop:
    """Return the asyncio loop of this thread: the running one, else the one stepped from Qt.

    The latter is made at the first call and, once asked for, lasts until the application (or the
    QThread) ends or ``close()`` is called. Its methods may be called from slots of its thread, and
    ``call_soon_threadsafe()`` from anywhere.

    Raises:
        RuntimeError: no asyncio loop runs and the thread has no Qt event loop.

    Not in Qt.
    """
    running = asyncio._get_running_loop()
    if running is not None:
        return running
    own = eventloop.own_loop()
    own.pinned = True
    return own


def close() -> None:
    """Cancel all tasks of the loop stepped from Qt in this thread, let them end, and close it.

    Called in a coroutine, it takes effect when the loop has run what is ready. Tasks get three
    seconds to end. It happens by itself when the application quits and when the QThread finishes;
    a loop of QtAsyncio or qasync is not touched. A later ``start()`` makes a new loop.

    Not in Qt.
    """
    eventloop.close()
