"""How connections end that never said much, and which ones count."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest
from PySide6.QtCore import QLoggingCategory
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py import QHttpServer
from qhttpserver_py._qt import first_use

from ..support.rawclient import RawClient, ask, bound, logged, spin

pytestmark = pytest.mark.usefixtures("qapp")


def outcome(port: int, data: bytes, during: Callable[[], None] = lambda: None) -> tuple[bytes, str]:
    """Send *data* and nothing more; return what came, and how the connection ended."""
    ended: list[tuple[bytes, str]] = []
    connected = threading.Event()

    def talk() -> None:
        received = b""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
            peer.sendall(data)
            connected.set()
            try:
                while more := peer.recv(65536):
                    received += more
            except ConnectionResetError:
                ended.append((received, "reset"))
            else:
                ended.append((received, "closed"))

    thread = threading.Thread(target=talk)
    thread.start()
    assert spin(connected.is_set)
    spin(lambda: False, 0.1)
    during()
    assert spin(lambda: ended)
    thread.join(10)
    return ended[0]


def impatient() -> QHttpServer:
    server = QHttpServer()
    configuration = server.configuration()
    configuration.setKeepAliveTimeout(1)
    server.setConfiguration(configuration)
    return server


@pytest.mark.parametrize(("data", "status"), [(b"", b""), (b"PRI * HT", b"HTTP/1.1 408 "), (b"GET", b"HTTP/1.1 408 ")])
def test_silence_ends_in_a_close_not_in_a_reset(data: bytes, status: bytes) -> None:
    server = impatient()
    received, end = outcome(bound(server), data)
    assert (received[: len(status)], bool(received), end) == (status, bool(status), "closed")


def test_closing_the_server_does_not_reset_silent_connections() -> None:
    server = QHttpServer()
    assert outcome(bound(server), b"", server.close) == (b"", "closed")


@pytest.mark.parametrize("setter", ["setMaximumConnections", "setMaximumConnectionsPerHost"])
def test_refused_connections_do_not_count(setter: str) -> None:
    server = QHttpServer()
    server.route("/", lambda: "here")
    configuration = server.configuration()
    getattr(configuration, setter)(1)
    server.setConfiguration(configuration)
    port = bound(server)
    first = RawClient(port)
    first.get("/")
    assert first.reply().status == 200
    refused = RawClient(port)  # and it stays, as long as it is let
    assert refused.reply().status == 429
    first.close()
    assert spin(lambda: ask(port, "/").status == 200, 1)


def test_each_request_is_logged_for_whoever_asks() -> None:
    server = QHttpServer()
    port = bound(server)
    QLoggingCategory.setFilterRules("qt.httpserver.http1handler=true")
    try:
        with logged() as lines:
            ask(port, "/a?b")
            ask(port, "/c")
    finally:
        QLoggingCategory.setFilterRules("")
    texts = [text for _, category, text in lines if category == "qt.httpserver.http1handler"]
    requests = [text for text in texts if text.startswith('Request: QHttpServerRequest((Url: QUrl("http://x/')]
    assert len(requests) == 2
    with logged() as lines:
        ask(port, "/d")
    assert not any("Request: " in text for _, _, text in lines)


def lists_now(server: QHttpServer, subnet: str) -> None:
    configuration = server.configuration()
    configuration.setBlacklist([QHostAddress.parseSubnet(subnet)] if subnet else [])
    server.setConfiguration(configuration)


def test_lists_take_effect_on_established_connections() -> None:
    served: list[str] = []
    server = QHttpServer()
    server.route("/", lambda request: served.append(request.url().query()) or "ok")
    port = bound(server)
    first, second = RawClient(port), RawClient(port)
    for client in (first, second):
        client.get("/?before")
        assert client.reply().status == 200
    lists_now(server, "127.0.0.0/8")
    first.get("/?denied")
    reply = first.reply()
    assert (reply.status, reply.headers["connection"]) == (403, "close")
    assert first.wait_closed()
    lists_now(server, "")
    second.get("/?again")
    assert second.reply().status == 200
    assert served == ["before", "before", "again"]


def test_a_peer_denied_meanwhile_is_not_asked_for_its_body() -> None:
    server = QHttpServer()
    server.route("/", lambda: "ok")
    client = RawClient(bound(server))
    client.get("/")
    client.reply()
    lists_now(server, "127.0.0.1/32")
    client.get("/", "Expect: 100-continue", "Content-Length: 5", method="POST")
    assert client.reply().status == 403


def test_loading_at_first_use_is_not_blamed_on_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    server = QHttpServer()
    port = bound(server)
    monkeypatch.setattr(first_use, "_loaded", {})
    server.route("/loads", lambda: first_use.first_use("something", lambda: time.sleep(0.15)) or "x")
    server.route("/sleeps", lambda: time.sleep(0.15) or "x")
    with logged() as lines:
        ask(port, "/loads")
        ask(port, "/sleeps")
    held = [text for _, _, text in lines if "held the event loop" in text]
    assert len(held) == 1
    assert "/sleeps" in held[0]


@pytest.mark.parametrize(("moment", "spent"), [(9.0, 3.0), (10.0, 3.0), (10.5, 2.5), (12.5, 0.5), (14.0, 0.0)])
def test_seconds_that_went_into_first_uses(monkeypatch: pytest.MonkeyPatch, moment: float, spent: float) -> None:
    """A handler's beginning is reckoned from its end, a little late: a load that began with it still counts."""
    monkeypatch.setattr(first_use, "_loaded", {"one": (10.0, 11.0), "two": (11.0, 13.0)})
    assert first_use.seconds_since(moment) == pytest.approx(spent)
