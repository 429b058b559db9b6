"""Decides which connections and requests are accepted: address lists, connection counts, the rate limit. Pure; the time
is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

LOCAL = "127.0.0.1"
"""The host that all clients of local sockets count as."""

_MAPPED = "::ffff:"
_NO_HOST = IPv4Network("0.0.0.0/32")
_HOSTS_KEPT = 4096  # rate windows that are kept before those that have ended are removed


def host_key(address: str) -> str:
    """Return *address* in the form that the lists and counters use.

    An IPv4 client of a dual-stack socket appears as ``::ffff:a.b.c.d``; it is the same
    host as ``a.b.c.d`` (RFC 4291 2.5.5.2). A scope id does not make another host.
    """
    if ":" not in address:
        return address
    if address[:7].lower() == _MAPPED and "." in address:
        return address[7:]
    return address.partition("%")[0]


def subnets(pairs: Iterable[tuple[str, int]]) -> tuple[Network, ...]:
    """Return the networks of (address, prefix length) pairs; one with a negative prefix matches nothing."""
    networks: list[Network] = []
    for address, prefix in pairs:
        if prefix < 0 or not address:
            networks.append(_NO_HOST)  # kept, because a whitelist that matches nothing admits nobody
            continue
        base = ip_address(host_key(address))
        length = prefix
        if ":" in address and base.version == 4:
            length = max(0, prefix - 96)  # the prefix counted the 96 bits of ::ffff:
        networks.append(ip_network((base, min(length, base.max_prefixlen)), strict=False))
    return tuple(networks)


class Admission:
    """Counters and lists of one server. Hosts are ``host_key`` strings."""

    __slots__ = ("_windows", "blacklist", "max_connections", "max_per_host", "per_host", "rate", "total", "whitelist")

    def __init__(self) -> None:
        self.whitelist: tuple[Network, ...] = ()
        self.blacklist: tuple[Network, ...] = ()
        self.rate = 0
        self.max_connections = 0
        self.max_per_host = 0
        self.total = 0
        self.per_host: dict[str, int] = {}
        self._windows: dict[str, list[float]] = {}  # host: [start, requests]

    def denies(self, host: str) -> bool:
        """Return whether the lists exclude *host*; the blacklist counts only while the whitelist is empty."""
        networks = self.whitelist or self.blacklist
        if not networks:
            return False
        address = ip_address(host)
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        listed = any(address in network for network in networks)
        return listed is not bool(self.whitelist)

    def crowded(self, host: str | None) -> bool:
        """Return whether one more connection would exceed a limit; *host* is None for local sockets."""
        if 0 < self.max_connections <= self.total:
            return True
        return host is not None and 0 < self.max_per_host <= self.per_host.get(host, 0)

    def enter(self, host: str | None) -> None:
        """Count a connection in."""
        self.total += 1
        if host is not None:
            self.per_host[host] = self.per_host.get(host, 0) + 1

    def leave(self, host: str | None) -> None:
        """Count a connection out."""
        self.total -= 1
        if host is not None:
            left = self.per_host[host] - 1
            if left:
                self.per_host[host] = left
            else:
                del self.per_host[host]

    def exhausted(self, host: str, now: float) -> bool:
        """Return whether a request would exceed the rate; it is not counted."""
        window = self._windows.get(host)
        return self.rate > 0 and window is not None and now - window[0] < 1.0 and window[1] >= self.rate

    def seat(self, host: str | None) -> Seat:
        """Count a socket that has been handed over, so that no connection counts it any more."""
        return Seat(self, host)

    def too_fast(self, host: str, now: float) -> bool:
        """Count a request; return whether it exceeds the rate, in fixed windows of one second."""
        if self.rate <= 0:
            return False
        window = self._windows.get(host)
        if window is None or now - window[0] >= 1.0:
            if len(self._windows) >= _HOSTS_KEPT:
                self._windows = {key: kept for key, kept in self._windows.items() if now - kept[0] < 1.0}
            self._windows[host] = [now, 1]
            return False
        window[1] += 1
        return window[1] > self.rate


class Seat:
    """Counts a socket that was handed over, until it is freed."""

    __slots__ = ("_admission", "_host")

    def __init__(self, admission: Admission, host: str | None) -> None:
        admission.enter(host)
        self._admission: Admission | None = admission
        self._host = host

    def free(self) -> None:
        """Count it no more. Idempotent."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.leave(self._host)
