"""Which protocol a connection speaks, from ALPN or from its first bytes. Pure."""

from __future__ import annotations

from typing import Literal

Kind = Literal["http1", "http2"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client that knows the server speaks HTTP/2 sends first (RFC 9113 3.4)."""


def choose(first: bytes) -> Kind | None:
    """Return the protocol of a cleartext connection that began with *first*; None where more octets are needed."""
    if not first.startswith(b"P"):  # almost every request: GET
        return "http1"
    if first.startswith(PREFACE):
        return "http2"
    return None if PREFACE.startswith(first) else "http1"


def from_alpn(protocol: bytes) -> Kind | None:
    """Return the protocol that TLS negotiated (RFC 7301); None where the first bytes decide.

    Clients that know that the server speaks HTTP/2 begin with it even where ``http/1.1`` was negotiated: their TLS
    library offers both, in an order of its own.
    """
    return "http2" if protocol == b"h2" else None
