"""Files as the content of replies: how they are opened, and the part that a request asks for."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from PySide6.QtCore import QFile, QFileDevice, QFileInfo, QIODevice

from qhttpserver_py._content.conditional import Decision, Representation
from qhttpserver_py._content.validators import representation_of, representation_of_resource

_IN_ONE_PIECE = 65536  # bytes; a longer body is read from the file as fast as the peer takes it
_READ_ONLY = QIODevice.OpenModeFlag.ReadOnly
# O_NONBLOCK: opening a pipe must not wait for its writer.
OPEN_FLAGS = os.O_RDONLY
"""How a file that is to be sent is opened."""
for _flag in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT"):
    OPEN_FLAGS |= getattr(os, _flag, 0)

REASONS = {
    404: "Not Found",
    405: "Method Not Allowed",
    412: "Precondition Failed",
    416: "Range Not Satisfiable",
}
"""The text of a refusal's body."""


class OpenedFile(NamedTuple):
    """A file at its first byte, and the validators that belong to exactly this content."""

    device: QFile
    representation: Representation


class FileRange(QIODevice):
    """*length* bytes of an open *file* from *first* on, as a random-access device.

    It owns the file. If the file became shorter meanwhile, less is read than was announced, which ends the reply.
    """

    def __init__(self, file: QFile, first: int, length: int) -> None:
        super().__init__()
        file.setParent(self)
        self._file = file
        self._first = first
        self._length = length
        mode = QIODevice.OpenModeFlag.ReadOnly | QIODevice.OpenModeFlag.Unbuffered
        self.open(mode)

    def size(self) -> int:
        """Return the length of the stretch in bytes."""
        return self._length

    def readData(self, maxlen: int) -> bytes:
        """Read the next bytes at the current position."""
        position = self.pos()
        self._file.seek(self._first + position)
        return bytes(self._file.read(max(0, min(maxlen, self._length - position))).data())

    def close(self) -> None:
        """Close this and the file."""
        super().close()
        self._file.close()


def open_file(name: str) -> OpenedFile | None:
    """Open a regular file, or a Qt resource that starts with ``:/``; None where that fails."""
    if name.startswith(":/"):
        return _open_resource(name)
    try:
        return open_descriptor(os.open(name, OPEN_FLAGS))
    except (OSError, ValueError):
        return None


def open_descriptor(descriptor: int) -> OpenedFile | None:
    """Take over the *descriptor* of a regular file; close it and return None if it is of anything else."""
    info = os.fstat(descriptor)
    device = QFile()
    if not stat.S_ISREG(info.st_mode) or not device.open(
        descriptor, _READ_ONLY, QFileDevice.FileHandleFlag.AutoCloseHandle
    ):
        os.close(descriptor)
        return None
    return OpenedFile(device, representation_of(info))


def _open_resource(name: str) -> OpenedFile | None:
    info, device = QFileInfo(name), QFile(name)
    if info.isDir() or not device.open(_READ_ONLY):
        return None
    representation = representation_of_resource(info, bytes(device.readAll().data()))
    device.seek(0)
    return OpenedFile(device, representation)


def content_range(decision: Decision, size: int) -> list[tuple[str, str]]:
    """Return the field that tells which part of *size* bytes a 206 holds, or how many a 416 could choose from."""
    if decision.status == 206:
        return [("content-range", f"bytes {decision.first}-{decision.last}/{size}")]
    return [("content-range", f"bytes */{size}")] if decision.status == 416 else []


def selected(opened: OpenedFile, decision: Decision) -> bytes | QIODevice | None:
    """Return the bytes that a 200 or a 206 holds: at once where they are few, else a device to read them from.

    The device owns the file. None if the file was cut short since it was opened.
    """
    device, representation = opened
    first, length = 0, representation.size
    if decision.status == 206:
        first, length = decision.first, decision.last - decision.first + 1
    if length > _IN_ONE_PIECE:
        return device if decision.status == 200 else FileRange(device, first, length)
    device.seek(first)
    body = bytes(device.read(length).data())
    device.close()
    return body if len(body) == length else None
