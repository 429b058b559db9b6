"""Catch the redirect of an OAuth login in a desktop program, with state check, timeout and any free port.

    python docs/examples/oauth_redirect.py

A made-up provider stands in for the real one: open the address it prints.
"""

import secrets
import signal
import sys
from urllib.parse import urlencode

from PySide6.QtCore import QCoreApplication, QObject, QTimer, QUrl, QUrlQuery, Signal, SignalInstance
from PySide6.QtNetwork import QHostAddress, QHttpHeaders, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponse

Method = QHttpServerRequest.Method
DONE = "You are logged in. You can close this page and go back to the program."
FAILED = "The login failed. Go back to the program and try again."


class OAuthCallback(QObject):
    """Listens until the browser brings the code, or *timeout* milliseconds have passed; then the port is free.

    Connections that a browser opens and does not use, favicons and repeated clicks do no harm.
    """

    received = Signal(str)  # the code to exchange for a token
    failed = Signal(str)

    def __init__(self, timeout: int = 300_000, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = secrets.token_urlsafe()
        self.settled = False
        self.server = QHttpServer(self)
        self.server.route("/callback", Method.Get, self.receive)
        tcp = QTcpServer()
        tcp.listen(QHostAddress.SpecialAddress.LocalHost)  # any free port: RFC 8252, section 7.3
        self.server.bind(tcp)
        self.timer = QTimer(self, singleShot=True, interval=timeout)
        self.timer.timeout.connect(lambda: self.settle(self.failed, "nobody logged in"))
        self.timer.start()

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self.server.serverPorts()[0]}/callback"

    def receive(self, request: QHttpServerRequest) -> str | tuple[str, int]:
        query = request.query()
        if not secrets.compare_digest(item(query, "state").encode(), self.state.encode()):
            return FAILED, 400  # not an answer to us: keep waiting for the real one
        code = item(query, "code")
        if code:
            self.settle(self.received, code)
            return DONE
        self.settle(self.failed, item(query, "error") or "the provider sent no code")
        return FAILED, 400

    def settle(self, outcome: SignalInstance, text: str) -> None:
        if self.settled:
            return
        self.settled = True
        self.timer.stop()
        # After this reply: one second for it and others in flight, but the port is free at once.
        QTimer.singleShot(0, self, lambda: self.server.close(1000))
        outcome.emit(text)

    def cancel(self) -> None:
        self.settle(self.failed, "cancelled")


def item(query: QUrlQuery, name: str) -> str:
    """Return a value with %2F and the like decoded, which codes of some providers are full of."""
    return query.queryItemValue(name, QUrl.ComponentFormattingOption.FullyDecoded)


def made_up_provider() -> QHttpServer:
    provider = QHttpServer()

    def authorize(request: QHttpServerRequest) -> QHttpServerResponse:
        query = request.query()
        answer = urlencode({"code": "4/made-up+code", "state": item(query, "state")})
        response = QHttpServerResponse(302)
        headers = QHttpHeaders()
        headers.append("location", f"{item(query, 'redirect_uri')}?{answer}")
        response.setHeaders(headers)
        return response

    provider.route("/authorize", Method.Get, authorize)
    tcp = QTcpServer()
    tcp.listen(QHostAddress.SpecialAddress.LocalHost)
    provider.bind(tcp)
    return provider


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QCoreApplication(sys.argv)
    provider, callback = made_up_provider(), OAuthCallback()
    question = urlencode({"redirect_uri": callback.redirect_uri, "state": callback.state})
    print(f"Open http://localhost:{provider.serverPorts()[0]}/authorize?{question}", flush=True)
    for outcome, code in ((callback.received, 0), (callback.failed, 1)):
        outcome.connect(
            lambda text, code=code: (print(text, flush=True), QTimer.singleShot(200, lambda: app.exit(code)))
        )
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
