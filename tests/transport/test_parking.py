"""Silent connections are watched together; to the peer, the handlers and the deadlines nothing changes."""

from __future__ import annotations

import gc
import os
import select
import socket
from collections.abc import Iterator
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import QSocketNotifier
from PySide6.QtNetwork import QLocalServer, QLocalSocket, QSslSocket, QTcpSocket

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponder
from qhttpserver_py._transport import connection as connections
from qhttpserver_py._transport import core as cores
from qhttpserver_py._transport import parking as parkings
from qhttpserver_py._transport.parking import Kqueue, Parking, make_poller
from qhttpserver_py.testing.tls import TlsAuthority
from tests.support.rawclient import RawClient, bound, listening, settle, spin, wait_until
from tests.support.wsclient import bound_tls

pytestmark = pytest.mark.usefixtures("qapp")

needs_epoll = pytest.mark.skipif(not hasattr(select, "epoll"), reason="the sets of other systems are not tested here")


def reading(socket: Any) -> QSocketNotifier:
    (found,) = [n for n in socket.findChildren(QSocketNotifier) if n.type() is QSocketNotifier.Type.Read]
    return found


# ---- the set by itself


@pytest.fixture
def pair() -> Iterator[tuple[QTcpSocket, QTcpSocket]]:
    server = listening()
    client = QTcpSocket()
    client.connectToHost(server.serverAddress(), server.serverPort())
    wait_until(server.hasPendingConnections)
    taken = server.nextPendingConnection()
    wait_until(lambda: client.state() is QTcpSocket.SocketState.ConnectedState)
    yield taken, client
    client.abort()


@pytest.fixture
def parking() -> Iterator[Parking]:
    made = Parking()
    yield made
    made.close()


@needs_epoll
def test_octets_wake_a_parked_socket(pair: tuple[QTcpSocket, QTcpSocket], parking: Parking) -> None:
    ours, client = pair
    assert parking.park("key", ours, rests=True)
    assert "key" in parking
    assert parking.resting == {"key"}
    assert not reading(ours).isEnabled()
    client.write(b"hello")
    wait_until(ours.bytesAvailable)
    assert "key" not in parking
    assert not parking.resting
    assert reading(ours).isEnabled()
    client.write(b" again")
    wait_until(lambda: ours.bytesAvailable() == 11)


@needs_epoll
@pytest.mark.parametrize("end", ["disconnectFromHost", "abort"])
def test_the_end_wakes_a_parked_socket(pair: tuple[QTcpSocket, QTcpSocket], parking: Parking, end: str) -> None:
    ours, client = pair
    ended: list[bool] = []
    ours.disconnected.connect(lambda: ended.append(True))
    assert parking.park("key", ours, rests=True)
    getattr(client, end)()
    wait_until(lambda: ended)
    assert "key" not in parking


@needs_epoll
def test_a_parked_socket_writes_and_leaves(pair: tuple[QTcpSocket, QTcpSocket], parking: Parking) -> None:
    ours, client = pair
    assert parking.park("key", ours, rests=False)
    assert not parking.resting
    ours.write(b"pushed")
    wait_until(lambda: client.bytesAvailable() == 6)
    assert len(parking) == 1
    parking.leave("key")
    parking.leave("key")
    assert reading(ours).isEnabled()
    assert len(parking) == 0


@needs_epoll
def test_a_socket_that_was_closed_meanwhile_leaves_nothing(
    pair: tuple[QTcpSocket, QTcpSocket], parking: Parking
) -> None:
    ours, _ = pair
    descriptor = ours.socketDescriptor()
    assert parking.park("old", ours, rests=True)
    kept = os.dup(descriptor)  # as a lingering close does: the system goes on reporting what it belongs to
    ours.abort()
    server = listening()
    client = QTcpSocket()
    client.connectToHost(server.serverAddress(), server.serverPort())
    wait_until(server.hasPendingConnections)
    taken = server.nextPendingConnection()
    os.close(kept)
    assert taken.socketDescriptor() != descriptor or parking.park("new", taken, rests=True)
    parking.leave("old")
    parking.leave("new")
    assert reading(taken).isEnabled()
    assert len(parking) == 0
    client.abort()


@needs_epoll
def test_closing_gives_all_back_and_keeps_no_descriptor(pair: tuple[QTcpSocket, QTcpSocket]) -> None:
    ours, client = pair
    before = len(os.listdir("/proc/self/fd"))
    parking = Parking()
    for _ in range(2):
        assert parking.park("key", ours, rests=True)
        assert len(os.listdir("/proc/self/fd")) == before + 1
        parking.close()
        parking.close()
        assert len(os.listdir("/proc/self/fd")) == before
        assert reading(ours).isEnabled()
    client.write(b"x")
    wait_until(ours.bytesAvailable)


