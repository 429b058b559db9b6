"""The QWebSockets that upgrades give: what they say of themselves, what was sent early, who owns them."""

from __future__ import annotations

import gc
import os
from concurrent.futures import Future

import PySide6
import pytest
from PySide6.QtCore import QObject, QThread, QUrl
from PySide6.QtNetwork import QHostAddress, QNetworkRequest, QSslSocket, QTcpSocket
from PySide6.QtWebSockets import QWebSocket, QWebSocketHandshakeOptions
from shiboken6 import Shiboken

from qhttpserver_py import QHttpServer, QHttpServerConfiguration
from qhttpserver_py._testing_tls import TlsAuthority

from .rawclient import RawClient, bound, logged, reported, settle, spin
from .wsclient import (
    BINARY,
    CLOSE,
    TEXT,
    Upgrading,
    Verdict,
    accept,
    bound_tls,
    frame,
    frames,
    handshake,
    open_qt,
    switched,
)

pytestmark = pytest.mark.usefixtures("qapp")

State = QTcpSocket.SocketState


@pytest.fixture(scope="module")
def authority():
    return TlsAuthority()


@pytest.fixture
def upgrading():
    made = Upgrading(verify=accept)
    yield made
    if Shiboken.isValid(made.server):
        made.close()


@pytest.fixture
def waiting():
    """A server whose application is told, and fetches when it likes."""
    made = Upgrading(verify=accept, listen=False)
    made.told = []
    made.server.newWebSocketConnection.connect(lambda: made.told.append(1))
    yield made
    if Shiboken.isValid(made.server):
        made.close()


# ---- what the QWebSocket knows


def test_facts(upgrading):
    request = QNetworkRequest(QUrl(f"ws://localhost:{upgrading.port}/chat/a%20b?x=1"))
    request.setRawHeader(b"Cookie", b"id=7")
    request.setRawHeader(b"X-Own", b"yes")
    options = QWebSocketHandshakeOptions()
    options.setSubprotocols(["chat", "mqtt"])
    client = QWebSocket("http://page.example")
    client.open(request, options)
    assert spin(lambda: upgrading.sockets)
    socket = upgrading.sockets[0]
    assert type(socket) is QWebSocket
    assert socket.parent() is None
    assert socket.isValid() and socket.state() == State.ConnectedState
    assert socket.requestUrl() == QUrl(f"ws://localhost:{upgrading.port}/chat/a%20b?x=1")
    assert socket.resourceName() == socket.requestUrl().toString()
    assert socket.origin() == "http://page.example"
    assert socket.version().value == 13
    assert socket.subprotocol() == ""
    assert socket.handshakeOptions().subprotocols() == ["chat", "mqtt"]
    assert socket.request().rawHeader("cookie") == b"id=7"
    assert socket.request().rawHeader("x-own") == b"yes"
    assert socket.peerAddress() == QHostAddress("127.0.0.1")
    assert socket.localPort() == upgrading.port
    assert spin(lambda: client.state() == State.ConnectedState)
    assert client.subprotocol() == ""
    client.abort()


def test_an_absolute_target(upgrading):
    switched(upgrading.client(handshake("http://elsewhere:81/a")))
    assert upgrading.sockets[0].requestUrl().path() == "/a"


def test_repeated_fields(upgrading):
    data = handshake().replace(b"\r\n\r\n", b"\r\nX-Own: a\r\nX-Own: b\r\n\r\n")
    switched(upgrading.client(data))
    assert upgrading.sockets[0].request().rawHeader("x-own") == b"a, b"


def test_over_tls(upgrading, authority):
    port = bound_tls(upgrading.server, authority)
    client = open_qt(f"wss://localhost:{port}/safe", authority)
    got = []
    client.textMessageReceived.connect(got.append)
    assert spin(lambda: upgrading.sockets)
    socket = upgrading.sockets[0]
    assert socket.requestUrl() == QUrl(f"wss://localhost:{port}/safe")
    assert not socket.sslConfiguration().isNull()
    socket.sendTextMessage("x" * 100_000)
    assert spin(lambda: got == ["x" * 100_000])
    client.sendTextMessage("y" * 100_000)
    assert spin(lambda: upgrading.heard == ["y" * 100_000])
    client.close()
    assert spin(lambda: upgrading.heard[-1] == "gone")


def test_the_verifier_sees_https_over_tls(authority):
    seen = []
    made = Upgrading(verify=lambda request: seen.append(request.url().scheme()) or Verdict.accept())
    client = open_qt(f"wss://localhost:{bound_tls(made.server, authority)}/", authority)
    assert spin(lambda: made.sockets)
    assert seen == ["https"]
    client.abort()
    made.close()


# ---- the sub-protocol


@pytest.mark.parametrize("chosen", ["chat", "v2.mqtt"])
def test_a_chosen_subprotocol(chosen):
    made = Upgrading(verify=lambda _request: Verdict.accept(subprotocol=chosen))
    client = made.client(handshake(Sec_WebSocket_Protocol="soap, v2.mqtt,chat"))
    assert switched(client)["sec-websocket-protocol"] == chosen
    assert made.sockets[0].subprotocol() == chosen
    made.close()


def test_a_subprotocol_offered_in_the_second_of_two_fields():
    made = Upgrading(verify=lambda _request: Verdict.accept(subprotocol="b"))
    data = handshake(Sec_WebSocket_Protocol="a").replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: b\r\n\r\n")
    assert switched(made.client(data))["sec-websocket-protocol"] == "b"
    made.close()


