"""The part of a server that upgrades requests to WebSockets: by routes, by verifiers and by mounted applications."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import SIGNAL, QObject
from shiboken6 import isValid

from qhttpserver_py._loop.awaitables import watch
from qhttpserver_py._protocol.engine import Headers
from qhttpserver_py._qt import log
from qhttpserver_py._routing.context import ContextBound, ContextBoundCalls, when_destroyed
from qhttpserver_py._serving import backends
from qhttpserver_py._serving.backends import Backend
from qhttpserver_py._serving.bound_servers import BoundServers
from qhttpserver_py._serving.failures import failure_reply
from qhttpserver_py._serving.handshakes import (
    handshake_fault,
    log_refused,
    offered_subprotocols,
    refusal_reply,
    stay_http,
)
from qhttpserver_py._serving.pending_sockets import (
    PENDING_SECONDS,
    PendingSockets,
    delete_at_end,
    delete_later,
    going_away,
    make_native,
)
from qhttpserver_py._serving.tunnels import make_tunnelled
from qhttpserver_py._serving.virtual_methods import call_missing_handler
from qhttpserver_py._serving.websocket_mounts import ServeWebSocket, mount_for
from qhttpserver_py._serving.websocket_routes import RouteOptions, WebSocketRoutes, run
from qhttpserver_py._websocket.protocol import HandshakeError, WebSocketProtocol
from qhttpserver_py._websocket.socket import MAXIMUM_MESSAGE, WebSocket
from qhttpserver_py.qhttpserverwebsocketupgraderesponse import QHttpServerWebSocketUpgradeResponse as Verdict

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._transport.core import ServerCore
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
    from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

NOT_CONNECTED = "WebSocket received but no slots connected to QWebSocketServer::newConnection"


class Upgrades:
    """Decides on the handshakes of one server, and holds the sockets that were made.

    It finds its server through the core, because the server ends with its last reference.
    """

    def __init__(self, core: ServerCore, bound: BoundServers) -> None:
        self.verifiers = ContextBoundCalls()
        self.backend: Backend = "auto"
        self.routes: WebSocketRoutes | None = None
        self.mounts: Sequence[tuple[str, ServeWebSocket]] = ()
        self.pending = PendingSockets()
        self.sockets: weakref.WeakSet[WebSocket] = weakref.WeakSet()  # of routes and mounted applications
        self._core = core
        self._bound = bound
        self._hears_of_end = False

    # ---- registration

    def set_backend(self, backend: Backend) -> None:
        """See ``QAbstractHttpServer.setWebSocketBackend``."""
        if backend not in ("auto", "qt", "native"):
            raise ValueError(f"setWebSocketBackend() takes 'auto', 'qt' or 'native', not {backend!r}")
        backends.require(backend)
        self.backend = backend

    def add_route(self, server: QObject, pattern: str, callback: Any, options: RouteOptions) -> Any:
        """See ``QAbstractHttpServer.websocket``."""
        backends.require("native")
        routes = self.routes = self.routes or WebSocketRoutes(server)
        if callback is not None:
            return routes.add(server, pattern, callback, options)
        return lambda function: (routes.add(server, pattern, function, options), function)[1]

    def offers_tunnels(self) -> bool:
        """Return whether HTTP/2 clients are told that they may open WebSockets (RFC 8441 3)."""
        if self.backend == "qt":
            return False
        if self.routes is not None or self.mounts:
            return True
        return bool(self.verifiers.items) and not backends.uses_qt(self.backend)

    # ---- the end

    def close(self, timeout: int) -> None:
        """Close sockets that were not fetched, and those of routes and mounted applications within *timeout* ms."""
        self.pending.close()
        for socket in tuple(self.sockets):
            going_away(socket, max(timeout / 1000, PENDING_SECONDS))

    def _abandon(self) -> None:
        """The server was deleted: so are they, though not in the middle of their own signals."""
        for socket in tuple(self.sockets):
            if isValid(socket):
                socket.abort()
                delete_later(socket)

    async def wait_closed(self) -> None:
        """Wait until the sockets of routes and mounted applications are closed."""
        for socket in tuple(self.sockets):
            await socket.wait_closed()

    # ---- a handshake

    def upgrade(self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        """Decide on a request that asks for an upgrade to WebSocket; routes of requests are not looked up."""
        connection = exchange.connection
        if connection is None:
            return
        routes = self.routes
        if routes is not None and (found := routes.find(exchange.message)) is not None:
            self._upgrade_route(exchange, request, found)
            return
        if self.verifiers.items and connection.host is None:
            log.warning(log.HTTP1, "WebSocket over a local socket: QWebSocketServer cannot take it; answering 501")
            self.refuse(exchange, 501, b"WebSocket over a local socket is not supported")
            return
        if not connection.engine.interleaves:
            connection.hold_upgrade(True)
        self._ask(exchange, request, responder, list(self.verifiers.items))

    def _ask(
        self,
        exchange: Exchange,
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
        verifiers: list[ContextBound],
    ) -> None:
        """Call the next verifier, and go on when its verdict is there."""

        def settled(value: object, error: BaseException | None) -> None:
            if error is not None:
                self._verifier_failed(exchange, error)
            elif not self._decide(value, exchange, request, responder):
                self._ask(exchange, request, responder, verifiers)

        while verifiers:
            callback = verifiers.pop(0).callback
            if callback is None:  # its context was destroyed
                continue
            try:
                verdict = callback(request)
                cancel = None if isinstance(verdict, Verdict) else watch(verdict, settled, self._core.post)
            except Exception as error:  # noqa: BLE001 - user code: the peer gets 500
                self._verifier_failed(exchange, error)
                return
            if cancel is not None:
                exchange.when_canceled(cancel)
                return
            if self._decide(verdict, exchange, request, responder):
                return
        self._upgrade_missing(exchange, request, responder)

    def _verifier_failed(self, exchange: Exchange, error: BaseException) -> None:
        if not isinstance(error, Exception):
            self.refuse(exchange, 500, b"")
            return
        response = failure_reply(self._core, error, "WebSocket verifier")
        self.refuse(exchange, response._status, response._data)

    def _decide(
        self, verdict: object, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder
    ) -> bool:
        """Act on a verdict; return False where it passes to the next verifier."""
        if exchange.connection is None:  # the peer left, or the server was deleted, while the verifier ran
            return True
        if not isinstance(verdict, Verdict):
            error = TypeError(
                "returns QHttpServerWebSocketUpgradeResponse.accept(), deny() or passToNext(), "
                f"not {type(verdict).__name__}"
            )
            self._verifier_failed(exchange, error)
            return True
        kind = verdict.type()
        if kind is Verdict.ResponseType.PassToNext:
            return False
        if kind is Verdict.ResponseType.Accept:
            # Later, from the event loop: the slot that fetches may delete the socket, whose signal is on the stack now.
            self._core.post(lambda: self._accept(exchange, request, responder, verdict._subprotocol))
            return True
        status = verdict.denyStatus()
        if not 300 <= status <= 599:  # RFC 9110 15: any other status would not refuse
            log.warning(log.HTTP1, f"deny() with status {status} refuses nothing; sending 403")
            status = 403
        self.refuse(exchange, status, bytes(verdict.denyMessage().data()))
        return True

    def _accept(
        self,
        exchange: Exchange,
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
        subprotocol: str,
    ) -> None:
        """Make the upgrade that a verifier has accepted, if that is possible."""
        if exchange.connection is None:
            return
        server: Any = self._core.server()
        if not server.receivers(SIGNAL("newWebSocketConnection()")):
            if self._serve_mounted(exchange, request):
                return
            log.warning(log.HTTP1, NOT_CONNECTED)
            self._upgrade_missing(exchange, request, responder)
            return
        message = exchange.message
        if (fault := handshake_fault(message)) is not None:
            status, detail = fault
            self.refuse(exchange, status, detail.encode())
            return
        if subprotocol and subprotocol not in offered_subprotocols(message):
            self._verifier_failed(exchange, ValueError(f"the client did not offer the sub-protocol {subprotocol!r}"))
            return
        if self.pending.full():
            self.refuse(exchange, 503, b"too many WebSocket connections wait to be fetched")
            return
        self._hand_over(server, exchange, request, subprotocol)

    def _upgrade_route(self, exchange: Exchange, request: QHttpServerRequest, found: Any) -> None:
        """Make the upgrade that a route asks for, and call its handler."""
        route, binding, captures = found
        message = exchange.message
        if (fault := handshake_fault(message)) is not None:
            self.refuse(exchange, fault[0], fault[1].encode())
            return
        if not route.admits(message):
            self.refuse(exchange, 403, b"pages of this origin may not connect")
            return
        subprotocol, protocol = route.subprotocol(message), route.protocol()
        taken = self.take_socket(exchange, request, protocol, subprotocol)
        if taken is not None:
            run(self._core, route, binding, captures, *taken)

    def take_socket(
        self,
        exchange: Exchange,
        request: QHttpServerRequest,
        protocol: WebSocketProtocol,
        subprotocol: str,
        fields: Headers = (),
    ) -> tuple[WebSocket, bytes] | None:
        """Answer the handshake of *exchange* with *fields*; return its WebSocket and what the peer sent behind it.

        The socket is closed when the server is, and deletes itself once it is disconnected. None where the peer has
        left or was refused.
        """
        connection: Any = exchange.connection
        if connection is None:
            return None
        if not self._hears_of_end:
            self._hears_of_end = True
            server: Any = self._core.server()
            when_destroyed(server, self._abandon)
        # Not the server: its last reference may go while a socket is being deleted, and would delete it again.
        parent = self._core.socket_parent
        rest: bytes | None = b""
        socket: WebSocket | None
        try:
            if connection.engine.interleaves:
                socket = make_tunnelled(exchange, request, subprotocol, protocol, parent, fields)
            elif (rest := connection.engine.unread()) is None:
                self.refuse(exchange, 400, b"too much data behind the handshake")
                return None
            else:
                socket, _, rest, _ = make_native(connection, request, rest, subprotocol, protocol, parent, fields)
                exchange.upgraded()
        except HandshakeError as error:
            self.refuse(exchange, 400, str(error).encode())
            return None
        if socket is None:
            return None
        self.sockets.add(socket)
        delete_at_end(socket)
        return socket, rest or b""

    def _serve_mounted(self, exchange: Exchange, request: QHttpServerRequest) -> bool:
        """Have a mounted application decide on the upgrade, if one is mounted there."""
        serve = mount_for(self.mounts, exchange.message)
        if serve is not None:
            serve(self, exchange, request)
        return serve is not None

    def _hand_over(self, server: Any, exchange: Exchange, request: QHttpServerRequest, subprotocol: str) -> None:
        connection: Any = exchange.connection
        if connection.engine.interleaves:
            self._hand_over_tunnel(server, exchange, request, subprotocol)
            return
        rest: bytes | None = connection.engine.unread()
        if rest is None:
            if self._bound.listeners:
                self.refuse(exchange, 400, b"too much data behind the handshake")
            else:  # close() with a timeout has waited for the verdict
                self.refuse(exchange, 503, b"the server is closing")
            return
        try:
            if backends.uses_qt(self.backend):
                added = self.pending.add(connection, exchange.message, rest, subprotocol, server)
            else:
                added = self.pending.add_native(connection, request, rest, subprotocol, server)
        except HandshakeError as error:
            self.refuse(exchange, 400, str(error).encode())
            return
        exchange.upgraded()
        if added:
            server.newWebSocketConnection.emit()

    def _hand_over_tunnel(self, server: Any, exchange: Exchange, request: QHttpServerRequest, subprotocol: str) -> None:
        protocol = WebSocketProtocol(MAXIMUM_MESSAGE, compression=True)
        try:
            socket = make_tunnelled(exchange, request, subprotocol, protocol, server)
        except HandshakeError as error:
            self.refuse(exchange, 400, str(error).encode())
            return
        self.pending.add_tunnel(socket)
        server.newWebSocketConnection.emit()

    def _upgrade_missing(
        self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder
    ) -> None:
        if exchange.connection is None or self._serve_mounted(exchange, request):
            return
        stay_http(exchange.connection)
        call_missing_handler(self._core.server(), exchange, request, responder)

    def refuse(self, exchange: Exchange, status: int, text: bytes) -> None:
        """Answer and close; the text is the reason phrase too, where clients of Qt's server read it."""
        connection = exchange.connection
        if connection is None:
            return
        log_refused(status, text.decode("utf-8", "replace"))
        if connection.engine.interleaves:
            version = [(b"sec-websocket-version", b"13")] if status == 426 else []
            exchange.send(status, [(b"content-type", b"text/plain"), *version], text)
            return
        stay_http(connection)
        exchange.send_raw(status, refusal_reply(status, text, exchange.fields), len(text))
