"""Upgrades that are refused: the reply is whole, arrives, and the connection closes behind it."""

from __future__ import annotations

import base64
import subprocess
import sys

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest
from PySide6.QtCore import QByteArray
from PySide6.QtNetwork import QSslSocket

from qhttpserver_py import QHttpServer
from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._serving.handshakes import handshake_fault, offered_subprotocols, refusal_reply
from qhttpserver_py.testing.tls import TlsAuthority

from ..support.rawclient import RawClient, bound, logged, spin
from ..support.wsclient import KEY, Upgrading, Verdict, accept, bound_tls, handshake, open_qt

pytestmark = pytest.mark.usefixtures("qapp", "either_backend")


@pytest.fixture
def made():
    servers = []

    def make(verify):
        servers.append(Upgrading(verify=verify))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def refused(client):
    """The reply, behind which the connection has closed."""
    reply = client.reply()
    assert client.wait_closed()
    assert client.received == b""
    assert "close" in reply.headers["connection"]
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert "date" in reply.headers
    return reply


# ---- deny()


@pytest.mark.parametrize(
    ("verdict", "line", "body"),
    [
        (Verdict.deny(), "403 Forbidden", b"Forbidden"),
        (Verdict.deny(418, b"teapot msg"), "418 teapot msg", b"teapot msg"),
        (Verdict.deny(401, b""), "401 Unauthorized", b""),
        (Verdict.deny(599, b"own"), "599 own", b"own"),
        (Verdict.deny(499, b""), "499 ", b""),
        (Verdict.deny(503, b"x\r\nSet-Cookie: a=b\r\n\r\n<script>"), "503 Service Unavailable", None),
        (Verdict.deny(404, b"\x00"), "404 Not Found", b"\x00"),
        (Verdict.deny(404, "nö"), "404 Not Found", "nö".encode()),
        (Verdict.deny(404, QByteArray(b"tab\there")), "404 Not Found", b"tab\there"),
        (Verdict.deny(403, b"l" * 5000), "403 Forbidden", b"l" * 5000),
    ],
)
def test_deny(made, verdict, line, body):
    reply = refused(made(lambda _request: verdict).client())
    assert reply.status_line == f"HTTP/1.1 {line}"
    assert reply.body == (verdict.denyMessage().data() if body is None else body)
    assert reply.headers["content-type"] == "text/plain"
    assert "set-cookie" not in {name.lower() for name in reply.headers}


@pytest.mark.parametrize("status", [200, 101, 0, -1, 99, 299, 600, 999, 2**31 - 1])
def test_a_status_that_would_not_refuse(made, status):
    upgrading = made(lambda _request: Verdict.deny(status, b"no"))
    with logged() as lines:
        reply = refused(upgrading.client())
    assert (reply.status, reply.body) == (403, b"no")
    assert any(level == "warning" and str(status) in text for level, _category, text in lines)


def test_deny_over_tls(made):
    authority = TlsAuthority()
    upgrading = made(lambda _request: Verdict.deny(401, b"who?"))
    port = bound_tls(upgrading.server, authority)
    socket = QSslSocket()
    socket.setSslConfiguration(authority.client_configuration())
    got, closed = [], []
    socket.readyRead.connect(lambda: got.append(bytes(socket.readAll().data())))
    socket.disconnected.connect(lambda: closed.append(1))
    socket.encrypted.connect(lambda: socket.write(handshake()))
    socket.connectToHostEncrypted("localhost", port)
    assert spin(lambda: closed)
    assert b"".join(got).startswith(b"HTTP/1.1 401 who?\r\n")


def test_a_message_cannot_write_log_lines(made):
    upgrading = made(lambda _request: Verdict.deny(403, b"a\nqt.httpserver: forged"))
    with logged() as lines:
        refused(upgrading.client())
    assert all("\n" not in text for _level, _category, text in lines)


def test_observers_see_refusals_and_upgrades(made):
    upgrading = made(lambda request: accept() if request.url().path() == "/in" else Verdict.deny(410, b"gone"))
    seen = []
    upgrading.server._answers.observers.append(lambda request, status, size, _s: seen.append((status, size)))
    refused(upgrading.client(handshake("/out")))
    assert upgrading.client(handshake("/in")).reply(head_only=True).status == 101
    assert spin(lambda: len(seen) == 2)
    assert seen == [(410, 4), (101, 0)]


def test_qt_s_client_hears_of_the_refusal(made):
    upgrading = made(lambda _request: Verdict.deny(402, b"who?"))
    client = open_qt(f"ws://localhost:{upgrading.port}/")
    errors = []
    client.errorOccurred.connect(errors.append)
    assert spin(lambda: errors)
    assert "402" in client.errorString()


# ---- handshakes that are none (RFC 6455 4.2.1)


@pytest.mark.parametrize("key", [None, "", "abc", "x" * 24, KEY[:-4], KEY + KEY, "=" * 24, f"{KEY}, {KEY}", "ä" * 24])
def test_a_bad_key(made, key):
    reply = refused(made(accept).client(handshake(Sec_WebSocket_Key=key)))
    assert reply.status == 400
    assert b"Sec-WebSocket-Key" in reply.body


def test_two_keys(made):
    data = handshake().replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Key: %s\r\n\r\n" % KEY.encode())
    assert refused(made(accept).client(data)).status == 400


