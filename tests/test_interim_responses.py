"""Interim responses (RFC 9110 15.2): 102 and 103 before the reply, over both protocols."""

from __future__ import annotations

import shutil

import pytest
from PySide6.QtCore import QProcess
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py import QHttpServer, QHttpServerResponder, QHttpServerResponse

from .support.rawclient import RawClient, bound, spin

pytestmark = pytest.mark.usefixtures("qapp")

LINK = "</style.css>; rel=preload; as=style"


def early_hints() -> QHttpHeaders:
    headers = QHttpHeaders()
    headers.append("link", LINK)
    return headers


def by_response(responder: QHttpServerResponder) -> None:
    response = QHttpServerResponse(103)
    response.setHeaders(early_hints())
    responder.sendResponse(response)
    responder.sendResponse(response)
    responder.write(b"page", "text/html")


def by_write(responder: QHttpServerResponder) -> None:
    responder.write(102)
    responder.write(early_hints(), 103)
    responder.write(b"page", "text/html")


@pytest.fixture
def server():
    made = QHttpServer()
    made.route("/response", by_response)
    made.route("/write", by_write)
    yield made
    made.close()


@pytest.mark.parametrize(("path", "statuses"), [("/response", [103, 103, 200]), ("/write", [102, 103, 200])])
def test_they_go_before_the_reply(server, path, statuses) -> None:
    client = RawClient(bound(server))
    client.get(path)
    assert spin(lambda: b"page" in client.received)
    heads = client.received.split(b"\r\n\r\n")
    assert [int(head.split(b" ")[1]) for head in heads[: len(statuses)]] == statuses
    assert b"link: " + LINK.encode() in heads[len(statuses) - 2]
    assert b"content-length" not in heads[0]
    client.received = b""
    client.get(path)
    assert spin(lambda: b"page" in client.received)


def test_an_old_peer_is_sent_none(server) -> None:
    client = RawClient(bound(server))
    client.send(b"GET /response HTTP/1.0\r\n\r\n")
    assert client.reply().status == 200
    assert client.wait_closed()


def test_misuse(server) -> None:
    raised = []

    def handler(responder: QHttpServerResponder) -> None:
        for call in (
            lambda: responder.write(b"x", "text/plain", 103),
            lambda: responder.write(101),
            lambda: responder.write({"a": 1}, 103),
        ):
            try:
                call()
            except ValueError as error:
                raised.append(error)
        responder.writeBeginChunked("text/plain")
        try:
            responder.write(103)
        except RuntimeError as error:
            raised.append(error)
        responder.writeEndChunked(b"end")

    server.route("/", handler)
    client = RawClient(bound(server))
    client.get("/")
    assert client.reply().body == b"end"
    assert len(raised) == 4


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl(server, version) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    process = QProcess()
    process.start("curl", ["-s", "-i", "-m", "10", version, f"http://127.0.0.1:{bound(server)}/response"])
    assert spin(lambda: process.state() == QProcess.ProcessState.NotRunning)
    output = process.readAllStandardOutput().data().lower()
    assert output.count(b" 103") == 2
    assert b"link: </style.css>" in output
    assert output.endswith(b"page")
