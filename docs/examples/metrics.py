"""Let Prometheus scrape a Qt program: counters, gauges and a histogram at /metrics.

python docs/examples/metrics.py [PORT]
"""

import gc
import signal
import sys
import time
from collections import Counter

from PySide6.QtCore import QCoreApplication, QObject, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponse

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5)


class Metrics(QObject):
    """What is counted: replies by method and status, and how late the event loop runs its timers."""

    def __init__(self, server: QHttpServer) -> None:
        super().__init__(server)
        self.started = time.time()
        self.replies: Counter[tuple[str, int]] = Counter()
        self.buckets: Counter[float] = Counter()
        self.delay_sum, self.delay_count = 0.0, 0
        self.due = time.monotonic() + 0.1
        self.timer = QTimer(self, interval=100)
        self.timer.timeout.connect(self.tick)
        self.timer.start()
        server.addAfterRequestHandler(self, self.count)
        server.route("/metrics", QHttpServerRequest.Method.Get, self.expose)

    def count(self, request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        method = request.method().name or "Unknown"
        status = response.statusCode()
        self.replies[method.upper(), status if isinstance(status, int) else status.value] += 1

    def tick(self) -> None:
        now = time.monotonic()
        delay, self.due = max(0.0, now - self.due), now + 0.1
        self.delay_sum, self.delay_count = self.delay_sum + delay, self.delay_count + 1
        for bound in BUCKETS:
            self.buckets[bound] += delay <= bound

    def expose(self) -> QHttpServerResponse:
        return QHttpServerResponse(CONTENT_TYPE, "\n".join([*self.lines(), ""]))

    def lines(self) -> list[str]:
        lines = ["# TYPE http_replies_total counter"]
        lines += [
            f'http_replies_total{{method="{method}",status="{status}"}} {count}'
            for (method, status), count in sorted(self.replies.items())
        ]
        lines += ["# TYPE event_loop_delay_seconds histogram"]
        lines += [f'event_loop_delay_seconds_bucket{{le="{bound}"}} {self.buckets[bound]}' for bound in BUCKETS]
        return [
            *lines,
            f'event_loop_delay_seconds_bucket{{le="+Inf"}} {self.delay_count}',
            f"event_loop_delay_seconds_sum {self.delay_sum:.6f}",
            f"event_loop_delay_seconds_count {self.delay_count}",
            "# TYPE process_start_time_seconds gauge",
            f"process_start_time_seconds {self.started:.3f}",
            "# TYPE python_objects gauge",
            f"python_objects {len(gc.get_objects())}",
        ]


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QCoreApplication(sys.argv)
    server, tcp = QHttpServer(), QTcpServer()
    server.route("/", lambda: "The numbers are at /metrics\n")
    Metrics(server)
    tcp.listen(QHostAddress.SpecialAddress.LocalHost, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    if not server.bind(tcp):
        raise SystemExit(tcp.errorString())
    print(f"Serving at http://localhost:{tcp.serverPort()}/metrics", flush=True)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
