"""The command line program protects what only this computer's user is meant to reach, and nothing else."""

from __future__ import annotations

import pytest
from PySide6.QtNetwork import QHostAddress, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest, security
from qhttpserver_py.cli import _parser, _protect
from qhttpserver_py.cli.listen import CannotServeError
from qhttpserver_py.testing import InMemoryClient

pytestmark = pytest.mark.usefixtures("qapp")

EVIL = {"host": "evil.example"}
CROSS = {"host": "localhost", "origin": "http://evil.example"}


def served(*arguments: str, address: str = "127.0.0.1", prepare: object = None) -> InMemoryClient:
    server = QHttpServer()
    server.route("/", QHttpServerRequest.Method.AnyKnown, lambda: "home")
    tcp = QTcpServer()
    assert tcp.listen(QHostAddress(address), 0)
    assert server.bind(tcp)
    if callable(prepare):
        prepare(server)
    _protect(server, _parser().parse_args(arguments))
    return InMemoryClient(server)


@pytest.mark.parametrize(
    ("arguments", "host", "origin"),
    [
        ((), 421, 403),
        (("--allow-host", "evil.example"), 200, 403),
        (("--allow-host", "*"), 200, 403),
        (("--allow-origin", "http://evil.example", "--allow-origin", "https://b.example"), 421, 200),
    ],
)
def test_loopback(arguments: tuple[str, ...], host: int, origin: int) -> None:
    client = served(*arguments)
    assert client.get("/", headers={"host": "localhost:8080"}).status == 200
    assert client.get("/", headers=EVIL).status == host
    assert client.post("/", headers=CROSS).status == origin


def test_what_everybody_can_reach_is_left_alone() -> None:
    client = served(address="0.0.0.0")
    assert client.get("/", headers=EVIL).status == 200
    assert client.post("/", headers=CROSS).status == 200


def test_what_a_program_has_set_stays() -> None:
    client = served(prepare=lambda server: security.allow_hosts(server, ["evil.example"]))
    assert client.get("/", headers=EVIL).status == 200
    assert client.post("/", headers=CROSS).status == 403


def test_what_is_no_host_is_reported_in_a_sentence() -> None:
    with pytest.raises(CannotServeError, match=r"is no host: .*\.$"):
        served("--allow-host", "http://a/")
