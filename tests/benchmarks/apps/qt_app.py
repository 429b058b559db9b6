"""The work on a QHttpServer: ``--side ours`` or ``--side wheel``, the same handlers on both."""

# ruff: noqa: E402 - which server is imported depends on the arguments
from __future__ import annotations

import bench_content as content

options = content.arguments()
if options.side == "ours":
    from qhttpserver_py import QHttpServer, QHttpServerRequest
else:
    from PySide6.QtHttpServer import QHttpServer, QHttpServerRequest

import functools
import signal

from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress, QSsl, QSslCertificate, QSslConfiguration, QSslKey, QSslServer, QTcpServer


def hello(_request: QHttpServerRequest) -> str:
    return content.HELLO


def fresh(_request: QHttpServerRequest) -> str:
    return content.fresh()


def fresh_100k(_request: QHttpServerRequest) -> str:
    return content.fresh_100k()


def table(_request: QHttpServerRequest) -> str:
    return content.table()


def kilobytes_100(_request: QHttpServerRequest) -> str:
    return content.KILOBYTES_100


def megabyte(_request: QHttpServerRequest) -> str:
    return content.MEGABYTE


def echo(request: QHttpServerRequest) -> str:
    return request.body().data().decode()


def json_work(request: QHttpServerRequest) -> str:
    return content.reply_to_json(request.body().data())


def upload(request: QHttpServerRequest) -> str:
    return str(request.body().size())


def numbered(number: int, _request: QHttpServerRequest) -> str:
    return f"route {number}"


def item(number: int) -> str:
    return f"item {number}"


def item_of_path(request: QHttpServerRequest) -> str:
    """The wheel passes no path arguments: its users take the path apart."""
    return item(int(request.url().path().rpartition("/")[2]))


HANDLERS = {
    "/hello": hello,
    "/fresh": fresh,
    "/fresh-100k": fresh_100k,
    "/table": table,
    "/100k": kilobytes_100,
    "/1m": megabyte,
    "/echo": echo,
    "/json": json_work,
    "/upload": upload,
    **{f"/route/{n}": functools.partial(numbered, n) for n in range(1, content.ROUTES + 1)},
    **({"/item/<arg>": item} if options.side == "ours" else {"/item/[0-9]+": item_of_path}),
}


def tls_server() -> QSslServer:
    configuration = QSslConfiguration.defaultConfiguration()
    configuration.setLocalCertificate(QSslCertificate.fromPath(options.certificate)[0])
    with open(options.key, "rb") as file:
        configuration.setPrivateKey(QSslKey(file.read(), QSsl.KeyAlgorithm.Ec, QSsl.EncodingFormat.Pem))
    configuration.setAllowedNextProtocols([b"h2" if options.kind == "h2" else b"http/1.1"])
    server = QSslServer()
    server.setSslConfiguration(configuration)
    return server


def add_websockets(server: QHttpServer) -> None:
    """The WebSocket work, by coroutines and by signals; the wheel has neither."""
    from qhttpserver_py.websocket import WebSocket

    crowd: set[WebSocket] = set()

    @server.websocket("/ws")
    async def echo_messages(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)

    @server.websocket("/ws-signals")
    def echo_by_signals(socket: WebSocket) -> None:
        socket.textMessageReceived.connect(socket.sendTextMessage)

    def say(text: str) -> None:
        for socket in crowd:
            socket.sendTextMessage(text)

    @server.websocket("/fan")
    def fan_out(socket: WebSocket) -> None:
        crowd.add(socket)
        socket.textMessageReceived.connect(say)
        socket.disconnected.connect(lambda: crowd.discard(socket))


def main() -> None:
    application = QCoreApplication([])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    server = QHttpServer()
    for pattern, handler in HANDLERS.items():
        assert server.route(pattern, handler)
    if options.kind.startswith("ws"):
        add_websockets(server)
    listener = QTcpServer() if options.kind in content.PLAIN else tls_server()
    assert listener.listen(QHostAddress("127.0.0.1"), 0)
    assert server.bind(listener)
    content.announce(listener.serverPort())
    application.exec()


main()
