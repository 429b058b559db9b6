"""QAbstractHttpServer: binding, settings, lifetime, and the two virtual methods."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import QObject, QTimer
from PySide6.QtNetwork import QHostAddress, QHttp2Configuration, QLocalServer, QLocalSocket, QTcpServer, QTcpSocket

from qhttpserver_py import (
    QAbstractHttpServer,
    QHttpServer,
    QHttpServerConfiguration,
    QHttpServerRequest,
    QHttpServerResponder,
)

from .support.kept import kept_responder
from .support.rawclient import RawClient, ask, bound, listening, logged, reported, settle, spin

pytestmark = pytest.mark.usefixtures("qapp")


class Echo(QAbstractHttpServer):
    """Answers /yes itself and hands everything else on."""

    def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
        path = request.url().path()
        if path == "/raise":
            raise LookupError("handler")
        if path == "/both":
            responder.write(b"both", b"text/plain")
            return False
        if path != "/yes":
            return False
        responder.write(b"yes", b"text/plain")
        return True

    def missingHandler(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        if request.url().path() == "/raise-missing":
            raise LookupError("missing")
        if request.url().path() != "/nothing":
            responder.write(b"missing", b"text/plain", status=QHttpServerResponder.StatusCode.NotFound)


class Later(QAbstractHttpServer):
    """The same as coroutines."""

    async def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
        await asyncio.sleep(0)
        return Echo.handleRequest(self, request, responder)

    async def missingHandler(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        await asyncio.sleep(0)
        Echo.missingHandler(self, request, responder)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/yes", 200, b"yes"),
        ("/both", 200, b"both"),
        ("/no", 404, b"missing"),
        ("/nothing", 500, b""),
        ("/raise", 500, b""),
        ("/raise-missing", 500, b""),
    ],
)
@pytest.mark.parametrize("kind", [Echo, Later])
def test_virtual_methods(kind: type[QAbstractHttpServer], path: str, status: int, body: bytes) -> None:
    server = kind()
    with reported() as errors:
        reply = ask(bound(server), path)
    assert (reply.status, reply.body) == (status, body)
    assert [type(error) for error in errors] == [LookupError] * ("raise" in path)


def test_a_refused_upgrade_reaches_a_missing_handler_that_is_a_coroutine() -> None:
    server = Later()
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    fields = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
    assert ask(bound(server), "/socket", *fields).body == b"missing"


@pytest.mark.parametrize("kind", [Echo, QHttpServer])
def test_properties_and_signals_by_name(kind: type[QAbstractHttpServer]) -> None:
    parent, told = QObject(), []
    server = kind(parent, objectName="named", destroyed=lambda: told.append("destroyed"))
    assert (server.parent(), server.objectName()) == (parent, "named")
    shiboken6.delete(server)
    assert told == ["destroyed"]
    with pytest.raises(AttributeError, match="bogus"):
        kind(bogus=1)


@pytest.mark.parametrize("given", [None, 5])
def test_settings_of_another_type_are_refused(given: Any) -> None:
    server = QHttpServer()
    changed = server.configuration()
    changed.setMaximumBodySize(5)
    server.setConfiguration(changed)
    with pytest.raises(TypeError, match="QHttpServerConfiguration"):
        server.setConfiguration(given)
    assert server.configuration() == changed


def test_bare_class_cannot_be_made() -> None:
    with pytest.raises(NotImplementedError, match="subclass it"):
        QAbstractHttpServer()


def test_virtual_methods_must_be_overridden() -> None:
    class Half(QAbstractHttpServer):
        pass

    server = Half()
    with reported() as errors:
        assert ask(bound(server), "/").status == 500
    assert "handleRequest" in str(errors[0])
    with pytest.raises(NotImplementedError, match="missingHandler"):
        server.missingHandler(QHttpServerRequest(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [("/yes", 200, b"yes"), ("/no", 404, b"missing"), ("/both", 200, b"both"), ("/nothing", 500, b"")],
)
def test_request_goes_to_handle_request_then_missing_handler(target: str, status: int, body: bytes) -> None:
    server = Echo()
    with logged():
        reply = ask(bound(server), target)
    assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize(("target", "text"), [("/raise", "handler"), ("/raise-missing", "missing")])
def test_exception_of_a_virtual_method_is_reported_and_answered_with_500(target: str, text: str) -> None:
    server = Echo()
    port = bound(server)
    with logged() as lines, reported() as errors:
        reply = ask(port, target)
    assert (reply.status, reply.body, [str(error) for error in errors]) == (500, b"", [text])
    assert [line for line in lines if line[1] == "qt.httpserver" and "LookupError" in line[2]]
    assert ask(port, "/yes").body == b"yes"


# ---- bind


def test_bind_none_and_not_listening() -> None:
    server = QHttpServer()
    tcp, local = QTcpServer(), QLocalServer()
    with logged() as lines:
        assert server.bind(None) is False
        assert server.bind(tcp) is False
        assert server.bind(local) is False
    texts = [text for level, category, text in lines if (level, category) == ("warning", "qt.httpserver")]
    assert len(texts) == 2
    assert texts[0].startswith("The TCP server QTcpServer(0x")
    assert texts[0].endswith(") is not listening.")
    assert texts[1].startswith("The local server QLocalServer(0x")
    assert tcp.parent() is None
    assert server.servers() == []


@pytest.mark.parametrize("wrong", ["8080", 8080, object(), QObject()])
def test_bind_wrong_type(wrong: Any) -> None:
    with pytest.raises(TypeError, match="QTcpServer, QSslServer or QLocalServer"):
        QHttpServer().bind(wrong)


def test_bound_servers_are_children_in_order() -> None:
    server = QHttpServer()
    first, second = listening(), listening()
    local = QLocalServer()
    assert local.listen("qhttpserver-py-test-order")
    assert all(server.bind(each) for each in (first, local, second, first))
    assert server.servers() == [first, second]
    assert server.localServers() == [local]
    assert server.serverPorts() == [first.serverPort(), second.serverPort()]
    assert first.parent() is server
    first.close()
    assert server.serverPorts() == [0, second.serverPort()]


def test_binding_to_a_second_server_moves_it() -> None:
    one, two = Echo(), QHttpServer()
    two.route("/yes", lambda: "two")
    tcp = listening()
    assert one.bind(tcp)
    assert two.bind(tcp)
    assert one.servers() == []
    assert two.servers() == [tcp]
    assert ask(tcp.serverPort(), "/yes").body == b"two"


def test_a_connection_made_before_bind_is_served() -> None:
    server = Echo()
    tcp = listening()
    client = RawClient(tcp.serverPort())
    assert spin(tcp.hasPendingConnections)
    assert server.bind(tcp)
    client.get("/yes")
    assert client.reply().body == b"yes"


def test_local_socket() -> None:
    server = QHttpServer()
    seen: list[Any] = []

    @server.route("/who")
    def who(request: QHttpServerRequest) -> str:
        seen.append((request.remoteAddress().toString(), request.remotePort(), request.localPort()))
        return "local"

    local = QLocalServer()
    assert local.listen("qhttpserver-py-test-local")
    assert server.bind(local)
    client = QLocalSocket()
    client.connectToServer("qhttpserver-py-test-local")
    client.write(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
    assert spin(lambda: client.bytesAvailable() > 0)
    assert bytes(client.readAll().data()).endswith(b"\r\n\r\nlocal")
    assert seen == [("127.0.0.1", 0, 0)]
    client.abort()


def test_other_threads_are_refused() -> None:
    server = QHttpServer()
    tcp = listening()
    calls = [
        lambda: server.bind(tcp),
        lambda: server.unbind(tcp),
        server.close,
        lambda: server.route("/", lambda: ""),
        lambda: server.setMissingHandler(server, print),
        server.clearMissingHandler,
        lambda: server.addAfterRequestHandler(server, print),
        lambda: server.setConfiguration(QHttpServerConfiguration()),
        lambda: server.setHttp2Configuration(QHttp2Configuration()),
    ]
    errors: list[str] = []

    def run() -> None:
        for call in calls:
            try:
                call()
            except RuntimeError as error:
                errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert len(errors) == len(calls)
    assert all("another thread" in error for error in errors)


# ---- lifetime


def connected(server: QAbstractHttpServer) -> tuple[QTcpServer, int, RawClient]:
    """A listener of *server*'s, its port, and a client that had a reply."""
    tcp = listening()
    port = tcp.serverPort()
    server.bind(tcp)
    client = RawClient(port)
    client.get("/yes")
    client.reply()
    return tcp, port, client


