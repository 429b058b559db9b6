"""Receive webhooks, signed the way GitHub does it, and emit a signal for each event.

WEBHOOK_SECRET=... python docs/examples/webhook.py [PORT]
"""

import hashlib
import hmac
import os
import secrets
import signal
import sys

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtNetwork import QHostAddress, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest

Method = QHttpServerRequest.Method


class WebhookReceiver(QObject):
    received = Signal(str, object)  # event, payload

    def __init__(self, secret: bytes, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.secret = secret
        self.seen: dict[str, None] = {}
        self.server = QHttpServer(self)
        self.server.route("/webhook", Method.Post, self.receive, maximum_body_size=1_000_000)

    def receive(self, request: QHttpServerRequest) -> int:
        body = bytes(request.body().data())
        expected = "sha256=" + hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        given = bytes(request.value("x-hub-signature-256").data())
        # In constant time: how long it takes must not tell how much of a guess was right.
        if not hmac.compare_digest(given, expected.encode()):
            return 401
        try:
            payload = request.json()
        except ValueError:
            return 400
        if not self.is_repeated(bytes(request.value("x-github-delivery").data()).decode("latin-1")):
            self.received.emit(bytes(request.value("x-github-event").data()).decode("latin-1"), payload)
        return 204

    def is_repeated(self, delivery: str) -> bool:
        """Senders repeat what they got no answer to; whoever listens gets it once."""
        if not delivery or delivery in self.seen:
            return bool(delivery)
        self.seen[delivery] = None
        if len(self.seen) > 1000:
            del self.seen[next(iter(self.seen))]
        return False


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QCoreApplication(sys.argv)
    secret = os.environ.get("WEBHOOK_SECRET") or secrets.token_hex()
    receiver, tcp = WebhookReceiver(secret.encode()), QTcpServer()
    receiver.received.connect(lambda event, payload: print(event, payload, flush=True))
    tcp.listen(QHostAddress.SpecialAddress.LocalHost, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    if not receiver.server.bind(tcp):
        raise SystemExit(tcp.errorString())
    print(f"Serving at http://localhost:{tcp.serverPort()}/webhook", flush=True)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
