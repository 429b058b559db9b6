"""WebSockets count as connections until they are closed."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from PySide6.QtNetwork import QTcpSocket
from shiboken6 import Shiboken

from qhttpserver_py import QHttpServerConfiguration

from ..support.rawclient import RawClient, ask, settle, wait_until
from ..support.wsclient import Upgrading, bound_tls, fixtures, handshake, open_qt, switched

pytestmark = pytest.mark.usefixtures("qapp", "either_backend")

upgrading, waiting = fixtures()
SETTINGS = ["maximumConnections", "maximumConnectionsPerHost"]


def limit(upgrading: Upgrading, setting: str, value: int = 2) -> None:
    configuration = QHttpServerConfiguration()
    getattr(configuration, f"set{setting[0].upper()}{setting[1:]}")(value)
    upgrading.server.setConfiguration(configuration)


def counted(upgrading: Upgrading) -> int:
    admission = upgrading.server._core.admission
    assert sum(admission.per_host.values()) == admission.total
    return admission.total


def peer_leaves(upgrading: Upgrading, client: RawClient) -> None:
    client.close()


def application_aborts(upgrading: Upgrading, client: RawClient) -> None:
    upgrading.sockets[0].abort()


def application_deletes(upgrading: Upgrading, client: RawClient) -> None:
    Shiboken.delete(upgrading.sockets.pop(0))


def application_forgets(upgrading: Upgrading, client: RawClient) -> None:
    upgrading.sockets[0].disconnected.disconnect()
    del upgrading.sockets[0]
    gc.collect()


def application_deletes_later(upgrading: Upgrading, client: RawClient) -> None:
    upgrading.sockets.pop(0).deleteLater()


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    "end", [peer_leaves, application_aborts, application_deletes, application_forgets, application_deletes_later]
)
def test_until_they_are_gone(upgrading: Any, setting: str, end: Any) -> None:
    limit(upgrading, setting)
    clients = [upgrading.client() for _ in range(2)]
    for client in clients:
        switched(client)
    wait_until(lambda: len(upgrading.sockets) == 2)
    assert counted(upgrading) == 2
    third = upgrading.client()
    assert third.reply().status == 429
    assert third.wait_closed()
    end(upgrading, clients[0])
    settle()
    wait_until(lambda: counted(upgrading) == 1)
    assert ask(upgrading.port, "/").status == 404
    wait_until(lambda: counted(upgrading) == 1)
    switched(upgrading.client())
    assert counted(upgrading) == 2


@pytest.mark.parametrize("setting", SETTINGS)
def test_nobody_who_left_unfetched_keeps_others_out(waiting: Any, setting: str) -> None:
    limit(waiting, setting)
    clients = [waiting.client() for _ in range(2)]
    for client in clients:
        switched(client)
    assert waiting.client().reply().status == 429
    for client in clients:
        client.close()
    waits, connected = waiting.server._upgrades.pending._waiting, QTcpSocket.SocketState.ConnectedState
    wait_until(lambda: all(entry[1].state() != connected for entry in waits))
    assert ask(waiting.port, "/").status == 404
    wait_until(lambda: counted(waiting) == 0)


@pytest.mark.parametrize("end", ["close", "delete"])
def test_the_server_goes_before_them(waiting: Any, end: str) -> None:
    limit(waiting, "maximumConnections")
    switched(waiting.client())
    admission = waiting.server._core.admission
    assert admission.total == 1
    if end == "close":
        waiting.server.close()
    else:
        Shiboken.delete(waiting.server)
    settle()
    assert (admission.total, admission.per_host) == (0, {})


def test_refused_handshakes_are_not_counted_twice(upgrading: Any) -> None:
    limit(upgrading, "maximumConnections")
    for _ in range(5):
        client = upgrading.client(handshake(Sec_WebSocket_Version="12"))
        assert client.reply().status == 426
        assert client.wait_closed()
        wait_until(lambda: counted(upgrading) == 0)


def test_over_tls(upgrading: Any, authority: Any) -> None:
    limit(upgrading, "maximumConnectionsPerHost", 1)
    port = bound_tls(upgrading.server, authority)
    client = open_qt(f"wss://localhost:{port}/", authority)
    wait_until(lambda: upgrading.sockets)
    assert counted(upgrading) == 1
    assert upgrading.client().reply().status == 429
    client.close()
    wait_until(lambda: counted(upgrading) == 0)
