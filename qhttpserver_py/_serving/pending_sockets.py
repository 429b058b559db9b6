"""Upgraded sockets that wait to be fetched, and how a connection's socket becomes a WebSocket.

The socket goes to ``QWebSocketServer.handleConnection`` with the request put back, so the result
is a real QWebSocket. Until the application has fetched it, its signals are blocked: frames that came
behind the handshake are delivered after the application has connected its slots.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from PySide6.QtCore import SIGNAL, QCoreApplication, QEvent, QObject, QTimer
from PySide6.QtNetwork import QAbstractSocket, QSslSocket
from shiboken6 import isValid

from qhttpserver_py._protocol.engine import Headers
from qhttpserver_py._websocket.carrier import TcpCarrier
from qhttpserver_py._websocket.handshake import Handshake
from qhttpserver_py._websocket.protocol import GOING_AWAY, WebSocketProtocol
from qhttpserver_py._websocket.socket import MAXIMUM_MESSAGE, WebSocket

if TYPE_CHECKING:
    from PySide6.QtWebSockets import QWebSocket

    from qhttpserver_py._protocol.engine import Message
    from qhttpserver_py._transport.admission import Seat
    from qhttpserver_py._transport.connection import Connection
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

MAXIMUM_PENDING = 30
"""Upgraded sockets that may wait to be fetched; the next handshake gets 503."""

PENDING_SECONDS = 1.0
"""How long the peer of a WebSocket may take to agree to its close at least, in seconds, when the server is closed."""


class _NoSeat:
    """The seat of a socket whose connection is still counted."""

    def free(self) -> None:
        """Do nothing."""


class PendingSockets:
    """Upgraded sockets of one server that the application has not fetched."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, Any, bytes, Seat | _NoSeat]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def full(self) -> bool:
        """Return whether one more upgrade would exceed the bound, after sockets whose peer left were dropped."""
        if len(self._waiting) >= MAXIMUM_PENDING:
            self.drop_closed()
        return len(self._waiting) >= MAXIMUM_PENDING

    def drop_closed(self) -> None:
        """Forget sockets whose peer left."""
        for entry in [entry for entry in self._waiting if not _is_open(entry[1])]:
            self._waiting.remove(entry)
            _close(*entry)

    def add(self, connection: Connection, message: Message, rest: bytes, subprotocol: str, parent: QObject) -> bool:
        """Make a QWebSocket of the connection's socket and queue it.

        *rest* is what the peer sent behind the handshake *message*, *subprotocol* what the answer
        names, empty for none. The QWebSocket is deleted with *parent* as long as it is not fetched.

        Returns:
            False where the socket disconnected meanwhile.
        """
        socket = connection.release()
        if socket is None:
            return False
        # The QWebSocket would read frames in Qt's buffer before any slot is connected.
        rest += bytes(socket.readAll().data())
        _forget_trackers(socket)
        websocket = _shake_hands(socket, message.raw, subprotocol)
        if websocket is None:
            socket.abort()
            socket.deleteLater()
            return False
        socket.blockSignals(True)
        _belong(socket, websocket)  # not to the listening server any more, which may go first
        websocket.setParent(parent)
        seat = connection.core.admission.seat(connection.host)
        self._waiting.append((websocket, socket, rest, seat))
        _free_at_end(websocket, seat)
        return True

    def add_native(
        self, connection: Connection, request: QHttpServerRequest, rest: bytes, subprotocol: str, parent: QObject
    ) -> bool:
        """Make a WebSocket of our own of the connection's socket and queue it; see ``add()``."""
        websocket, socket, rest, seat = make_native(
            connection, request, rest, subprotocol, WebSocketProtocol(MAXIMUM_MESSAGE, compression=True), parent
        )
        if websocket is None:
            return False
        self._waiting.append((websocket, socket, rest, seat))
        return True

    def add_tunnel(self, websocket: WebSocket) -> None:
        """Queue a WebSocket that came over HTTP/2, whose connection is still counted."""
        self._waiting.append((websocket, websocket, b"", _NoSeat()))

    def next(self) -> Any:
        """Return the oldest waiting socket, which belongs to the caller from now on; None when there is none."""
        while self._waiting:
            websocket, socket, rest, _seat = self._waiting.popleft()
            if type(websocket) is WebSocket and isValid(websocket):
                websocket.setParent(None)
                QTimer.singleShot(0, websocket, partial(websocket.start, rest))  # the caller connects its slots first
                return websocket
            if isValid(websocket):
                websocket.setParent(None)
                _release_signals(socket, rest)
                # Later, because the caller connects its slots when this has returned.
                QTimer.singleShot(0, lambda: _deliver(socket))  # noqa: B023 - returns at once
                return websocket
        return None

    def close(self) -> None:
        """Close what was not fetched."""
        while self._waiting:
            _close(*self._waiting.popleft())