def test_deleting_the_server_frees_the_port_and_the_connections() -> None:
    server = Echo()
    tcp, port, client = connected(server)
    shiboken6.delete(server)
    assert not shiboken6.isValid(tcp)
    assert client.wait_closed()
    again = QTcpServer()
    assert again.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), port)


@pytest.mark.parametrize("kind", [Echo, QHttpServer])
def test_dropping_the_last_reference_is_deleting(kind: type[QAbstractHttpServer]) -> None:
    server = kind()
    _tcp, _port, client = connected(server)
    del server
    assert client.wait_closed()


def test_parent_owns_the_server() -> None:
    parent = QObject()
    server = QHttpServer(parent)
    assert server.parent() is parent
    shiboken6.delete(parent)
    assert not shiboken6.isValid(server)


def test_a_handler_may_delete_the_server() -> None:
    server = QHttpServer()
    server.route("/end", lambda: shiboken6.delete(server) or "gone")
    client = RawClient(bound(server))
    client.get("/end")
    assert client.wait_closed()
    assert not shiboken6.isValid(server)


def test_unbind_gives_the_server_back() -> None:
    server = Echo()
    tcp = listening()
    server.bind(tcp)
    client = RawClient(tcp.serverPort())
    client.get("/yes")
    client.reply()
    assert server.unbind(tcp) is True
    assert server.unbind(tcp) is False
    assert tcp.parent() is None
    assert tcp.isListening()
    assert server.servers() == []
    client.get("/yes")  # connections it brought are served on
    assert client.reply().body == b"yes"
    new = QTcpSocket()
    new.connectToHost(QHostAddress(QHostAddress.SpecialAddress.LocalHost), tcp.serverPort())
    assert spin(tcp.hasPendingConnections)


