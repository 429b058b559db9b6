"""From a request target to a path below a directory, or to nothing.

Pure and strict: whatever a browser, Python and the operating system may read differently is refused instead of cleaned
up. ``inside`` is the second check: it checks the resolved path.
"""

from __future__ import annotations

import os
import re
from unicodedata import category
from urllib.parse import quote

from qhttpserver_py._protocol.path import decoder_of

# Device names that Windows finds in every directory, whatever their extension.
_WINDOWS_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:[ .:].*)?", re.IGNORECASE)
_WINDOWS_ILLEGAL = frozenset('<>:"|?*')
MAXIMUM_PATH = 4096
"""Characters of a path as sent; a longer one names no file. Systems have no longer paths, and looking them up costs
time.
"""

_DRIVE = re.compile(r"[A-Za-z]:")


def target_query(target: bytes) -> str:
    """Return the query of a request *target* with its question mark, empty if there is none."""
    _, mark, query = target.partition(b"#")[0].partition(b"?")
    return (mark + query).decode("latin-1")


def split_path(sent: str, *, windows: bool = os.name == "nt") -> list[str] | None:
    """Return the decoded segments of a path as *sent*, or None if it must not be looked up.

    A last segment ``""`` stands for a trailing slash. Decoding happens once. Refused are: paths that
    are not UTF-8, empty segments, ``.`` and ``..``, slashes and backslashes that were encoded (and
    backslashes that were not), control characters, drive letters, and on Windows its reserved names,
    streams and trailing dots or blanks.
    """
    # Octets that are no UTF-8 have become U+FFFD.
    if not sent.startswith("/") or len(sent) > MAXIMUM_PATH or "\ufffd" in sent:
        return None
    decode = decoder_of(sent)
    segments: list[str] = []
    pieces = sent[1:].split("/")
    for index, piece in enumerate(pieces):
        try:
            segment = decode(piece).decode("utf-8")
        except UnicodeError:
            return None
        is_trailing_slash = not segment and index == len(pieces) - 1
        if not is_trailing_slash and not is_plain_name(segment, windows=windows):
            return None
        segments.append(segment)
    return segments


def is_plain_name(name: str, *, windows: bool = os.name == "nt") -> bool:
    """Return whether *name* is one segment that every system reads alike, and none as something special."""
    if name in {"", ".", ".."} or "/" in name or "\\" in name or _DRIVE.match(name):
        return False
    if not name.isprintable() and any(category(char) in {"Cc", "Cs"} for char in name):
        return False
    if not windows:
        return True
    return not (name[-1] in ". " or _WINDOWS_DEVICE.fullmatch(name) or any(char in _WINDOWS_ILLEGAL for char in name))


def is_hidden(name: str) -> bool:
    """Tell whether *name* is a dot file; ``.well-known`` (RFC 8615) is meant to be seen."""
    return name.startswith(".") and name != ".well-known"


def inside(root: str, path: str) -> bool:
    """Tell whether the resolved *path* is the resolved *root* or lies below it."""
    root, path = os.path.normcase(root), os.path.normcase(path)
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def join_url(segments: list[str]) -> str:
    """Return *segments* as an absolute URL path, encoded.

    It never starts with two slashes, which a browser would read as another host.
    """
    return "/" + "/".join(quote(segment, safe="") for segment in segments)
