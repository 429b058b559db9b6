"""Uploaded files: in memory while they are small, else in temporary files, which are deleted with the form."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import unicodedata
import weakref
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO

_RESERVED = frozenset(("CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in "123456789")))
_FORBIDDEN = frozenset('<>:"/\\|?*')
_LONGEST = 240
"""Octets of a safe name: file systems take 255, and a program may want to append something."""


_TRIMMED = re.compile(r"\A[\s.]+|[\s.]+\Z")


def safe_filename(name: str, default: str = "file") -> str:
    """Return the last part of a file name that a client sent, as one that is harmless on every system.

    Directories, control and reserved characters, leading dots, the names of Windows' devices and excess length are
    removed. The name is still the client's choice: two clients may choose the same.

    Args:
        name: what the client sent.
        default: returned where nothing is left.

    Thread-safe. Not in Qt.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    kept = "".join(c for c in last if c not in _FORBIDDEN and unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    kept = _TRIMMED.sub("", kept)
    if kept.partition(".")[0].rstrip().upper() in _RESERVED:
        kept = f"_{kept}"
    return _shortened(kept) or default


def _shortened(name: str) -> str:
    if len(name.encode()) <= _LONGEST:
        return name
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - text, not a path
    if len(suffix.encode()) > 20:
        stem, suffix = name, ""
    return stem.encode()[: _LONGEST - len(suffix.encode())].decode(errors="ignore") + suffix


class FormFile:
    """A file of a form.

    It lives as long as its form, in memory or in a temporary file, and is deleted with it unless
    it was moved away. May be used in any thread, one at a time.

    Not in Qt.
    """

    def __init__(self, name: str, filename: str, content_type: str, spool: int, directory: str | None) -> None:
        self.name: str = name
        """Name of the form's field."""
        self.filename: str = filename
        """Name of the file as the client sent it. Text, not a path: see ``safe_name``."""
        self.content_type: str = content_type
        """Media type as the client sent it, lower-case, without parameters; empty if it sent none."""
        self.size: int = 0
        """Size in bytes."""
        self._spool = spool
        self._directory = directory
        self._path: str | None = None
        self._file: IO[bytes] = BytesIO()
        self._cleanup: Callable[[], object] = _nothing

    @property
    def safe_name(self) -> str:
        """The client's name for the file, made harmless by ``safe_filename``. Not in Qt."""
        return safe_filename(self.filename)

    @property
    def file(self) -> IO[bytes]:
        """The contents as a binary file, readable and seekable, at its beginning at first. Not in Qt."""
        return self._file

    @property
    def path(self) -> Path | None:
        """Where the temporary file is; None while the contents are in memory. Not in Qt."""
        return Path(self._path) if self._path is not None else None

    def read(self) -> bytes:
        """Return the whole contents. Not in Qt."""
        self._file.seek(0)
        return self._file.read()

    def move_to(self, destination: str | os.PathLike[str]) -> Path:
        """Put the file where it is to stay, replacing what is there, and return that path.

        On the same file system a temporary file is renamed, however large it is. Only the user that
        runs the program can read the result. The file cannot be read through this object any more.

        Raises:
            OSError: the destination cannot be written.

        Not in Qt.
        """
        target = Path(destination)
        if self._path is None:
            with open(target, "wb", opener=_private) as file:
                file.write(self.read())
            if os.name == "posix":
                target.chmod(0o600)  # what was there before may have been readable
        else:
            self._file.close()
            shutil.move(self._path, target)
        self.close()
        return target

    def close(self) -> None:
        """Release the contents and delete the temporary file. Not in Qt."""
        self._file.close()
        self._cleanup()

    def _write(self, data: bytes) -> None:
        self.size += len(data)
        if self._path is None and self.size > self._spool:
            self._spill()
        self._file.write(data)

    def _spill(self) -> None:
        descriptor, self._path = tempfile.mkstemp(prefix="upload-", dir=self._directory)
        memory, self._file = self._file, os.fdopen(descriptor, "w+b")
        self._cleanup = weakref.finalize(self, _delete, self._file, self._path)
        memory.seek(0)
        shutil.copyfileobj(memory, self._file)

    def _rewind(self) -> None:
        self._file.flush()
        self._file.seek(0)

    def __repr__(self) -> str:
        return f"FormFile({self.name!r}, {self.filename!r}, {self.content_type!r}, {self.size} bytes)"


def _nothing() -> None:
    """There is nothing to delete yet."""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _delete(file: IO[bytes], path: str) -> None:
    with suppress(OSError):
        file.close()  # Windows deletes no open file
    with suppress(OSError):
        Path(path).unlink()
