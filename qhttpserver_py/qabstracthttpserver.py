"""QAbstractHttpServer: binds servers, and hands each request to two overridable methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QHttp2Configuration, QLocalServer, QTcpServer
from shiboken6 import isValid

from qhttpserver_py._protocol.engine import Engine, Headers, Message
from qhttpserver_py._qt import log
from qhttpserver_py._qt.snake_case import adopt_overrides, with_snake_case
from qhttpserver_py._serving.answers import Answers, follow
from qhttpserver_py._serving.lifetime import Lifetime
from qhttpserver_py._serving.tunnels import as_upgrade
from qhttpserver_py._serving.upgrade import PENDING_SECONDS, going_away
from qhttpserver_py._serving.verifiers import Verifiers
from qhttpserver_py._transport.core import ServerCore
from qhttpserver_py._transport.interfaces import HeadVerdict
from qhttpserver_py._transport.listener import Listener
from qhttpserver_py.qhttpserverconfiguration import QHttpServerConfiguration
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._transport.connection import Connection


@with_snake_case
class QAbstractHttpServer(Verifiers, Lifetime, QObject):
    """Serves HTTP from bound servers; subclasses override ``handleRequest`` and ``missingHandler``.

    Lives in the thread it was made in; all networking and all handlers run there.

    Qt: QAbstractHttpServer.
    """

    newWebSocketConnection = Signal()
    """A QWebSocket waits for ``nextPendingWebSocketConnection()``. Qt: QAbstractHttpServer::newWebSocketConnection."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        adopt_overrides(cls)

    def __init__(self, parent: QObject | None = None, **properties: Any) -> None:
        """Create a server, child of *parent*; Qt properties and slots for signals may be given by name.

        Raises:
            NotImplementedError: for the bare class.

        Qt: QAbstractHttpServer::QAbstractHttpServer.
        """
        if type(self) is QAbstractHttpServer:
            raise NotImplementedError(
                "Abstract class 'QAbstractHttpServer' cannot be instantiated: "
                "subclass it and override handleRequest() and missingHandler(), or use QHttpServer"
            )
        super().__init__(parent, **properties)
        self._configuration = QHttpServerConfiguration()
        self._http2_configuration = QHttp2Configuration()
        self._listeners: dict[int, Listener] = {}
        self._close_hooks: list[Callable[[], None]] = []
        self._core = ServerCore(self)
        self._answers = self._make_answers()

    def _make_answers(self) -> Answers:
        return Answers(self._core)

    # ---- binding

    def bind(self, server: QTcpServer | QLocalServer | None, /) -> bool:
        """Serve every new connection of *server*, a QTcpServer, QSslServer or QLocalServer that listens.

        On success *server* becomes a child of this object. May be called for many servers.

        Returns:
            False, with a warning in ``qt.httpserver``, where *server* is not listening; False for None.

        Raises:
            TypeError: *server* is none of the three.
            RuntimeError: called from another thread than the server's.

        Qt: QAbstractHttpServer::bind.
        """
        self._check_thread("bind")
        if server is None:
            return False
        if not isinstance(server, (QTcpServer, QLocalServer)):
            raise TypeError(f"bind() takes a QTcpServer, QSslServer or QLocalServer, not {type(server).__name__}")
        if not server.isListening():
            kind = "local" if isinstance(server, QLocalServer) else "TCP"
            log.warning(log.SERVER, f"The {kind} server {_described(server)} is not listening.")
            if server.errorString():
                log.warning(log.SERVER, f"Its listen() failed: {server.errorString()}")
            return False
        former = server.parent()
        if isinstance(former, QAbstractHttpServer):
            former._forget(server)
        server.setParent(self)
        self._core.opened()
        listener = Listener(self._core, server, self._listeners)
        self._listeners[id(server)] = listener
        listener.accept()
        return True

    def unbind(self, server: QTcpServer | QLocalServer, /) -> bool:
        """Give a bound *server* back: it keeps listening, has no parent, and is the caller's again.

        Connections it already brought are served to their end.

        Returns:
            False where *server* is not bound here.

        Raises:
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        self._check_thread("unbind")
        if server.parent() is not self or id(server) not in self._listeners:
            return False
        self._forget(server)
        server.setParent(None)
        return True

    def close(self, timeout: int = 0) -> None:
        """Stop: free the ports at once, let replies in flight finish for *timeout* ms, then drop the rest.

        When it returns, the ports can be bound again, by this server too. Calling it again is harmless.

        Raises:
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        self._check_thread("close")
        for listener in tuple(self._listeners.values()):
            listener.stop()
            server = listener.server
            if isValid(server):
                server.close()
                server.setParent(None)
                server.deleteLater()
        self._listeners.clear()
        if self._pending is not None:
            self._pending.close()
        for socket in tuple(self._route_sockets or ()):
            going_away(socket, max(timeout / 1000, PENDING_SECONDS))
        self._core.close(timeout)
        for hook in self._close_hooks:
            hook()

    def _forget(self, server: QTcpServer | QLocalServer) -> None:
        listener = self._listeners.pop(id(server), None)
        if listener is not None:
            listener.stop()

    def servers(self) -> list[QTcpServer]:
        """Return the TCP and TLS servers bound here, in the order they were bound.

        Qt: QAbstractHttpServer::servers.
        """
        return [child for child in self.children() if isinstance(child, QTcpServer)]

    def serverPorts(self) -> list[int]:
        """Return the ports listened on, newest last; a bound server that was closed counts as 0.

        Qt: QAbstractHttpServer::serverPorts.
        """
        return [server.serverPort() for server in self.servers()]

    def localServers(self) -> list[QLocalServer]:
        """Return the local servers bound here, in the order they were bound.

        Qt: QAbstractHttpServer::localServers.
        """
        return [child for child in self.children() if isinstance(child, QLocalServer)]

    # ---- settings

    def configuration(self) -> QHttpServerConfiguration:
        """Return a copy of the settings.

        Qt: QAbstractHttpServer::configuration.
        """
        return QHttpServerConfiguration(self._configuration)

    def setConfiguration(self, config: QHttpServerConfiguration, /) -> None:
        """Replace the settings, for established connections and new ones.

        Raises:
            RuntimeError: called from another thread than the server's.

        Qt: QAbstractHttpServer::setConfiguration.
        """
        self._check_thread("setConfiguration")
        if not isinstance(config, QHttpServerConfiguration):
            raise TypeError(f"setConfiguration() takes a QHttpServerConfiguration, not {type(config).__name__}")
        self._configuration = QHttpServerConfiguration(config)
        self._core.configure(self._configuration)

    def http2Configuration(self) -> QHttp2Configuration:
        """Return a copy of the HTTP/2 settings.

        Qt: QAbstractHttpServer::http2Configuration.
        """
        return QHttp2Configuration(self._http2_configuration)

    def setHttp2Configuration(self, configuration: QHttp2Configuration, /) -> None:
        """Replace the HTTP/2 settings; the next connection uses them.

        Raises:
            RuntimeError: called from another thread than the server's.

        Qt: QAbstractHttpServer::setHttp2Configuration.
        """
        self._check_thread("setHttp2Configuration")
        self._http2_configuration = QHttp2Configuration(configuration)

    def _make_http2(self, scheme: bytes) -> Engine:
        # Loaded by the first HTTP/2 connection.
        from qhttpserver_py._protocol.http2.engine import Http2Engine
        from qhttpserver_py._protocol.http2.settings import Http2Settings

        given = self._http2_configuration
        streams = getattr(given, "maxConcurrentStreams", None)  # since Qt 6.9
        settings = Http2Settings(
            max_frame_size=given.maxFrameSize(),
            session_window=given.sessionReceiveWindowSize(),
            stream_window=given.streamReceiveWindowSize(),
            max_concurrent_streams=streams() if streams is not None else 100,
            huffman=given.huffmanCompressionEnabled(),
            scheme=scheme,
            tunnels=self._offers_tunnels(),
        )
        return Http2Engine(self._core.limits, settings)

    def slowHandlerThreshold(self) -> int:
        """Return the milliseconds after which a handler that holds the event loop is named in the log. Not in Qt."""
        after = self._core.slow_after
        return 0 if after == float("inf") else round(after * 1000)

    def setSlowHandlerThreshold(self, milliseconds: int, /) -> None:
        """Warn in ``qt.httpserver``, once per route, of handlers that hold the event loop longer than this.

        The default is 100; 0 or less turns the warning off. Not in Qt.
        """
        self._core.slow_after = milliseconds / 1000 if milliseconds > 0 else float("inf")

    # ---- what subclasses override

    def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> bool:
        """Answer *request* through *responder* and return True; False hands both to ``missingHandler``.

        An override may be a coroutine (not in Qt).

        Qt: QAbstractHttpServer::handleRequest.
        """
        raise NotImplementedError(f"{type(self).__name__} must override handleRequest()")

    def missingHandler(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> None:
        """Answer a *request* that ``handleRequest`` did not, or a refused WebSocket upgrade.

        An override may be a coroutine (not in Qt).

        Qt: QAbstractHttpServer::missingHandler.
        """
        raise NotImplementedError(f"{type(self).__name__} must override missingHandler()")

    # ---- from the connection

    def _dispatch(self, connection: Connection, message: Message) -> None:
        """Serve one request: the general way, through the two virtual methods."""
        request = QHttpServerRequest._make(message, connection.peer)
        exchange = self._answers.open(connection, message, request, self._label(message))
        responder = QHttpServerResponder._make(exchange)
        self._prepare(exchange, request, message)
        if self._admit(exchange, request, responder):
            self._serve(exchange, request, responder)

    def _serve(self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        """Run the user code that answers."""
        if exchange.message.websocket:
            self._upgrade(exchange, request, responder)
            return

        try:
            handled: object = self.handleRequest(request, responder)
            if handled not in (True, False, None) and self._decides_later(exchange, request, responder, handled):
                return
            if not handled and not exchange.state:  # _miss() spelled out: a call less for each 404
                outcome: object = self.missingHandler(request, responder)  # type: ignore[func-returns-value]
                if outcome is not None:
                    follow(self._core, exchange, outcome, _ignore)
        except Exception as error:  # noqa: BLE001 - user code: the peer gets 500, the server goes on
            self._answers.fail(exchange, request, error)

    def _decides_later(
        self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder, handled: object
    ) -> bool:
        """Wait for what an override of ``handleRequest`` that is a coroutine returns; False where it is none."""

        def done(value: object) -> None:
            if not value and not exchange.state:
                self._miss(exchange, request, responder)

        return follow(self._core, exchange, handled, done)

    def _miss(self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        """Run the missing handler, which may be a coroutine in a subclass."""
        try:
            outcome: object = self.missingHandler(request, responder)  # type: ignore[func-returns-value]
            if outcome is not None:
                follow(self._core, exchange, outcome, _ignore)
        except Exception as error:  # noqa: BLE001 - user code: the peer gets 500, the server goes on
            self._answers.fail(exchange, request, error)

    def _prepare(self, exchange: Exchange, request: QHttpServerRequest, message: Message) -> None:
        """Before user code sees the request."""

    def _admit(
        self,
        exchange: Exchange,  # noqa: ARG002 - for overrides
        request: QHttpServerRequest,  # noqa: ARG002
        responder: QHttpServerResponder,  # noqa: ARG002
    ) -> bool:
        """Return whether the request may go on; where not, it is seen to."""
        return True

    def _head(self, connection: Connection, message: Message) -> HeadVerdict:  # noqa: ARG002 - for overrides
        """Decide on a message of which only the head is here."""
        if message.protocol:
            as_upgrade(message)
            return "dispatch"
        return "continue"

    def _refusal_fields(self, connection: Connection, message: Message | None) -> Headers:  # noqa: ARG002
        """Return fields for a refusal that no handler had a part in."""
        return ()

    def _body_limit(self, message: Message) -> int:  # noqa: ARG002 - for overrides
        """Return how many bytes of body *message* may have; negative: no limit."""
        return self._core.limits.body_size

    def _label(self, message: Message) -> str:
        """Return what the log calls the handler of *message*."""
        return f"{message.method} {type(self).__name__}"

    def _check_thread(self, name: str) -> None:
        self._core.check_thread(name)


def _ignore(_outcome: object) -> None:
    """Do nothing: a missing handler answers by its responder."""


def _described(server: Any) -> str:
    """Return what QDebug would print of *server*."""
    from shiboken6 import getCppPointer

    name = f', name = "{server.objectName()}"' if server.objectName() else ""
    return f"{server.metaObject().className()}(0x{getCppPointer(server)[0]:x}{name})"
