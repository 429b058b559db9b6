"""Who is asked about a WebSocket upgrade, in which order, and what each answer leads to."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from PySide6.QtCore import QObject
from PySide6.QtNetwork import QHostAddress, QLocalServer, QLocalSocket
from shiboken6 import Shiboken

from qhttpserver_py import QAbstractHttpServer, QHttpServerConfiguration, QHttpServerResponse

from ..support.rawclient import RawClient, bound, logged, reported, settle, spin
from ..support.wsclient import (
    ACCEPT,
    TEXT,
    Verdict,
    accept,
    frame,
    frames,
    handshake,
    refusal,
    switched,
    upgrading_servers,
)

pytestmark = pytest.mark.usefixtures("qapp", "either_backend")

NOT_CONNECTED = "WebSocket received but no slots connected to QWebSocketServer::newConnection"


@pytest.fixture
def made():
    with upgrading_servers() as make:
        yield make


# ---- nobody to say yes


@pytest.mark.parametrize("listen", [True, False])
def test_no_verifier_is_a_missing_handler(made, listen):
    reply = refusal(made(listen=listen))
    assert (reply.status, reply.body) == (404, b"")


def test_all_pass_is_a_missing_handler(made):
    asked = []
    upgrading = made(lambda request: asked.append(1) or Verdict.passToNext())
    upgrading.server.addWebSocketUpgradeVerifier(
        upgrading.server, lambda request: asked.append(2) or Verdict.passToNext()
    )
    assert refusal(upgrading).status == 404
    assert asked == [1, 2]


def test_nothing_connected_is_a_missing_handler_and_a_warning(made):
    asked = []
    upgrading = made(lambda request: asked.append(1) or Verdict.accept(), listen=False)
    with logged() as lines:
        assert refusal(upgrading).status == 404
    assert ("warning", "qt.httpserver.http1handler", NOT_CONNECTED) in lines
    assert asked == [1]  # verifiers come first
    assert not upgrading.server.hasPendingWebSocketConnections()
    assert upgrading.server.nextPendingWebSocketConnection() is None


def test_disconnecting_the_slot_counts(made):
    upgrading = made(accept)
    upgrading.server.newWebSocketConnection.disconnect(upgrading.fetch)
    assert refusal(upgrading).status == 404


def test_the_missing_handler_s_reply_is_delivered(made):
    upgrading = made()
    upgrading.server.setMissingHandler(
        upgrading.server, lambda request, responder: responder.write(b"no " + request.url().path().encode(), b"text/x")
    )
    reply = refusal(upgrading, handshake("/chat"))
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b"no /chat", "text/x")


def test_the_default_missing_handler_meets_the_after_request_handlers(made):
    upgrading = made()

    def mark(_request, response):
        headers = response.headers()
        headers.append("x-after", "yes")
        response.setHeaders(headers)

    upgrading.server.addAfterRequestHandler(upgrading.server, mark)
    assert refusal(upgrading).headers["x-after"] == "yes"


def test_a_late_missing_handler(made):
    upgrading = made()
    kept = []
    upgrading.server.setMissingHandler(upgrading.server, lambda _request, responder: kept.append(responder))
    client = upgrading.client(handshake() + b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n")
    assert spin(lambda: kept)
    kept.pop().write(b"late", b"text/plain")
    assert client.reply().body == b"late"
    assert client.wait_closed() and client.received == b""


def test_a_missing_handler_that_raises(made):
    upgrading = made()
    upgrading.server.setMissingHandler(upgrading.server, lambda _request, _responder: 1 / 0)
    with reported() as errors:
        assert refusal(upgrading).status == 500
    assert isinstance(errors[0], ZeroDivisionError)


# ---- verdicts


def test_accept(made):
    upgrading = made(accept)
    client = upgrading.client()
    fields = switched(client)
    assert fields["sec-websocket-accept"] == ACCEPT
    assert fields["upgrade"].lower() == "websocket"
    assert "sec-websocket-protocol" not in fields
    assert spin(lambda: upgrading.sockets)
    client.send(frame(TEXT, b"hello"))
    assert spin(lambda: upgrading.heard == ["hello"])
    upgrading.sockets[0].sendTextMessage("back")
    assert spin(lambda: frames(client.received) == [(TEXT, True, b"back")])


@pytest.mark.parametrize(
    ("verdicts", "asked", "status"),
    [
        (["pass", "accept", "deny"], [0, 1], 101),
        (["pass", "deny", "accept"], [0, 1], 403),
        (["deny", "accept"], [0], 403),
        (["accept", "deny"], [0], 101),
        (["pass", "pass", "accept"], [0, 1, 2], 101),
    ],
)
def test_the_first_that_does_not_pass_decides(made, verdicts, asked, status):
    upgrading = made()
    seen = []
    kinds = {"accept": Verdict.accept, "deny": Verdict.deny, "pass": Verdict.passToNext}
    for number, name in enumerate(verdicts):
        upgrading.server.addWebSocketUpgradeVerifier(
            upgrading.server, lambda _request, number=number, name=name: seen.append(number) or kinds[name]()
        )
    assert upgrading.client().reply(head_only=True).status == status
    assert seen == asked


def test_the_verifier_sees_the_request(made):
    seen = []

    def verify(request):
        seen.append((request.url().path(), request.query().toString(), request.method().name))
        seen.append(bytes(request.value("Origin").data()))
        seen.append(bytes(request.value("Sec-WebSocket-Key").data()))
        return Verdict.deny()

    refusal(made(verify), handshake("/chat?room=1", Origin="http://page"))
    assert seen[:2] == [("/chat", "room=1", "Get"), b"http://page"]


def test_routes_are_not_consulted(made):
    upgrading = made(accept)
    called = []
    upgrading.server.route("/ws", lambda: called.append(1) or "routed")
    switched(upgrading.client(handshake("/ws")))
    assert called == []
    client = upgrading.client(handshake("/ws", Upgrade=None))
    assert client.reply().body == b"routed"


def test_as_a_decorator_and_in_snake_case(made):
    upgrading = made()

    @upgrading.server.add_web_socket_upgrade_verifier(upgrading.server)
    def verify(_request):
        return Verdict.deny(401, b"who?")

    assert callable(verify)
    assert refusal(upgrading).status == 401
    assert not upgrading.server.has_pending_web_socket_connections()


@pytest.mark.parametrize(("context", "function"), [(None, accept), ("server", accept), (QObject, 5)])
def test_wrong_arguments(made, context, function):
    upgrading = made()
    given = upgrading.server if context is QObject else context
    with pytest.raises(TypeError):
        upgrading.server.addWebSocketUpgradeVerifier(given, function)


def test_a_verifier_dies_with_its_context(made):
    upgrading = made()
    context = QObject()
    upgrading.server.addWebSocketUpgradeVerifier(context, lambda _request: Verdict.deny())
    upgrading.server.addWebSocketUpgradeVerifier(upgrading.server, accept)
    assert refusal(upgrading).status == 403
    context.deleteLater()
    del context
    settle()
    switched(upgrading.client())


def test_a_context_that_dies_while_verifiers_are_asked(made):
    upgrading = made()
    context = QObject()

    def first(_request):
        Shiboken.delete(context)
        return Verdict.passToNext()

    upgrading.server.addWebSocketUpgradeVerifier(upgrading.server, first)
    upgrading.server.addWebSocketUpgradeVerifier(context, accept)
    assert refusal(upgrading).status == 404


def test_a_verifier_that_raises(made):
    def verify(_request):
        raise LookupError("no database")

    upgrading = made(verify)
    upgrading.server.addWebSocketUpgradeVerifier(upgrading.server, accept)
    with reported() as errors:
        reply = refusal(upgrading)
    assert (reply.status, reply.body) == (500, b"")
    assert [str(error) for error in errors] == ["no database"]


@pytest.mark.parametrize("value", [None, True, "accept", Verdict, Verdict.ResponseType.Accept])
def test_a_verifier_that_returns_something_else(made, value):
    upgrading = made(lambda _request: value)
    with reported() as errors:
        assert refusal(upgrading).status == 500
    assert "accept(), deny() or passToNext()" in str(errors[0])


# ---- who else has a say


class Own(QAbstractHttpServer):
    def __init__(self):
        super().__init__()
        self.missed = []

    def handleRequest(self, request, responder):
        responder.write(b"handled", b"text/plain")
        return True

    def missingHandler(self, request, responder):
        self.missed.append(request.url().path())
        responder.write(b"missed", b"text/plain")


def test_subclasses_of_the_abstract_server():
    server = Own()
    port = bound(server)
    client = RawClient(port)
    client.send(handshake("/a"))
    assert client.reply().body == b"missed"
    assert client.wait_closed()
    server.addWebSocketUpgradeVerifier(server, accept)
    fetched = []
    server.newWebSocketConnection.connect(lambda: fetched.append(server.nextPendingWebSocketConnection()))
    other = RawClient(port)
    other.send(handshake("/b"))
    switched(other)
    assert fetched[0].resourceName().endswith("/b")
    assert server.missed == ["/a"]
    server.close()


def test_the_rate_limit_applies(made):
    upgrading = made(accept)
    configuration = QHttpServerConfiguration()
    configuration.setRateLimitPerSecond(1)
    upgrading.server.setConfiguration(configuration)
    statuses = [upgrading.client().reply(head_only=True).status for _ in range(3)]
    assert 429 in statuses and len(upgrading.sockets) < 3


def test_the_blacklist_applies(made):
    upgrading = made(accept)
    configuration = QHttpServerConfiguration()
    configuration.setBlacklist([(QHostAddress("127.0.0.0"), 8)])
    upgrading.server.setConfiguration(configuration)
    assert upgrading.client().reply().status == 403
    assert upgrading.sockets == []


def test_before_request_handlers_come_first(made):
    upgrading = made(accept)
    upgrading.server.addBeforeRequestHandler(
        upgrading.server, lambda request: None if request.url().path() == "/in" else QHttpServerResponse("no")
    )
    switched(upgrading.client(handshake("/in")))
    client = upgrading.client(handshake("/out"))
    assert client.reply().body == b"no"
    assert client.wait_closed()


def test_frames_sent_while_a_before_request_handler_waits(made):
    future = Future()
    upgrading = made(accept)
    upgrading.server.addBeforeRequestHandler(upgrading.server, lambda _request: future)
    client = upgrading.client()
    spin(lambda: False, 0.02)
    client.send(frame(TEXT, b"early"))
    spin(lambda: False, 0.02)
    future.set_result(None)
    switched(client)
    assert spin(lambda: upgrading.heard == ["early"])


def test_local_sockets_get_501_and_a_log_line(made, tmp_path):
    upgrading = made(accept)
    local = QLocalServer()
    assert local.listen(str(tmp_path / "s"))
    assert upgrading.server.bind(local)
    client = QLocalSocket()
    client.connectToServer(local.fullServerName())
    closed = []
    client.disconnected.connect(lambda: closed.append(1))
    with logged() as lines:
        client.write(handshake())
        assert spin(lambda: closed)
    answer = bytes(client.readAll().data())
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert b"connection: close" in answer
    assert any("local socket" in text and level == "warning" for level, _category, text in lines)
