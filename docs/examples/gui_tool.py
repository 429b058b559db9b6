"""A window with a long job, watched and controlled from any browser: on this computer or on a phone.

    python docs/examples/gui_tool.py [--lan] [--port PORT]

With --lan every device of the network can reach it; the key in the address keeps strangers out.
"""

import argparse
import secrets
import signal
import sys
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtNetwork import QAbstractSocket, QHostAddress, QNetworkInterface, QTcpServer
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.requestlog import RequestLogModel
from qhttpserver_py.security import check_origin, require_bearer
from qhttpserver_py.sse import EventStream

Method = QHttpServerRequest.Method
PAGE = Path(__file__).with_suffix(".html")


class Job(QObject):
    """Something that takes a while."""

    changed = Signal(dict)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.progress = 0
        self.timer = QTimer(self, interval=100)
        self.timer.timeout.connect(self.step)

    def state(self) -> dict[str, object]:
        return {"progress": self.progress, "running": self.timer.isActive()}

    def start(self) -> None:
        if self.progress >= 100:
            self.progress = 0
        self.timer.start()
        self.changed.emit(self.state())

    def stop(self) -> None:
        self.timer.stop()
        self.changed.emit(self.state())

    def step(self) -> None:
        self.progress += 1
        if self.progress >= 100:
            self.timer.stop()
        self.changed.emit(self.state())


class Window(QMainWindow):
    def __init__(self, lan: bool = False, port: int = 0) -> None:
        super().__init__()
        self.job = Job(self)
        self.key = secrets.token_urlsafe(9)
        self.lan, self.port = lan, port
        self.server = QHttpServer(self)
        self.add_routes()
        self.log = RequestLogModel(self.server, limit=200)
        self.build()
        self.job.changed.connect(self.show_state)
        self.serve()

    def add_routes(self) -> None:
        self.server.route("/", Method.Get, lambda: PAGE)
        self.server.route("/api/job", Method.Get, self.job.state)
        self.server.route("/api/job/start", Method.Post, self.start)
        self.server.route("/api/job/stop", Method.Post, self.stop)
        self.server.route("/api/events", Method.Get, self.events)
        check_origin(self.server)
        require_bearer(self.server, self.key, "/api", query="key")

    # Handlers run in the Qt thread: no queue, no lock, no signal to hop over.

    def start(self) -> dict[str, object]:
        self.job.start()
        return self.job.state()

    def stop(self) -> dict[str, object]:
        self.job.stop()
        return self.job.state()

    def events(self, request: QHttpServerRequest) -> EventStream:
        stream = EventStream(request)
        stream.event(self.job.state())
        stream.connect(self.job.changed)
        return stream

    # The window

    def build(self) -> None:
        self.setWindowTitle("Converter")
        self.resize(640, 360)
        self.bar = QProgressBar()
        self.button = QPushButton("Start")
        self.button.clicked.connect(lambda: self.job.stop() if self.job.timer.isActive() else self.job.start())
        self.switch = QPushButton("Close the server")
        self.switch.clicked.connect(self.toggle)
        self.address = QLabel(
            textInteractionFlags=Qt.TextInteractionFlag.TextBrowserInteraction, openExternalLinks=True
        )
        self.table = QTableView()
        self.table.setModel(self.log)
        self.table.verticalHeader().hide()
        self.table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.table.setWordWrap(False)
        self.table.verticalHeader().setDefaultSectionSize(self.table.fontMetrics().height() + 6)
        columns = self.table.horizontalHeader()
        for column, widest in enumerate(("00:00:00", "OPTIONS", "", "Status", "10000.0 ms", "100.0 MB")):
            self.table.setColumnWidth(column, self.table.fontMetrics().horizontalAdvance(widest) + 16)
        columns.setSectionResizeMode(RequestLogModel.Column.Path, QHeaderView.ResizeMode.Stretch)
        self.log.rowsInserted.connect(self.table.scrollToBottom)
        top, body, outer = QHBoxLayout(), QWidget(), QVBoxLayout()
        for widget in (self.bar, self.button, self.switch):
            top.addWidget(widget)
        outer.addLayout(top)
        outer.addWidget(self.address)
        outer.addWidget(self.table)
        body.setLayout(outer)
        self.setCentralWidget(body)

    def show_state(self, state: dict[str, object]) -> None:
        self.bar.setValue(self.job.progress)
        self.button.setText("Stop" if state["running"] else "Start")

    # The server

    def serve(self) -> None:
        tcp = QTcpServer()
        anybody, only_us = QHostAddress.SpecialAddress.Any, QHostAddress.SpecialAddress.LocalHost
        if not tcp.listen(anybody if self.lan else only_us, self.port) or not self.server.bind(tcp):
            self.address.setText(f"Not serving: {tcp.errorString()}")
            return
        self.port = tcp.serverPort()  # the same one when it is opened again
        self.address.setText(f'Open <a href="{self.url()}">{self.url()}</a>')
        self.switch.setText("Close the server")

    def toggle(self) -> None:
        if self.server.servers():
            self.server.close(500)
            self.address.setText("The server is closed.")
            self.switch.setText("Open the server")
        else:
            self.serve()

    def url(self) -> str:
        # What follows "#" is not sent to anybody: the page reads it and adds it to its calls.
        return f"http://{own_address() if self.lan else '127.0.0.1'}:{self.port}/#{self.key}"

    def closeEvent(self, event: QCloseEvent) -> None:
        self.server.close()
        super().closeEvent(event)


def own_address() -> str:
    """Return this computer's address in the network."""
    for address in QNetworkInterface.allAddresses():
        if address.protocol() == QAbstractSocket.NetworkLayerProtocol.IPv4Protocol and not address.isLoopback():
            return address.toString()
    return "127.0.0.1"


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description="A window controlled from a browser.")
    parser.add_argument("--lan", action="store_true", help="let other devices in")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    app = QApplication(sys.argv[:1])
    window = Window(options.lan, options.port)
    window.show()
    print("Serving at", window.url(), flush=True)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
