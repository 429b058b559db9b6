"""The sockets that upgrades give: what they say of themselves, what was sent early, who owns them."""

from __future__ import annotations

import os
from concurrent.futures import Future

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtNetwork import QHostAddress, QNetworkRequest, QSslSocket, QTcpSocket
from PySide6.QtWebSockets import QWebSocket, QWebSocketHandshakeOptions

from qhttpserver_py.websocket import WebSocket

from ..support.rawclient import RawClient, reported, spin
from ..support.wsclient import (
    BINARY,
    TEXT,
    Upgrading,
    Verdict,
    bound_tls,
    fixtures,
    frame,
    handshake,
    open_qt,
    switched,
)

pytestmark = pytest.mark.usefixtures("qapp", "either_backend")

State = QTcpSocket.SocketState


upgrading, waiting = fixtures()


# ---- what the QWebSocket knows


def test_facts(upgrading, either_backend):
    request = QNetworkRequest(QUrl(f"ws://localhost:{upgrading.port}/chat/a%20b?x=1"))
    request.setRawHeader(b"Cookie", b"id=7")
    request.setRawHeader(b"X-Own", b"yes")
    options = QWebSocketHandshakeOptions()
    options.setSubprotocols(["chat", "mqtt"])
    client = QWebSocket("http://page.example")
    client.open(request, options)
    assert spin(lambda: upgrading.sockets)
    socket = upgrading.sockets[0]
    assert type(socket) is (QWebSocket if either_backend == "qt" else WebSocket)
    assert socket.parent() is None
    assert socket.isValid() and socket.state() == State.ConnectedState
    assert socket.requestUrl() == QUrl(f"ws://localhost:{upgrading.port}/chat/a%20b?x=1")
    assert socket.resourceName() == socket.requestUrl().toString()
    assert socket.origin() == "http://page.example"
    assert socket.version().value == 13
    assert socket.subprotocol() == ""
    if either_backend == "qt":  # of the side that connects
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
    connection = waiting.server._upgrades.pending._waiting[0][1]
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
