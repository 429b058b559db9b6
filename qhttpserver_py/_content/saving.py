"""Writes a request's body to a device, no faster than the device takes it."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol

from PySide6.QtCore import QFileDevice, QIODevice, QSaveFile

HIGH_WATER = 262144
"""A sequential device (a socket, a process) with more than this unwritten gets no more, in bytes."""

_DELETED = "the device was deleted while the body was written to it"


class Body(Protocol):
    """The body that is paused while the device has too much unwritten."""

    def hold_device(self, full: bool) -> None:
        """Stop, or go on."""
        ...


class Saving:
    """Writes one body to one device. It belongs to the server's thread."""

    def __init__(self, body: Body, device: QIODevice) -> None:
        self.done: Future[None] = Future()
        self.done.set_running_or_notify_cancel()
        self._body: Body | None = body
        self._device: Any = device
        self._opened = not device.isOpen()
        self._paced = False
        self._full = False
        if self._opened and not device.open(QIODevice.OpenModeFlag.WriteOnly):
            self._opened = False
            self._fail_to("open the device for writing")
        elif not device.isWritable():
            self._fail_to("write the body: the device is not open for writing")
        elif device.isSequential():
            self._paced = True
            device.bytesWritten.connect(self._written)
            device.aboutToClose.connect(self._closed)

    def write(self, piece: bytes) -> None:
        """Write *piece*."""
        if self.done.done():
            return
        try:
            if self._device.write(piece) != len(piece):
                self._fail_to("write the body")
            elif self._paced and self._device.bytesToWrite() > HIGH_WATER and self._body is not None:
                self._full = True
                self._body.hold_device(True)
        except RuntimeError:  # shiboken raises it for an object that was deleted
            self.fail(OSError(_DELETED))

    def end(self) -> None:
        """Finish: the whole body was written, and the device has to write what it holds."""
        if self.done.done():
            return
        try:
            if not self._completed():
                self._fail_to("write the body")
                return
        except RuntimeError:
            self.fail(OSError(_DELETED))
            return
        self._release()
        self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Give up; the rest of the body is discarded."""
        if self.done.done():
            return
        device, opened = self._device, self._opened
        self._release()
        with suppress(RuntimeError):
            if opened and isinstance(device, QSaveFile):
                device.cancelWriting()
                device.commit()
            elif opened:
                device.close()
        self.done.set_exception(error)

    def _completed(self) -> bool:
        device = self._device
        if isinstance(device, QFileDevice) and not device.flush():  # a full disk may show only here
            return False
        if not self._opened:
            return True
        if isinstance(device, QSaveFile):
            return bool(device.commit())
        if not self._paced:  # a process or socket is still writing, and closing it would lose that
            device.close()
        return True

    def _fail_to(self, what: str) -> None:
        self.fail(OSError(f"cannot {what}: {self._device.errorString()}"))

    def _release(self) -> None:
        body, self._body = self._body, None
        if body is not None and self._full:
            self._full = False
            body.hold_device(False)
        if self._paced:
            self._paced = False
            with suppress(RuntimeError):
                self._device.bytesWritten.disconnect(self._written)
                self._device.aboutToClose.disconnect(self._closed)
        self._device = None

    def _written(self, _count: int) -> None:
        body = self._body
        if body is not None and self._full and self._device.bytesToWrite() <= HIGH_WATER // 2:
            self._full = False
            body.hold_device(False)

    def _closed(self) -> None:
        self.fail(OSError("the device was closed while the body was written to it"))
