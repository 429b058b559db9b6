"""The stores of static files: a directory of the file system, or Qt resources.

A store turns checked segments into a place, lists it and opens it. What cannot be served (links that lead out, pipes,
devices) does not exist for it.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, Protocol

from PySide6.QtCore import QDir, QFileInfo

from qhttpserver_py._content.files import OPEN_FLAGS, OpenedFile, open_descriptor, open_file
from qhttpserver_py._content.validators import modified
from qhttpserver_py.static.listing import MAX_ENTRIES, Entry
from qhttpserver_py.static.paths import inside, is_plain_name

_OPEN_FLAGS = OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0)  # the path was resolved already
_DIRECTORY_FLAGS = os.O_RDONLY
for _flag in ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC"):
    _DIRECTORY_FLAGS |= getattr(os, _flag, 0)
_OPENS_RELATIVE = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


class Place(NamedTuple):
    """Something a store holds; *names* are its resolved segments below the root."""

    path: str
    names: tuple[str, ...]
    is_directory: bool


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
        self._folds_case = folds_case(self._root)

    def locate(self, segments: list[str]) -> Place | None:
        """See Store."""
        asked = os.path.join(self._root, *segments)  # noqa: PTH118 - a path per request
        try:
            path = os.path.realpath(asked)
            if not inside(self._root, path) or (self._folds_case and not self._is_spelled_so(segments)):
                return None
            mode = os.stat(path).st_mode  # noqa: PTH116
        except (OSError, ValueError):
            return None
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            return None
        return Place(path, self._names(path), stat.S_ISDIR(mode))

    def _is_spelled_so(self, segments: list[str]) -> bool:
        """Return whether each segment is spelled as it is stored, so that "/Secret" does not evade the protection of
        "/secret".
        """
        path = self._root
        try:
            for segment in segments:
                if segment not in os.listdir(path):  # noqa: PTH208
                    return False
                path = os.path.join(path, segment)  # noqa: PTH118
        except OSError:
            return False
        return True

    def _names(self, path: str) -> tuple[str, ...]:
        below = path[len(self._root) :].strip(os.sep)
        return tuple(below.split(os.sep)) if below else ()  # noqa: PTH206

    def entries(self, place: Place) -> Iterator[Entry]:
        """See Store."""
        try:
            with os.scandir(place.path) as items:
                found = list(islice(items, MAX_ENTRIES + 1))
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
            descriptor = self._open_below(place)
        except OSError:
            return None
        return open_descriptor(descriptor)

    def _open_below(self, place: Place) -> int:
        """Return a descriptor of the path that was checked, even if links were made meanwhile.

        Each directory is opened from the one above and no link is followed. Where the system cannot do that, it tells
        the path of what was opened. Raises OSError where it cannot be opened.
        """
        if not _OPENS_RELATIVE:
            descriptor = os.open(place.path, _OPEN_FLAGS)
            if inside(self._root, opened_path(descriptor)):
                return descriptor
            os.close(descriptor)
            raise OSError("the path was exchanged while it was opened")
        directory = os.open(self._root, _DIRECTORY_FLAGS)
        try:
            for name in place.names[:-1]:
                directory, above = os.open(name, _DIRECTORY_FLAGS, dir_fd=directory), directory
                os.close(above)
            return os.open(place.names[-1], _OPEN_FLAGS, dir_fd=directory)
        finally:
            os.close(directory)


def opened_path(descriptor: int) -> str:
    """Return the resolved path of an open file, as the system knows it: of Windows, and of Linux for the tests.

    Raises OSError where the system does not tell.
    """
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        buffer = ctypes.create_unicode_buffer(32768)
        handle = msvcrt.get_osfhandle(descriptor)
        size = ctypes.windll.kernel32.GetFinalPathNameByHandleW(handle, buffer, len(buffer), 0)
        if not 0 < size < len(buffer):
            raise OSError("the system does not tell the path of an open file")
        path = buffer.value
        return "\\\\" + path[8:] if path.startswith("\\\\?\\UNC\\") else path.removeprefix("\\\\?\\")
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115


def folds_case(path: str) -> bool:
    """Return whether the file system at *path* takes names of another case for the same, as on Windows and macOS."""
    other = path.swapcase()
    try:
        return other != path and os.path.samefile(path, other)  # noqa: PTH121
    except OSError:
        return False


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
                yield Entry(info.fileName(), info.isDir(), info.size(), modified(info))

    def open(self, place: Place) -> OpenedFile | None:
        """See Store."""
        return open_file(place.path)
