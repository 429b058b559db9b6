"""QHttpServerConfiguration: the limits and timeouts of a server."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from operator import index
from typing import Any, SupportsIndex

from PySide6.QtNetwork import QHostAddress

from qhttpserver_py._protocol.engine import Limits
from qhttpserver_py._qt.snake_case import with_snake_case

Subnet = tuple[QHostAddress, int]
SubnetLike = str | tuple[QHostAddress | str, int]

_UINT32_MAX = 2**32 - 1
_INT64_MAX = 2**63 - 1


@with_snake_case
class QHttpServerConfiguration:
    """Limits and timeouts of a server: a value, which is copied.

    Change a copy and give it back with ``server.setConfiguration(configuration)``. Equal when all
    settings are equal; not hashable, because it can be changed. Sizes are bytes; any negative
    number means no limit. Setters raise TypeError for what is no integer and OverflowError for what
    Qt's integer type cannot hold. Not bound to a thread.

    Qt: QHttpServerConfiguration.
    """

    __slots__ = (
        "_blacklist",
        "_keep_alive",
        "_max_body",
        "_max_connections",
        "_max_connections_per_host",
        "_max_field",
        "_max_field_count",
        "_max_header",
        "_max_url",
        "_rate_limit",
        "_whitelist",
    )

    def __init__(self, other: QHttpServerConfiguration | None = None, /) -> None:
        """Make the default settings, or a copy of *other*."""
        if other is not None:
            self._take(_checked(other))
            return
        self._rate_limit = 0
        self._keep_alive = 15
        self._whitelist: tuple[Subnet, ...] = ()
        self._blacklist: tuple[Subnet, ...] = ()
        self._max_url = 65536
        self._max_header = 65536
        self._max_field = 49152
        self._max_field_count = 128
        self._max_body = 33554432
        self._max_connections = 0
        self._max_connections_per_host = 0

    def rateLimitPerSecond(self) -> int:
        """Return how many requests a second one client address may make; 0, the default, for any number.

        Qt: QHttpServerConfiguration::rateLimitPerSecond.
        """
        return self._rate_limit

    def setRateLimitPerSecond(self, maxRequests: SupportsIndex, /) -> None:
        """Answer 429 to the requests of a client address beyond *maxRequests* a second; 0 switches it off.

        Qt: QHttpServerConfiguration::setRateLimitPerSecond.
        """
        self._rate_limit = _uint32(maxRequests)

    def keepAliveTimeout(self) -> int:
        """Return how long an idle connection stays open, in seconds; 15 by default.

        Qt: QHttpServerConfiguration::keepAliveTimeout.
        """
        return self._keep_alive

    def setKeepAliveTimeout(self, timeout: SupportsIndex | timedelta, /) -> None:
        """Close connections idle for *timeout*: whole seconds, or a timedelta, rounded down to seconds.

        Zero or less closes an idle connection at the next check.

        Qt: QHttpServerConfiguration::setKeepAliveTimeout; timedelta is not in Qt.
        """
        if isinstance(timeout, timedelta):
            timeout = timeout // timedelta(seconds=1)
        self._keep_alive = _int64(timeout)

    def whitelist(self) -> list[Subnet]:
        """Return the subnets that are accepted, as (base address, prefix length); empty, the default, for all.

        Qt: QHttpServerConfiguration::whitelist.
        """
        return list(self._whitelist)

    def setWhitelist(self, subnetList: Iterable[SubnetLike], /) -> None:
        """Accept only clients of these subnets, whatever the blacklist says; an empty list accepts all.

        An item is (QHostAddress, prefix length), as QHostAddress.parseSubnet() makes it, or text such
        as "10.0.0.0/8" or "::1". Raises ValueError for one that names no subnet, TypeError for another
        type.

        Qt: QHttpServerConfiguration::setWhitelist; text is not in Qt.
        """
        self._whitelist = _subnets(subnetList)

    def blacklist(self) -> list[Subnet]:
        """Return the subnets that are refused, as (base address, prefix length); empty by default.

        Qt: QHttpServerConfiguration::blacklist.
        """
        return list(self._blacklist)

    def setBlacklist(self, subnetList: Iterable[SubnetLike], /) -> None:
        """Refuse clients of these subnets. The list is used only while the whitelist is empty.

        Takes and raises what setWhitelist() does.

        Qt: QHttpServerConfiguration::setBlacklist; text is not in Qt.
        """
        self._blacklist = _subnets(subnetList)

    def maximumUrlSize(self) -> int:
        """Return the longest request target taken, in bytes; 65536 by default.

        Qt: QHttpServerConfiguration::maximumUrlSize.
        """
        return self._max_url

    def setMaximumUrlSize(self, maxUrlSize: SupportsIndex, /) -> None:
        """Answer 414 to request targets of more than *maxUrlSize* bytes.

        Qt: QHttpServerConfiguration::setMaximumUrlSize.
        """
        self._max_url = _int64(maxUrlSize)

    def maximumTotalHeaderSize(self) -> int:
        """Return how many bytes all header fields together may take; 65536 by default.

        Qt: QHttpServerConfiguration::maximumTotalHeaderSize.
        """
        return self._max_header

    def setMaximumTotalHeaderSize(self, maxTotalHeadersSize: SupportsIndex, /) -> None:
        """Answer 431 to requests whose header fields take more than *maxTotalHeadersSize* bytes in all.

        Qt: QHttpServerConfiguration::setMaximumTotalHeaderSize.
        """
        self._max_header = _int64(maxTotalHeadersSize)

    def maximumHeaderFieldSize(self) -> int:
        """Return how many bytes one header field may take; 49152 by default.

        Qt: QHttpServerConfiguration::maximumHeaderFieldSize.
        """
        return self._max_field

    def setMaximumHeaderFieldSize(self, maxSingleHeaderSize: SupportsIndex, /) -> None:
        """Answer 431 to requests with a header field of more than *maxSingleHeaderSize* bytes.

        Qt: QHttpServerConfiguration::setMaximumHeaderFieldSize.
        """
        self._max_field = _int64(maxSingleHeaderSize)

    def maximumHeaderFieldCount(self) -> int:
        """Return how many header fields a request may have; 128 by default.

        Qt: QHttpServerConfiguration::maximumHeaderFieldCount.
        """
        return self._max_field_count

    def setMaximumHeaderFieldCount(self, maxNumberOfHeaders: SupportsIndex, /) -> None:
        """Answer 431 to requests with more than *maxNumberOfHeaders* header fields.

        Qt: QHttpServerConfiguration::setMaximumHeaderFieldCount.
        """
        self._max_field_count = _int64(maxNumberOfHeaders)

    def maximumBodySize(self) -> int:
        """Return the largest request body taken, in bytes; 33554432 by default.

        Qt: QHttpServerConfiguration::maximumBodySize.
        """
        return self._max_body

    def setMaximumBodySize(self, maxBodySize: SupportsIndex, /) -> None:
        """Answer 413 to requests with a body of more than *maxBodySize* bytes; 0 takes no body at all.

        Qt: QHttpServerConfiguration::setMaximumBodySize.
        """
        self._max_body = _int64(maxBodySize)

    def maximumConnections(self) -> int:
        """Return how many connections a server may have open; 0, the default, for any number.

        Qt: QHttpServerConfiguration::maximumConnections.
        """
        return self._max_connections

    def setMaximumConnections(self, maxConnections: SupportsIndex, /) -> None:
        """Refuse connections beyond *maxConnections*, over all listeners of a server; 0 for no limit.

        Qt: QHttpServerConfiguration::setMaximumConnections.
        """
        self._max_connections = _uint32(maxConnections)

    def maximumConnectionsPerHost(self) -> int:
        """Return how many connections one client address may have open; 0, the default, for any number.

        Qt: QHttpServerConfiguration::maximumConnectionsPerHost.
        """
        return self._max_connections_per_host

    def setMaximumConnectionsPerHost(self, maxPerHost: SupportsIndex, /) -> None:
        """Refuse connections of a client address beyond *maxPerHost*; 0 for no limit.

        Qt: QHttpServerConfiguration::setMaximumConnectionsPerHost.
        """
        self._max_connections_per_host = _uint32(maxPerHost)

    def swap(self, other: QHttpServerConfiguration, /) -> None:
        """Exchange all settings with *other*.

        Qt: QHttpServerConfiguration::swap.
        """
        mine = QHttpServerConfiguration(self)
        self._take(_checked(other))
        other._take(mine)

    def __eq__(self, rhs: object, /) -> bool:
        if not isinstance(rhs, QHttpServerConfiguration):
            return NotImplemented
        return all(getattr(self, name) == getattr(rhs, name) for name in QHttpServerConfiguration.__slots__)

    def __ne__(self, rhs: object, /) -> bool:
        return not self == rhs

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> QHttpServerConfiguration:
        return QHttpServerConfiguration(self)

    def __deepcopy__(self, _memo: object) -> QHttpServerConfiguration:
        return QHttpServerConfiguration(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings as what can be pickled: the addresses of subnets as text."""
        state = {name: getattr(self, name) for name in QHttpServerConfiguration.__slots__}
        for name in ("_whitelist", "_blacklist"):
            state[name] = [(address.toString(), prefix) for address, prefix in state[name]]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if name in ("_whitelist", "_blacklist"):
                value = tuple((QHostAddress(address), prefix) for address, prefix in value)  # noqa: PLW2901
            setattr(self, name, value)

    def __repr__(self) -> str:
        default = QHttpServerConfiguration()
        settings = {name: getattr(self, name) for name in QHttpServerConfiguration.__slots__}
        changed = [f"{name[1:]}={value}" for name, value in settings.items() if value != getattr(default, name)]
        return f"QHttpServerConfiguration({', '.join(changed)})"

    def _take(self, other: QHttpServerConfiguration) -> None:
        for name in QHttpServerConfiguration.__slots__:
            setattr(self, name, getattr(other, name))

    def _apply_to(self, limits: Limits) -> None:
        """Put into *limits* what the protocol engines enforce."""
        limits.url_size = self._max_url
        limits.header_size = self._max_header
        limits.field_size = self._max_field
        limits.field_count = self._max_field_count
        limits.body_size = self._max_body
        limits.set_keep_alive(self._keep_alive)


