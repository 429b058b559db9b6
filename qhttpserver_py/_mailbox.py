"""Carries calls from any thread to the thread of the server.

A deque and one posted event: no signal, because an emission from Python is the one thing
the excluded PySide6 release cannot do for long, and no lock, because deque is atomic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QEvent, QObject


class Mailbox(QObject):
    """Runs posted calls in the thread it lives in, in the order they were posted."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._calls: deque[Callable[[], object]] = deque()

    def post(self, call: Callable[[], object]) -> None:
        """Have *call* run in this object's thread, soon. Safe from any thread.

        After the object was deleted this is a no-op: there is nobody left to do it for.
        """
        self._calls.append(call)
        if len(self._calls) <= 1:
            self._wake()

    def _wake(self) -> None:
        try:
            QCoreApplication.postEvent(self, QEvent(QEvent.Type.User))
        except RuntimeError:  # the C++ object is gone, and what it would have served with it
            self._calls.clear()

    def event(self, event: QEvent) -> bool:
        """Run what was posted before this event; later posts wait for their own (fairness)."""
        if event.type() != QEvent.Type.User:
            return super().event(event)
        calls = self._calls
        try:
            for _ in range(len(calls)):
                if not calls:  # a nested event loop inside a call drained the rest
                    break
                calls.popleft()()
        finally:  # a call that raised must not strand those behind it
            if calls:
                self._wake()
        return True
