"""Refuses hosts other than this computer, and reports which line of the test asked for them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtNetwork import QNetworkProxy

from qhttpserver_py.testing.intercept.callers import QtCallers, calling_line
from qhttpserver_py.testing.intercept.origins import ascii_host, host_matches, is_loopback
from qhttpserver_py.testing.intercept.proxy import Policy, Proxy
from qhttpserver_py.testing.intercept.settings import ApplicationProxy
from qhttpserver_py.testing.intercept.tunnel import Target, Upstream

_INTERNET = (socket.AF_INET, socket.AF_INET6)


class NetworkBlockedError(ConnectionRefusedError):
    """A test that blocks the network asked for another computer. Not in Qt."""


class NetworkBlock:
    """Refuses every host but loopback and *allowed* ones, for Qt's clients and Python's sockets, until ``end``.

    Parameters:
        allowed: names, ``*.example.com`` for all names below one, or addresses.
    """

    strict = True

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = [ascii_host(host) for host in allowed]
        self._addresses: set[str] = set()  # of allowed names
        self._assertions: list[AssertionError] = []
        self._callers = QtCallers()
        self._proxy = Proxy(Policy(lambda _: False, _no_tls, self._upstream))
        self._settings = ApplicationProxy(self._proxy.serverPort())
        self._undo: list[Callable[[], None]] = []
        self._guard_sockets()

    def end(self) -> None:
        """Allow all hosts again; calling it twice is harmless."""
        while self._undo:
            self._undo.pop()()
        self._settings.revoke()
        self._callers.end()
        self._proxy.end()
        self._proxy.deleteLater()

    def problems(self) -> list[BaseException]:
        """Return what was refused and not reported yet."""
        return list(self._assertions)

    def forget_problems(self) -> None:
        """Forget what was refused up to now: it was reported."""
        self._assertions.clear()

    def allows(self, host: str) -> bool:
        """Whether *host*, a name or an address, may be asked."""
        host = ascii_host(host)
        return is_loopback(host) or host in self._addresses or any(host_matches(own, host) for own in self._allowed)

    def _refused(self, what: str, line: str) -> None:
        by = f"\n  asked for by {line}" if line else "\n  asked for by QML, C++, another thread or another process"
        remedy = "\n  intercept it, or allow it: @pytest.mark.qhttpserver(allow_hosts=[...])"
        self._assertions.append(AssertionError(f"blocked: {what}{by}{remedy}"))

    # ---- Qt's clients, and whoever uses the proxy

    def _upstream(self, target: Target) -> Upstream | None:
        if self.allows(target.host):
            return Upstream(ApplicationProxy.former() or QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))
        url, line = self._callers.find(target.host, target.port)
        self._refused(url or target.url, line)
        return None

    # ---- Python's sockets

    def _guard_sockets(self) -> None:
        self._guard(socket.socket, "connect", self._check_connect)
        self._guard(socket.socket, "connect_ex", self._check_connect)
        self._guard(socket.socket, "sendto", self._check_connect)
        original = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode("latin-1") if isinstance(host, bytes) else host
            if not name or _is_address(name):  # no name is resolved; connect() is asked
                return original(host, *args, **kwargs)
            self._check(name, args[0] if args else kwargs.get("port"))
            found = original(host, *args, **kwargs)
            self._addresses.update(str(entry[4][0]) for entry in found)
            return found

        socket.getaddrinfo = getaddrinfo
        self._undo.append(lambda: setattr(socket, "getaddrinfo", original))

    def _guard(self, cls: type, name: str, check: Callable[[socket.socket, Any], None]) -> None:
        original = getattr(cls, name)  # of the class in C that Python's derives from

        def guarded(this: socket.socket, *args: Any) -> Any:
            check(this, args[-1] if args else None)
            return original(this, *args)

        setattr(cls, name, guarded)
        self._undo.append(lambda: delattr(cls, name))

    def _check_connect(self, this: socket.socket, address: Any) -> None:
        if this.family in _INTERNET and isinstance(address, tuple) and len(address) > 1:
            self._check(str(address[0]), address[1])

    def _check(self, host: str, port: object) -> None:
        if self.allows(host):
            return
        where = f"{host}:{port}" if port else host
        self._refused(where, calling_line())
        raise NetworkBlockedError(f"{where} is blocked by the test")


def _no_tls(host: str) -> Any:
    raise AssertionError(f"nothing is intercepted, {host} neither")


def _is_address(host: str) -> bool:
    for family in _INTERNET:
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        return True
    return False
