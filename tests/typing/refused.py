"""Mistakes that type checkers must point at: each line with "# error" and no other."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtNetwork import QHttpHeaders, QTcpServer

from qhttpserver_py import (
    QAbstractHttpServer,
    QHttpServer,
    QHttpServerRequest,
    QHttpServerResponder,
    QHttpServerResponse,
    aio,
)
from qhttpserver_py.requestlog import RequestLogModel
from qhttpserver_py.sse import EventStream
from qhttpserver_py.tls import server_configuration

Method = QHttpServerRequest.Method
server = QHttpServer()
context = QObject()

server.route(7, lambda: "x")  # error: no path
server.route("/", "GET", lambda: "x")  # error: no Method
server.route("/", Method.Get, "x")  # error: cannot be called
server.route("/", lambda: "x", streaming=True)  # error: no such keyword
server.route("/", lambda: "x", maximum_body_size="1")  # error: no number
server.bind("localhost")  # error: no server
server.bind(QTcpServer(), 8080)  # error: no port goes here
server.listen(8080)  # error: was removed
server.close("now")  # error: no number
server.setMissingHandler("x", lambda: 404)  # error: no context
server.addAfterRequestHandler(lambda request, response: None)  # error: no context
server.addAfterRequestHandler(context, 7)  # error: cannot be called
server.addBeforeRequestHandler(lambda request: None)  # error: no context
server.addBeforeRequestHandler(context, 7)  # error: cannot be called


@server.route("/user/<arg>")
def user(number: int) -> str:
    return str(number)


user("seven")  # error: the decorator keeps the signature


def handler(request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
    request.body().decode()  # error: a QByteArray, no bytes
    request.value(7)  # error: no name
    responder.write("x", 1.5)  # error: neither type nor status
    responder.write(QHttpHeaders(), status="200")  # error: no status
    responder.writeChunk(7)  # error: no bytes
    responder.sendResponse("x")  # error: no response
    responder.writeBeginChunked()  # error: no type


QHttpServerResponse(object())  # error: cannot be sent
QHttpServerResponse.fromFile(7)  # error: no path


class Own(QAbstractHttpServer):
    def handleRequest(self, request: str, responder: QHttpServerResponder, /) -> bool:  # error: no request
        return False


EventStream(overflow="explode")  # error: no such choice
server_configuration("cert.pem")  # error: no key
RequestLogModel("server")  # error: no server
aio.start(lambda: None)  # error: no coroutine
