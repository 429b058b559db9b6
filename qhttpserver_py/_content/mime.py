"""Guesses content types as Qt does.

Strategy: the result is that of QMimeDatabase, whose rules differ from system to system. Where it reads them from the
mime.cache files of the shared MIME database, they are read here, too (``magic.py``); that most bodies match none of
them is found in about a microsecond. Where it reads them from elsewhere, on Windows and macOS for example from Qt
itself, it is asked each time. Nothing of a body is remembered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QMimeDatabase, QStandardPaths

from qhttpserver_py._content.magic import MAXIMUM_SMALL, MagicTable, UnknownCacheError
from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._qt.first_use import first_use

ZEROSIZE = b"application/x-zerosize"
EMPTY = b"application/x-empty"
JSON = b"application/json"
TEXT = b"text/plain"
OCTETS = b"application/octet-stream"

# No rule of a MIME database reads further (the farthest known is that of CD images, at 38 KiB; test_mime.py reads the
# installed ones), so a large body need not be copied as a whole for QMimeDatabase.
HEAD_SIZE = 65536

TEXT_SIZE = 128
"""How many octets at the begin of a body Qt searches for control characters, without which it is text."""

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


def _always(*_: object) -> bool:
    """Replace an expression that always matches, so that Qt, or the table, is asked."""
    return True


class TextFilter:
    """Decides quickly that a body is plain text: no rule can match it, and it begins without control characters.

    The hot path reads its fields; see ``text_reply()``.
    """

    __slots__ = ("anchored", "far", "floating", "window")

    def __init__(self) -> None:
        self.anchored: Callable[[bytes], Any] = _always
        self.floating: Callable[[bytes, int, int], Any] = _always
        self.far: tuple[tuple[bytes, int, int], ...] = ()
        self.window = 0

    def use(self, table: MagicTable) -> None:
        """Use the expressions of *table* from now on."""
        self.anchored, self.floating = table.anchored.match, table.floating.search
        self.far, self.window = table.far, table.window


FILTER = TextFilter()
SMALL = MAXIMUM_SMALL
find_control = _CONTROL.search

_table: MagicTable | None = None
_loaded = False


def sniff(body: bytes) -> bytes:
    """Return the name of the type QMimeDatabase.mimeTypeForData() sees in *body*."""
    look = FILTER
    if look.anchored(body) is None and look.floating(body, 0, look.window) is None and body:
        if len(body) > SMALL:
            for value, start, end in look.far:
                if body.find(value, start, end) >= 0:
                    return _look(body)
        if find_control(body, 0, TEXT_SIZE) is None:
            return TEXT
    return _look(body)


def _look(body: bytes) -> bytes:
    table = _table if _loaded else first_use("MIME database", _load)
    if table is None:
        return _ask(body[:HEAD_SIZE])
    if not body:
        return ZEROSIZE
    found = table.find(body)
    if found is not None:
        return found
    return TEXT if find_control(body, 0, TEXT_SIZE) is None or body.startswith(_BYTE_ORDER_MARKS) else OCTETS


def text_type(text: str, body: bytes) -> bytes:
    """Return the content type of *text*, whose octets are *body*.

    Without a charset, a browser decodes what is not ASCII as windows-1252.
    """
    found = sniff(body)
    return found if text.isascii() or not found.startswith(b"text/") else found + b"; charset=utf-8"


def for_file(path: str, head: bytes) -> bytes:
    """Return the name of the type of a file: by its name, and by its first bytes where the name is ambiguous.

    *head* is the first ``HEAD_SIZE`` bytes of the file or more; *path* need not exist.
    """
    found = QMimeDatabase().mimeTypeForFileNameAndData(path, QByteArray(head[:HEAD_SIZE]))
    return found.name().encode()


def _ask(head: bytes) -> bytes:
    data = QByteArray(head)  # the first call of a process loads the database, which takes about 0.1 s
    return first_use("Qt's MIME database", lambda: QMimeDatabase().mimeTypeForData(data)).name().encode()


def _load() -> MagicTable | None:
    global _table, _loaded  # noqa: PLW0603 - the database of the process, read once
    _table = read_table(mime_directories())
    if _table is not None:
        FILTER.use(_table)
    _loaded = True
    return _table


def mime_directories() -> list[Path]:
    """Return the directories in which Qt looks for the shared MIME database, the user's first."""
    kind = QStandardPaths.StandardLocation.GenericDataLocation
    found = QStandardPaths.locateAll(kind, "mime", QStandardPaths.LocateOption.LocateDirectory)
    return [Path(name) for name in found]


def read_table(directories: list[Path]) -> MagicTable | None:
    """Return the rules that Qt reads from *directories*; None where it reads other rules, or them in another format."""
    if os.environ.get("QT_NO_MIME_CACHE"):
        return None
    caches = []
    try:
        for directory in directories:
            if (cache := directory / "mime.cache").is_file():
                caches.append(cache.read_bytes())
            elif any((directory / "packages").glob("*.xml")):  # Qt reads the XML itself
                return None
        if not any((directory / "packages" / "freedesktop.org.xml").is_file() for directory in directories):
            return None  # Qt adds its own rules
        return MagicTable(caches)
    except (OSError, UnknownCacheError):
        return None


def type_fields(mime: bytes) -> tuple[Header, ...]:
    """Return the headers of a response that has only a content type; none for an empty *mime*."""
    return ((b"content-type", mime),) if mime else ()


PLAIN = type_fields(TEXT)
PLAIN_UTF8 = type_fields(TEXT + b"; charset=utf-8")
