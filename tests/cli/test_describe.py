"""--routes, --debug, and the addresses for a phone."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtNetwork import QHostAddress, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.cli import main
from qhttpserver_py.cli.describe import describe_routes, lan_urls

from ..support.rawclient import ask, bound

PROGRAM = """
from qhttpserver_py import QHttpServer
def make():
    server = QHttpServer()
    server.route("/a", lambda: "x")
    return server
"""

pytestmark = pytest.mark.usefixtures("qapp")


def test_routes() -> None:
    server = QHttpServer()
    assert list(describe_routes(server)) == ["There are no routes."]
    server.route("/user/<arg>", QHttpServerRequest.Method.Get, lambda number: number)
    (line,) = describe_routes(server)
    assert line.startswith("/user/<arg>  GET  ")


def test_routes_are_printed(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "routed.py").write_text(PROGRAM)
    assert main([f"{tmp_path}/routed.py:make", "--routes"]) == 0
    assert "/a  " in capsys.readouterr().out


def test_addresses_for_a_phone() -> None:
    server = QHttpServer()
    everywhere = QTcpServer()
    assert everywhere.listen(QHostAddress.SpecialAddress.AnyIPv4, 0)
    assert server.bind(everywhere)
    assert all(place.endswith(f":{everywhere.serverPort()}/") for place in lan_urls(server))
    server.close()
    loopback = QHttpServer()
    bound(loopback)
    assert list(lan_urls(loopback)) == []
    loopback.close()


@pytest.mark.parametrize("shown", [False, True])
def test_errors_are_shown_where_that_was_asked_for(monkeypatch, shown) -> None:
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    server = QHttpServer()
    server.route("/", lambda: 1 / 0)
    server._core.shows_errors = shown
    reply = ask(bound(server), "/")
    assert reply.status == 500
    assert (b"ZeroDivisionError" in reply.body) is shown
    server.close()


def test_debug_is_for_this_computer_alone(capsys) -> None:
    assert main(["--debug", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "loopback addresses alone" in capsys.readouterr().err
