"""Web origins (RFC 6454): which may call, and whether a request comes from another site's page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from qhttpserver_py.security.hosts import split_authority

if TYPE_CHECKING:
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

OriginRule = str | re.Pattern[str] | Callable[[str], bool]
Origins = OriginRule | Iterable[OriginRule]

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
"""Methods that change nothing (RFC 9110 9.2.1)."""

_ORIGIN = re.compile(r"([a-z][a-z0-9+.\-]*)://([^/?#\s]+)", re.IGNORECASE)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_WILD_HOST = r"[a-z0-9\-.]+"


class AllowedOrigins:
    """A set of origins: ``scheme://host[:port]``, with ``*`` for subdomains or the port, patterns, callables."""

    __slots__ = ("_calls", "_exact", "_patterns", "everything")

    def __init__(self, origins: Origins) -> None:
        self.everything = False
        self._exact: set[str] = set()
        self._patterns: list[re.Pattern[str]] = []
        self._calls: list[Callable[[str], bool]] = []
        single = isinstance(origins, (str, re.Pattern)) or callable(origins)
        for rule in [origins] if single else origins:  # type: ignore[union-attr]
            self._add(rule)  # type: ignore[arg-type]

    def _add(self, rule: OriginRule) -> None:
        if isinstance(rule, re.Pattern):
            self._patterns.append(rule)
        elif not isinstance(rule, str):
            if not callable(rule):
                raise TypeError(f"an origin is text, a compiled pattern or a callable, not {type(rule).__name__}")
            self._calls.append(decides(rule, "origin"))
        elif rule == "*":
            self.everything = True
        elif rule == "null":
            self._exact.add(rule)
        elif "*" in rule:
            self._patterns.append(_wildcard(rule))
        else:
            self._exact.add(_checked(rule))

    def allows(self, origin: str) -> bool:
        """Return whether the value of an Origin field is one of them. ``*`` does not include ``null``."""
        if origin == "null":
            return origin in self._exact
        if self.everything or normal_origin(origin) in self._exact:
            return True
        if any(pattern.fullmatch(origin) for pattern in self._patterns):
            return True
        return any(says_yes(call, origin) for call in self._calls)


def decides(rule: Callable[[str], bool], what: str) -> Callable[[str], bool]:
    """Return *rule*; raise TypeError for a coroutine function, whose result would always be true."""
    if inspect.iscoroutinefunction(rule):
        raise TypeError(f"the rule for an {what} cannot be a coroutine: it says yes or no at once")
    return rule


def says_yes(rule: Callable[[str], bool], given: str) -> bool:
    """Return whether *rule* accepts *given*; raise TypeError for an awaitable result."""
    answer: object = rule(given)
    if inspect.iscoroutine(answer):
        answer.close()
    if hasattr(answer, "__await__") or hasattr(answer, "add_done_callback"):
        raise TypeError(f"{rule!r} has to say yes or no at once, not return {type(answer).__name__}")
    return bool(answer)


def normal_origin(origin: str) -> str:
    """Return *origin* in lower case and without its scheme's own port; as it is where it is none."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return origin
    scheme = match[1].lower()
    host, port = split_authority(match[2])
    if not host:
        return origin
    return f"{scheme}://{host}" + (f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else "")


def _checked(rule: str) -> str:
    normal = normal_origin(rule)
    match = _ORIGIN.fullmatch(rule)
    if match is None or not split_authority(match[2])[0]:
        raise ValueError(f"{rule!r} is no origin: write 'scheme://host' or 'scheme://host:port', and no path")
    return normal


def _wildcard(rule: str) -> re.Pattern[str]:
    match = _ORIGIN.fullmatch(rule)
    host, port = split_authority(match[2]) if match is not None else ("", "")
    name = host.removeprefix("*.")
    if match is None or not host or "*" in name:
        raise ValueError(f"{rule!r}: '*' stands for subdomains ('https://*.example.com') or for the port only")
    scheme = re.escape(match[1].lower())
    below = _WILD_HOST + r"\." if host != name else ""
    if port == _DEFAULT_PORTS.get(match[1].lower()):  # browsers leave it out
        port = ""
    ports = r"(?::\d+)?" if port == "*" else re.escape(f":{port}") if port else ""
    return re.compile(f"{scheme}://{below}{re.escape(name)}{ports}")


def field(request: QHttpServerRequest, name: bytes) -> str | None:
    """Return the value of a field that occurs once; several are joined, and equal no allowed value."""
    values = [value for key, value in request._message.headers if key == name]
    return ", ".join(value.decode("latin-1") for value in values) if values else None


def own_origin(request: QHttpServerRequest) -> str:
    """Return the origin of pages of this server, by the name that the client used for it."""
    return normal_origin(f"{request._peer.scheme}://{request._message.authority.decode('latin-1')}")


def foreign(request: QHttpServerRequest, allowed: AllowedOrigins | None) -> str | None:
    """Return the origin where *request* was sent by a page of another one, else None.

    A browser sends Origin with everything but plain GET and HEAD, so its absence means a program,
    unless Sec-Fetch-Site, which no page can forge, says otherwise.
    """
    origin, site = field(request, b"origin"), field(request, b"sec-fetch-site")
    if origin is None:
        return None if site in (None, "same-origin", "none") else f"(none, {site})"
    if origin == "null" and site == "same-origin":  # our own page under "Referrer-Policy: no-referrer"
        return None
    if normal_origin(origin) == own_origin(request) or (allowed is not None and allowed.allows(origin)):
        return None
    return origin
