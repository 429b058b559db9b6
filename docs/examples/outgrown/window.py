"""The desktop: the application of outgrown.py in a window, which shows what is written.

python docs/examples/outgrown/window.py
"""

import sys

from outgrown import app, listeners
from PySide6.QtNetwork import QHostAddress, QTcpServer
from PySide6.QtWidgets import QApplication, QListWidget, QMainWindow

from qhttpserver_py import QHttpServer, asgi


class Window(QMainWindow):
    def __init__(self) -> None:
        super().__init__()
        self.list = QListWidget()
        self.setCentralWidget(self.list)
        listeners.append(lambda number, text: self.list.addItem(f"{number}: {text}"))
        self.server = QHttpServer(self)
        asgi.mount(self.server, "/", app)
        self.tcp = QTcpServer()
        if not self.tcp.listen(QHostAddress.SpecialAddress.LocalHost) or not self.server.bind(self.tcp):
            raise SystemExit(self.tcp.errorString())


if __name__ == "__main__":
    application = QApplication(sys.argv)
    window = Window()
    window.show()
    print(f"Listening on http://127.0.0.1:{window.tcp.serverPort()}/docs", flush=True)
    sys.exit(application.exec())
