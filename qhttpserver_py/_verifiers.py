"""The part of QAbstractHttpServer that asks the WebSocket verifiers and acts on their verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from . import _log
from ._context import ContextBound
from ._snake import with_snake_case
from ._upgrade import NOT_CONNECTED, PendingSockets, Verdict, handshake_fault, log_refused, refusal_reply

if TYPE_CHECKING:
    from PySide6.QtWebSockets import QWebSocket

    from ._core import ServerCore
    from ._exchange import Exchange
    from .qhttpserverrequest import QHttpServerRequest
    from .qhttpserverresponder import QHttpServerResponder

_VERSION_13 = ((b"sec-websocket-version", b"13"),)  # RFC 6455 4.4


@with_snake_case
class Verifiers:
    """WebSocket upgrades; see ``_upgrade.py``."""

    _core: ServerCore
    _verifiers: Sequence[ContextBound] = ()
    _pending: PendingSockets | None = None

    if TYPE_CHECKING:  # of QAbstractHttpServer

        def _check_thread(self, name: str) -> None: ...
        def missingHandler(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> None: ...

    def addWebSocketUpgradeVerifier(
        self, context: QObject, func: Callable[[QHttpServerRequest], Any] | None = None, /
    ) -> Any:
        """Ask ``func(request)`` about each WebSocket handshake, after those added before, until *context* dies.

        It returns a ``QHttpServerWebSocketUpgradeResponse``, or (not in Qt) a future or coroutine of
        one. The first verdict that is not ``passToNext()`` counts. Without *func* a decorator.

        Raises:
            ImportError: PySide6-Addons, which has QWebSocket, is not installed.
            TypeError: *context* is no QObject, or *func* cannot be called.
            RuntimeError: called from another thread than the server's.

        Qt: QAbstractHttpServer::addWebSocketUpgradeVerifier.
        """
        self._check_thread("addWebSocketUpgradeVerifier")
        try:
            import PySide6.QtWebSockets  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "WebSockets need QtWebSockets of PySide6-Addons: pip install 'qhttpserver-py[websockets]'"
            ) from error
        if not isinstance(context, QObject):
            raise TypeError(f"addWebSocketUpgradeVerifier(): context is a QObject, not {type(context).__name__}")

        def add(function: Any) -> Any:
            if not callable(function):
                raise TypeError(f"addWebSocketUpgradeVerifier(): {type(function).__name__} cannot be called")
            self._verifiers = [*self._verifiers, ContextBound(context, function, self._drop_verifier)]
            return function

        return add if func is None else add(func) and None

    def _drop_verifier(self, bound: ContextBound) -> None:
        self._verifiers = [kept for kept in self._verifiers if kept is not bound]

    def hasPendingWebSocketConnections(self) -> bool:
        """Return whether an upgraded socket waits to be fetched.

        Qt: QAbstractHttpServer::hasPendingWebSocketConnections.
        """
        return self._pending is not None and len(self._pending) > 0

    def nextPendingWebSocketConnection(self) -> QWebSocket | None:
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
        if not self._verifiers:
            self._upgrade_missing(request, responder)
        elif connection.host is None:
            _log.warning(_log.HTTP1, "WebSocket over a local socket: QWebSocketServer cannot take it; answering 501")
            self._refuse_upgrade(exchange, 501, b"WebSocket over a local socket is not supported")
        elif (fault := handshake_fault(exchange.message)) is not None:
            status, detail = fault
            self._refuse_upgrade(exchange, status, detail.encode(), _VERSION_13 if status == 426 else ())
        else:
            self._ask(exchange, request, responder, list(self._verifiers))

    def _ask(
        self,
        exchange: Exchange,
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
        verifiers: list[ContextBound],
    ) -> None:
        """Ask the next verifier; the rest follows when its verdict is there."""
        from ._awaitables import watch

        while verifiers:
            callback = verifiers.pop(0).callback
            if callback is None:  # its context died
                continue
            try:
                verdict = callback(request)
            except Exception as error:  # noqa: BLE001 - user code: the peer gets 500
                self._core.report(error)
                self._refuse_upgrade(exchange, 500, b"")
                return

            def settled(value: object, error: BaseException | None) -> None:
                if error is not None:
                    if isinstance(error, Exception):
                        self._core.report(error)
                    self._refuse_upgrade(exchange, 500, b"")
                elif not self._decide(value, exchange, request, responder):
                    self._ask(exchange, request, responder, verifiers)

            if not isinstance(verdict, Verdict):
                cancel = watch(verdict, settled, self._core.post)
                if cancel is not None:
                    exchange.when_canceled(cancel)
                    if exchange.connection is not None:
                        exchange.connection.hold_upgrade()
                    return
            if self._decide(verdict, exchange, request, responder):
                return
        self._upgrade_missing(request, responder)

    def _decide(
        self, verdict: object, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder
    ) -> bool:
        """Act on a verdict; return False where it passes to the next verifier."""
        if not isinstance(verdict, Verdict):
            error = TypeError(
                "a WebSocket verifier returns QHttpServerWebSocketUpgradeResponse.accept(), deny() or "
                f"passToNext(), not {type(verdict).__name__}"
            )
            self._core.report(error)
            self._refuse_upgrade(exchange, 500, b"")
            return True
        kind = verdict.type()
        if kind is Verdict.ResponseType.PassToNext:
            return False
        if kind is Verdict.ResponseType.Deny:
            status = verdict.denyStatus()
            if not 300 <= status <= 599:  # RFC 9110 15: anything else would not refuse
                _log.warning(_log.HTTP1, f"deny() with status {status} refuses nothing; sending 403")
                status = 403
            self._refuse_upgrade(exchange, status, bytes(verdict.denyMessage().data()))
            return True
        self._accept(exchange, request, responder, verdict)
        return True

    def _accept(
        self,
        exchange: Exchange,
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
        verdict: Verdict,
    ) -> None:
        pending = self._pending
        if pending is None:
            pending = self._pending = PendingSockets(self)  # type: ignore[arg-type]
        if not pending.listened():
            _log.warning(_log.HTTP1, NOT_CONNECTED)
            self._upgrade_missing(request, responder)
        elif pending.full():
            self._refuse_upgrade(exchange, 503, b"too many WebSocket connections wait to be fetched")
        elif exchange.connection is not None and not exchange.state:
            connection, message = exchange.connection, exchange.message
            exchange.upgraded()
            pending.hand_over(connection, message, getattr(verdict, "_subprotocol", ""))

    def _upgrade_missing(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        connection = responder._exchange.connection
        if connection is not None:
            connection.engine.resume()  # type: ignore[attr-defined]
        try:
            self.missingHandler(request, responder)
        except Exception as error:  # noqa: BLE001 - user code: the peer gets 500, the server goes on
            self._core.report(error)
            responder._exchange.fail()

    def _refuse_upgrade(
        self, exchange: Exchange, status: int, text: bytes, fields: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        """Answer and close; the text is the reason phrase too, where clients of the original look for it."""
        connection = exchange.connection
        if connection is None or exchange.state:
            return
        log_refused(status, text.decode("latin-1"))
        connection.engine.resume()  # type: ignore[attr-defined]
        exchange.send_raw(status, refusal_reply(status, text, fields), len(text))