def test_close_frees_the_port_at_once_and_again() -> None:
    server = Echo()
    tcp = listening()
    port = tcp.serverPort()
    for _ in range(20):
        assert server.bind(tcp)
        client = RawClient(port)
        client.get("/yes")
        assert client.reply().body == b"yes"
        server.close()
        server.close()
        tcp = QTcpServer()
        assert tcp.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), port)
        assert client.wait_closed()
    assert server.servers() == []


def test_close_lets_replies_in_flight_finish() -> None:
    server = QHttpServer()
    server.route("/late", lambda _request, responder: QTimer.singleShot(50, lambda: responder.write(b"l", b"a/b")))
    client = RawClient(bound(server))
    client.get("/late")
    assert spin(lambda: server._core.connections)
    assert spin(lambda: next(iter(server._core.connections)).requests.exchanges)
    server.close(5000)
    reply = client.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert client.wait_closed()


def test_close_drops_what_does_not_finish_in_time() -> None:
    server, client, responder = kept_responder()
    server.close(50)
    assert not client.closed
    assert client.wait_closed()
    assert client.received == b""
    assert responder.isResponseCanceled()


def test_close_from_a_handler_still_answers_it() -> None:
    server = QHttpServer()
    server.route("/shutdown", lambda: server.close() or "bye")
    client = RawClient(bound(server))
    client.get("/shutdown")
    assert client.reply().body == b"bye"
    assert client.wait_closed()
    settle()
    assert not server._core.connections


# ---- settings


def test_configuration_is_copied_both_ways() -> None:
    server = QHttpServer()
    config = server.configuration()
    config.setKeepAliveTimeout(7)
    assert server.configuration().keepAliveTimeout() == 15
    server.setConfiguration(config)
    config.setKeepAliveTimeout(9)
    assert server.configuration().keepAliveTimeout() == 7
    assert server.configuration() == server.configuration()


def test_http2_configuration_is_copied_both_ways() -> None:
    server = QHttpServer()
    config = QHttp2Configuration()
    config.setMaxFrameSize(20000)
    server.setHttp2Configuration(config)
    config.setMaxFrameSize(30000)
    assert server.http2Configuration().maxFrameSize() == 20000


def test_settings_take_effect_on_an_open_connection() -> None:
    server = Echo()
    client = RawClient(bound(server))
    client.get("/yes")
    assert client.reply().headers["keep-alive"] == "timeout=15"
    config = QHttpServerConfiguration()
    config.setKeepAliveTimeout(33)
    config.setMaximumUrlSize(10)
    server.setConfiguration(config)
    client.get("/yes")
    assert client.reply().headers["keep-alive"] == "timeout=33"
    client.get("/yes-but-longer")
    assert client.reply().status == 414
    assert client.wait_closed()


@pytest.mark.parametrize(
    ("white", "black", "status"),
    [
        ([], ["127.0.0.0/8"], 403),
        (["127.0.0.1/32"], ["127.0.0.0/8"], 200),
        (["10.0.0.0/8"], [], 403),
        ([], ["10.0.0.0/8"], 200),
    ],
)
def test_address_lists_are_asked_at_accept(white: list[str], black: list[str], status: int) -> None:
    server = Echo()
    config = QHttpServerConfiguration()
    config.setWhitelist([QHostAddress.parseSubnet(each) for each in white])
    config.setBlacklist([QHostAddress.parseSubnet(each) for each in black])
    server.setConfiguration(config)
    client = RawClient(bound(server))
    if status == 200:
        client.get("/yes")
    reply = client.reply()  # a refusal comes before anything was sent
    assert reply.status == status
    assert ("connection", "close") in reply.fields or status == 200


def test_connection_limits() -> None:
    server = Echo()
    config = QHttpServerConfiguration()
    config.setMaximumConnections(2)
    server.setConfiguration(config)
    port = bound(server)
    first, second = RawClient(port), RawClient(port)
    assert spin(lambda: len(server._core.connections) == 2)
    third = RawClient(port)
    reply = third.reply()
    assert (reply.status, reply.headers["connection"], reply.headers["content-length"]) == (429, "close", "0")
    assert third.wait_closed()
    first.close()
    assert spin(lambda: len(server._core.connections) == 1)
    again = RawClient(port)
    again.get("/yes")
    assert again.reply().status == 200
    second.close()


def test_rate_limit_keeps_the_connection_and_skips_the_handler() -> None:
    server = Echo()
    config = QHttpServerConfiguration()
    config.setRateLimitPerSecond(2)
    server.setConfiguration(config)
    client = RawClient(bound(server))
    replies = []
    for _ in range(4):
        client.get("/yes")
        replies.append(client.reply())
    assert [reply.status for reply in replies] == [200, 200, 429, 429]
    assert "content-type" not in replies[-1].headers
    assert replies[-1].headers["connection"] == "keep-alive"
