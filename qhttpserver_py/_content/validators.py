"""The validators of files and Qt resources: ETag and Last-Modified (RFC 9110 8.8)."""

from __future__ import annotations

import os
import zlib
from time import time
from typing import TYPE_CHECKING

from qhttpserver_py._content.conditional import Representation, http_date

if TYPE_CHECKING:
    from PySide6.QtCore import QFileInfo

_STARTED = int(time())


def modified(info: QFileInfo) -> int:
    """Return when a resource was last modified, in seconds; if it has no time, when this program started."""
    seconds = info.lastModified().toSecsSinceEpoch() if info.lastModified().isValid() else 0
    return seconds if seconds > 0 else _STARTED


def representation_of(info: os.stat_result) -> Representation:
    """Return the validators of a file: a strong entity tag of its time and size, and its time in seconds."""
    return Representation(f'"{info.st_mtime_ns:x}-{info.st_size:x}"', int(info.st_mtime), info.st_size)


def representation_of_resource(info: QFileInfo, data: bytes) -> Representation:
    """Return the validators of a resource with the content *data*.

    Reproducible builds give all resources the same time, so the tag is made of the content.
    """
    return Representation(f'"{zlib.crc32(data):08x}-{len(data):x}"', modified(info), len(data))


def validator_fields(representation: Representation) -> list[tuple[str, str]]:
    """Return the fields that let a client ask again for this content, or for a part of it."""
    return [
        ("etag", representation.etag),
        # Never behind the Date of the reply (RFC 9110 8.8.2.1).
        ("last-modified", http_date(min(representation.modified, int(time())))),
        ("accept-ranges", "bytes"),
    ]
