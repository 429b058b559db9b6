"""The host names of a server: the defence against DNS rebinding."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@\s]+)(?::(\d{1,5}|\*))?", re.IGNORECASE)

_KEPT = 64  # authorities remembered


def split_authority(authority: str) -> tuple[str, str]:
    """Return host and port of *authority*, lower case, without the root's dot; two empty strings if it is none."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return "", ""
    host = match[1].lower()
    return (host[:-1] if host.endswith(".") else host), match[2] or ""


def is_loopback(host: str) -> bool:
    """Whether *host* always is this computer: localhost and below (RFC 6761 6.3), 127.0.0.0/8, ::1."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = literal(host)
    return address is not None and address.is_loopback


def literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that *host* is, or None for a name. No octal, no short forms."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


class AllowedHosts:
    """An allow-list of hosts.

    Entries are ``name``, ``name:port`` (without a port: any), ``*.example.com`` for every name
    below, an address, or ``*`` for all. Loopback names and the address that the connection came
    in on are allowed besides with *local*: a page of an attacker cannot have those as its origin.
    """

    __slots__ = ("_all", "_always", "_below", "_exact", "_local")

    def __init__(self, hosts: Iterable[str], *, local: bool) -> None:
        self._all = False
        self._local = local
        self._always: set[bytes] = set()  # authorities found to be allowed on any connection
        self._exact: set[tuple[str, str]] = set()
        self._below: set[tuple[str, str]] = set()
        for entry in [hosts] if isinstance(hosts, str) else hosts:
            self._add(entry)

    def _add(self, entry: str) -> None:
        if entry == "*":
            self._all = True
            return
        name, port = split_authority(entry)
        below = name.startswith(("*.", "."))
        name = name.lstrip("*").lstrip(".") if below else name
        if not name or "*" in name or name.startswith("."):
            raise ValueError(f"{entry!r} is no host: write 'name', 'name:port', '*.example.com', an address, or '*'")
        (self._below if below else self._exact).add((_canonical(name), "" if port == "*" else port))

    def allows(self, authority: bytes, local_address: Callable[[], str]) -> bool:
        """Return whether *authority* is allowed; an absent one is not."""
        if self._all or authority in self._always:
            return True
        host, port = split_authority(authority.decode("latin-1"))
        if not host:
            return False
        if (self._local and is_loopback(host)) or self._listed(_canonical(host), port):
            if len(self._always) < _KEPT:
                self._always.add(authority)
            return True
        return self._local and _same_address(host, local_address())

    def _listed(self, host: str, port: str) -> bool:
        ports = ("", port) if port else ("", "80", "443")  # browsers leave the scheme's own out
        if any((host, one) in self._exact for one in ports):
            return True
        labels = host.split(".")
        parents = [".".join(labels[i:]) for i in range(1, len(labels))] if all(labels) else []
        return any((parent, one) in self._below for parent in parents for one in ports)


def _canonical(host: str) -> str:
    address = literal(host)
    return host if address is None else str(address)


def _same_address(host: str, local_address: str) -> bool:
    address = literal(host)
    return address is not None and address == literal(local_address.partition("%")[0])
