"""The request target's four forms, and what a host may look like (RFC 9112 3.2, RFC 3986 3.2). Pure."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

# All but controls, blanks and "#": a client sends no fragment. RFC 3986 forbids more, such as "|", "{" and octets that
# should have been escaped; clients send them nevertheless, and they can be read in one way only.
_CHARACTERS = bytes(octet for octet in range(0x21, 0x100) if octet not in (0x7F, ord("#")))

_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?]*)(?:[/?].*)?")

# A comma is a sub-delim, but in a Host field it is what a proxy made of two Host fields.
_AUTHORITY = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]+)\]"
    rb"|\[[vV][0-9A-Fa-f]+\.[0-9A-Za-z\-._~!$&'()*+;=:]+\]"
    rb"|(?:[0-9A-Za-z\-._~!$&'()*+;=]++|%[0-9A-Fa-f]{2})++)"
    rb"(?::([0-9]{0,5}))?"
)


def clean(target: bytes) -> bool:
    """Whether *target* is not empty and has only characters that a target may have.

    An escaped NUL is left to the application (RFC 3986 7.3): a path is not a file name yet.
    """
    return bool(target) and not target.translate(None, _CHARACTERS)


def split(method: str, target: bytes) -> tuple[bytes, bytes]:
    """Return scheme and authority of a clean target, each empty if it has none.

    Raises ValueError for a form that may not be used with *method*.
    """
    if method == "CONNECT":
        if not is_authority(target) or not re.search(rb":[0-9]+\Z", target):
            raise ValueError("CONNECT takes host:port")
        return b"", target
    if target.startswith(b"/"):
        return b"", b""
    if target == b"*":
        if method != "OPTIONS":
            raise ValueError("only OPTIONS takes *")
        return b"", b""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise ValueError("the request target is neither a path nor a URI")
    scheme, authority = match.groups()
    # User information is refused as RFC 9110 4.2.4 advises: it is used to mislead readers.
    if not is_authority(authority):
        raise ValueError("the request target has no valid host")
    return scheme.lower(), authority


def is_authority(text: bytes) -> bool:
    """Whether *text* is a host, with a port or without; an empty host is none (RFC 9110 4.2.1)."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return False
    address, port = match.groups()
    if port and int(port) > 65535:
        return False
    if address is not None:
        try:
            IPv6Address(address.decode("ascii"))
        except AddressValueError:
            return False
    return True
