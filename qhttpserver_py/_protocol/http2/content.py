"""Which replies have no content, and which length they announce then (RFC 9110 8.6, 9.3.2, 9.3.6). Pure."""

from __future__ import annotations

BODILESS = frozenset({204, 205, 304})
"""Statuses whose replies have no content (RFC 9110 15.3.5, 15.3.6, 15.4.5)."""

SPECIAL = frozenset({"HEAD", "CONNECT"})
"""Methods some of whose replies have none."""


def is_bodiless(method: str, status: int) -> bool:
    """Return whether the reply has no content; what follows a 2xx to CONNECT would be a tunnel's."""
    return status in BODILESS or (method in SPECIAL and (method == "HEAD" or status < 300))


def announced_length(method: str, status: int, own: int, size: int) -> int:
    """Return the content-length of a reply without content, or -1 for none.

    *own* is the one that the response gives itself and *size* that of its body, each -1 if unknown.
    """
    if status == 204 or method == "CONNECT":
        return -1
    if status == 205:
        return 0
    if status == 304:
        return own
    return size if size > 0 or own < 0 else own
