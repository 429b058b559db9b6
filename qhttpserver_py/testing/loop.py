"""Waiting in the event loop of the test: for a condition, and for a blocking call in a worker thread."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from PySide6.QtCore import QEventLoop, QTimer

from qhttpserver_py._loop.mailbox import Mailbox

Milliseconds = int | float | timedelta
T = TypeVar("T")


def milliseconds(value: Milliseconds) -> int:
    """Return *value* in whole milliseconds, rounded up: a wait is never shorter than asked for."""
    number = value / timedelta(milliseconds=1) if isinstance(value, timedelta) else value
    if number < 0:
        raise ValueError(f"a time cannot be negative: {value!r}")
    return -int(-number // 1)


def timeout_error(text: str) -> Exception:
    """Make the error of a wait that was too long: ``TimeoutError``, and pytest-qt's where that is loaded."""
    pytestqt = sys.modules.get("pytestqt.exceptions")
    if pytestqt is None:
        return TimeoutError(text)
    kind = type("TimeoutError", (pytestqt.TimeoutError, TimeoutError), {"__module__": "pytestqt.exceptions"})
    error: Exception = kind(text)
    return error


class Waiters:
    """Event loops that run until a condition is true. What changes a condition calls ``notify``."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[Callable[[], object], QEventLoop]] = []

    def notify(self) -> None:
        """End the waits whose condition is now true."""
        for done, loop in tuple(self._entries):
            if done():
                loop.quit()

    def wait(self, done: Callable[[], object], timeout: Milliseconds) -> bool:
        """Run the event loop until *done* returns true; return false if *timeout* was over before."""
        if done():
            return True
        loop, timer = QEventLoop(), QTimer(singleShot=True)
        timer.timeout.connect(loop.quit)
        entry = (done, loop)
        self._entries.append(entry)
        try:
            timer.start(milliseconds(timeout))
            while timer.isActive() and not done():
                loop.exec()
        finally:
            timer.stop()
            self._entries.remove(entry)
        return bool(done())


class BlockingCall:
    """A function that runs in a thread of its own, so that it may block."""

    __slots__ = ("_finished", "error", "finished", "result", "thread")

    def __init__(self, function: Callable[[], object], finished: Callable[[], None]) -> None:
        self.finished = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._finished = finished
        self.thread = threading.Thread(target=self._run, args=(function,), name="qhttpserver-call", daemon=True)

    def _run(self, function: Callable[[], object]) -> None:
        try:
            self.result = function()
        except BaseException as error:  # noqa: BLE001 - pytest.fail() and SystemExit too belong to the caller
            self.error = error
        self.finished = True
        self._finished()

    def where(self) -> str:
        """Return the line that the thread executes, for the report of a call that took too long."""
        frame = sys._current_frames().get(self.thread.ident or 0)
        return "".join(traceback.format_stack(frame)[-4:]) if frame is not None else ""


def call_in_worker(function: Callable[[], T], waiters: Waiters, timeout: Milliseconds) -> T:
    """Run *function* in a worker thread and the event loop meanwhile; return or raise as it did."""
    mailbox = Mailbox()
    call = BlockingCall(function, lambda: mailbox.post(waiters.notify))
    call.thread.start()
    if not waiters.wait(lambda: call.finished, timeout):
        raise timeout_error(f"the call did not return within {milliseconds(timeout)} ms; it is at\n{call.where()}")
    call.thread.join()
    if call.error is not None:
        raise call.error
    result: T = call.result
    return result
