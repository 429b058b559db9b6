"""Content types, guessed as Qt guesses them.

Strategy: QMimeDatabase decides, always; its rules differ from system to system. It takes 30 to 120 µs,
so its answers are remembered, with the bodies they are about: most replies are said again.
"""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QMimeDatabase

from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._qt.first_use import first_use

ZEROSIZE = b"application/x-zerosize"
EMPTY = b"application/x-empty"
JSON = b"application/json"

_REMEMBERED_SIZE = 4096
_REMEMBERED_COUNT = 512

# No rule of a MIME database looks further (the farthest known is that of CD images, at 38 KiB;
# test_mime.py reads the installed ones), so a large body need not be copied whole to ask.
HEAD_SIZE = 65536

# Of larger bodies what was looked at is kept, found by how it begins: comparing it is far cheaper than hashing it.
_BEGINNING = 64
_HEADS_COUNT = 16

_remembered: dict[bytes, bytes] = {}
_heads: dict[bytes, tuple[bytes, bytes]] = {}
_fields: dict[bytes, tuple[Header, ...]] = {}


def sniff(body: bytes) -> bytes:
    """Return the name of the type QMimeDatabase.mimeTypeForData() sees in *body*."""
    # A large body is not asked for: hashing it costs as much as looking.
    found = _remembered.get(body) if len(body) <= _REMEMBERED_SIZE else None
    return found or _look(body)


def for_file(path: str, head: bytes) -> bytes:
    """Return the name of the type of a file: by its name, and by its first bytes where that leaves doubt.

    *head* is the first ``HEAD_SIZE`` bytes of the file or more; *path* need not exist.
    """
    found = QMimeDatabase().mimeTypeForFileNameAndData(path, QByteArray(head[:HEAD_SIZE]))
    return found.name().encode()


def _look(body: bytes) -> bytes:
    if len(body) > _REMEMBERED_SIZE:
        return _look_large(body)
    found = _ask(body)
    if len(_remembered) >= _REMEMBERED_COUNT:
        _remembered.clear()
    _remembered[body] = found
    return found


def _look_large(body: bytes) -> bytes:
    beginning = body[:_BEGINNING]
    head, found = _heads.get(beginning, (b"", b""))
    if not head or len(head) != min(len(body), HEAD_SIZE) or not body.startswith(head):
        head = body[:HEAD_SIZE]
        found = _ask(head)
        if len(_heads) >= _HEADS_COUNT:
            _heads.clear()
        _heads[beginning] = (head, found)
    return found


def _ask(head: bytes) -> bytes:
    data = QByteArray(head)  # the first question of a process loads the database, for 0.1 s or so
    return first_use("MIME database", lambda: QMimeDatabase().mimeTypeForData(data)).name().encode()


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
