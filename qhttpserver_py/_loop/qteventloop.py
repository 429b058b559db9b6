"""An asyncio event loop that Qt's event loop drives, for coroutines in a plain Qt program.

Strategy: asyncio runs its own loop, unchanged, in steps. Its selector never blocks in a step; instead it notes how long
asyncio would wait, and ends the step. Qt then watches the
selector's descriptor (one QSocketNotifier) and the noted deadline (one QTimer), so an idle loop
costs nothing. Nothing private of asyncio is read or written.

A callback may open a nested Qt event loop (a modal dialog). The timer is started before each step, so the nested Qt
loop steps asyncio as well: the running loop and the current task are unset for that inner step and set again after it.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from time import monotonic
from typing import Any, Literal, TypeVar, TypeVarTuple

from PySide6.QtCore import QAbstractEventDispatcher, QCoreApplication, QEvent, QObject, QSocketNotifier, Qt, QTimer
from shiboken6 import isValid

from qhttpserver_py._loop.peers import is_peers_fault
from qhttpserver_py._qt import log

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STEP_SECONDS = 0.004
"""How long one step runs callbacks that are ready before it returns to Qt."""

POLL_SECONDS = 0.01
"""How often the loop is stepped while tasks are pending, where the selector has no descriptor to watch."""

CLOSE_SECONDS = 3.0
"""How long closing waits for cancelled tasks to end."""

Hook = Callable[[float | None], None]

if sys.platform == "win32":
    _AsyncioLoop = asyncio.ProactorEventLoop

    class SteppedSelector(asyncio.IocpProactor):
        """A proactor that does not block in a step."""

        hook: Hook | None = None

        def select(self, timeout: float | None = None) -> list[Any]:
            """Return what is ready; tell the hook how long asyncio meant to wait."""
            hook = self.hook
            if hook is None:
                return super().select(timeout)
            hook(timeout)  # before: a completion found now calls call_soon(), which takes this back
            return super().select(0)
else:
    _AsyncioLoop = asyncio.SelectorEventLoop

    class SteppedSelector(selectors.DefaultSelector):
        """A selector that does not block in a step."""

        hook: Hook | None = None

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """Return what is ready; tell the hook how long asyncio meant to wait if nothing is."""
            hook = self.hook
            if hook is None:  # run_until_complete(), outside of Qt's loop
                return super().select(timeout)
            events = super().select(0)
            hook(0.0 if events else timeout)
            return events


class _Waker(QObject):
    """Wakes the loop from another thread where there is no descriptor for that."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def event(self, event: QEvent) -> bool:
        if event.type() != QEvent.Type.User:
            return super().event(event)
        self._wake()
        return True


