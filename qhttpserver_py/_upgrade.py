"""The WebSocket upgrade: who is asked, what is refused and how, and handing the socket over.

The socket goes to ``QWebSocketServer.handleConnection`` with the request put back, so the result
is a real QWebSocket. Until the application has fetched it the socket's signals are held: frames
that came behind the handshake are delivered to whoever connects, not to nobody.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import SIGNAL, QTimer
from PySide6.QtNetwork import QSslSocket
from shiboken6 import isValid

from qhttpserver_py import _log
from qhttpserver_py._protocol.wire import PHRASES, date_field
from qhttpserver_py.qhttpserverwebsocketupgraderesponse import QHttpServerWebSocketUpgradeResponse

if TYPE_CHECKING:
    from PySide6.QtWebSockets import QWebSocket, QWebSocketServer

    from qhttpserver_py._connection import Connection
    from qhttpserver_py._protocol.engine import Message
    from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer

MAXIMUM_PENDING = 30
"""Upgraded sockets that may wait to be fetched; the next handshake gets 503."""

NOT_CONNECTED = "WebSocket received but no slots connected to QWebSocketServer::newConnection"

_GOING_AWAY = 1001  # RFC 6455 7.4.1


class PendingSockets:
    """Upgraded sockets of one server that the application has not fetched."""

    def __init__(self, server: QAbstractHttpServer) -> None:
        self._server = server
        self._waiting: deque[tuple[QWebSocket, Any, bytes]] = deque()
        self._handshakes: set[Handshake] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def full(self) -> bool:
        """Whether one more upgrade would pass the bound."""
        return len(self._waiting) + len(self._handshakes) >= MAXIMUM_PENDING

    def listened(self) -> bool:
        """Whether anything is connected to ``newWebSocketConnection``."""
        return self._server.receivers(SIGNAL("newWebSocketConnection()")) > 0

    def hand_over(self, connection: Connection, message: Message, subprotocol: str) -> None:
        """Give the connection's socket to QWebSocketServer, with the request put back into it."""
        rest: bytes = connection.engine.unread()  # type: ignore[attr-defined]
        socket = connection.release()
        # Frames that wait in Qt's buffer would be read by the QWebSocket before anybody listens to it.
        rest += bytes(socket.readAll().data())
        handshake = Handshake(self, socket, rest)
        self._handshakes.add(handshake)
        handshake.run(message.raw, subprotocol)

    def add(self, handshake: Handshake, websocket: QWebSocket) -> None:
        """An upgrade is complete: queue it and tell the application."""
        self._handshakes.discard(handshake)
        websocket.setParent(self._server)  # dies with the server as long as nobody fetched it
        self._waiting.append((websocket, handshake.socket, handshake.rest))
        self._server.newWebSocketConnection.emit()

    def failed(self, handshake: Handshake) -> None:
        """The handshake ended without a QWebSocket."""
        self._handshakes.discard(handshake)

    def next(self) -> QWebSocket | None:
        """Return the oldest waiting socket, the caller's from now on; None when there is none."""
        while self._waiting:
            waiting = self._waiting.popleft()
            websocket = waiting[0]
            if isValid(websocket):
                websocket.setParent(None)
                # Not now: the caller connects its slots when this returns.
                QTimer.singleShot(0, websocket, lambda: _let_go(*waiting))  # noqa: B023 - returns at once
                return websocket
        return None

    def close(self) -> None:
        """Close what nobody fetched."""
        from PySide6.QtWebSockets import QWebSocketProtocol

        while self._waiting:
            websocket, socket, _rest = self._waiting.popleft()
            if isValid(websocket):
                if isValid(socket):
                    socket.blockSignals(False)
                websocket.close(QWebSocketProtocol.CloseCode.CloseCodeGoingAway)
                websocket.deleteLater()


