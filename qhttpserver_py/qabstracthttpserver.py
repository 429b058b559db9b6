"""QAbstractHttpServer: binds servers, and dispatches each request to two virtual methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, overload

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QHttp2Configuration, QLocalServer, QTcpServer

from qhttpserver_py._protocol.engine import Engine, Headers, Message
from qhttpserver_py._qt.snake_case import adopt_overrides, with_snake_case
from qhttpserver_py._routing.registration import check_callable, check_context
from qhttpserver_py._serving import backends
from qhttpserver_py._serving.answers import Answers
from qhttpserver_py._serving.backends import Backend
from qhttpserver_py._serving.bound_servers import BoundServers
from qhttpserver_py._serving.lifetime import GRACE_MS, Lifetime
from qhttpserver_py._serving.signatures import Handler
from qhttpserver_py._serving.tunnels import as_upgrade
from qhttpserver_py._serving.upgrades import Upgrades
from qhttpserver_py._serving.virtual_methods import serve
from qhttpserver_py._serving.websocket_routes import RouteOptions
from qhttpserver_py._transport.core import ServerCore
from qhttpserver_py._transport.interfaces import HeadVerdict
from qhttpserver_py._websocket.socket import MAXIMUM_MESSAGE, PING_INTERVAL
from qhttpserver_py.qhttpserverconfiguration import QHttpServerConfiguration
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

if TYPE_CHECKING:
    from PySide6.QtWebSockets import QWebSocket

    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._transport.connection import Connection


@with_snake_case
class QAbstractHttpServer(QObject):
    """Serves HTTP from bound servers; subclasses override ``handleRequest`` and ``missingHandler``.

    Belongs to the thread it was made in; all networking and all handlers run there.

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
        self._core = ServerCore(self)
        self._answers = self._make_answers()
        self._bound = BoundServers(self._core)
        self._upgrades = Upgrades(self._core, self._bound)
        self._lifetime = Lifetime(self._core, self._bound, self._upgrades)

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
        return server is not None and self._bound.add(server, self)

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
        return server.parent() is self and self._bound.remove(server)

    def close(self, timeout: int = 0) -> None:
        """Stop: free the ports at once, let replies in flight finish for *timeout* ms, then drop the rest.

        When it returns, the ports can be bound again, by this server too. Calling it again is harmless.

        Raises:
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        self._check_thread("close")
        self._lifetime.close(timeout)

    async def wait_closed(self) -> None:
        """Wait until no connection is left, nor a WebSocket of a route (coroutine), as after ``close(timeout)``.

        Raises:
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        self._check_thread("wait_closed")
        await self._lifetime.wait_closed()

    def __enter__(self) -> Self:
        """Return the server; the end of the block closes it, at once. Not in Qt."""
        return self

    def __exit__(self, _kind: type[BaseException] | None, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        """Return the server; the end of the block closes it and waits for replies in flight, 2 s at most. Not in Qt."""
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close(GRACE_MS)
        await self.wait_closed()

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
        from qhttpserver_py._serving.http2_settings import make_http2  # loaded by the first HTTP/2 connection

        return make_http2(self._core, self._http2_configuration, scheme, tunnels=self._upgrades.offers_tunnels())

    def slowHandlerThreshold(self) -> int:
        """Return the milliseconds after which a handler that blocks the event loop is named in the log. Not in Qt."""
        after = self._core.slow_after
        return 0 if after == float("inf") else round(after * 1000)

    def setSlowHandlerThreshold(self, milliseconds: int, /) -> None:
        """Warn in ``qt.httpserver``, once per route, of handlers that block the event loop longer than this.

        The default is 100; 0 or less turns the warning off. Not in Qt.
        """
        self._core.slow_after = milliseconds / 1000 if milliseconds > 0 else float("inf")

    # ---- WebSockets

    @overload
    def addWebSocketUpgradeVerifier(self, context: QObject, func: Callable[..., Any], /) -> None: ...
    @overload
    def addWebSocketUpgradeVerifier(self, context: QObject, /) -> Callable[[Handler], Handler]: ...

    def addWebSocketUpgradeVerifier(self, context: QObject, func: Any = ..., /) -> Any:
        """Ask ``func(request)`` about each WebSocket handshake, after those added before, until *context* is destroyed.

        It returns a ``QHttpServerWebSocketUpgradeResponse``, or (not in Qt) a future or coroutine of
        one. The first verdict that is not ``passToNext()`` counts. Without *func* a decorator.

        Raises:
            ImportError: neither PySide6-Addons, which has QWebSocket, nor the package ``websockets`` is installed.
            TypeError: *context* is no QObject, or *func* cannot be called.
            RuntimeError: called from another thread than the server's.

        Qt: QAbstractHttpServer::addWebSocketUpgradeVerifier.
        """
        self._check_thread("addWebSocketUpgradeVerifier")
        backends.require(self._upgrades.backend)
        check_context(context, "addWebSocketUpgradeVerifier")

        def add(function: Any) -> Any:
            check_callable(function, "addWebSocketUpgradeVerifier")
            self._upgrades.verifiers.add(context, function)
            return function

        return add if func is ... else add(func) and None

    def setWebSocketBackend(self, backend: Backend, /) -> None:
        """Choose what ``nextPendingWebSocketConnection()`` gives.

        "qt" is a QWebSocket of PySide6-Addons, "native" a ``qhttpserver_py.websocket.WebSocket`` with the same names
        and signals, "auto" the first where it is installed, else the second.

        Raises:
            ImportError: what it needs is not installed.
            ValueError: *backend* is none of the three.

        Not in Qt.
        """
        self._upgrades.set_backend(backend)

    def websocket(
        self,
        pathPattern: str,
        callback: Any = None,
        /,
        *,
        subprotocols: Sequence[str] = (),
        origins: Sequence[str] | None = None,
        max_message_size: int = MAXIMUM_MESSAGE,
        compression: bool = True,
        ping_interval: float = PING_INTERVAL,
    ) -> Any:
        """Call ``callback(socket, *values)`` for each WebSocket whose path matches; without *callback* a decorator.

        A coroutine has the socket until it returns: ``async for message in socket``, ``await socket.send(...)``. A
        function connects its signals, and keeps a reference to it. *values* are what each ``<arg>`` captured, by their
        annotations.

        Args:
            pathPattern: as in ``QHttpServer.route``.
            callback: a coroutine function or a function; its first parameter is the socket.
            subprotocols: those it supports; the first that the client offers of them is agreed on.
            origins: pages of these origins may connect besides those of this host; "*" is any.
            max_message_size: octets of the largest message, inflated; a larger one closes with 1009.
            compression: whether permessage-deflate is agreed on where the client offers it.
            ping_interval: seconds of silence after which the peer is pinged; 0 for never.

        Returns:
            True, or False where the rule is refused; as a decorator the function, unchanged.

        Raises:
            ImportError: the package ``websockets`` is not installed.
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        self._check_thread("websocket")
        options = RouteOptions(tuple(subprotocols), origins, max_message_size, compression, ping_interval)
        return self._upgrades.add_route(self, pathPattern, callback, options)

    def hasPendingWebSocketConnections(self) -> bool:
        """Return whether an upgraded socket waits to be fetched.

        Qt: QAbstractHttpServer::hasPendingWebSocketConnections.
        """
        return len(self._upgrades.pending) > 0

    def nextPendingWebSocketConnection(self) -> QWebSocket | Any:
        """Return the oldest upgraded socket, connected and the caller's own; None when there is none.

        What the peer sent meanwhile is delivered after the caller returned to the event loop.

        Qt: QAbstractHttpServer::nextPendingWebSocketConnection.
        """
        return self._upgrades.pending.next()

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
            serve(self, exchange, request, responder)

    def _prepare(self, exchange: Exchange, request: QHttpServerRequest, message: Message) -> None:
        """Prepare the request before user code gets it."""

    def _admit(
        self,
        exchange: Exchange,  # noqa: ARG002 - for overrides
        request: QHttpServerRequest,  # noqa: ARG002
        responder: QHttpServerResponder,  # noqa: ARG002
    ) -> bool:
        """Return whether the request may go on; where not, it is answered or continued later."""
        return True

    def _make_room(self) -> None:
        """Forget upgraded sockets whose peer has left: a limit of connections is reached."""
        self._upgrades.pending.drop_closed()

    def _head(self, connection: Connection, message: Message) -> HeadVerdict:  # noqa: ARG002 - for overrides
        """Decide on a message of which only the head is here."""
        if message.protocol:
            as_upgrade(message)
            return "dispatch"
        return "continue"

    def _refusal_fields(self, connection: Connection, message: Message | None) -> Headers:  # noqa: ARG002
        """Return fields for a refusal before any handler."""
        return ()

    def _body_limit(self, message: Message) -> int:  # noqa: ARG002 - for overrides
        """Return how many bytes of body *message* may have; negative: no limit."""
        return self._core.limits.body_size

    def _label(self, message: Message) -> str:
        """Return what the log calls the handler of *message*."""
        return f"{message.method} {type(self).__name__}"

    def _check_thread(self, name: str) -> None:
        self._core.check_thread(name)
