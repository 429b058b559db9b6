"""A first server: text, JSON, query, files, basic authentication, a WebSocket echo, and TLS.

    python docs/examples/simple_server.py [PORT [CERT KEY]]

With a certificate and its key it serves the same over HTTPS and HTTP/2, on the next port.
"""

import base64
import secrets
import signal
import sys
from pathlib import Path

from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress, QSslServer, QTcpServer
from PySide6.QtWebSockets import QWebSocket

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponse
from qhttpserver_py.security import same_origin_verifier
from qhttpserver_py.static import StaticFiles
from qhttpserver_py.tls import server_configuration

ASSETS = Path(__file__).parent / "assets"
PASSWORDS = {"Aladdin": "open sesame"}


class SimpleServer(QHttpServer):
    def __init__(self) -> None:
        super().__init__()
        self.route("/", lambda: "Hello world")
        self.route("/query", self.query)
        self.route("/query/<arg>", self.number)
        self.route("/json", lambda: {"key1": "1", "key2": "2"})
        self.route("/file", lambda: ASSETS / "style.css")
        self.route("/assets/<arg>", StaticFiles(ASSETS, listing=False))
        self.route("/remote_address", lambda request: request.remoteAddress().toString())
        self.route("/auth", self.secret)
        self.addAfterRequestHandler(self, self.mark)
        # Other sites' pages must not open WebSockets to this computer.
        self.addWebSocketUpgradeVerifier(self, same_origin_verifier)
        self.newWebSocketConnection.connect(self.echo)
        self.sockets: set[QWebSocket] = set()

    def query(self, request: QHttpServerRequest) -> str:
        return f"host {request.url().host()}, name {request.query().queryItemValue('name')}"

    def number(self, number: int) -> dict[str, object]:
        return {"number": number, "text": f"{number:x}"}

    def secret(self, request: QHttpServerRequest) -> QHttpServerResponse:
        scheme, _, given = bytes(request.value("authorization").data()).decode("latin-1").partition(" ")
        if scheme.lower() == "basic" and self.is_known(given):
            return QHttpServerResponse("text/plain", b"welcome")
        response = QHttpServerResponse(
            "text/plain", b"Authentication required", QHttpServerResponse.StatusCode.Unauthorized
        )
        headers = response.headers()
        headers.append("www-authenticate", 'Basic realm="Simple example", charset="UTF-8"')
        response.setHeaders(headers)
        return response

    def is_known(self, credentials: str) -> bool:
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except ValueError:
            return False
        expected = PASSWORDS.get(user, "")
        return secrets.compare_digest(password.encode(), expected.encode()) and user in PASSWORDS

    def mark(self, request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        headers = response.headers()
        headers.append("server", "simple example")
        response.setHeaders(headers)

    def echo(self) -> None:
        socket = self.nextPendingWebSocketConnection()
        if socket is None:
            return
        self.sockets.add(socket)
        socket.textMessageReceived.connect(socket.sendTextMessage)
        socket.binaryMessageReceived.connect(socket.sendBinaryMessage)
        socket.disconnected.connect(lambda: self.sockets.discard(socket))


def listen(server: QHttpServer, port: int, certificate: str = "", key: str = "") -> str:
    """Bind a new TCP or TLS server to *server* and return its URL."""
    tcp = QTcpServer()
    if certificate:
        tcp = QSslServer()
        tcp.setSslConfiguration(server_configuration(certificate, key))
    if not tcp.listen(QHostAddress.SpecialAddress.LocalHost, port) or not server.bind(tcp):
        raise SystemExit(f"cannot listen on port {port}: {tcp.errorString()}")
    return f"{'https' if certificate else 'http'}://localhost:{tcp.serverPort()}/"


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C stops it
    app = QCoreApplication(sys.argv)
    server = SimpleServer()
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    print("Serving at", listen(server, port), flush=True)
    if len(sys.argv) > 3:
        print("Serving at", listen(server, port and port + 1, *sys.argv[2:4]), flush=True)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
