"""The server's timer, which also notices that the server is moved to another thread."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimerEvent


class Ticker(QObject):
    """Calls *tick* periodically, in the thread of its parent, and *leave* before that thread changes.

    A child of the server, so that Qt moves and deletes it with the server; not a QTimer, so that
    ``server.findChildren(QTimer)`` finds only the program's own.
    """

    def __init__(self, parent: QObject, tick: Callable[[], object], leave: Callable[[], object]) -> None:
        super().__init__(parent)
        self._tick = tick
        self._leave = leave
        self._timer = 0  # no timer runs

    def start(self, milliseconds: int) -> None:
        """Tick every so many *milliseconds*, coarsely."""
        self.stop()
        self._timer = self.startTimer(milliseconds)

    def stop(self) -> None:
        """Stop the timer. Idempotent."""
        timer, self._timer = self._timer, 0
        if timer:
            self.killTimer(timer)

    def timerEvent(self, _event: QTimerEvent) -> None:
        """See QObject."""
        self._tick()

    def event(self, event: QEvent) -> bool:
        """See QObject. ThreadChange is the last event in the thread that the parent leaves."""
        if event.type() is QEvent.Type.ThreadChange:
            self._leave()
        return super().event(event)
