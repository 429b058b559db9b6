"""The floor: a QTcpServer whose slot answers every read with a constant."""

from __future__ import annotations

import signal

import bench_content as content
from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress, QTcpServer, QTcpSocket

REPLY = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n"
    b"connection: keep-alive\r\nkeep-alive: timeout=15\r\n\r\n%s"
) % (len(content.HELLO), content.HELLO.encode())


class Peer:
    def __init__(self, socket: QTcpSocket) -> None:
        self.socket = socket
        socket.readyRead.connect(self.answer)
        socket.disconnected.connect(self.leave)
        PEERS.add(self)

    def answer(self) -> None:
        self.socket.readAll()
        self.socket.write(REPLY)

    def leave(self) -> None:
        PEERS.discard(self)
        self.socket.deleteLater()


PEERS: set[Peer] = set()


def main() -> None:
    application = QCoreApplication([])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    server = QTcpServer()

    def accept() -> None:
        while server.hasPendingConnections():
            Peer(server.nextPendingConnection())

    server.newConnection.connect(accept)
    assert server.listen(QHostAddress("127.0.0.1"), 0)
    content.announce(server.serverPort())
    application.exec()


main()
