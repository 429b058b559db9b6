"""Where a fake backend listens: its server socket, its certificate, and whether clients trust that."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtNetwork import QAbstractSocket, QHostAddress, QHostInfo, QSslConfiguration, QSslServer, QTcpServer

from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer
from qhttpserver_py.testing.tls import TlsAuthority, Trust
from qhttpserver_py.testing.watchdog import WATCHDOG, BlockingClientError, Watched


class Endpoint:
    """Host and port of a server that can be stopped and started again at the same port."""

    def __init__(
        self,
        server: QAbstractHttpServer,
        address: tuple[str, int],
        tls: TlsAuthority | QSslConfiguration | None,
        *,
        h2: bool,
        trust: bool,
    ) -> None:
        self.host, self.port = address[0].strip("[]"), address[1]
        self.tls = tls
        self._server = server
        self._h2 = h2
        self._trusted = tls if trust and isinstance(tls, TlsAuthority) else None
        self._trust: Trust | None = None
        self._watched: Watched | None = None

    def start(self, on_blocked: Callable[[BlockingClientError], None]) -> None:
        """Listen; *on_blocked* is told, in a thread of its own, of a blocking client in this thread.

        Raises:
            OSError: the address cannot be listened on.
        """
        listening = self._make_server()
        address = _address(self.host)
        if not listening.listen(address, self.port):
            raise OSError(f"cannot listen on {self.host}:{self.port}: {listening.errorString()}")
        self.port = listening.serverPort()
        self._server.bind(listening)
        self._watched = Watched((address.toString(), self.port), self._server._core.post, on_blocked)
        WATCHDOG.add(self._watched)
        if self._trusted is not None:
            self._trust = Trust(self._trusted)

    def stop(self) -> None:
        """Drop all connections and stop listening."""
        if self._watched is not None:
            WATCHDOG.remove(self._watched)
            self._watched = None
        if self._trust is not None:
            self._trust.revoke()
            self._trust = None
        self._server.close()

    @property
    def is_running(self) -> bool:
        """Whether it listens."""
        return self._watched is not None

    @property
    def authority(self) -> TlsAuthority | None:
        """The authority that a client of the server is to trust."""
        return self.tls if isinstance(self.tls, TlsAuthority) else None

    @property
    def offers_http2(self) -> bool:
        """Whether HTTP/2 is offered."""
        return self._h2

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.tls is None else 'https'}://{host}:{self.port}"

    def url_for(self, suffix: str) -> str:
        """Return the URL of the path *suffix*. Not in Qt."""
        return f"{self.url}{'' if suffix.startswith('/') else '/'}{suffix}"

    def _make_server(self) -> QTcpServer:
        if self.tls is None:
            return QTcpServer(self._server)
        server, tls = QSslServer(self._server), self.tls
        server.setSslConfiguration(tls.server_configuration(h2=self._h2) if isinstance(tls, TlsAuthority) else tls)
        return server


def _address(host: str) -> QHostAddress:
    """Return the address of a host name or an address; of several the first of IPv4.

    Raises:
        OSError: the name has no address.
    """
    address = QHostAddress("127.0.0.1" if host == "localhost" else host)
    if not address.isNull():
        return address
    info = QHostInfo.fromName(host)
    found = sorted(info.addresses(), key=lambda item: item.protocol() != _IPV4)
    if not found:
        raise OSError(f"cannot listen on {host}: {info.errorString()}")
    return found[0]


_IPV4 = QAbstractSocket.NetworkLayerProtocol.IPv4Protocol
