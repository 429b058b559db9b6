"""A server ends with its last reference, whatever was registered: it is in no cycle with its parts."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest

from qhttpserver_py import QHttpServer
from qhttpserver_py.testing import InMemoryClient

pytestmark = pytest.mark.usefixtures("qapp")

REGISTER: dict[str, Callable[[QHttpServer], object]] = {
    "nothing": lambda _: None,
    "route": lambda server: server.route("/", lambda: "x"),
    "before": lambda server: server.addBeforeRequestHandler(server, lambda _: None),
    "after": lambda server: server.addAfterRequestHandler(server, lambda _, __: None),
    "missing": lambda server: server.setMissingHandler(server, lambda _, __: None),
    "verifier": lambda server: server.addWebSocketUpgradeVerifier(server, lambda _: None),
    "websocket": lambda server: server.websocket("/", lambda _: None),
}


@pytest.mark.parametrize("served", [False, True], ids=["unused", "used"])
@pytest.mark.parametrize("name", REGISTER)
def test_a_server_ends_with_its_last_reference(name: str, served: bool) -> None:
    server = QHttpServer()
    REGISTER[name](server)
    if served and name != "missing":  # that one answers only when its responder goes
        assert InMemoryClient(server).get("/").status in (200, 404)
    known = weakref.ref(server)
    del server
    assert known() is None