class Handshake:
    """One socket on its way through QWebSocketServer's handshake."""

    __slots__ = ("__weakref__", "_owner", "_server", "rest", "socket")

    def __init__(self, owner: PendingSockets, socket: Any, rest: bytes) -> None:
        from PySide6.QtWebSockets import QWebSocketServer

        self._owner = owner
        self.socket = socket
        self.rest = rest
        secure = isinstance(socket, QSslSocket)
        mode = QWebSocketServer.SslMode.SecureMode if secure else QWebSocketServer.SslMode.NonSecureMode
        # One for each handshake: it tells which socket became which QWebSocket.
        self._server: QWebSocketServer | None = QWebSocketServer("", mode, owner._server)
        self._server.newConnection.connect(self._upgraded)

    def run(self, head: bytes, subprotocol: str) -> None:
        """Put *head* back into the socket and let QWebSocketServer answer it."""
        server, socket = self._server, self.socket
        if server is None:
            return
        if subprotocol:
            server.setSupportedSubprotocols([subprotocol])
        socket.disconnected.connect(self._ended)
        unget(socket, head)
        server.handleConnection(socket)
        socket.readyRead.emit()

    def _upgraded(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        websocket: Any = server.nextPendingConnection()
        server.deleteLater()
        if websocket is None:
            self._owner.failed(self)
            return
        self.socket.blockSignals(True)
        self._owner.add(self, websocket)

    def _ended(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.deleteLater()
            self._owner.failed(self)


def _let_go(websocket: QWebSocket, socket: Any, rest: bytes) -> None:
    """The application holds the socket and has connected its slots: deliver what waited."""
    if not isValid(websocket) or not isValid(socket):
        return
    socket.blockSignals(False)
    unget(socket, rest)
    if socket.bytesAvailable():
        socket.readyRead.emit()
    if isValid(socket) and socket.state() == socket.SocketState.UnconnectedState:
        socket.disconnected.emit()


def unget(socket: Any, data: bytes) -> None:
    """Put *data* back in front of what *socket* holds."""
    put = socket.ungetChar
    for octet in reversed(data):
        put(octet - 256 if octet > 127 else octet)  # a C char: signed


def handshake_fault(message: Message) -> tuple[int, str] | None:
    """Return status and reason where the opening handshake is not a valid one (RFC 6455 4.2.1), else None."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in message.headers:
        fields.setdefault(name, []).append(value)
    if message.method != "GET":
        return 400, "a WebSocket handshake is a GET request"
    if message.version < 11:
        return 400, "a WebSocket handshake needs HTTP/1.1"
    if message.body or not message.complete:
        return 400, "a WebSocket handshake has no body"
    versions = [part.strip() for value in fields.get(b"sec-websocket-version", ()) for part in value.split(b",")]
    if versions != [b"13"]:
        return 426, "only version 13 is supported"
    keys = fields.get(b"sec-websocket-key", ())
    if len(keys) != 1 or not _is_key(keys[0]):
        return 400, "Sec-WebSocket-Key is missing or is not the base64 of 16 bytes"
    return None


def _is_key(key: bytes) -> bool:
    try:
        return len(key) == 24 and len(b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def refusal_reply(status: int, text: bytes, fields: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """Return the whole reply that refuses an upgrade: *text* as body and, where it can be, as reason phrase."""
    phrase = text if text and all(31 < octet < 127 for octet in text) else PHRASES.get(status, b"")
    head = b"HTTP/1.1 %d %s\r\n" % (status, phrase)
    lines = b"".join(b"%s: %s\r\n" % field for field in fields)
    return b"%scontent-type: text/plain\r\n%s%scontent-length: %d\r\nconnection: close\r\n\r\n%s" % (
        head,
        lines,
        date_field(),
        len(text),
        text,
    )


Verifier = Callable[[Any], Any]
Verdict = QHttpServerWebSocketUpgradeResponse
_Response = QHttpServerWebSocketUpgradeResponse.ResponseType


def log_refused(status: int, detail: str) -> None:
    """Say why an upgrade was refused."""
    _log.info(_log.HTTP1, f"WebSocket upgrade refused with {status}: {detail}")
