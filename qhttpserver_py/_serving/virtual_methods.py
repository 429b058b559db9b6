"""Calls the two virtual methods of a server, which subclasses override, and waits for what they return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qhttpserver_py._serving.answers import follow

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
    from qhttpserver_py.qhttpserverresponder import QHttpServerResponder


def serve(server: Any, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
    """Answer by ``handleRequest``, and where that returns False by ``missingHandler``; a handshake by an upgrade."""
    if exchange.message.websocket:
        server._upgrades.upgrade(exchange, request, responder)
        return
    try:
        handled: object = server.handleRequest(request, responder)
        if handled not in (True, False, None) and _decides_later(server, exchange, request, responder, handled):
            return
        if not handled and not exchange.state:  # not call_missing_handler(): a call less for each 404
            outcome: object = server.missingHandler(request, responder)
            if outcome is not None:
                follow(server._core, exchange, outcome, _ignore)
    except Exception as error:  # noqa: BLE001 - user code: the peer gets 500, the server goes on
        server._answers.fail(exchange, request, error)


def call_missing_handler(
    server: Any, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder
) -> None:
    """Answer by ``missingHandler``, which may be a coroutine in a subclass."""
    try:
        outcome: object = server.missingHandler(request, responder)
        if outcome is not None:
            follow(server._core, exchange, outcome, _ignore)
    except Exception as error:  # noqa: BLE001 - user code: the peer gets 500, the server goes on
        server._answers.fail(exchange, request, error)


def _decides_later(
    server: Any, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder, handled: object
) -> bool:
    """Wait for what an override of ``handleRequest`` that is a coroutine returns; False where it is none."""

    def done(value: object) -> None:
        if not value and not exchange.state:
            call_missing_handler(server, exchange, request, responder)

    return follow(server._core, exchange, handled, done)


def _ignore(_outcome: object) -> None:
    """Do nothing: a missing handler answers by its responder."""
