"""Content types, guessed as Qt guesses them.

Strategy: QMimeDatabase decides, always; its rules differ from system to system. It takes 30 µs and
more, so its answers for small bodies are remembered: most replies are said again.
"""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QMimeDatabase

from ._protocol.engine import Header

ZEROSIZE = b"application/x-zerosize"
EMPTY = b"application/x-empty"
JSON = b"application/json"

_REMEMBERED_SIZE = 4096
_REMEMBERED_COUNT = 512

# No rule of a MIME database looks further (the farthest known is that of CD images, at 38 KiB;
# test_mime.py reads the installed ones), so a large body need not be copied whole to ask.
HEAD_SIZE = 65536

_remembered: dict[bytes, bytes] = {}
_fields: dict[bytes, tuple[Header, ...]] = {}


def sniff(body: bytes) -> bytes:
    """Return the name of the type QMimeDatabase.mimeTypeForData() sees in *body*."""
    try:
        return _remembered[body]
    except KeyError:
        return _look(body)


def for_file(path: str, head: bytes) -> bytes:
    """Return the name of the type of a file: by its name, and by its first bytes where that leaves doubt.

    *head* is the first ``HEAD_SIZE`` bytes of the file or more; *path* need not exist.
    """
    found = QMimeDatabase().mimeTypeForFileNameAndData(path, QByteArray(head[:HEAD_SIZE]))
    return found.name().encode()


def _look(body: bytes) -> bytes:
    found = QMimeDatabase().mimeTypeForData(QByteArray(body[:HEAD_SIZE])).name().encode()
    if len(body) <= _REMEMBERED_SIZE:
        if len(_remembered) >= _REMEMBERED_COUNT:
            _remembered.clear()
        _remembered[body] = found
    return found


def type_fields(mime: bytes) -> tuple[Header, ...]:
    """Return the header of a response that has but a content type; none for an empty *mime*.

    The same object each time, so that what is rendered from it can be found again.
    """
    fields = _fields.get(mime)
    if fields is None:
        fields = ((b"content-type", mime),) if mime else ()
        if len(_fields) < _REMEMBERED_COUNT:
            _fields[mime] = fields
    return fields
