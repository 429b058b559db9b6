"""Files that a browser saves instead of showing them."""

from __future__ import annotations

import os
import re
import unicodedata
from urllib.parse import quote

from qhttpserver_py._protocol.wire import check_header
from qhttpserver_py._serving.file_results import Attachment
from qhttpserver_py.static.types import content_type as type_of_name

_MAXIMUM_BYTES = 240  # of a name; file systems take 255, and a browser may add " (1)"
# Separators of paths, what Windows forbids in names, controls, marks that turn the direction of text (they
# can make "exe.pdf" of "fdp.exe"), and lone surrogates, which UTF-8 cannot express.
_UNSAFE = re.compile("[/\\\\:*?<>|\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# RFC 8187 3.2.1: what needs no escape in an extended value, besides letters, digits and "_.-~".
_ATTR_CHAR = "!#$&+^`"


def attachment(path: str | os.PathLike[str], name: str | None = None, *, content_type: str | None = None) -> Attachment:
    """Return a file as a result of a handler, which the browser saves under *name*.

    ::

        server.route("/report", lambda: attachment("out/7.pdf", "Übersicht 2026.pdf"))

    A client may ask for a range and with conditions, so a download that broke off can go on (RFC 9110 13, 14). Long
    files are read from the disk as fast as the client takes them. The file is opened when the handler has returned; one
    that is missing, is no regular file, or cannot be read gives status 404 with an empty body.

    Args:
        path: the file; ``:/…`` names a Qt resource. It is used as it is: a program that makes it from a request has to
        ensure that it stays inside of the intended directory.
        name: what the client saves it as, in any language, see ``content_disposition``; None for the file's own name.
        content_type: its media type; None tells it from the extension of *path*.

    Returns:
        What a handler returns, alone or as ``(attachment(…), 200, headers)``.

    Raises:
        TypeError: *path* is no path, or *name* is no str.
        ValueError: *content_type* holds CR, LF or NUL.

    Threads: any.

    Not in Qt.
    """
    file = os.fspath(path)
    if not isinstance(file, str):
        raise TypeError(f"attachment() takes a str or an os.PathLike of str, not {type(path).__name__}")
    disposition = content_disposition(os.path.basename(file) if name is None else name)  # noqa: PTH119
    kind = type_of_name(file) if content_type is None else content_type
    check_header(b"content-type", kind.encode("latin-1"))
    fields = [
        ("content-type", kind),
        ("content-disposition", disposition),
        # The type follows from the name; a browser that guesses it from the data could run an upload.
        ("x-content-type-options", "nosniff"),
    ]
    return Attachment(file, fields)


def content_disposition(name: str) -> str:
    """Return the value of a ``Content-Disposition`` field that saves a reply as *name* (RFC 6266, RFC 8187).

    For data that is no file::

        return rows_as_csv(), 200, {"content-disposition": content_disposition("März.csv")}

    Args:
        name: the file's name. Separators of paths, control characters, marks that turn the direction of text and what
            Windows forbids in names become ``_``; a name longer than 240 bytes is cut before its extension; a name of
            dots and blanks alone becomes ``download``.

    Returns:
        ``attachment; filename="…"``; and where ASCII cannot express the name, ``filename*=UTF-8''…`` after it.

    Raises:
        TypeError: *name* is no str.

    Threads: any.

    Not in Qt.
    """
    if not isinstance(name, str):
        raise TypeError(f"a file's name is a str, not {type(name).__name__}")
    safe = _cut(_UNSAFE.sub("_", name.strip()))
    if not safe.strip(". _"):
        safe = "download"
    plain = _ascii(safe)
    value = f'attachment; filename="{plain}"'
    # RFC 6266 appendix D: both, the simple one first, for clients that know only that.
    return value if plain == safe else f"{value}; filename*=UTF-8''{quote(safe, safe=_ATTR_CHAR)}"


def _ascii(name: str) -> str:
    """Return *name* for clients that know no extended value: without accents, quotes, and what looks like an escape."""
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return re.sub(r'[^\x20-\x7e]|["%\\/]', "_", bare)


def _cut(name: str) -> str:
    if len(name.encode()) <= _MAXIMUM_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > 20:
        stem, dot, extension = name, "", ""
    room = _MAXIMUM_BYTES - len(f"{dot}{extension}".encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + extension