def _checked(other: object) -> QHttpServerConfiguration:
    if not isinstance(other, QHttpServerConfiguration):
        raise TypeError(f"expected a QHttpServerConfiguration, not {type(other).__name__}")
    return other


def _uint32(value: SupportsIndex) -> int:
    number = index(value)
    if not 0 <= number <= _UINT32_MAX:
        raise OverflowError(f"{number} is out of range: 0 to {_UINT32_MAX}")
    return number


def _int64(value: SupportsIndex) -> int:
    number = index(value)
    if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise OverflowError(f"{number} does not fit into 64 bits")
    return number


def _subnets(items: Iterable[SubnetLike]) -> tuple[Subnet, ...]:
    if isinstance(items, str):
        raise TypeError("expected a list of subnets, not one str")
    return tuple(_subnet(item) for item in items)


def _subnet(item: SubnetLike) -> Subnet:
    if isinstance(item, str):
        address, prefix = QHostAddress.parseSubnet(item)
    else:
        address, prefix = _pair(item)
    # An entry that matches nothing would protect nothing, unnoticed. parseSubnet() returns the null address for
    # malformed text.
    if address.isNull() or prefix > (128 if ":" in address.toString() else 32):
        raise ValueError(f"{item!r} is no subnet: give an address and a prefix length, such as '10.0.0.0/8'")
    return address, prefix


def _pair(item: object) -> Subnet:
    if isinstance(item, (tuple, list)) and len(item) == 2:
        address, prefix = item
        if isinstance(address, (QHostAddress, str)) and isinstance(prefix, int):
            return QHostAddress(address), prefix
    raise TypeError(f"expected a str or (QHostAddress, int) as subnet, not {item!r}")
