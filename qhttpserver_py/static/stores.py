"""Where static files come from: a directory of the file system, or Qt resources.

A store turns checked segments into a place, lists it and opens it. What cannot be served (links
that lead out, pipes, devices) is not there at all.
"""

from __future__ import annotations

import os
import stat
import time
import zlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from PySide6.QtCore import QDir, QFile, QFileDevice, QFileInfo, QIODevice

from qhttpserver_py._content.conditional import Representation
from qhttpserver_py.static.listing import Entry
from qhttpserver_py.static.paths import inside, is_plain_name

_READ_ONLY = QIODevice.OpenModeFlag.ReadOnly
# O_NONBLOCK: opening a pipe must not wait for its writer. O_NOFOLLOW: the path was resolved already.
_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT"):
    _OPEN_FLAGS |= getattr(os, _flag, 0)
_STARTED = int(time.time())


class Place(NamedTuple):
    """Something a store holds; *names* are its resolved segments below the root."""

    path: str
    names: tuple[str, ...]
    is_directory: bool


class OpenedFile(NamedTuple):
    """A file at its first byte, and the validators that belong to exactly this content."""

    device: QFile
    representation: Representation


class Store(Protocol):
    """What StaticFiles needs of a place that holds files."""

    def locate(self, segments: list[str]) -> Place | None:
        """Return what *segments* (none empty) name, or None if nothing may be served there."""
        ...

    def entries(self, place: Place) -> Iterator[Entry]:
        """List a directory."""
        ...

    def open(self, place: Place) -> OpenedFile | None:
        """Open a regular file, or return None where that fails."""
        ...


class Folder:
    """A directory of the file system. Nothing outside it is ever opened, links included."""

    def __init__(self, directory: str) -> None:
        self._root = os.path.realpath(directory)

    def locate(self, segments: list[str]) -> Place | None:
        """See Store."""
        path = os.path.realpath(os.path.join(self._root, *segments))  # noqa: PTH118 - a path per request
        if not inside(self._root, path):
            return None
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116
        except (OSError, ValueError):
            return None
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            return None
        return Place(path, self._names(path), stat.S_ISDIR(mode))

    def _names(self, path: str) -> tuple[str, ...]:
        below = path[len(self._root) :].strip(os.sep)
        return tuple(below.split(os.sep)) if below else ()  # noqa: PTH206

    def entries(self, place: Place) -> Iterator[Entry]:
        """See Store."""
        try:
            found = list(os.scandir(place.path))
        except OSError:
            return
        for item in found:
            if not is_plain_name(item.name) or (item.is_symlink() and not self._leads_inside(item.path)):
                continue
            try:
                info = item.stat()
            except OSError:
                continue
            if stat.S_ISDIR(info.st_mode) or stat.S_ISREG(info.st_mode):
                yield Entry(item.name, stat.S_ISDIR(info.st_mode), info.st_size, info.st_mtime)

    def _leads_inside(self, path: str) -> bool:
        return inside(self._root, os.path.realpath(path))

    def open(self, place: Place) -> OpenedFile | None:
        """See Store."""
        try:
            descriptor = os.open(place.path, _OPEN_FLAGS)
        except OSError:
            return None
        info = os.fstat(descriptor)
        device = QFile()
        if not stat.S_ISREG(info.st_mode) or not device.open(
            descriptor, _READ_ONLY, QFileDevice.FileHandleFlag.AutoCloseHandle
        ):
            os.close(descriptor)
            return None
        etag = f'"{info.st_mtime_ns:x}-{info.st_size:x}"'
        return OpenedFile(device, Representation(etag, int(info.st_mtime), info.st_size))


class Resources:
    """Qt resources below a path such as ``:/web``."""

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/") or ":"

    def locate(self, segments: list[str]) -> Place | None:
        """See Store."""
        path = "/".join((self._root, *segments))
        info = QFileInfo(path)
        if not info.exists():
            return None
        return Place(path, tuple(segments), info.isDir())

    def entries(self, place: Place) -> Iterator[Entry]:
        """See Store."""
        for info in QDir(place.path).entryInfoList():
            if is_plain_name(info.fileName()):
                yield Entry(info.fileName(), info.isDir(), info.size(), self._modified(info))

    def open(self, place: Place) -> OpenedFile | None:
        """See Store."""
        device = QFile(place.path)
        if not device.open(_READ_ONLY):
            return None
        # Reproducible builds give all resources one time, so the content itself is the validator.
        etag = f'"{zlib.crc32(device.readAll().data()):08x}-{device.size():x}"'
        device.seek(0)
        return OpenedFile(device, Representation(etag, self._modified(QFileInfo(place.path)), device.size()))

    @staticmethod
    def _modified(info: QFileInfo) -> int:
        seconds = info.lastModified().toSecsSinceEpoch() if info.lastModified().isValid() else 0
        return seconds if seconds > 0 else _STARTED
