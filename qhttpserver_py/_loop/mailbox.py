"""Carries calls from any thread to the thread of the server.

A deque, atomic by itself, and one queued method call to wake the server's thread. Not a posted
QEvent: its Python wrapper would be deleted in one thread while Qt hands it out in the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from PySide6 import QtCore
from PySide6.QtCore import QMetaObject, QObject, Slot


class Mailbox(QObject):
    """Runs posted calls in the thread it lives in, in the order they were posted."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._calls: deque[Callable[[], object]] = deque()
        self._woken = False  # a call of deliver() is on its way; threads that meet may make it two

    def post(self, call: Callable[[], object]) -> None:
        """Have *call* run in this object's thread, soon. Safe from any thread.

        After the object was deleted this is a no-op: there is nobody left to do it for.
        """
        self._calls.append(call)
        if not self._woken:
            self._wake()

    def _wake(self) -> None:
        self._woken = True
        # Qt is looked up here, not at import: making its hundred enumerations takes a tenth of a program's start.
        queued = QtCore.Qt.ConnectionType.QueuedConnection
        try:
            QMetaObject.invokeMethod(self, "deliver", queued)
        except RuntimeError:  # the C++ object is gone, and what it would have served with it
            pass

    @Slot()
    def deliver(self) -> None:
        """Run what was posted before this call; later posts wait for their own (fairness)."""
        calls = self._calls
        self._woken = False  # before they are counted: who posts from now on wakes anew
        count = len(calls)
        if count > 1:  # neither a call that opens a nested event loop nor one that raises strands those behind it
            self._wake()
        for _ in range(count):
            if not calls:  # a nested event loop inside a call delivered the rest
                break
            calls.popleft()()
