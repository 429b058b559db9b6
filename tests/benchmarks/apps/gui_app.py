"""A server in the loop of a GUI that repaints every 16 ms: ``/gui`` tells how late its ticks were."""

# ruff: noqa: E402 - which server is imported depends on the arguments
from __future__ import annotations

import json
import signal
import time

import bench_content as content

options = content.arguments()
if options.side == "ours":
    from qhttpserver_py import QHttpServer, QHttpServerRequest
else:
    from PySide6.QtHttpServer import QHttpServer, QHttpServerRequest

from PySide6.QtCore import QCoreApplication, Qt, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer

PERIOD = 0.016  # seconds


class Painter:
    """Stands for a GUI: busy for a while at every tick, and noting how late the tick came."""

    def __init__(self, busy: float) -> None:
        self.busy = busy
        self.late: list[float] = []
        self.last = time.perf_counter()
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self.tick)
        self.timer.start(int(PERIOD * 1000))

    def tick(self) -> None:
        now = time.perf_counter()
        self.late.append(max(0.0, now - self.last - PERIOD))
        self.last = now
        while time.perf_counter() - now < self.busy:
            pass

    def take(self) -> list[float]:
        taken, self.late = self.late, []
        return taken


painter: Painter


def hello(_request: QHttpServerRequest) -> str:
    return content.HELLO


def fresh(_request: QHttpServerRequest) -> str:
    return content.fresh()


def gui(_request: QHttpServerRequest) -> str:
    return json.dumps(painter.take())


def main() -> None:
    global painter  # noqa: PLW0603
    application = QCoreApplication([])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    server = QHttpServer()
    server.route("/hello", hello)
    server.route("/fresh", fresh)
    server.route("/gui", gui)
    listener = QTcpServer()
    assert listener.listen(QHostAddress("127.0.0.1"), 0)
    assert server.bind(listener)
    painter = Painter(options.busy / 1000)
    content.announce(listener.serverPort())
    application.exec()


main()
