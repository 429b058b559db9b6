"""Which origins are meant: scheme, host and port, the host perhaps with a wildcard. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Origin(NamedTuple):
    """Scheme, host and port of requests; ``*.`` in front of the host stands for any names below it, ``*`` for any host.

    A *scheme* of ``""`` is any, a *port* of 0 too.
    """

    scheme: str
    host: str
    port: int

    def covers(self, scheme: str, host: str, port: int) -> bool:
        """Whether a request there is meant; a *scheme* that is not known yet is ``""``."""
        return (
            (not scheme or self.scheme in ("", scheme))
            and self.port in (0, port)
            and host_matches(self.host, host.lower())
        )

    def __str__(self) -> str:
        """Return the origin as it is written in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port in (0, PORTS.get(self.scheme)) else f":{self.port}"
        return f"{self.scheme or '*'}://{host}{port}"


ANY = Origin("", "*", 0)


def parse_origin(text: str) -> Origin:
    """Return the origin that *text* names, such as ``https://api.example.com`` or ``http://*.example.com:8080``.

    Raises:
        ValueError: it is none, or goes on with a path.
    """
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    good = parts.scheme in PORTS and parts.hostname and port != -1 and "@" not in parts.netloc
    if not good or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            f"{text!r} is no origin: write scheme and host, with a port if need be, such as 'https://api.example.com' "
            "or 'https://*.example.com:8443'; paths belong to expect_request()"
        )
    host = ascii_host(parts.hostname or "")
    if "*" in host.removeprefix("*.") and host != "*":
        raise ValueError(f"{text!r}: a wildcard stands in front, as in 'https://*.example.com'")
    return Origin(_SCHEMES[parts.scheme], host, port or PORTS[parts.scheme])


def origin_of_url(text: str) -> Origin | None:
    """Return the origin of an absolute URL of HTTP or WebSockets; None where *text* is none, or is of this computer."""
    if not re.match(r"(?:https?|wss?)://", text):
        return None
    parts = urlsplit(text)
    host = ascii_host(parts.hostname or "")
    if not host or is_loopback(host):
        return None
    return Origin(_SCHEMES[parts.scheme], host, parts.port or PORTS[parts.scheme])


def split_authority(text: str, default: int) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[address]:port``.

    Raises:
        ValueError: it is malformed.
    """
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path or parts.query:
        raise ValueError(f"{text!r} is no host")
    return ascii_host(parts.hostname), parts.port or default


def ascii_host(host: str) -> str:
    """Return *host* in lower case, an international name as clients send it (RFC 5890)."""
    host = host.lower().rstrip(".")
    if host.isascii():
        return host
    return ".".join(part if part.isascii() else part.encode("idna").decode("ascii") for part in host.split("."))


def is_loopback(host: str) -> bool:
    """Whether *host* is this computer by its name or address; nothing is resolved."""
    host = host.lower().rstrip(".").partition("%")[0]
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def host_matches(pattern: str, host: str) -> bool:
    """Whether *host* is *pattern*, or below it where that begins with ``*.``."""
    if pattern == "*":
        return not is_loopback(host)
    host = host.rstrip(".")
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
