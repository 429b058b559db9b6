"""What a WebSocket knows of its opening handshake, in the form of QWebSocket."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtNetwork import QHostAddress, QNetworkRequest

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest


class Handshake:
    """The request that became a WebSocket, and what was agreed on."""

    __slots__ = ("asked", "local", "peer", "subprotocol")

    def __init__(self, request: QHttpServerRequest, subprotocol: str) -> None:
        self.asked = request
        self.subprotocol = subprotocol
        self.peer = QHostAddress(request.remoteAddress()), request.remotePort()
        self.local = QHostAddress(request.localAddress()), request.localPort()

    def url(self) -> QUrl:
        """Return the URL that was asked for, ws or wss."""
        url = QUrl(self.asked.url())
        url.setScheme("wss" if self.asked._peer.scheme == "https" else "ws")
        return url

    def request(self) -> QNetworkRequest:
        """Return its URL and its header fields."""
        made = QNetworkRequest(self.url())
        for name, value in self.asked._message.headers:
            before = bytes(made.rawHeader(name.decode("latin-1")).data())
            made.setRawHeader(name, before + b", " + value if before else value)
        return made

    def field(self, name: bytes) -> str:
        """Return a header field."""
        return bytes(self.asked.value(name).data()).decode("latin-1")