@pytest.mark.parametrize("version", [None, "8", "14", "0", "013", "13, 8", "thirteen", ""])
def test_a_wrong_version(made, version):
    reply = refused(made(accept).client(handshake(Sec_WebSocket_Version=version)))
    assert reply.status == 426
    assert reply.headers["sec-websocket-version"] == "13"
    assert reply.headers["upgrade"] == "websocket"  # RFC 9110 15.5.22
    assert reply.headers["connection"] == "upgrade, close"


def test_what_follows_a_refusal_is_not_served(made):
    upgrading = made(accept)
    called = []
    upgrading.server.route("/hidden", lambda: called.append(1) or "x")
    refused(upgrading.client(handshake(Sec_WebSocket_Key="x") + b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert called == []


@pytest.mark.parametrize(
    "data",
    [
        handshake("/page", line="GET {} HTTP/1.0"),
        handshake("/page", line="POST {} HTTP/1.1"),
        handshake("/page", line="HEAD {} HTTP/1.1"),
        handshake("/page", Content_Length="3") + b"abc",
        handshake("/page", Upgrade="h2c"),
        handshake("/page", Connection="keep-alive"),
        handshake("/page", Connection=None),
        handshake("/page", Upgrade=None),
    ],
)
def test_other_requests_that_name_an_upgrade_are_ordinary(made, data):
    asked = []
    upgrading = made(lambda _request: asked.append(1) or Verdict.accept())
    upgrading.server.route("/page", lambda: "page")
    reply = upgrading.client(data).reply(head_only=data.startswith(b"HEAD"))
    assert reply.status == 200
    assert asked == []


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (handshake(Host=None), 400),
        (handshake(line="GET {} HTTP/1.2"), 101),
        (handshake(Connection="keep-alive, UPGRADE", Upgrade="WebSocket"), 101),
    ],
)
def test_what_the_parser_says(made, data, status):
    assert made(accept).client(data).reply(head_only=True).status == status


# ---- the pure parts


def message(**fields):
    pairs = [line.split(": ", 1) for line in handshake(**fields).decode("latin-1").split("\r\n")[1:] if line]
    return Message(1, "GET", b"/", 11, [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs])


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 18, 32])
def test_a_key_is_sixteen_bytes(size):
    fault = handshake_fault(message(Sec_WebSocket_Key=base64.b64encode(bytes(size)).decode()))
    assert (fault is None) == (size == 16)


@pytest.mark.parametrize(
    ("field", "names"),
    [(None, []), ("a", ["a"]), (" a ,b,, c", ["a", "b", "c"]), (",", [])],
)
def test_offered_subprotocols(field, names):
    assert offered_subprotocols(message(Sec_WebSocket_Protocol=field)) == names


def test_fields_of_others_go_into_a_refusal():
    assert b"\r\nvary: origin\r\n" in refusal_reply(403, b"", ((b"vary", b"origin"),))


# ---- HTTP/2 (RFC 8441)


def test_http2_neither_offers_nor_takes_extended_connect():
    server = QHttpServer()
    asked = []
    server.addWebSocketUpgradeVerifier(server, lambda _request: asked.append(1) or Verdict.accept())
    server.newWebSocketConnection.connect(lambda: asked.append(2))
    client = RawClient(bound(server))
    peer = h2.connection.H2Connection(
        h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False)
    )
    peer.initiate_connection()
    fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/chat"),
        (":authority", "localhost"),
        ("sec-websocket-version", "13"),
    ]
    peer.send_headers(1, fields)
    client.send(peer.data_to_send())
    events = []

    def reset():
        events.extend(peer.receive_data(client.received))
        client.received = b""
        client.send(peer.data_to_send())
        return [event for event in events if isinstance(event, h2.events.StreamReset)]

    assert spin(reset)
    assert reset()[0].error_code == h2.errors.ErrorCodes.PROTOCOL_ERROR
    settings = h2.settings.SettingCodes
    assert peer.remote_settings.get(settings.ENABLE_CONNECT_PROTOCOL, 0) == 0
    peer.send_headers(3, [(":method", "GET"), *fields[2:5]], end_stream=True)  # the connection lives on
    client.send(peer.data_to_send())
    assert spin(lambda: reset() and any(getattr(event, "stream_id", 0) == 3 for event in events))
    assert asked == []
    server.close()


# ---- without PySide6-Addons


WITHOUT = """
import sys
sys.modules["PySide6.QtWebSockets"] = None
sys.modules["websockets.server"] = None
from PySide6.QtCore import QCoreApplication, QObject
app = QCoreApplication([])
import qhttpserver_py
from qhttpserver_py import QHttpServer, QHttpServerWebSocketUpgradeResponse, security
server = QHttpServer()
try:
    server.addWebSocketUpgradeVerifier(server, lambda request: QHttpServerWebSocketUpgradeResponse.accept())
except ImportError as error:
    print(error)
try:
    server.addWebSocketUpgradeVerifier(server)
except ImportError as error:
    print(error)
server.newWebSocketConnection.connect(lambda: None)
print(server.hasPendingWebSocketConnections(), server.nextPendingWebSocketConnection())
server.close()
"""


def test_without_qtwebsockets():
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT], capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 0, ran.stderr
    first, second, third = ran.stdout.splitlines()
    assert "pip install 'qhttpserver-py[websockets]'" in first
    assert first == second
    assert third == "False None"