@pytest.mark.parametrize("offered", [None, "soap, chatty", "CHAT"])
def test_a_subprotocol_that_was_not_offered(offered):
    made = Upgrading(verify=lambda _request: Verdict.accept(subprotocol="chat"))
    with reported() as errors:
        assert made.client(handshake(Sec_WebSocket_Protocol=offered)).reply().status == 500
    assert "did not offer" in str(errors[0])
    assert made.sockets == []
    made.close()


# ---- what came early


MANY = [b"%d" % number for number in range(200)]


@pytest.mark.parametrize(
    ("early", "later", "heard"),
    [
        (frame(TEXT, b"whole"), b"", ["whole"]),
        (frame(TEXT, b"partial")[:4], frame(TEXT, b"partial")[4:], ["partial"]),
        (frame(TEXT, b"one")[:1], frame(TEXT, b"one")[1:], ["one"]),
        (frame(TEXT, b"a") + frame(BINARY, bytes(range(256)))[:99], frame(BINARY, bytes(range(256)))[99:],
         ["a", bytes(range(256))]),
        (b"".join(frame(TEXT, text) for text in MANY), frame(TEXT, b"end"), [*(t.decode() for t in MANY), "end"]),
        (frame(BINARY, b"z" * 60_000), b"", [b"z" * 60_000]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("fetch", ["at once", "late"])
def test_frames_in_the_packet_of_the_handshake(waiting, early, later, heard, fetch):
    if fetch == "at once":
        waiting.server.newWebSocketConnection.connect(waiting.fetch)
    client = waiting.client(handshake() + early)
    switched(client)
    if fetch == "late":
        spin(lambda: False, 0.03)
        waiting.fetch()
    client.send(later)
    assert spin(lambda: waiting.heard == heard)


@pytest.mark.parametrize("fetch", ["at once", "late"])
def test_frames_in_the_record_of_the_handshake(waiting, authority, fetch):
    if fetch == "at once":
        waiting.server.newWebSocketConnection.connect(waiting.fetch)
    client = QSslSocket()
    client.setSslConfiguration(authority.client_configuration())
    client.encrypted.connect(lambda: client.write(handshake() + frame(TEXT, b"a") + frame(TEXT, b"partial")[:5]))
    client.connectToHostEncrypted("localhost", bound_tls(waiting.server, authority))
    assert spin(lambda: b"\r\n\r\n" in bytes(client.peek(1000).data()))
    client.write(frame(TEXT, b"partial")[5:] + frame(BINARY, b"x" * 500_000))
    if fetch == "late":
        spin(lambda: False, 0.05)
        waiting.fetch()
    assert spin(lambda: waiting.heard == ["a", "partial", b"x" * 500_000])
    client.abort()
    assert spin(lambda: waiting.heard[-1] == "gone")


def test_more_behind_the_handshake_than_anybody_keeps(upgrading):
    client = upgrading.client(handshake() + frame(BINARY, b"x" * 200_000))
    assert client.reply().status == 400
    assert client.wait_closed()
    assert upgrading.sockets == []


def test_much_sent_before_it_is_fetched(waiting):
    client = waiting.client()
    switched(client)
    data = os.urandom(3 << 20)
    client.send(frame(BINARY, data))
    spin(lambda: False, 0.2)
    connection = waiting.server._pending._waiting[0][1]
    assert connection.bytesAvailable() <= 1 << 20  # TCP holds the rest back
    waiting.fetch()
    assert spin(lambda: waiting.heard == [data])


def test_after_requests_on_the_same_connection(upgrading):
    upgrading.server.route("/page", lambda: "page")
    client = RawClient(upgrading.port)
    for _ in range(3):
        client.get("/page")
        assert client.reply().body == b"page"
    client.send(handshake("/ws") + frame(TEXT, b"early"))
    switched(client)
    assert spin(lambda: upgrading.heard == ["early"])


def test_behind_pipelined_requests(upgrading):
    upgrading.server.route("/page", lambda: "page")
    request = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
    client = upgrading.client(request * 3 + handshake() + frame(TEXT, b"early"))
    for _ in range(3):
        assert client.reply().body == b"page"
    switched(client)
    assert spin(lambda: upgrading.heard == ["early"])


def test_behind_a_late_reply(upgrading):
    future = Future()
    upgrading.server.route("/late", lambda: future)
    client = upgrading.client(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n" + handshake() + frame(TEXT, b"early"))
    spin(lambda: False, 0.03)
    client.send(frame(TEXT, b"more"))
    future.set_result("late")
    assert client.reply().body == b"late"
    switched(client)
    assert spin(lambda: upgrading.heard == ["early", "more"])


def test_a_handshake_octet_by_octet(upgrading):
    client = RawClient(upgrading.port)
    data = handshake() + frame(TEXT, b"slow")
    for octet in range(len(data)):
        client.send(data[octet : octet + 1])
        if octet % 20 == 0:
            spin(lambda: False, 0.001)
    switched(client)
    assert spin(lambda: upgrading.heard == ["slow"])


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
    assert spin(lambda: any(w[1].state() != State.ConnectedState for w in waiting.server._pending._waiting))
    switched(waiting.client())  # who has left makes room
    assert len(waiting.told) == 32


@pytest.mark.parametrize("farewell", [b"", frame(CLOSE, b"\x03\xe8bye"), frame(CLOSE, b"\x03\xe8bye")[:5]])
def test_a_pending_socket_whose_peer_left(waiting, farewell):
    client = waiting.client(handshake() + frame(TEXT, b"last words") + farewell)
    switched(client)
    client.socket.disconnectFromHost()
    assert spin(lambda: waiting.server._pending._waiting[0][1].state() != State.ConnectedState)
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
