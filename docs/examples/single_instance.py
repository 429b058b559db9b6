"""One instance at a time: a second start hands its arguments to the first and ends.

    python docs/examples/single_instance.py one.txt &
    python docs/examples/single_instance.py two.txt

The first instance serves HTTP on a local socket that only this user can open; no port is taken.
"""

import getpass
import json
import signal
import sys

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from qhttpserver_py import QHttpServer, QHttpServerRequest


class SingleInstance(QObject):
    activated = Signal(list)  # the arguments of another start

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.name = f"{name}-{getpass.getuser()}"
        self.server = QHttpServer(self)
        self.server.route("/activate", QHttpServerRequest.Method.Post, self.activate)

    def claim(self, arguments: list[str]) -> bool:
        """Return True if this is the first instance; else the first one gets *arguments*."""
        if self.hand_over(arguments):
            return False
        QLocalServer.removeServer(self.name)  # of an instance that crashed
        local = QLocalServer()
        local.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        return local.listen(self.name) and self.server.bind(local)

    def hand_over(self, arguments: list[str]) -> bool:
        socket = QLocalSocket()
        socket.connectToServer(self.name)
        if not socket.waitForConnected(500):
            return False
        body = json.dumps(arguments).encode()
        head = f"POST /activate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        socket.write(head.encode() + body)
        while socket.waitForReadyRead(2000):
            if b"\r\n\r\n" in bytes(socket.peek(65536).data()):
                return bytes(socket.readAll().data()).startswith(b"HTTP/1.1 204")
        return False

    def activate(self, request: QHttpServerRequest) -> int:
        arguments = request.json()
        if not isinstance(arguments, list):
            return 400
        self.activated.emit([str(argument) for argument in arguments])
        return 204


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QCoreApplication(sys.argv)
    instance = SingleInstance("qhttpserver-example")
    if not instance.claim(sys.argv[1:]):
        print("Handed over to the instance that runs", flush=True)
        return 0
    instance.activated.connect(lambda arguments: print("Opening", *arguments, flush=True))
    print("Opening", *sys.argv[1:], flush=True)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
