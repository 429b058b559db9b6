"""The life of what is registered with a context: each registering method alike."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import QObject, QTimer

from qhttpserver_py import QHttpServer, QHttpServerResponse, QHttpServerWebSocketUpgradeResponse

from ..support.rawclient import ask, bound, settle

pytestmark = pytest.mark.usefixtures("qapp")

Register = Callable[[QHttpServer, QObject, Callable[..., Any]], object]
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + 22 * "A" + "==",
)


class Context(QObject):
    """Its methods are handlers of all kinds; each of them makes the reply 418."""

    def on_route(self) -> int:
        return 418

    def on_missing(self, _request: Any, responder: Any) -> None:
        responder.write(418)

    def on_after(self, _request: Any, response: Any) -> None:
        response.swap(QHttpServerResponse(418))

    async def on_after_later(self, _request: Any, response: Any) -> None:
        self.on_after(_request, response)

    def on_before(self, _request: Any) -> int:
        return 418

    def on_verifier(self, _request: Any) -> QHttpServerWebSocketUpgradeResponse:
        return QHttpServerWebSocketUpgradeResponse.deny(418, b"")


KINDS: dict[str, Register] = {
    "route": lambda server, context, function: server.route("/", context, function),
    "missing": lambda server, context, function: server.setMissingHandler(context, function),
    "after": lambda server, context, function: server.addAfterRequestHandler(context, function),
    "after_later": lambda server, context, function: server.addAfterRequestHandler(context, function),
    "before": lambda server, context, function: server.addBeforeRequestHandler(context, function),
    "verifier": lambda server, context, function: server.addWebSocketUpgradeVerifier(context, function),
}

every_kind = pytest.mark.parametrize("kind", KINDS)


def status(port: int, kind: str) -> int:
    return ask(port, "/", *(UPGRADE if kind == "verifier" else ())).status


@every_kind
def test_a_method_of_the_context_does_not_keep_it(kind: str) -> None:
    server, context = QHttpServer(), Context()
    KINDS[kind](server, context, getattr(context, f"on_{kind}"))
    port = bound(server)
    assert status(port, kind) == 418
    known = weakref.ref(context)
    del context
    assert known() is None
    assert status(port, kind) == 404


@every_kind
def test_a_server_that_is_its_own_context_goes_with_its_last_reference(kind: str) -> None:
    class Server(QHttpServer, Context):
        def __init__(self) -> None:
            super().__init__()
            KINDS[kind](self, self, getattr(self, f"on_{kind}"))

    server = Server()
    assert status(bound(server), kind) == 418
    settle()
    gc.collect()
    gc.disable()
    try:
        known = weakref.ref(server)
        del server
        assert known() is None
    finally:
        gc.enable()


@every_kind
def test_a_context_that_was_destroyed_before(kind: str) -> None:
    server, context = QHttpServer(), Context()
    function = getattr(context, f"on_{kind}")
    shiboken6.delete(context)
    if kind == "route":
        assert KINDS[kind](server, context, function) is False
    else:
        with pytest.raises(RuntimeError, match="context object is destroyed"):
            KINDS[kind](server, context, function)
    assert status(bound(server), kind) == 404


def test_a_slot_of_an_object_that_only_qt_holds() -> None:
    parent = QObject()
    QTimer(parent, objectName="clock", interval=3_600_000)
    server = QHttpServer()

    def register() -> None:
        clock = parent.findChild(QTimer, "clock")
        assert server.route("/start", clock, clock.start)

    register()
    gc.collect()
    assert ask(bound(server), "/start").status == 200
    assert parent.findChild(QTimer, "clock").isActive()
    shiboken6.delete(parent)
    assert ask(server.serverPorts()[0], "/start").status == 404