def test_more_than_one_turn_can_take(parking: Parking, monkeypatch: pytest.MonkeyPatch) -> None:
    class Set:
        def __init__(self) -> None:
            self.held: list[int] = []
            self.pipe = os.pipe()
            self.add, self.remove = self.held.append, self.held.remove

        def fileno(self) -> int:
            return self.pipe[0]

        def ready(self, most: int) -> list[int]:
            return self.held[:most]

        def close(self) -> None:
            os.close(self.pipe[0])
            os.close(self.pipe[1])

    monkeypatch.setattr(parkings, "make_poller", Set)
    monkeypatch.setattr(parkings, "AT_ONCE", 2)
    sockets = [QTcpSocket() for _ in range(3)]
    ends = [socket.socketpair() for _ in sockets]
    for number, (made, (ours, _)) in enumerate(zip(sockets, ends, strict=True)):
        assert made.setSocketDescriptor(os.dup(ours.fileno()))
        reading(made).setEnabled(True)
        assert parking.park(number, made, rests=False)
    parking._wake()
    assert len(parking) == 1
    parking._wake()
    assert len(parking) == 0
    for made in sockets:
        made.abort()
    for both in ends:
        for one in both:
            one.close()


# ---- where the system has no such set


def without(monkeypatch: pytest.MonkeyPatch, **native: Any) -> None:
    monkeypatch.setattr(parkings, "select", SimpleNamespace(**native))


def test_where_there_is_no_set_nothing_is_parked(
    pair: tuple[QTcpSocket, QTcpSocket], parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)
    assert make_poller() is None
    assert not parking.park("key", pair[0], rests=True)
    assert "key" not in parking
    assert reading(pair[0]).isEnabled()


def test_where_no_descriptor_is_left_nothing_is_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(24, "Too many open files")

    without(monkeypatch, epoll=refuse)
    assert make_poller() is None