@contextmanager
def set_aside(running: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """Unset *running* as the running loop, so that another loop, or an inner step, can run inside of its callback."""
    if running is None:
        yield
        return
    task = asyncio.current_task(running)
    if task is not None:
        asyncio.tasks._leave_task(running, task)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(running)
        if task is not None:
            asyncio.tasks._enter_task(running, task)


class QtEventLoop(_AsyncioLoop):
    """asyncio's loop of this platform, stepped by the Qt event loop of the thread that made it."""

    def __init__(self) -> None:
        self._qt_selector = SteppedSelector()
        self._qt_pause: float | None = None
        self._qt_armed = True  # nothing can be started before the timer exists
        self._qt_first: list[asyncio.Handle] | None = None  # the list in which run_now() gets a task's first step
        self._qt_turn_ends = 0.0
        self._qt_depth = 0  # how many steps are on the stack
        self._qt_entering = False  # a step has begun
        self._qt_resumed = False  # an inner step has ended, after which asyncio's state is that of a stopped loop
        self._qt_ending: Literal["idle", "now"] | None = None
        self.before_end: Callable[[QtEventLoop], None] | None = None  # called before all tasks are cancelled
        self.pinned = False  # the application asked for this loop and may use it later
        self._qt_dispatcher = QAbstractEventDispatcher.instance()
        self._qt_notifier: QSocketNotifier | None = None
        super().__init__(self._qt_selector)
        self.set_exception_handler(report)
        self._qt_timer = QTimer()
        self._qt_timer.setSingleShot(True)
        self._qt_timer.setTimerType(Qt.TimerType.PreciseTimer)  # because a coarse one may fire early
        self._qt_timer.timeout.connect(self._step)
        self._qt_waker = _Waker(self._step)
        self._watch()
        self._qt_armed = False

    def _watch(self) -> None:
        try:
            descriptor = self._qt_selector.fileno()  # type: ignore[attr-defined,unused-ignore]
        except AttributeError:  # select(), poll() and Windows' completion ports have none
            return
        self._qt_notifier = notifier = QSocketNotifier(descriptor, QSocketNotifier.Type.Read)
        notifier.activated.connect(self._step)

    # ---- what code outside of a step may call, and must wake Qt for

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Schedule *callback*; called from Qt code, it wakes the loop as well."""
        if self._qt_first is not None:  # the first step of a task that run_now() begins
            handle = asyncio.Handle(callback, args, self, context)
            self._qt_first.append(handle)
            return handle
        if not self._qt_armed:
            self._arm()
        self._qt_pause = 0.0
        return super().call_soon(callback, *args, context=context)

    def run_now(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Return a task for *coroutine* whose first step has run already; called from Qt code, it waits for no turn of
        Qt's loop.

        A coroutine that never waits is done then, without a step of the loop.
        """
        if sys.version_info >= (3, 12):
            resumed = self._enter()
            try:
                return asyncio.Task(coroutine, loop=self, eager_start=True)
            finally:
                self._leave(resumed)
        self._qt_first = []
        try:
            task = asyncio.Task(coroutine, loop=self)
        finally:
            first, self._qt_first = self._qt_first, None
        self._run_handles(first)
        return task

    def resolve_now(self, future: asyncio.Future[None]) -> None:
        """Resolve *future*, and run what waits for it before this returns; from Qt code, as ``run_now()``."""
        self._qt_first = []
        try:
            future.set_result(None)
        finally:
            first, self._qt_first = self._qt_first, None
        self._run_handles(first)

    def _run_handles(self, first: list[asyncio.Handle]) -> None:
        resumed = self._enter()
        try:
            for handle in first:
                handle._run()
        finally:
            self._leave(resumed)

    def _enter(self) -> bool:
        asyncio._set_running_loop(self)
        resumed, self._qt_resumed = self._qt_resumed, True  # for is_running()
        self._qt_depth += 1
        return resumed

    def _leave(self, resumed: bool) -> None:
        self._qt_depth -= 1
        self._qt_resumed = resumed
        asyncio._set_running_loop(None)
        if self._qt_ending == "now" and not self._qt_depth:
            self.shut_down()

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Schedule *callback* at *when*; called from Qt code, it wakes the loop as well."""
        if not self._qt_armed:
            self._arm()
        return super().call_at(when, callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Schedule *callback* from any thread."""
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        if self._qt_notifier is None:
            QCoreApplication.postEvent(self._qt_waker, QEvent(QEvent.Type.User))
        return handle

    def is_running(self) -> bool:
        """Return whether a callback of this loop is on the stack."""
        return not self._qt_entering and (self._qt_resumed or super().is_running())

    def is_served(self) -> bool:
        """Return whether the Qt event loop that steps this loop still exists."""
        return isValid(self._qt_dispatcher)

    # ---- stepping

    def _arm(self) -> None:
        self._qt_armed = True
        self._qt_timer.start(0)

    def _note(self, timeout: float | None) -> None:
        """Note that asyncio would now wait for *timeout* seconds; called by the selector."""
        self._qt_entering = False
        if timeout == 0.0 and monotonic() < self._qt_turn_ends:
            return
        self._qt_pause = timeout
        self.stop()

    def _step(self, *_: object) -> None:
        """Run what is ready, then have Qt wait for what comes next."""
        if self.is_closed():
            return
        running = asyncio._get_running_loop()
        if running is None:
            self._run_ready()
            return
        if running is self and sys.platform == "win32":  # the proactor cannot be entered twice
            self._qt_timer.start(math.ceil(POLL_SECONDS * 1000))
            return
        resumed, self._qt_resumed = self._qt_resumed, False
        try:
            with set_aside(running):
                self._run_ready()
        finally:
            self._qt_resumed = resumed or running is self

    def _run_ready(self) -> None:
        hooks = sys.get_asyncgen_hooks()
        self._arm()  # a nested Qt event loop in a callback goes on with the other callbacks
        self._qt_pause = 0.0
        self._qt_depth += 1
        self._qt_entering = True  # run_forever() refuses a running loop, and in an inner step one is running
        self._qt_turn_ends = monotonic() + STEP_SECONDS
        hook, self._qt_selector.hook = self._qt_selector.hook, self._note
        try:
            self.run_forever()
        except IndexError:
            # An inner step ran the callbacks that this step had counted.
            if not self._qt_resumed:
                raise
            self._qt_pause = 0.0
        finally:
            self._qt_depth -= 1
            self._qt_entering = self._qt_resumed = False
            self._qt_selector.hook = hook
            sys.set_asyncgen_hooks(*hooks)
            self._rest()

    def _rest(self) -> None:
        """Start the timer for the noted deadline, if there is one."""
        pause = self._qt_pause
        if self._qt_notifier is None or self._qt_ending:
            pause = self._pause_of_tasks(pause)
            if self.is_closed():
                return
        self._qt_armed = pause == 0.0
        if pause is None:
            self._qt_timer.stop()
        else:
            self._qt_timer.start(math.ceil(pause * 1000))

    def _pause_of_tasks(self, pause: float | None) -> float | None:
        """Return how long to wait while tasks are pending and no descriptor can be watched; close an ending loop after
        its last task.
        """
        pending = asyncio.all_tasks(self)
        if self._qt_ending and not self._qt_depth and (not pending or self._qt_ending == "now"):
            self.shut_down()
        if self._qt_notifier is not None:
            return pause
        if sys.platform == "win32" and pause == 0.0:
            pause = None  # the proactor leaves a cancelled read of its own after each step
        if not pending:
            return pause
        return POLL_SECONDS if pause is None else min(pause, POLL_SECONDS)

    # ---- the end

    def end(self, when: Literal["idle", "now"]) -> None:
        """Shut down once no task is left, or at once, but not before a running step has ended."""
        self._qt_ending = when
        if not self._qt_depth and (when == "now" or not asyncio.all_tasks(self)):
            self.shut_down()
        elif not self._qt_armed:
            self._arm()

    def keep(self) -> None:
        """Revoke an ``end("idle")``."""
        self._qt_ending = None

    def shut_down(self, join: bool = True) -> None:
        """Cancel all tasks, let them end, *join* the executor's threads, and close. Not to be called in a step."""
        if self.is_closed():
            return
        self._qt_ending = None
        self._detach()  # Qt must not step the loop while it runs below
        before, self.before_end = self.before_end, None
        if before is not None:
            before(self)
        with set_aside(asyncio._get_running_loop()):
            try:
                self._cancel_tasks()
                self.run_until_complete(self.shutdown_asyncgens())
                if join:
                    self.run_until_complete(self.shutdown_default_executor())
            finally:
                self.close()

    def run_aside(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* to its end, outside of Qt's loop. Not to be called in a step."""
        with set_aside(asyncio._get_running_loop()):
            return self.run_until_complete(coroutine)

    def _cancel_tasks(self) -> None:
        tasks = asyncio.all_tasks(self)
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        _, stubborn = self.run_until_complete(asyncio.wait(tasks, timeout=CLOSE_SECONDS))
        for task in stubborn:
            log.warning(log.SERVER, f"a task would not be cancelled and was given up: {task!r}")

    def close(self) -> None:
        """Close the loop; Qt watches nothing of it any more."""
        super().close()
        self._detach()
        if self._qt_notifier is not None and isValid(self._qt_notifier):
            self._qt_notifier.setEnabled(False)

    def _detach(self) -> None:
        self._qt_armed = True
        if isValid(self._qt_timer):  # the application has deleted all QObjects
            self._qt_timer.stop()


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an exception that is not awaited through sys.excepthook; log what is not an exception."""
    error = context.get("exception")
    if isinstance(error, BaseException) and is_peers_fault(error):
        return
    if isinstance(error, BaseException):
        sys.excepthook(type(error), error, error.__traceback__)
    else:
        loop.default_exception_handler(context)
