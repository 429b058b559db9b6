"""The demonstration: every route its page calls, over a socket, and the page's own promises."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py import QHttpServer
from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py.cli.demo import RequestLog, make_server
from qhttpserver_py.cli.demo_live import Live
from qhttpserver_py.cli.demo_page import PAGE
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

from ..support import rawclient
from ..support.rawclient import bound

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def server() -> Iterator[QHttpServer]:
    server = make_server()
    bound(server)
    yield server
    server.close()


def ask(server: QHttpServer, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes, Any]:
    reply = rawclient.ask(server.serverPorts()[0], path, method=method, body=body)
    return reply.status, reply.body, reply.headers


def test_the_page(server: QHttpServer) -> None:
    status, body, headers = ask(server, "/")
    assert (status, body.decode()) == (200, PAGE)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "'self'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        ("/square/12", 200, b'{"number":12,"square":144}'),
        ("/square/-3", 200, b'{"number":-3,"square":9}'),
        ("/square/1.5", 404, b""),
        ("/square/x", 404, b""),
        ("/half/2.5", 200, b'{"half":1.25,"number":2.5}'),
        ("/half/x", 404, b""),
        ("/hello/World", 200, b"Hello, World!"),
        ("/hello/%C3%A4%20b", 200, "Hello, ä b!".encode()),
        ("/hello/a/b", 404, b""),
    ],
)
def test_typed_arguments(server: QHttpServer, path: str, status: int, answer: bytes) -> None:
    assert ask(server, path)[:2] == (status, answer)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"numbers": [3, 1, 2]}', 200),
        (b'{"numbers": []}', 400),
        (b'{"numbers": ["x"]}', 400),
        (b'{"numbers": 3}', 400),
        (b'{"other": 3}', 400),
        (b"[1]", 400),
        (b"\xff", 400),
        (b"", 400),
        (b"[" * 100_000, 400),
        (b'{"numbers": [1' + b"0" * 400 + b"]}", 400),
    ],
)
def test_json(server: QHttpServer, body: bytes, status: int) -> None:
    got, answer, headers = ask(server, "/statistics", "POST", body)
    assert got == status
    assert headers["content-type"] == "application/json"
    expected = {"count": 3, "sum": 6, "mean": 2} if status == 200 else {"error": json.loads(answer)["error"]}
    assert json.loads(answer) == expected


@pytest.mark.parametrize("body", [b"", b"x", bytes(1 << 20)])
def test_upload(server: QHttpServer, body: bytes) -> None:
    status, answer, _ = ask(server, "/upload", "POST", body)
    assert status == 200
    assert json.loads(answer) == {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_after_request_handler_counts(server: QHttpServer) -> None:
    assert ask(server, "/hello/a")[2]["x-demo-reply"] == "number 1"
    assert ask(server, "/hello/a")[2]["x-demo-reply"] == "number 2"


def test_the_log_of_requests(server: QHttpServer) -> None:
    ask(server, "/hello/a")
    ask(server, "/nothing")
    log = json.loads(ask(server, "/log?since=0")[1])
    assert [(e["method"], e["target"], e["status"], e["size"]) for e in log["entries"]] == [
        ("GET", "/hello/a", 200, 9),
        ("GET", "/nothing", 404, 0),
    ]
    ask(server, "/hello/b")
    newer = json.loads(ask(server, f"/log?since={log['next']}")[1])
    assert [e["target"] for e in newer["entries"]] == ["/hello/b"]


def made(target: str) -> QHttpServerRequest:
    local = QHostAddress("127.0.0.1")
    return QHttpServerRequest._make(Message(1, "GET", target.encode(), 11, []), Peer(local, 1, local, 2))


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 5000, "99"])
def test_the_log_whatever_is_asked(since: str) -> None:
    log = RequestLog()
    log.add(made("/a"), 200, 0, 0.0)
    answer = log.since(made(f"/log?since={since}"))
    assert answer["next"] == 2
    assert len(answer["entries"]) == 1  # type: ignore[arg-type]


def test_the_log_is_bounded() -> None:
    log = RequestLog()
    request = made("/" + "a" * 9999)
    for _ in range(300):
        log.add(request, 200, 0, 0.0)
    entries = log.since(request)["entries"]
    assert isinstance(entries, list)
    assert len(entries) == 200 and len(entries[0]["target"]) == 200


def test_the_page_needs_nothing_from_elsewhere() -> None:
    assert not re.findall(r'(?:src|href)="(?!data:)', PAGE)
    used = set(re.findall(r'(?:at|show|call)\("([a-z-]+)"', PAGE))
    assert used <= set(re.findall(r'id="([a-z-]+)"', PAGE))


# ---- WebSockets


def websocket(server: QHttpServer, path: str, origin: str = "") -> tuple[Any, list[str]]:
    from ..support.wsclient import open_qt

    client = open_qt(f"ws://127.0.0.1:{server.serverPorts()[0]}{path}", origin=origin)
    heard: list[str] = []
    client.textMessageReceived.connect(heard.append)
    client.errorOccurred.connect(lambda _error: heard.append(client.errorString()))
    return client, heard


def test_the_echo(server: QHttpServer) -> None:
    client, heard = websocket(server, "/echo", f"http://127.0.0.1:{server.serverPorts()[0]}")
    client.connected.connect(lambda: client.sendTextMessage("hello"))
    assert rawclient.spin(lambda: heard == ["hello"])
    client.close()


def test_the_requests_per_second(server: QHttpServer) -> None:
    (one, _), (two, heard) = websocket(server, "/rate"), websocket(server, "/echo")
    seen: list[dict[str, int]] = []
    one.textMessageReceived.connect(lambda text: seen.append(json.loads(text)))
    for _ in range(5):
        ask(server, "/hello/a")
    ask(server, "/log?since=0")
    assert rawclient.spin(lambda: any(entry["answered"] >= 5 for entry in seen))
    assert seen[-1]["sockets"] == 2
    one.close(), two.close()
    live = server.findChild(Live)
    assert rawclient.spin(lambda: not live._sockets and not live._timer.isActive())
    assert heard == []


@pytest.mark.parametrize(("path", "origin", "status"), [("/echo", "http://evil.example", "403"), ("/other", "", "404")])
def test_who_gets_no_websocket(server: QHttpServer, path: str, origin: str, status: str) -> None:
    _client, heard = websocket(server, path, origin)
    assert rawclient.spin(lambda: heard)
    assert status in heard[0]


def test_without_addons_the_websockets_work_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    server = make_server()
    server.setWebSocketBackend("native")
    bound(server)
    client, heard = websocket(server, "/echo")
    assert rawclient.spin(client.isValid)
    client.sendTextMessage("hello")
    assert rawclient.spin(lambda: heard == ["hello"])
    _rate, numbers = websocket(server, "/rate")
    assert rawclient.spin(lambda: numbers)
    assert "answered" in numbers[0]
    live = server.findChild(Live)
    for one in (client, _rate):
        one.abort()
    assert rawclient.spin(lambda: not live._sockets)
    server.close()


def test_without_any_websockets_the_page_shows_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PySide6.QtWebSockets", None)
    monkeypatch.setitem(sys.modules, "websockets.server", None)
    server = make_server()
    bound(server)
    for path in ("/echo", "/rate"):
        status, answer, _ = ask(server, path)
        assert status == 501
        assert b"qhttpserver-py[websockets]" in answer
    server.close()


def test_ordinary_requests_to_the_websockets(server: QHttpServer) -> None:
    assert ask(server, "/echo")[0] == 426
