"""Streams read from a QIODevice.

Strategy: a random access device has a length, which the reply announces; if the device gives less, the reply has to be
cut. A sequential device ends by a signal; then it is asked whether it failed, because a reply that is incomplete must
not look complete.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QFileDevice, QIODevice, QProcess, QSocketNotifier, QTimer
from PySide6.QtNetwork import QAbstractSocket, QLocalSocket, QNetworkReply
from shiboken6 import isValid

from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._routing.context import when_destroyed

PIECE = 131072
"""The most that is read from a device at a time, in bytes."""

READ_BUFFER = 262144
"""Bytes that a socket or a process may buffer before they are read; without a bound it would buffer all there are."""

GRACE_MS = 300
"""How long to wait before a device is asked again. Only for devices that have no signal for their end."""


class DeviceNotReadable(OSError):  # noqa: N818 - named for what was found
    """A device cannot be opened, or not be read."""


class SourceFailed(OSError):  # noqa: N818 - named for what happened
    """A source ended early, with less than it announced."""


def device_source(device: QIODevice) -> RandomAccessSource | SequentialSource:
    """Return a source that owns *device* and reads it; open it if need be.

    Raises:
        DeviceNotReadable: it cannot be read; it was deleted.
    """
    device.setParent(None)  # type: ignore[arg-type,unused-ignore]
    if not device.isOpen() and not device.open(QIODevice.OpenModeFlag.ReadOnly):
        reason = f"Could not open device: {device.errorString()}"
    elif not device.isReadable():
        reason = "Device is opened in a wrong mode: it is not readable"
    else:
        return SequentialSource(device) if device.isSequential() else RandomAccessSource(device)
    release(device)
    raise DeviceNotReadable(reason)


class RandomAccessSource:
    """Reads what is left of a file or a buffer, from its position on."""

    __slots__ = ("_device", "_left", "headers", "size")

    def __init__(self, device: QIODevice) -> None:
        self.headers: tuple[Header, ...] = ()
        self._device: QIODevice | None = device
        self.size: int | None = max(0, device.size() - device.pos())
        if device.isTextModeEnabled() or (not self.size and _has_more(device)):
            self.size = None  # carriage returns are dropped in text mode; and a file of /proc has the size 0
        self._left = self.size

    def start(self, on_ready: Callable[[], None]) -> None:
        """See ``Source``; a random access device is always ready."""

    def read(self, limit: int) -> bytes | None:
        """See ``Source``."""
        device, left = self._device, self._left
        if device is None or left == 0:
            self.close()
            return b""
        if not isValid(device) or not device.isOpen():
            raise SourceFailed("the device was closed or deleted while it was being sent")
        wanted = min(limit, PIECE) if left is None else min(limit, PIECE, left)
        data = bytes(device.read(wanted).data())
        if left is not None:
            if not data:
                raise SourceFailed(f"{left} bytes short of what the device announced: {device.errorString()}")
            self._left = left - len(data)
        elif not data:
            failed = _failure(device, device.errorString())
            if failed is not None:
                raise SourceFailed(failed)
        if self._left == 0 or not data:
            self.close()
        return data

    def close(self) -> None:
        """See ``Source``; deletes the device."""
        device, self._device = self._device, None
        if device is not None:
            release(device)


def _has_more(device: QIODevice) -> bool:
    return not device.peek(1).isEmpty()


class SequentialSource:
    """Reads a pipe, a socket, a process or another device that gives data as it comes."""

    __slots__ = (
        "__weakref__",
        "_device",
        "_ended",
        "_error",
        "_failed",
        "_grace",
        "_has_end",
        "_held",
        "_on_ready",
        "_rest",
        "_without_signal",
        "headers",
        "size",
    )  # fmt: skip

    def __init__(self, device: QIODevice) -> None:
        self.size: int | None = None
        self.headers: tuple[Header, ...] = ()
        self._device: QIODevice | None = device
        self._rest = b""  # saved from a device that was closed
        self._error = device.errorString()
        self._failed: str | None = None
        self._ended = _is_finished(device)
        self._has_end = _overrides_at_end(device)
        self._without_signal = _is_of_user(device)  # it has not signalled new data yet, so it may never do
        self._grace: QTimer | None = None
        self._held: list[QSocketNotifier] = []
        self._on_ready: Callable[[], None] | None = None
        if isinstance(device, QAbstractSocket | QLocalSocket | QNetworkReply) and not device.readBufferSize():
            device.setReadBufferSize(READ_BUFFER)
        self._connect(device)

    def _connect(self, device: QIODevice) -> None:
        device.readyRead.connect(self._on_ready_read)
        device.readChannelFinished.connect(self._on_finished)
        device.aboutToClose.connect(self._on_about_to_close)
        when_destroyed(device, self._on_destroyed)
        if isinstance(device, QProcess):
            device.readyRead.connect(self._hold_back)
            device.errorOccurred.connect(self._on_ready_read)  # the program cannot be started
        elif isinstance(device, QNetworkReply):
            device.finished.connect(self._on_finished)

    def start(self, on_ready: Callable[[], None]) -> None:
        """See ``Source``."""
        self._on_ready = on_ready

    def read(self, limit: int) -> bytes | None:
        """See ``Source``."""
        device = self._device
        if device is None or not isValid(device) or not device.isOpen():
            return self._read_rest(limit)
        data = bytes(device.read(min(limit, PIECE)).data())
        if data:
            if self._held and device.bytesAvailable() < READ_BUFFER:
                self._release()
            if self._has_end and device.atEnd():
                self._ended = True
            elif self._without_signal:
                self._wait_a_little()
            return data
        failed = _failure(device, self._error)
        if failed is not None:
            raise SourceFailed(failed)
        if not self._is_at_end(device):
            return None
        self.close()
        return b""

    def _read_rest(self, limit: int) -> bytes:
        piece, self._rest = self._rest[:limit], self._rest[limit:]
        if not piece and self._failed is not None:
            raise SourceFailed(self._failed)
        return piece

    def _is_at_end(self, device: QIODevice) -> bool:
        if self._ended or isinstance(device, QFileDevice):  # reading a file waits for data or the end
            return True
        return self._has_end and device.atEnd()

    def _wait_a_little(self) -> None:
        """QIODevice.atEnd() of a sequential device says only that there is nothing *now*."""
        if self._grace is None:
            self._grace = QTimer()
            self._grace.setSingleShot(True)
            self._grace.timeout.connect(self._on_finished)
        self._grace.start(GRACE_MS)

    def _hold_back(self) -> None:
        """Stop reading the pipe of a process, because QProcess has no bound on what it reads."""
        device = self._device
        if device is not None and isValid(device) and device.bytesAvailable() >= READ_BUFFER and not self._held:
            reading = QSocketNotifier.Type.Read
            self._held = [each for each in device.findChildren(QSocketNotifier) if each.type() == reading]
            for notifier in self._held:
                notifier.setEnabled(False)

    def _release(self) -> None:
        held, self._held = self._held, []
        for notifier in held:
            if isValid(notifier):
                notifier.setEnabled(True)

    def _on_ready_read(self, *_: object) -> None:
        if self._without_signal:
            self._without_signal = False
            if self._grace is not None:
                self._grace.stop()
        self._tell()

    def _on_finished(self) -> None:
        self._ended = True
        self._tell()

    def _on_about_to_close(self) -> None:
        device = self._device
        if device is not None and isValid(device):
            self._failed = _failure(device, self._error)
            self._rest = bytes(device.readAll().data())
            QTimer.singleShot(0, self._on_finished)  # it is still open while it emits that

    def _on_destroyed(self) -> None:
        self._device = None
        self._on_finished()

    def _tell(self) -> None:
        if self._on_ready is not None:
            self._on_ready()

    def close(self) -> None:
        """See ``Source``; deletes the device."""
        device, self._device = self._device, None
        self._on_ready = None
        self._rest = b""
        self._release()  # without it, the end of a process is not noticed
        if self._grace is not None:
            self._grace.stop()
        if device is not None:
            release(device)


def _is_of_user(device: QIODevice) -> bool:
    return not type(device).__module__.startswith("PySide6.")


def _overrides_at_end(device: QIODevice) -> bool:
    return any("atEnd" in vars(cls) for cls in type(device).__mro__ if not cls.__module__.startswith("PySide6."))


def _is_finished(device: QIODevice) -> bool:
    if isinstance(device, QProcess):
        return device.state() == QProcess.ProcessState.NotRunning
    if isinstance(device, QAbstractSocket):
        return device.state() == QAbstractSocket.SocketState.UnconnectedState
    if isinstance(device, QLocalSocket):
        return device.state() == QLocalSocket.LocalSocketState.UnconnectedState
    return isinstance(device, QNetworkReply) and device.isFinished()


_HARMLESS = {
    QAbstractSocket.SocketError.UnknownSocketError,  # none so far
    QAbstractSocket.SocketError.RemoteHostClosedError,
    QAbstractSocket.SocketError.SocketTimeoutError,
    QLocalSocket.LocalSocketError.UnknownSocketError,
    QLocalSocket.LocalSocketError.PeerClosedError,
    QLocalSocket.LocalSocketError.SocketTimeoutError,
    QNetworkReply.NetworkError.NoError,
    QFileDevice.FileError.NoError,
}


def _failure(device: QIODevice, error_before: str) -> str | None:
    """Return what went wrong with *device*, or None."""
    if isinstance(device, QProcess):
        crashed = device.exitStatus() == QProcess.ExitStatus.CrashExit
        stopped = device.state() == QProcess.ProcessState.NotRunning
        failed = stopped and (crashed or device.error() == QProcess.ProcessError.FailedToStart)
    elif isinstance(device, QAbstractSocket | QLocalSocket | QNetworkReply | QFileDevice):
        failed = device.error() not in _HARMLESS
    else:
        failed = device.errorString() != error_before
    return f"{type(device).__name__}: {device.errorString()}" if failed else None


_ending: set[QProcess] = set()


def release(device: QIODevice) -> None:
    """Close and delete *device*; a process that still runs is killed first, without a warning."""
    if not isValid(device):
        return
    if isinstance(device, QProcess) and device.state() != QProcess.ProcessState.NotRunning:
        _ending.add(device)
        delete_ended = partial(_delete_later, device)
        device.finished.connect(delete_ended)
        device.errorOccurred.connect(delete_ended)
        device.kill()
        return
    try:
        device.close()
    except Exception as error:  # noqa: BLE001 - an override of the user; the device goes all the same
        sys.excepthook(type(error), error, error.__traceback__)
    if isValid(device):
        device.deleteLater()


def _delete_later(process: QProcess, *_: object) -> None:
    if process in _ending and process.state() == QProcess.ProcessState.NotRunning:
        _ending.discard(process)
        process.deleteLater()


@atexit.register
def _wait_for_ended() -> None:
    for process in tuple(_ending):
        if isValid(process):
            process.waitForFinished(500)