def test_a_descriptor_that_the_set_refuses_stays_with_qt(
    pair: tuple[QTcpSocket, QTcpSocket], parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parkings.Epoll, "add", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert not parking.park("key", pair[0], rests=True)
    assert reading(pair[0]).isEnabled()
    assert len(parking) == 0


def test_a_socket_without_a_notifier_is_not_parked(parking: Parking) -> None:
    assert not parking.park("key", QTcpSocket(), rests=True)


def test_kqueue_is_asked_as_its_manual_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake: this system has none."""
    asked: list[tuple[Any, int, int]] = []

    class Queue:
        def fileno(self) -> int:
            return 7

        def control(self, changes: Any, most: int, timeout: int) -> list[Any]:
            asked.append((changes, most, timeout))
            return [SimpleNamespace(ident=5)] if most else []

        def close(self) -> None:
            asked.append(("closed", 0, 0))

    without(
        monkeypatch,
        kqueue=Queue,
        kevent=lambda *values: values,
        KQ_FILTER_READ=-1,
        KQ_EV_ADD=1,
        KQ_EV_DELETE=2,
        KQ_EV_ONESHOT=16,
    )
    made = make_poller()
    assert isinstance(made, Kqueue)
    assert made.fileno() == 7
    made.add(5)
    made.remove(5)
    assert made.ready(3) == [5]
    made.close()
    assert asked == [([(5, -1, 17)], 0, 0), ([(5, -1, 2)], 0, 0), (None, 3, 0), ("closed", 0, 0)]


# ---- a server with a crowd


def sweep_silent(core: Any, seconds: float = 2.0) -> None:
    """Have everybody been silent for so long, as a sweep sees it, and wait for that sweep."""
    for connection in core.connections:
        connection.active_at = monotonic() - seconds
    core.sweep()
    wait_until(lambda: not core._sweeps)


class Crowd:
    """A server whose connections are parked from the second on, and clients of it."""

    def __init__(self, port: int, server: QHttpServer, count: int = 3) -> None:
        self.server = server
        self.core = server._core
        self.clients = [RawClient(port) for _ in range(count)]
        for client in self.clients:
            client.get("/hello", "Cookie: a=b")
            assert client.reply().body == b"hello"

    def silence(self, seconds: float = 2.0) -> None:
        sweep_silent(self.core, seconds)

    @property
    def parked(self) -> int:
        return len(self.core._parking)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> QHttpServer:
    monkeypatch.setattr(cores, "PARK_ABOVE", 1)
    made = QHttpServer()
    held: list[QHttpServerResponder] = []
    made.route("/hello", lambda: "hello")

    def hold(_request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        held.append(responder)

    made.route("/hold", hold)
    made.held = held  # type: ignore[attr-defined]
    return made


@needs_epoll
def test_silent_connections_are_parked_and_served(server: QHttpServer) -> None:
    crowd = Crowd(bound(server), server)
    crowd.silence(0.5)
    assert crowd.parked == 0
    crowd.silence()
    assert crowd.parked == 3
    for client in crowd.clients:
        client.get("/hello", "Cookie: c=d")
        assert client.reply().body == b"hello"
    assert crowd.parked == 0
    crowd.silence()
    assert crowd.parked == 3


@needs_epoll
def test_what_a_parked_connection_said_is_not_kept(server: QHttpServer) -> None:
    crowd = Crowd(bound(server), server)
    crowd.silence()
    for connection in crowd.core.connections:
        assert connection.engine._receiver.known.head == b""  # type: ignore[attr-defined]


def test_few_connections_are_left_to_qt(server: QHttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "PARK_ABOVE", 3)
    crowd = Crowd(bound(server), server)
    crowd.silence()
    assert crowd.parked == 0


@needs_epoll
def test_a_parked_connection_meets_its_deadline(server: QHttpServer) -> None:
    crowd = Crowd(bound(server), server)
    crowd.silence()
    crowd.silence(server._core.limits.keep_alive + 1)
    assert all(client.wait_closed() for client in crowd.clients)
    wait_until(lambda: not crowd.core.connections)
    assert crowd.parked == 0


@needs_epoll
def test_a_peer_that_leaves_is_noticed_at_once(server: QHttpServer) -> None:
    crowd = Crowd(bound(server), server)
    crowd.silence()
    crowd.clients.pop().close()
    wait_until(lambda: len(crowd.core.connections) == 2)
    assert crowd.parked == 2


@needs_epoll
def test_a_late_reply_reaches_a_parked_connection(server: QHttpServer) -> None:
    crowd = Crowd(bound(server), server)
    client = crowd.clients[0]
    client.get("/hold")
    held: list[QHttpServerResponder] = server.held  # type: ignore[attr-defined]
    wait_until(lambda: held)
    crowd.silence()
    assert crowd.parked == 3
    assert len(crowd.core._parking.resting) == 2
    held.pop().write(b"late", b"text/plain")
    assert client.reply().body == b"late"
    client.get("/hello")
    assert client.reply().body == b"hello"


@needs_epoll
def test_a_head_that_stalls_is_late_all_the_same(server: QHttpServer) -> None:
    crowd = Crowd(bound(server), server)
    client = crowd.clients[0]
    client.send(b"GET /hello HTTP/1.1\r\nHost:")
    wait_until(lambda: any(connection.engine.state.partial for connection in crowd.core.connections))
    crowd.silence()
    assert crowd.parked == 3
    assert len(crowd.core._parking.resting) == 2
    for connection in crowd.core.connections:
        reader = connection.reader  # type: ignore[attr-defined]
        reader.head_since = reader.head_since and monotonic() - 60
    crowd.silence()
    assert client.reply().status == 408


@needs_epoll
@pytest.mark.parametrize("end", ["close", "delete"])
def test_the_server_ends_with_its_parked_connections(server: QHttpServer, end: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    crowd = Crowd(bound(server), server)
    crowd.silence()
    core, clients = crowd.core, crowd.clients
    if end == "close":
        server.close()
    else:
        server.deleteLater()
        settle()
    assert all(client.wait_closed() for client in clients)
    wait_until(lambda: not core.connections)
    for client in clients:
        client.close()
    del crowd, clients, client
    settle()
    gc.collect()
    assert spin(lambda: len(os.listdir("/proc/self/fd")) <= before)
    assert len(core._parking) == 0


def parks_and_serves(server: QHttpServer, clients: list[Any]) -> None:
    """Check that three *clients* are parked, served, parked again, and forgotten when they leave."""
    core = server._core
    for _ in range(2):
        for client in clients:
            client.write(b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
            wait_until(lambda client=client: bytes(client.peek(4096).data()).endswith(b"hello"))
            client.readAll()
        sweep_silent(core)
        assert len(core._parking) == 3
    clients.pop().abort()
    wait_until(lambda: len(core.connections) == 2)
    for client in clients:
        client.abort()


@needs_epoll
def test_tls(server: QHttpServer, authority: TlsAuthority) -> None:
    port = bound_tls(server, authority)
    clients = []
    for _ in range(3):
        client = QSslSocket()
        client.setSslConfiguration(authority.client_configuration())
        client.setPeerVerifyMode(QSslSocket.PeerVerifyMode.VerifyNone)
        client.connectToHostEncrypted("127.0.0.1", port)
        wait_until(client.isEncrypted)
        clients.append(client)
    parks_and_serves(server, clients)


@needs_epoll
def test_local_sockets(server: QHttpServer, tmp_path: Any) -> None:
    local = QLocalServer()
    assert local.listen(str(tmp_path / "s"))
    assert server.bind(local)
    clients = [QLocalSocket() for _ in range(3)]
    for client in clients:
        client.connectToServer(str(tmp_path / "s"))
    parks_and_serves(server, clients)


def test_what_waits_for_a_second_is_stated() -> None:
    assert connections.SILENT == 1.0
    assert parkings.PARK_ABOVE == 64
