"""The WebSocket work on a bare QWebSocketServer, which is what there was before."""

from __future__ import annotations

import signal

import bench_content as content
from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress
from PySide6.QtWebSockets import QWebSocket, QWebSocketServer

content.arguments()
crowd: set[QWebSocket] = set()


def main() -> None:
    application = QCoreApplication([])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    server = QWebSocketServer("bench", QWebSocketServer.SslMode.NonSecureMode)
    server.setMaxPendingConnections(1000)

    def say(text: str) -> None:
        for socket in crowd:
            socket.sendTextMessage(text)

    def take() -> None:
        while (socket := server.nextPendingConnection()) is not None:
            take_one(socket)

    def take_one(socket: QWebSocket) -> None:
        crowd.add(socket)
        path = socket.requestUrl().path()
        echo = lambda text: socket.sendTextMessage(text)  # noqa: PLW0108 - PySide warns of the bare method
        socket.textMessageReceived.connect(say if path == "/fan" else echo)
        socket.disconnected.connect(lambda: (crowd.discard(socket), socket.deleteLater()))

    server.newConnection.connect(take)
    assert server.listen(QHostAddress("127.0.0.1"), 0)
    content.announce(server.serverPort())
    application.exec()


main()
