"""The server's clock, and its notice of a move to another thread."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimerEvent


class Ticker(QObject):
    """Calls *tick* again and again, in the thread its parent lives in, and *leave* before that thread changes.

    A child of the server, so that Qt moves and deletes it with the server; not a QTimer, so that
    ``server.findChildren(QTimer)`` finds the program's own alone.
    """

    def __init__(self, parent: QObject, tick: Callable[[], object], leave: Callable[[], object]) -> None:
        super().__init__(parent)
        self._tick = tick
        self._leave = leave
        self._timer = 0  # none runs

    def start(self, milliseconds: int) -> None:
        """Tick every so many *milliseconds*, coarsely."""
        self.stop()
        self._timer = self.startTimer(milliseconds)

    def stop(self) -> None:
        """Tick no more. Idempotent."""
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
