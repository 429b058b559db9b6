"""What programs write, and type checkers must accept without a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from http import HTTPStatus
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QFile, QJsonDocument, QMetaType, QObject, QTimer, QUrl
from PySide6.QtNetwork import QHttpHeaders, QSslConfiguration, QSslServer, QTcpServer
from PySide6.QtWidgets import QTableView

from qhttpserver_py import (
    QAbstractHttpServer,
    QFutureHttpServerResponse,
    QHttpServer,
    QHttpServerConfiguration,
    QHttpServerRequest,
    QHttpServerResponder,
    QHttpServerResponse,
    QHttpServerRouterRule,
    QHttpServerWebSocketUpgradeResponse,
    aio,
)
from qhttpserver_py.requestlog import RequestLogModel
from qhttpserver_py.security import allow_hosts, cors, protect_localhost, require_bearer, same_origin_verifier
from qhttpserver_py.sse import EventStream
from qhttpserver_py.static import StaticFiles, mount
from qhttpserver_py.testing import Client, FakeBackend, InMemoryClient
from qhttpserver_py.tls import server_configuration

Method = QHttpServerRequest.Method
StatusCode = QHttpServerResponder.StatusCode
server = QHttpServer()
context = QObject()

# ---- routes

registered: bool = server.route("/", lambda: "hello")
server.route("/a", Method.Get | Method.Post, lambda request: request.body())
server.route("/b", context, lambda: 204)
server.route("/c", Method.Get, context, lambda: {"a": 1})
server.route("/d", lambda: b"", Rule=QHttpServerRouterRule)
server.route("/upload", Method.Put, lambda request: request.stream().save_to(QFile("x")), stream=True)
server.route("/static/<arg>", StaticFiles("."))


@server.route("/user/<arg>")
def user(number: int) -> dict[str, int]:
    return {"user": number}


same: dict[str, int] = user(7)  # the decorator returns the function itself


@server.route("/both/<arg>", Method.Get, context)
def both(url: QUrl, responder: QHttpServerResponder, request: QHttpServerRequest) -> None:
    responder.write(StatusCode.Ok)


@server.route("/wait")
async def wait(request: QHttpServerRequest) -> tuple[str, int]:
    await asyncio.sleep(0)
    return "waited", HTTPStatus.ACCEPTED


@server.route("/stream")
def stream() -> Iterator[bytes]:
    yield b"x"


@server.route("/astream")
async def astream() -> AsyncIterator[str]:
    yield "x"


@server.route("/thread/<arg>")
@aio.threaded
def thread(number: int) -> str:
    return str(number)


later: Future[str] = thread(1)


@server.route("/file")
def file() -> Path | int:
    return Path("x")


@server.addAfterRequestHandler(context)
def after(request: QHttpServerRequest, response: QHttpServerResponse) -> None:
    headers = response.headers()
    headers.append("x", "y")
    response.setHeaders(headers)


@server.setMissingHandler(context)
def missing(request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
    responder.sendResponse(QHttpServerResponse(StatusCode.NotFound))


@server.addBeforeRequestHandler(context)
def before(request: QHttpServerRequest) -> int | None:
    return None if request.value("x") else 401


server.addAfterRequestHandler(context, after)
server.setMissingHandler(context, missing)
server.addBeforeRequestHandler(context, lambda request: None if request.value("x") else 401)
server.addWebSocketUpgradeVerifier(context, same_origin_verifier)
server.addWebSocketUpgradeVerifier(context, lambda request: QHttpServerWebSocketUpgradeResponse.deny(403, b"no"))

# ---- requests, responses, responders


def values(request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
    body: QByteArray = request.body()
    url: QUrl = request.url()
    name: str = request.query().queryItemValue("name")
    number: int = request.json()["number"]
    headers = QHttpHeaders()
    responder.write(404)
    responder.write(headers, StatusCode.Ok)
    responder.write(QJsonDocument(), headers)
    responder.write(body, b"text/plain", HTTPStatus.OK)
    responder.write(b"", "text/plain")
    responder.write(QFile(name), headers, status=number)
    responder.writeBeginChunked("text/plain", StatusCode.Ok)
    responder.writeBeginChunked(headers, ["x-sum"])
    responder.writeChunk("text")
    responder.writeEndChunked(url.toEncoded(), headers)
    responder.bytesWritten.connect(lambda: None)


QHttpServerResponse(204)
QHttpServerResponse("text", StatusCode.Ok)
QHttpServerResponse("text/plain", b"data", HTTPStatus.OK)
QHttpServerResponse({"a": [1, None]})
QHttpServerResponse.fromFile(Path("x"))
QFutureHttpServerResponse(later)

# ---- servers


class Own(QAbstractHttpServer):
    def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> bool:
        return False

    def missingHandler(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> None:
        responder.write(StatusCode.NotFound)


ports: list[int] = Own(context).serverPorts()
bound: bool = server.bind(QTcpServer())
given_back: bool = server.unbind(QSslServer())
server.close(1000)
configuration = QHttpServerConfiguration()
configuration.setMaximumBodySize(-1)
server.setConfiguration(configuration)
server.router().addConverter(QMetaType.Type.Int, "[0-9]+")
server.router().addConverter(Path, ".+")
server.newWebSocketConnection.connect(server.nextPendingWebSocketConnection)

# ---- beside Qt


@server.route("/events")
def events(request: QHttpServerRequest) -> EventStream:
    events = EventStream(request, ping=15, overflow="drop-oldest")
    events.connect(QTimer().timeout, event="tick", convert=lambda: 1)
    events.event({"a": 1}, "name", id=7)
    return events


tls: QSslConfiguration = server_configuration("cert.pem", Path("key.pem"), b"", [b"..."], alpn=["h2"])
files: StaticFiles = mount(server, "/", ".")
protect_localhost(server)
allow_hosts(server, ["app.example"])
cors(server, "https://app.example", credentials=True)
require_bearer(server, "secret", "/api", query="key")
view = QTableView()
view.setModel(RequestLogModel(server))
path: str = RequestLogModel(server, limit=5).entry(0).path


async def number() -> int:
    return 1


task: asyncio.Task[int] = aio.start(number())


def test_application(qhttpserver: FakeBackend, qtbot: Any) -> None:
    qhttpserver.expect_request("/items", "GET").respond_with_json([1])
    text: str = qhttpserver.client.get("/items").text
    status: int = Client(qhttpserver.url).post("/items", json={"a": text}).status
    assert InMemoryClient(server).get("/").status == status
