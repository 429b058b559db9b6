"""A server written in QML: routes, results, errors, later answers, starting and stopping."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtQml import QQmlComponent, QQmlEngine

from qhttpserver_py import qml

from .support.rawclient import ask, logged, settle, spin

pytestmark = pytest.mark.usefixtures("qapp")

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "qml_server.py"

SOURCE = b"""
import QtQml
import QHttpServer 1.0

HttpServer {
    id: server
    property int asked: 0
    property var kept: null

    Route { path: "/text"; handler: function(request) { server.asked++; return "hello" } }
    Route { path: "/user/<arg>/<arg>"; handler: request => ({ id: request.arguments[0], tab: request.arguments[1] }) }
    Route { path: "/list"; handler: () => [1, "two", null, true] }
    Route { path: "/status"; handler: () => 418 }
    Route { path: "/null"; handler: () => null }
    Route { path: "/echo"; method: "POST"; handler: request => request.method + " " + request.body }
    Route { path: "/asked"; handler: request => request.path + " " + request.query.q + " " + request.headers["x-own"] }
    Route { path: "/later"; handler: function(request) { server.kept = request } }
    Route { path: "/now"; handler: function(request) { request.reply({ now: 1 }, 201); return "not this" } }
    Route { path: "/broken"; handler: () => missing.thing }
    Route { path: "/nothing" }
    Route { path: "/any"; method: "any"; handler: request => request.method }
    Route { path: "/odd"; method: "BREW"; handler: () => 200 }
}
"""


@pytest.fixture
def engine(qapp: object) -> Iterator[QQmlEngine]:
    qml.register()
    made = QQmlEngine()
    yield made
    made.deleteLater()
    settle()


def created(engine: QQmlEngine, source: bytes = SOURCE) -> Any:
    component = QQmlComponent(engine)
    component.setData(source, QUrl("file:///server.qml"))
    made = component.create()
    assert made is not None, component.errorString()
    made._component = component
    return made


@pytest.fixture
def server(engine: QQmlEngine) -> Iterator[Any]:
    made = created(engine)
    yield made
    made.setProperty("running", False)
    made.deleteLater()
    settle()


ANSWERS = [
    ("/text", 200, b"hello"),
    ("/user/7/posts", 200, b'{"id":"7","tab":"posts"}'),
    ("/list", 200, b'[1,"two",null,true]'),
    ("/status", 418, b""),
    ("/null", 204, b""),
    ("/asked?q=a%20b", 200, b"/asked a b yes"),
    ("/now", 201, b'{"now":1}'),
    ("/nothing", 501, b""),
    ("/any", 200, b"GET"),
    ("/none", 404, b""),
]


@pytest.mark.parametrize(("target", "status", "body"), ANSWERS)
def test_answers(server: Any, target: str, status: int, body: bytes) -> None:
    reply = ask(server.property("port"), target, "X-Own: yes")
    assert (
        reply.status,
        reply.body.replace(b"\n", b"").replace(b" ", b"") if b"{" in body or b"[" in body else reply.body,
    ) == (
        status,
        body,
    )


def test_a_body(server: Any) -> None:
    reply = ask(server.property("port"), "/echo", method="POST", body=b"\xc3\xa4")
    assert reply.body == "POST ä".encode()


def test_an_answer_that_comes_later(server: Any) -> None:
    from .support.rawclient import RawClient

    client = RawClient(server.property("port"))
    client.get("/later")
    assert spin(lambda: server.property("kept"))
    server.property("kept").reply("late", 202)
    assert (reply := client.reply()).status == 202 and reply.body == b"late"


def test_an_error_of_javascript_is_500_and_a_line_of_the_log(server: Any) -> None:
    with logged() as lines:
        assert ask(server.property("port"), "/broken").status == 500
    assert any("server.qml:" in str(line) and "ReferenceError" in str(line) for line in lines)


def test_stopping_and_starting(server: Any) -> None:
    port = server.property("port")
    server.setProperty("running", False)
    assert server.property("running") is False
    server.setProperty("port", port)
    server.setProperty("running", True)
    assert server.property("port") == port
    assert ask(port, "/text").body == b"hello"
    assert server.property("asked") == 1


def test_a_port_in_use_is_said(server: Any, engine: QQmlEngine) -> None:
    source = f"import QHttpServer 1.0\nHttpServer {{ port: {server.property('port')} }}".encode()
    with logged() as lines:
        other = created(engine, source)
    assert other.property("running") is False
    assert any("already in use" in str(line) for line in lines)


def test_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QUICK_BACKEND", "software")
    spec = importlib.util.spec_from_file_location("qml_server", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    engine = example.load()
    (window,) = engine.rootObjects()
    port = window.property("port")
    assert ask(port, "/message", method="POST", body=b"hello").status == 204
    assert window.property("message") == "hello"
    assert ask(port, "/message").body == b'{"message":"hello"}'
    assert ask(port, "/size/500", method="PUT", body=b"").body == b'{"width":500}'
    window.close()
    engine.deleteLater()
    settle()
