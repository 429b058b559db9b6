"""QWebSockets that wait to be fetched, and whose they are afterwards."""

from __future__ import annotations

import gc
import os

import PySide6
import pytest
from PySide6.QtCore import QObject, QThread
from PySide6.QtNetwork import QTcpSocket
from shiboken6 import Shiboken

from qhttpserver_py import QHttpServer, QHttpServerConfiguration

from ..support.rawclient import bound, logged, settle, spin
from ..support.wsclient import (
    CLOSE,
    TEXT,
    Upgrading,
    accept,
    bound_tls,
    fixtures,
    frame,
    frames,
    handshake,
    open_qt,
    switched,
)

pytestmark = pytest.mark.usefixtures("qapp", "either_backend")

State = QTcpSocket.SocketState


upgrading, waiting = fixtures()


# ---- waiting to be fetched


def test_one_signal_for_each(waiting):
    clients = [waiting.client(handshake(f"/{number}")) for number in range(3)]
    for client in clients:
        switched(client)
    assert len(waiting.told) == 3
    assert waiting.server.hasPendingWebSocketConnections()
    got = [waiting.server.nextPendingWebSocketConnection() for _ in range(3)]
    assert sorted(socket.resourceName()[-2:] for socket in got) == ["/0", "/1", "/2"]
    assert not waiting.server.hasPendingWebSocketConnections()
    assert waiting.server.nextPendingWebSocketConnection() is None


def test_the_thirty_first_is_refused(waiting):
    clients = [waiting.client() for _ in range(30)]
    for client in clients:
        switched(client)
    reply = waiting.client().reply()
    assert reply.status == 503
    waiting.fetch()
    switched(waiting.client())  # there is room again
    clients[5].close()
    assert spin(lambda: any(w[1].state() != State.ConnectedState for w in waiting.server._upgrades.pending._waiting))
    switched(waiting.client())  # who has left makes room
    assert len(waiting.told) == 32


@pytest.mark.parametrize("goaway_code", [b"", frame(CLOSE, b"\x03\xe8bye"), frame(CLOSE, b"\x03\xe8bye")[:5]])
def test_a_pending_socket_whose_peer_left(waiting, goaway_code):
    client = waiting.client(handshake() + frame(TEXT, b"last words") + goaway_code)
    switched(client)
    client.socket.disconnectFromHost()
    assert spin(lambda: waiting.server._upgrades.pending._waiting[0][1].state() != State.ConnectedState)
    waiting.fetch()
    assert spin(lambda: "gone" in waiting.heard)
    assert waiting.heard == ["last words", "gone"]


def test_pending_sockets_close_with_the_server(waiting):
    client = waiting.client()
    switched(client)
    waiting.server.close()
    assert not waiting.server.hasPendingWebSocketConnections()
    assert client.wait_closed()
    assert frames(client.received)[0][2][:2] == b"\x03\xe9"  # 1001: going away


def test_pending_sockets_go_with_the_server(waiting):
    client = waiting.client()
    switched(client)
    Shiboken.delete(waiting.server)
    assert client.wait_closed()


# ---- whose they are


@pytest.mark.parametrize("end", ["close", "delete", "forget", "listener"])
def test_fetched_sockets_outlive_the_server(upgrading, end):
    client = upgrading.client()
    switched(client)
    server = upgrading.server
    if end == "close":
        server.close()
    elif end == "listener":
        Shiboken.delete(server.servers()[0])
    elif end == "delete":
        Shiboken.delete(server)
    else:
        upgrading.server = QHttpServer()
        del server
        gc.collect()
    settle()
    spin(lambda: False, 0.02)
    upgrading.sockets[0].sendTextMessage("alive")
    client.send(frame(TEXT, b"me too"))
    assert spin(lambda: frames(client.received) == [(TEXT, True, b"alive")])
    assert spin(lambda: upgrading.heard == ["me too"])


def test_the_last_reference_closes(waiting):
    client = waiting.client()
    switched(client)
    socket = waiting.server.nextPendingWebSocketConnection()
    assert socket is not None
    settle()
    del socket
    gc.collect()
    assert client.wait_closed()


def test_the_server_goes_with_its_last_reference():
    made = Upgrading(verify=accept)
    gone = []
    switched(made.client())
    made.server.destroyed.connect(lambda: gone.append(1))
    made.server.newWebSocketConnection.disconnect(made.fetch)
    assert not gc.isenabled()  # nothing here waits for the collector
    made.server = None
    assert gone == [1]
    made.sockets[0].abort()


