"""The WebSockets of the demonstration: an echo, and how many requests the server answers each second."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer
from shiboken6 import isValid

from qhttpserver_py.qhttpserver import QHttpServer
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverwebsocketupgraderesponse import QHttpServerWebSocketUpgradeResponse as Verdict
from qhttpserver_py.security import same_origin_verifier

if TYPE_CHECKING:
    from PySide6.QtWebSockets import QWebSocket

ECHO, RATE = "/echo", "/rate"
_MAXIMUM_MESSAGE = 1 << 20
_MAXIMUM_UNREAD = 1 << 16  # for a page that does not read its numbers


class Live(QObject):
    """Keeps the WebSockets of a server, its parent.

    Raises:
        ImportError: neither QtWebSockets nor the package ``websockets`` is installed.
    """

    def __init__(self, server: QHttpServer) -> None:
        super().__init__(server)
        self._sockets: set[QWebSocket] = set()
        self._watchers: set[QWebSocket] = set()
        self._answered = 0
        self._timer = QTimer(self, interval=1000)
        self._timer.timeout.connect(self.tell)
        server.addWebSocketUpgradeVerifier(server, verify)
        server.newWebSocketConnection.connect(self.connected)

    def count(self, request: QHttpServerRequest, _status: int, _size: int, _seconds: float) -> None:
        """Count a reply, unless it was the page asking for the log."""
        self._answered += not request._message.target.startswith(b"/log?")

    def connected(self) -> None:
        """Take a new WebSocket."""
        server = self.parent()
        assert isinstance(server, QHttpServer)
        socket = server.nextPendingWebSocketConnection()
        if socket is None:
            return
        self._sockets.add(socket)
        socket.setMaxAllowedIncomingMessageSize(_MAXIMUM_MESSAGE)
        socket.disconnected.connect(partial(self.gone, socket))
        if socket.requestUrl().path() == ECHO:
            # Through partial: connected to directly, the methods make the binding write a line.
            socket.textMessageReceived.connect(partial(type(socket).sendTextMessage, socket))
            socket.binaryMessageReceived.connect(partial(type(socket).sendBinaryMessage, socket))
        else:
            if not self._watchers:
                self._answered = 0
                self._timer.start()
            self._watchers.add(socket)

    def gone(self, socket: QWebSocket) -> None:
        """Forget a WebSocket whose peer left."""
        if not isValid(self):  # the server was deleted with its sockets still closing
            return
        self._sockets.discard(socket)
        self._watchers.discard(socket)
        if not self._watchers:
            self._timer.stop()
        socket.deleteLater()

    def tell(self) -> None:
        """Send the number of the last second to all sockets."""
        answered, self._answered = self._answered, 0
        text = json.dumps({"answered": answered, "sockets": len(self._sockets)})
        for socket in tuple(self._watchers):
            if socket.bytesToWrite() < _MAXIMUM_UNREAD:
                socket.sendTextMessage(text)


def verify(request: QHttpServerRequest) -> Verdict:
    """Accept pages of this server, and programs, at the two paths."""
    if request.url().path() not in (ECHO, RATE):
        return Verdict.passToNext()
    return same_origin_verifier(request)
