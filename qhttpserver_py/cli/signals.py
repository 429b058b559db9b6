"""Ctrl-C and SIGTERM end the Qt event loop."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable
from types import FrameType, TracebackType

from PySide6.QtCore import QSocketNotifier, QTimer

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]


class StopSignals:
    """Calls *stop* at the first signal that asks to end; the next one has its default effect.

    Python runs its signal handlers between bytecodes, and there are none while Qt waits. So the interpreter writes a
    byte into a socket (``signal.set_wakeup_fd``; sockets work on Windows too), and a notifier on its other end calls
    Python from Qt. An idle program is not woken.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._previous: dict[signal.Signals, object] = {}
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._drain)
        self._previous_wakeup = -1

    def __enter__(self) -> StopSignals:
        self._previous_wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        signal.set_wakeup_fd(self._previous_wakeup)
        self._notifier.setEnabled(False)
        self._reader.close()
        self._writer.close()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._restore()
        # As an event, since it may come before the loop runs, and quitting a loop that does not run is lost.
        QTimer.singleShot(0, self._stop)

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            self._reader.recv(64)