@pytest.mark.parametrize("when", ["in the slot", "later"])
def test_the_application_deletes_it(waiting, when):
    client = waiting.client() if when == "later" else None
    fetched = []

    def fetch():
        socket = waiting.server.nextPendingWebSocketConnection()
        fetched.append(socket)
        if when == "in the slot":
            Shiboken.delete(socket)

    waiting.server.newWebSocketConnection.connect(fetch)
    client = client or waiting.client()
    switched(client)
    assert spin(lambda: fetched)
    if when == "later":
        Shiboken.delete(fetched[0])
    assert client.wait_closed()
    settle()


def test_the_keep_alive_timeout_does_not_touch_it(upgrading):
    configuration = QHttpServerConfiguration()
    configuration.setKeepAliveTimeout(0)
    upgrading.server.setConfiguration(configuration)
    client = upgrading.client()
    switched(client)
    assert not spin(lambda: client.closed, 0.8)
    assert upgrading.server._core.connections == set()


def test_no_messages_of_qt(upgrading):
    with logged() as lines:
        for number in range(3):
            client = upgrading.client()
            switched(client)
            client.send(frame(TEXT, b"x"))
            assert spin(lambda number=number: len(upgrading.heard) == number * 2 + 1)
            client.close()
            assert spin(lambda number=number: len(upgrading.heard) == number * 2 + 2)
        for socket in upgrading.sockets:
            Shiboken.delete(socket)
        upgrading.sockets.clear()
        settle()
    assert [line for line in lines if "device not open" not in line[2]] == []  # that is the test's own client


def open_files():
    return len(os.listdir("/proc/self/fd"))


def count(kind):
    gc.collect()
    return sum(issubclass(type(thing), kind) for thing in gc.get_objects())


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.skipif(
    PySide6.__version_info__ < (6, 9), reason="the binding keeps every QWebSocket whose signals had slots"
)
def test_a_thousand_upgrades_leave_nothing(upgrading):
    def once(number):
        client = upgrading.client(handshake() + frame(TEXT, b"x"))
        switched(client)
        assert spin(lambda: upgrading.heard == ["x"])
        if number % 3 == 0:
            client.socket.disconnectFromHost()
        elif number % 3 == 1:
            upgrading.sockets[0].close()
            assert spin(lambda: frames(client.received))
            client.send(frame(CLOSE, frames(client.received)[0][2]))
        else:
            client.send(frame(CLOSE, b"\x03\xe8"))
        assert spin(lambda: upgrading.heard == ["x", "gone"])
        assert spin(lambda: client.closed)
        upgrading.sockets.pop().deleteLater()
        upgrading.heard.clear()
        settle()

    for number in range(30):
        once(number)
    before = [count(QObject), open_files(), len(gc.get_objects())]
    for number in range(1000):
        once(number)
    after = [count(QObject), open_files(), len(gc.get_objects())]
    assert upgrading.server._core.connections == set()
    assert after[0] <= before[0] + 5 and after[1] <= before[1] + 5
    assert after[2] <= before[2] + 200
    assert len(upgrading.server.findChildren(QObject)) < 20


def test_a_socket_with_a_parent_leaves_no_wrapper(upgrading):
    parent = QObject()

    def once():
        client = upgrading.client()
        switched(client)
        assert spin(lambda: upgrading.sockets)
        upgrading.sockets[0].setParent(parent)
        upgrading.sockets[0].disconnected.connect(upgrading.sockets[0].deleteLater)
        client.socket.abort()
        assert spin(lambda: upgrading.heard == ["gone"])
        upgrading.sockets.clear()
        upgrading.heard.clear()
        settle()
        assert not parent.children()

    once()
    before = count(QTcpSocket)
    for _ in range(5):
        once()
    assert count(QTcpSocket) <= before + 1


def test_the_thread_of_the_server(upgrading):
    switched(upgrading.client())
    assert upgrading.sockets[0].thread() is QThread.currentThread()


def test_a_bound_tls_server_and_a_plain_one_together(upgrading, authority):
    port = bound_tls(upgrading.server, authority)
    other = bound(upgrading.server)
    safe, plain = open_qt(f"wss://localhost:{port}/", authority), open_qt(f"ws://localhost:{other}/")
    assert spin(lambda: len(upgrading.sockets) == 2)
    assert {socket.requestUrl().scheme() for socket in upgrading.sockets} == {"ws", "wss"}
    safe.abort(), plain.abort()
