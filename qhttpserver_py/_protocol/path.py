"""The path of a request target: as sent, and decoded. Pure.

Routes, protections and static files decode paths here, so that what protects a path and what answers it cannot read it
differently; ``request.url()`` shows the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_LONE_OCTET = re.compile("[\udc80-\udcff]")


def text(octets: bytes) -> str:
    """Decode UTF-8 as QString does: each bad octet becomes one U+FFFD, where Python may replace several by one."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return _LONE_OCTET.sub("\ufffd", octets.decode(errors="surrogateescape"))


def sent_path(target: bytes, method: str) -> str:
    """Return the path of a request *target* as sent: no scheme and authority, no query, nothing decoded.

    ``//x/y`` is a path as it is: a proxy that filters paths must see the same one (RFC 9112 3.2.1).
    """
    try:
        path = target.decode()
    except UnicodeDecodeError:
        path = text(target)
    if path[:1] != "/":
        path = _origin_form(path, method)
    # Searching a str costs a fifth of searching bytes.
    if "?" in path:
        path = path[: path.index("?")]
    if "#" in path:
        path = path[: path.index("#")]
    return path


def decoded_path(target: bytes, method: str) -> str:
    """Return the path of a request *target*, fully percent-decoded.

    The same as ``QUrl.path(FullyDecoded)``: each octet that is no UTF-8 becomes U+FFFD; if one ``%`` begins no escape,
    nothing is decoded.
    """
    path = sent_path(target, method)
    if "%" in path and _BAD_ESCAPE.search(path) is None:
        return text(unquote_to_bytes(path.encode()))
    return path


def decoder_of(path: str) -> Callable[[str], bytes]:
    """Return what decodes the segments of a *path* as sent; if one ``%`` in it begins no escape, nothing is decoded."""
    return unquote_to_bytes if _BAD_ESCAPE.search(path) is None else str.encode


def _origin_form(target: str, method: str) -> str:
    """Return the origin-form of a target in another form (RFC 9112 3.2)."""
    absolute = _ABSOLUTE.match(target)
    if absolute is not None:
        rest = target[absolute.end() :]
        # An empty path is "/" (RFC 9110 4.2.3).
        return rest if rest[:1] == "/" else "/" + rest
    return "" if method == "CONNECT" else target
