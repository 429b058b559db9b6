"""What one fake backend intercepts: its origins, its proxy, and what it changed of the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from PySide6.QtNetwork import QNetworkProxy, QSslConfiguration

from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer
from qhttpserver_py.testing.intercept.environment import proxy_environment
from qhttpserver_py.testing.intercept.origins import ANY, Origin, parse_origin
from qhttpserver_py.testing.intercept.proxy import Policy, Proxy
from qhttpserver_py.testing.intercept.settings import ApplicationProxy
from qhttpserver_py.testing.intercept.tunnel import Target, Upstream
from qhttpserver_py.testing.tls import TlsAuthority, Trust
from qhttpserver_py.testing.watchdog import WATCHDOG, BlockingClientError, Watched


@cache
def process_authority() -> TlsAuthority:
    """Return the authority of this process, made at the first call."""
    return TlsAuthority()


class Interception:
    """A proxy bound to one backend, from the first origin to the end of the test."""

    def __init__(self, authority: TlsAuthority, watch: Callable[[int], Watched]) -> None:
        self.origins: list[Origin] = []
        self.authority = authority
        self.proxy = Proxy(Policy(self._takes, self._tls, self._upstream))
        self._settings: ApplicationProxy | None = None
        self._trust: Trust | None = None
        self._watched = watch(self.proxy.serverPort())
        WATCHDOG.add(self._watched)

    def add(self, origin: Origin) -> None:
        """Take requests to *origin*, of Qt's clients too."""
        if origin not in self.origins:
            self.origins.append(origin)
        if self._settings is None:
            self._settings = ApplicationProxy(self.proxy.serverPort())
            self._trust = Trust(self.authority, beside_system=True)

    def end(self) -> None:
        """Undo all of it; calling it twice is harmless."""
        WATCHDOG.remove(self._watched)
        if self._settings is not None:
            self._settings.revoke()
        if self._trust is not None:
            self._trust.revoke()
        self.proxy.end()

    def _takes(self, target: Target) -> bool:
        return any(origin.covers(target.scheme, target.host, target.port) for origin in self.origins)

    def _tls(self, host: str) -> QSslConfiguration:
        return self.authority.host_configuration(host)

    def _upstream(self, _target: Target) -> Upstream:
        older = self._settings.older() if self._settings is not None else None
        if older is not None:
            return Upstream(None, older.port)
        return Upstream(ApplicationProxy.former() or QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))


class Interceptions:
    """The part of a fake backend that replaces servers of other names."""

    def __init__(
        self,
        server: QAbstractHttpServer,
        authority: TlsAuthority | None,
        on_blocked: Callable[[BlockingClientError], None],
    ) -> None:
        self._server = server
        self._authority = authority
        self._on_blocked = on_blocked
        self._current: Interception | None = None

    def intercept(self, *origins: str) -> None:
        """Replace the servers at *origins* for all Qt clients of this process, until ``stop()``.

        Their requests reach this backend, by a proxy on a loopback port, over HTTP/1.1, HTTP/2 or as
        WebSockets; expectations tell them apart by absolute URLs. Qt's clients trust a certificate made
        for the host. Python's own clients and child processes need ``proxy_environment()`` too.

        Parameters:
            origins: ``https://api.example.com``, ``http://``, with a port or with a wildcard: ``https://*.example.com``.

        Raises:
            ValueError: one is no origin.
            ImportError: trustme is not installed.

        Not in Qt.
        """
        parsed = [parse_origin(text) for text in origins]
        for origin in parsed:
            self._intercepting().add(origin)

    def intercept_all(self) -> None:
        """Replace every server that is not on this computer; otherwise like ``intercept``. Not in Qt."""
        self._intercepting().add(ANY)

    @contextmanager
    def proxy_environment(self) -> Iterator[dict[str, str]]:
        """Have Python's clients, and processes started meanwhile, use the proxy.

        Sets ``HTTPS_PROXY``, ``SSL_CERT_FILE``, ``REQUESTS_CA_BUNDLE`` and their like in ``os.environ`` for as
        long as the block lasts; gives what it set.

        Not in Qt.
        """
        interception = self._intercepting()
        port = interception.proxy.serverPort()
        with proxy_environment(port, interception.authority.ca_pem, system=ANY not in interception.origins) as values:
            yield values

    def end(self) -> None:
        """Undo all of it; calling it twice is harmless."""
        current, self._current = self._current, None
        if current is not None:
            current.end()

    def _intercepting(self) -> Interception:
        if self._current is None:
            self._current = Interception(self._authority or process_authority(), self._watch)
            self._server.bind(self._current.proxy)
        return self._current

    def _watch(self, port: int) -> Watched:
        return Watched(("127.0.0.1", port), self._server._core.post, self._on_blocked)
