"""Takes connections from one bound QTcpServer, QSslServer or QLocalServer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer
from PySide6.QtNetwork import (
    QAbstractSocket,
    QHostAddress,
    QLocalServer,
    QSslConfiguration,
    QSslServer,
    QSslSocket,
    QTcpServer,
    QTcpSocket,
)

from qhttpserver_py._protocol.engine import Refusal
from qhttpserver_py._protocol.select import Kind, from_alpn
from qhttpserver_py._qt import log
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py._routing.context import when_destroyed
from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.admission import LOCAL, host_key
from qhttpserver_py._transport.connection import Connection

if TYPE_CHECKING:
    from qhttpserver_py._transport.core import ServerCore

_LOOPBACK = "127.0.0.1"

MAXIMUM_REFUSED = 64
"""Refused connections that are held until their peers have read the reply; more are closed without one."""

REST_MS = 250
"""Milliseconds between attempts to accept when the process has run out of descriptors."""

MAXIMUM_HANDSHAKES = 256
"""TLS handshakes that may be unfinished at a time. Qt's default of 30 can be used up by 30 silent peers."""


class Listener:
    """Connects a bound server's pending connections to the core; ``stop()`` ends that.

    *registry* holds the listeners by the ``id()`` of their servers; the entry goes with the server.
    """

    __slots__ = ("__weakref__", "_core", "_is_paused", "_level", "_local", "_registry", "_sets_nodelay", "server")

    def __init__(
        self, core: ServerCore, server: QTcpServer | QLocalServer, registry: dict[int, Listener] | None = None
    ) -> None:
        self._core: ServerCore | None = core
        self._registry = registry if registry is not None else {}
        self._local = isinstance(server, QLocalServer)
        self.server: Any = server
        bound: Any = server
        signal = bound.newConnection if self._local else bound.pendingConnectionAvailable
        signal.connect(self.accept)
        self._is_paused = False
        self._sets_nodelay = False
        self._level = 0  # the number of connections, as a power of two, for which the system's limits were last set
        if not self._local:
            bound.acceptError.connect(self._pause_accepting)
            self._sets_nodelay = not sockets.send_at_once(bound)
            sockets.share_unsent(bound, 0)
        if isinstance(server, QSslServer):
            # Qt stops accepting while maxPendingConnections() handshakes are unfinished, and goes on when a finished
            # one is fetched. Where all of them fail, none is, and nothing would be accepted any more.
            server.setMaxPendingConnections(max(server.maxPendingConnections(), MAXIMUM_HANDSHAKES))
            bound.errorOccurred.connect(self._handshake_failed)
        when_destroyed(server, self._server_destroyed)

    def _server_destroyed(self) -> None:
        self._core = None
        self._registry.pop(id(self.server), None)

    def _handshake_failed(self) -> None:
        """Have Qt accept again once it has forgotten the socket that failed.

        It takes no argument, because PySide crashes for a wrapper of the socket, which Qt is deleting.
        """
        if self._core is not None and self.server.isListening():
            QTimer.singleShot(0, self.server, self.server.resumeAccepting)

    def stop(self) -> None:
        """Take no more connections."""
        self._core = None

    def _pause_accepting(self, _error: object) -> None:
        """Resume accepting after a while: Qt has stopped, because no descriptor or memory was left."""
        if self._core is None:
            return
        if not self._is_paused:
            self._is_paused = True
            log.warning(log.SERVER, f"Cannot accept connections for now: {self.server.errorString()}")
        QTimer.singleShot(REST_MS, self.server, self.server.resumeAccepting)

    def accept(self) -> None:
        """Take all connections that are pending."""
        self._is_paused = False
        take = self.server.nextPendingConnection
        try:
            while self._core is not None and (socket := take()) is not None:
                if self._local:
                    self._admit(socket, None, LOCAL, _local_peer(), None)
                else:
                    self._accept_tcp(socket)
        except BaseException:  # Ctrl-C is raised in the Python code that runs next, which may be this
            QTimer.singleShot(0, self.server, self.accept)
            raise

    def _accept_tcp(self, socket: Any) -> None:
        core = self._core
        level = len(core.connections).bit_length() if core is not None else 0
        if not -1 <= level - self._level <= 0:  # not again and again where connections come and go at a threshold
            self._level = level
            sockets.share_unsent(self.server, (1 << level) - 1)
        address: QHostAddress = socket.peerAddress()
        host = host_key(address.toString())
        kind: Kind | None = None
        scheme, ssl = "http", None
        if type(socket) is not QTcpSocket and isinstance(socket, QSslSocket):
            configuration = socket.sslConfiguration()
            kind = from_alpn(bytes(configuration.nextNegotiatedProtocol().data()))
            scheme, ssl = "https", _constant(configuration)  # a kept request outlives the socket
        if self._sets_nodelay:
            socket.setSocketOption(QAbstractSocket.SocketOption.LowDelayOption, 1)
        peer = Peer(address, socket.peerPort(), socket.localAddress(), socket.localPort(), scheme, ssl)
        self._admit(socket, host, host, peer, kind)

    def _admit(self, socket: Any, host: str | None, listed_as: str, peer: Peer, kind: Kind | None) -> None:
        """Serve the connection, or refuse it before anything of it is read."""
        core = self._core
        assert core is not None
        admission = core.admission
        status, detail = 0, ""
        if admission.denies(listed_as):
            status, detail = 403, "address not allowed"
        elif core.crowded(host):
            status, detail = 429, "too many connections"
        if status:
            log.info(log.SECURITY, f"{status}: {detail}: {listed_as}")
            if core.refusing >= MAXIMUM_REFUSED:
                socket.abort()
                socket.deleteLater()
                return
        socket.setParent(core.socket_parent)
        connection = Connection(core, socket, host, peer)
        connection.counted = not status
        core.adopt(connection)
        if status:
            connection.refuse(core.make_engine(kind or "http1"), Refusal(1, status, detail))
        else:
            connection.start(core.make_engine(kind, peer.scheme) if kind is not None else None)
            if log.HTTP1.isDebugEnabled():
                core.traces = True
                log.debug(log.HTTP1, f"Connection from: {peer.remote_address.toString()}:{peer.remote_port}")


def _constant(configuration: QSslConfiguration) -> Callable[[], QSslConfiguration]:
    return lambda: configuration


def _local_peer() -> Peer:
    """Return the ends of a local socket, which has no addresses: loopback, as in Qt's module."""
    loopback = QHostAddress(_LOOPBACK)
    return Peer(loopback, 0, loopback, 0)