def make_native(
    connection: Connection,
    request: QHttpServerRequest,
    rest: bytes,
    subprotocol: str,
    protocol: WebSocketProtocol,
    parent: QObject | None,
    fields: Headers = (),
) -> tuple[Any, Any, bytes, Any]:
    """Return a WebSocket, its Qt socket, what came behind the handshake, and its seat; the first is None if it
    disconnected.

    Raises:
        HandshakeError: the request cannot be accepted; nothing was done to the connection.
    """
    answer = protocol.accept(request._message.headers, subprotocol, fields)
    socket = connection.release()
    if socket is None:
        return None, None, rest, None
    rest += bytes(socket.readAll().data())
    _forget_trackers(socket)
    carrier = TcpCarrier(socket)
    websocket = WebSocket(carrier, protocol, Handshake(request, subprotocol), parent)
    carrier.write((answer,))
    seat = connection.core.admission.seat(connection.host)
    _free_at_end(websocket, seat)
    return websocket, socket, rest, seat


_ending: dict[int, WebSocket] = {}
"""Sockets that Qt is to delete: without a parent the last reference would delete at once, and they may be emitting."""


def delete_at_end(socket: WebSocket) -> None:
    """Have *socket* deleted once it is disconnected."""
    weak = ref(socket)

    def delete() -> None:
        found = weak()
        if found is not None and isValid(found):
            delete_later(found)

    socket.disconnected.connect(delete)


def delete_later(socket: WebSocket) -> None:
    """Have the event loop delete *socket*, which a parent owns, whatever references go meanwhile."""
    key = id(socket)
    if key in _ending:
        return
    _ending[key] = socket
    socket.setParent(None)

    def forget(*_: object) -> None:  # a function, see ``when_destroyed()``
        _ending.pop(key, None)

    socket.destroyed.connect(forget)
    socket.deleteLater()


def _shake_hands(socket: Any, head: bytes, subprotocol: str) -> QWebSocket | None:
    """Have a QWebSocketServer answer the handshake whose request was *head*."""
    from PySide6.QtWebSockets import QWebSocketServer

    modes = QWebSocketServer.SslMode
    server = QWebSocketServer("", modes.SecureMode if isinstance(socket, QSslSocket) else modes.NonSecureMode)
    if subprotocol:
        server.setSupportedSubprotocols([subprotocol])
    unget(socket, head)
    server.handleConnection(socket)
    # It reads the request in a posted call, before which more could come from the peer.
    QCoreApplication.sendPostedEvents(server, QEvent.Type.MetaCall.value)
    websocket: Any = server.nextPendingConnection()
    if websocket is not None:
        websocket.setParent(None)
    return websocket  # type: ignore[no-any-return]


def _belong(socket: Any, websocket: Any) -> None:
    """Have *socket* deleted with *websocket*.

    PySide did not make the QWebSocket: it would keep the wrapper of a child of its for ever.
    """
    holder = [QObject()]
    socket.setParent(holder[0])

    def delete(*_: object) -> None:  # a function, see ``when_destroyed()``
        holder.clear()

    websocket.destroyed.connect(delete)


def _free_at_end(websocket: Any, seat: Seat) -> None:
    """Count *websocket* against the limits of connections as long as it is connected, whoever owns it."""

    def free(*_: object) -> None:  # a function, see ``when_destroyed()``
        seat.free()

    websocket.disconnected.connect(free)
    websocket.destroyed.connect(free)


def _forget_trackers(socket: Any) -> None:
    """Undo what PySide connected to ``destroyed`` for our slots: a QWebSocket that is deleted would warn of it."""
    if socket.receivers(SIGNAL("destroyed(QObject*)")):
        socket.destroyed.disconnect()


def _is_open(socket: Any) -> bool:
    return isValid(socket) and socket.state() == QAbstractSocket.SocketState.ConnectedState


def _release_signals(socket: Any, rest: bytes) -> None:
    if isValid(socket):
        socket.blockSignals(False)
        unget(socket, rest)
        socket.setReadBufferSize(0)  # the QWebSocket reads it from here on


def _deliver(socket: Any) -> None:
    """Emit the signals of what happened before the application had connected its slots."""
    if isValid(socket) and socket.bytesAvailable():
        socket.readyRead.emit()
    if isValid(socket) and isinstance(socket, QSslSocket):
        socket.flush()  # decrypts what did not fit into its buffer
    if isValid(socket) and socket.state() == socket.SocketState.UnconnectedState:
        socket.stateChanged.emit(socket.state())


def _close(websocket: Any, socket: Any, rest: bytes, seat: Seat | _NoSeat) -> None:
    if type(websocket) is WebSocket:
        if isValid(websocket):
            delete_at_end(websocket)
            websocket.start(rest)  # it has to read that the peer agrees
            going_away(websocket)
            if not _is_open(socket):
                delete_later(websocket)
        seat.free()
        return
    from PySide6.QtWebSockets import QWebSocketProtocol

    if isValid(websocket):
        if isValid(socket):
            socket.blockSignals(False)
        websocket.close(QWebSocketProtocol.CloseCode.CloseCodeGoingAway)
        if isValid(socket):
            socket.disconnectFromHost()  # without waiting for a close frame of the peer
        websocket.deleteLater()
    seat.free()


def going_away(websocket: Any, seconds: float = PENDING_SECONDS) -> None:
    """Close a WebSocket of ours because the server ends, within *seconds*."""
    if isValid(websocket):
        websocket._session.close(seconds, GOING_AWAY, "")


def unget(socket: Any, data: bytes) -> None:
    """Put *data* back in front of what *socket* holds."""
    put = socket.ungetChar
    for octet in reversed(data):
        put(octet - 256 if octet > 127 else octet)  # a C char: signed
