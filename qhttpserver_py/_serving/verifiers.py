"""The part of QAbstractHttpServer that asks the WebSocket verifiers and acts on their verdict."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from PySide6.QtCore import SIGNAL, QObject

from qhttpserver_py._loop.awaitables import watch
from qhttpserver_py._qt import log
from qhttpserver_py._qt.snake_case import with_snake_case
from qhttpserver_py._routing.context import ContextBound
from qhttpserver_py._serving import backends
from qhttpserver_py._serving.backends import Backend
from qhttpserver_py._serving.failures import failure_reply
from qhttpserver_py._serving.tunnels import make_tunnelled
from qhttpserver_py._serving.upgrade import (
    PendingSockets,
    handshake_fault,
    log_refused,
    offered_subprotocols,
    refusal_reply,
    stay_http,
)
from qhttpserver_py._serving.websocket_mounts import ServeWebSocket, mount_for, take_socket
from qhttpserver_py._serving.websocket_routes import WebSocketRoutes, run
from qhttpserver_py._websocket.protocol import HandshakeError, WebSocketProtocol
from qhttpserver_py._websocket.socket import MAXIMUM_MESSAGE, PING_INTERVAL, WebSocket
from qhttpserver_py.qhttpserverwebsocketupgraderesponse import QHttpServerWebSocketUpgradeResponse as Verdict

if TYPE_CHECKING:
    from PySide6.QtWebSockets import QWebSocket

    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._transport.core import ServerCore
    from qhttpserver_py._transport.listener import Listener
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
    from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

NOT_CONNECTED = "WebSocket received but no slots connected to QWebSocketServer::newConnection"

Function = TypeVar("Function", bound=Callable[..., Any])


@with_snake_case
class Verifiers:
    """WebSocket upgrades; see ``_upgrade.py``."""

    _core: ServerCore
    _verifiers: Sequence[ContextBound] = ()
    _pending: PendingSockets | None = None
    _backend: Backend = "auto"
    _websocket_routes: WebSocketRoutes | None = None
    _route_sockets: weakref.WeakSet[WebSocket] | None = None
    _websocket_mounts: list[tuple[str, ServeWebSocket]] | None = None

    if TYPE_CHECKING:  # of QAbstractHttpServer
        _listeners: dict[int, Listener]

        def _check_thread(self, name: str) -> None: ...
        def _miss(self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder) -> None: ...

    @overload
    def addWebSocketUpgradeVerifier(self, context: QObject, func: Callable[..., Any], /) -> None: ...
    @overload
    def addWebSocketUpgradeVerifier(self, context: QObject, /) -> Callable[[Function], Function]: ...

    def addWebSocketUpgradeVerifier(self, context: QObject, func: Any = ..., /) -> Any:
        """Ask ``func(request)`` about each WebSocket handshake, after those added before, until *context* dies.

        It returns a ``QHttpServerWebSocketUpgradeResponse``, or (not in Qt) a future or coroutine of
        one. The first verdict that is not ``passToNext()`` counts. Without *func* a decorator.

        Raises:
            ImportError: neither PySide6-Addons, which has QWebSocket, nor the package ``websockets`` is installed.
            TypeError: *context* is no QObject, or *func* cannot be called.
            RuntimeError: called from another thread than the server's.

        Qt: QAbstractHttpServer::addWebSocketUpgradeVerifier.
        """
        self._check_thread("addWebSocketUpgradeVerifier")
        backends.require(self._backend)
        if not isinstance(context, QObject):
            raise TypeError(f"addWebSocketUpgradeVerifier(): context is a QObject, not {type(context).__name__}")

        def add(function: Any) -> Any:
            if not callable(function):
                raise TypeError(f"addWebSocketUpgradeVerifier(): {type(function).__name__} cannot be called")
            self._verifiers = [*self._verifiers, ContextBound(context, function, self._drop_verifier)]
            return function

        if func is ...:
            return add
        add(func)
        return None

    def setWebSocketBackend(self, backend: Backend, /) -> None:
        """Choose what ``nextPendingWebSocketConnection()`` gives.

        "qt" is a QWebSocket of PySide6-Addons, "native" a ``qhttpserver_py.websocket.WebSocket`` with the same names
        and signals, "auto" the first where it is installed, else the second.

        Raises:
            ImportError: what it needs is not installed.
            ValueError: *backend* is none of the three.

        Not in Qt.
        """
        if backend not in ("auto", "qt", "native"):
            raise ValueError(f"setWebSocketBackend() takes 'auto', 'qt' or 'native', not {backend!r}")
        backends.require(backend)
        self._backend = backend

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
        function connects its signals, and keeps it. *values* are what each ``<arg>`` captured, by their annotations.

        Args:
            pathPattern: as in ``QHttpServer.route``.
            callback: a coroutine function or a function; its first parameter is the socket.
            subprotocols: those it speaks; the client's first of them is agreed on.
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
        backends.require("native")
        if self._websocket_routes is None:
            self._websocket_routes = WebSocketRoutes(self)  # type: ignore[arg-type]
        add = partial(
            self._websocket_routes.add,
            pathPattern,
            subprotocols=tuple(subprotocols),
            origins=origins,
            maximum_size=max_message_size,
            compression=compression,
            ping_interval=ping_interval,
        )
        return add(callback) if callback is not None else lambda function: (add(function), function)[1]

    def _drop_verifier(self, bound: ContextBound) -> None:
        self._verifiers = [kept for kept in self._verifiers if kept is not bound]

    def hasPendingWebSocketConnections(self) -> bool:
        """Return whether an upgraded socket waits to be fetched.

        Qt: QAbstractHttpServer::hasPendingWebSocketConnections.
        """
        return self._pending is not None and len(self._pending) > 0

    def nextPendingWebSocketConnection(self) -> QWebSocket | Any:
        """Return the oldest upgraded socket, connected and the caller's own; None when there is none.

        What the peer sent meanwhile is delivered after the caller returned to the event loop.

        Qt: QAbstractHttpServer::nextPendingWebSocketConnection.
        """
        return self._pending.next() if self._pending is not None else None

    # ---- the flow

    def _upgrade(self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        """Decide on a request that asks for an upgrade to WebSocket; routes are not consulted."""
        connection = exchange.connection
        if connection is None:
            return
        routes = self._websocket_routes
        if routes is not None and (found := routes.find(exchange.message)) is not None:
            self._upgrade_route(exchange, request, found)
            return
        if self._verifiers and connection.host is None:
            log.warning(log.HTTP1, "WebSocket over a local socket: QWebSocketServer cannot take it; answering 501")
            self._refuse_upgrade(exchange, 501, b"WebSocket over a local socket is not supported")
            return
        if not connection.engine.interleaves:
            connection.hold_upgrade(True)
        self._ask(exchange, request, responder, list(self._verifiers))

    def _ask(
        self,
        exchange: Exchange,
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
        verifiers: list[ContextBound],
    ) -> None:
        """Ask the next verifier; the rest follows when its verdict is there."""

        def settled(value: object, error: BaseException | None) -> None:
            if error is not None:
                self._verifier_failed(exchange, error)
            elif not self._decide(value, exchange, request, responder):
                self._ask(exchange, request, responder, verifiers)

        while verifiers:
            callback = verifiers.pop(0).callback
            if callback is None:  # its context died
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
            self._refuse_upgrade(exchange, 500, b"")
            return
        response = failure_reply(self._core, error, "WebSocket verifier")
        self._refuse_upgrade(exchange, response._status, response._data)

    def _decide(
        self, verdict: object, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder
    ) -> bool:
        """Act on a verdict; return False where it passes to the next verifier."""
        if exchange.connection is None:  # the peer left, or the server is gone, while the verifier ran
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
            # From the event loop: whoever fetches may delete the socket, whose signal brought us here.
            self._core.post(lambda: self._accept(exchange, request, responder, verdict._subprotocol))
            return True
        status = verdict.denyStatus()
        if not 300 <= status <= 599:  # RFC 9110 15: anything else would not refuse
            log.warning(log.HTTP1, f"deny() with status {status} refuses nothing; sending 403")
            status = 403
        self._refuse_upgrade(exchange, status, bytes(verdict.denyMessage().data()))
        return True

    def _accept(
        self,
        exchange: Exchange,
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
        subprotocol: str,
    ) -> None:
        """Make the upgrade a verifier has accepted, if it can be made."""
        if exchange.connection is None:
            return
        server: Any = self
        if not server.receivers(SIGNAL("newWebSocketConnection()")):
            if self._serve_mounted(exchange, request):
                return
            log.warning(log.HTTP1, NOT_CONNECTED)
            self._upgrade_missing(exchange, request, responder)
            return
        message = exchange.message
        if (fault := handshake_fault(message)) is not None:
            status, detail = fault
            self._refuse_upgrade(exchange, status, detail.encode())
            return
        if subprotocol and subprotocol not in offered_subprotocols(message):
            self._verifier_failed(exchange, ValueError(f"the client did not offer the sub-protocol {subprotocol!r}"))
            return
        if self._pending is None:
            self._pending = PendingSockets()
        if self._pending.full():
            self._refuse_upgrade(exchange, 503, b"too many WebSocket connections wait to be fetched")
            return
        self._hand_over(exchange, request, subprotocol, self._pending)

    def _upgrade_route(self, exchange: Exchange, request: QHttpServerRequest, found: Any) -> None:
        """Make the upgrade that a route asks for, and call its handler."""
        route, binding, captures = found
        message = exchange.message
        if (fault := handshake_fault(message)) is not None:
            self._refuse_upgrade(exchange, fault[0], fault[1].encode())
            return
        if not route.admits(message):
            self._refuse_upgrade(exchange, 403, b"pages of this origin may not connect")
            return
        subprotocol, protocol = route.subprotocol(message), route.protocol()
        taken = take_socket(self, exchange, request, protocol, subprotocol)
        if taken is not None:
            run(self._core, route, binding, captures, *taken)

    def _serve_mounted(self, exchange: Exchange, request: QHttpServerRequest) -> bool:
        """Have a mounted application decide on the upgrade, if one is mounted there."""
        serve = mount_for(self._websocket_mounts or [], exchange.message)
        if serve is not None:
            serve(self, exchange, request)
        return serve is not None

    def _hand_over(
        self, exchange: Exchange, request: QHttpServerRequest, subprotocol: str, pending: PendingSockets
    ) -> None:
        connection: Any = exchange.connection
        server = self
        if connection.engine.interleaves:
            self._hand_over_tunnel(exchange, request, subprotocol, pending)
            return
        rest: bytes | None = connection.engine.unread()
        if rest is None:
            if server._listeners:
                self._refuse_upgrade(exchange, 400, b"too much data behind the handshake")
            else:  # close() left it time for a verdict
                self._refuse_upgrade(exchange, 503, b"the server is closing")
            return
        parent: Any = server
        try:
            if backends.uses_qt(self._backend):
                added = pending.add(connection, exchange.message, rest, subprotocol, parent)
            else:
                added = pending.add_native(connection, request, rest, subprotocol, parent)
        except HandshakeError as error:
            self._refuse_upgrade(exchange, 400, str(error).encode())
            return
        exchange.upgraded()
        if added:
            server.newWebSocketConnection.emit()  # type: ignore[attr-defined]

    def _hand_over_tunnel(
        self, exchange: Exchange, request: QHttpServerRequest, subprotocol: str, pending: PendingSockets
    ) -> None:
        server: Any = self
        protocol = WebSocketProtocol(MAXIMUM_MESSAGE, compression=True)
        try:
            socket = make_tunnelled(exchange, request, subprotocol, protocol, server)
        except HandshakeError as error:
            self._refuse_upgrade(exchange, 400, str(error).encode())
            return
        pending.add_tunnel(socket)
        server.newWebSocketConnection.emit()

    def _offers_tunnels(self) -> bool:
        """Return whether HTTP/2 clients are told that they may open WebSockets (RFC 8441 3)."""
        if self._backend == "qt":
            return False
        if self._websocket_routes is not None or self._websocket_mounts:
            return True
        return bool(self._verifiers) and not backends.uses_qt(self._backend)

    def _upgrade_missing(
        self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder
    ) -> None:
        if exchange.connection is None or self._serve_mounted(exchange, request):
            return
        stay_http(exchange.connection)
        self._miss(exchange, request, responder)

    def _refuse_upgrade(self, exchange: Exchange, status: int, text: bytes) -> None:
        """Answer and close; the text is the reason phrase too, where clients of the original look for it."""
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
