"""Carries calls from any thread to the thread of the server.

It is a deque, whose operations are atomic, and one queued method call that wakes the server's thread. A posted QEvent
would not do: its Python wrapper could be deleted in one thread while Qt uses it in the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from PySide6 import QtCore
from PySide6.QtCore import QMetaObject, QObject, Slot


class Mailbox(QObject):
    """Runs posted calls in the thread it belongs to, in the order they were posted."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._calls: deque[Callable[[], object]] = deque()
        self._woken = False  # a call of deliver() is queued; two may be, if threads post at the same moment

    def post(self, call: Callable[[], object]) -> None:
        """Run *call* in this object's thread, from its event loop. Safe from any thread.

        After the object was deleted this does nothing: what the call was for is deleted, too.
        """
        self._calls.append(call)
        if not self._woken:
            self._wake()

    def _wake(self) -> None:
        self._woken = True
        # Qt is looked up here and not at import: its enumerations take a tenth of a program's start to make.
        queued = QtCore.Qt.ConnectionType.QueuedConnection
        try:
            QMetaObject.invokeMethod(self, "deliver", queued)
        except RuntimeError:  # the C++ object is deleted, and with it what the call was for
            pass

    @Slot()
    def deliver(self) -> None:
        """Run what was posted before this call; what is posted later waits for the next one, so that Qt has its
        turn.
        """
        calls = self._calls
        self._woken = False  # before they are counted: a later post queues another call
        count = len(calls)
        if count > 1:  # the calls behind one that opens a nested event loop, or that raises, are run nevertheless
            self._wake()
        for _ in range(count):
            if not calls:  # a nested event loop inside a call delivered the rest
                break
            calls.popleft()()
