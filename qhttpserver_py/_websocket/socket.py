"""A WebSocket with QWebSocket's names, signals and semantics, on a Qt socket; and with coroutines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

from PySide6.QtCore import QByteArray, QMetaObject, QObject, QTimer, QUrl, Signal, SignalInstance
from PySide6.QtNetwork import QAbstractSocket, QHostAddress, QNetworkRequest, QTcpSocket
from shiboken6 import isValid

from qhttpserver_py._qt.snake_case import with_snake_case
from qhttpserver_py._websocket.closecode import CloseCode
from qhttpserver_py._websocket.protocol import GOING_AWAY, NORMAL, Message, WebSocketProtocol
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

MAXIMUM_MESSAGE = 16 * 1024 * 1024
"""Octets of the largest message that is taken, inflated; a larger one closes with 1009."""

HIGH_WATER = 262144
"""With more octets than this unread by the peer, ``await send()`` waits."""

MAXIMUM_QUEUE = 64
"""Messages that wait for ``async for``; beyond, nothing is read from the peer."""

READ_BUFFER = 262144
"""Octets that Qt holds unread; TCP pushes back beyond."""

PING_INTERVAL = 20.0
"""Seconds of silence after which the peer is asked whether it is there; as long again without a word ends it."""


class ConnectionClosed(ConnectionError):  # noqa: N818 - named for what happened
    """The WebSocket is closed; raised by ``send()`` and ``recv()``. Not in Qt."""


@with_snake_case
class WebSocket(QObject):
    """One WebSocket of a server. Belongs to the server's thread; its owner deletes it.

    Connect its signals, as with QWebSocket, or take it in a coroutine: ``async for message in socket``, ``await
    socket.send(message)``.

    Qt: QWebSocket.
    """

    textMessageReceived = Signal(str)
    """A whole text message came. Qt: QWebSocket::textMessageReceived."""
    binaryMessageReceived = Signal(QByteArray)
    """A whole binary message came. Qt: QWebSocket::binaryMessageReceived."""
    textFrameReceived = Signal(str, bool)
    """Text came; here always with its end. Qt: QWebSocket::textFrameReceived."""
    binaryFrameReceived = Signal(QByteArray, bool)
    """Octets came; here always with their end. Qt: QWebSocket::binaryFrameReceived."""
    connected = Signal()
    """Never emitted: a server's WebSocket is connected when it is given. Qt: QWebSocket::connected."""
    disconnected = Signal()
    """The connection is over. Qt: QWebSocket::disconnected."""
    aboutToClose = Signal()
    """This side closes. Qt: QWebSocket::aboutToClose."""
    readChannelFinished = Signal()
    """Nothing more will come. Qt: QWebSocket::readChannelFinished."""
    bytesWritten = Signal(int)
    """So many octets were given to the system. Qt: QWebSocket::bytesWritten."""
    pong = Signal(int, QByteArray)
    """A pong came: milliseconds since the ping, and its payload. Qt: QWebSocket::pong."""
    errorOccurred = Signal(QAbstractSocket.SocketError)
    """The socket failed. Qt: QWebSocket::errorOccurred."""
    stateChanged = Signal(QAbstractSocket.SocketState)
    """It closes, or is closed. Qt: QWebSocket::stateChanged."""

    def __init__(
        self,
        socket: QTcpSocket,
        protocol: WebSocketProtocol,
        request: QHttpServerRequest,
        subprotocol: str = "",
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._socket = socket
        self._protocol = protocol
        self._request = request
        self._subprotocol = subprotocol
        self._state = QAbstractSocket.SocketState.ConnectedState
        self._peer = QHostAddress(request.remoteAddress()), request.remotePort()
        self._local = QHostAddress(request.localAddress()), request.localPort()
        self._queue: deque[Message] | None = None  # a coroutine takes the messages
        self._waiter: asyncio.Future[None] | None = None  # of recv()
        self._room: asyncio.Future[None] | None = None  # of send()
        self._error = ""
        self._heard_at = monotonic()
        self._pinged_at = 0.0
        self._connections: list[QMetaObject.Connection] = []
        self._ping = QTimer(self)
        self._ping.timeout.connect(self._keep_alive)
        self.setPingInterval(PING_INTERVAL)
        socket.setParent(self)
        socket.setReadBufferSize(READ_BUFFER)
        socket.disconnected.connect(self._gone)
        socket.bytesWritten.connect(self._written)

    # ---- beginning

    def start(self, rest: bytes = b"", *, queued: bool = False) -> None:
        """Begin to read; *rest* came behind the handshake, *queued*: a coroutine takes the messages. Not in Qt."""
        if queued:
            self._queue = deque()
        self._socket.readyRead.connect(self._read)
        if rest:
            self._take(rest)
        self._read()

    # ---- what it is

    def request(self) -> QNetworkRequest:
        """Return the opening handshake: its URL and its header fields. Qt: QWebSocket::request."""
        made = QNetworkRequest(self.requestUrl())
        for name, value in self._request._message.headers:
            made.setRawHeader(name, value)
        return made

    def requestUrl(self) -> QUrl:
        """Return the URL that was asked for, ws or wss. Qt: QWebSocket::requestUrl."""
        url = QUrl(self._request.url())
        url.setScheme("wss" if self._request._peer.scheme == "https" else "ws")
        return url

    def resourceName(self) -> str:
        """Return the URL that was asked for, as QWebSocket has it on a server. Qt: QWebSocket::resourceName."""
        return self.requestUrl().toString()

    def origin(self) -> str:
        """Return the Origin field of the handshake. Qt: QWebSocket::origin."""
        return bytes(self._request.value(b"origin").data()).decode("latin-1")

    def subprotocol(self) -> str:
        """Return the sub-protocol that was agreed on. Qt: QWebSocket::subprotocol."""
        return self._subprotocol

    def peerAddress(self) -> QHostAddress:
        """Return the address of the peer. Qt: QWebSocket::peerAddress."""
        return QHostAddress(self._peer[0])

    def peerPort(self) -> int:
        """Return the port of the peer. Qt: QWebSocket::peerPort."""
        return self._peer[1]

    def peerName(self) -> str:
        """Return the name of the peer, which a server does not know. Qt: QWebSocket::peerName."""
        return ""

    def localAddress(self) -> QHostAddress:
        """Return the address the connection came in on. Qt: QWebSocket::localAddress."""
        return QHostAddress(self._local[0])

    def localPort(self) -> int:
        """Return the port the connection came in on. Qt: QWebSocket::localPort."""
        return self._local[1]

    def state(self) -> QAbstractSocket.SocketState:
        """Return whether it is connected, closing or closed. Qt: QWebSocket::state."""
        return self._state

    def isValid(self) -> bool:
        """Return whether it can be read and written. Qt: QWebSocket::isValid."""
        return self._state is QAbstractSocket.SocketState.ConnectedState

    def errorString(self) -> str:
        """Return what went wrong last. Qt: QWebSocket::errorString."""
        return self._error or self._protocol.fault or "Unknown error"

    def closeCode(self) -> int:
        """Return why it was closed; 1006 where nobody said. Qt: QWebSocket::closeCode."""
        code = self._protocol.close_code if self._protocol.is_closing else NORMAL
        return CloseCode(code) if code in set(CloseCode) else code

    def closeReason(self) -> str:
        """Return the text that came with the close. Qt: QWebSocket::closeReason."""
        return self._protocol.close_reason

    def bytesToWrite(self) -> int:
        """Return the octets that wait for the peer. Qt: QWebSocket::bytesToWrite."""
        return int(self._socket.bytesToWrite()) if isValid(self._socket) else 0

    def maxAllowedIncomingMessageSize(self) -> int:
        """Return the octets of the largest message that is taken. Qt: QWebSocket::maxAllowedIncomingMessageSize."""
        return self._protocol.maximum_size

    def setMaxAllowedIncomingMessageSize(self, size: int, /) -> None:
        """Take no message of more than *size* octets. Qt: QWebSocket::setMaxAllowedIncomingMessageSize."""
        self._protocol.maximum_size = size

    def setPingInterval(self, seconds: float, /) -> None:
        """Ask a peer that is silent for *seconds* whether it is there, and end it after as long again; 0: never.

        Not in Qt.
        """
        self._ping.stop()
        if seconds > 0:
            self._ping.start(round(seconds * 1000))

    # ---- sending

    def sendTextMessage(self, message: str, /) -> int:
        """Send text; return its octets, 0 where it is closed. Qt: QWebSocket::sendTextMessage."""
        return self._send(message, len(message.encode()))

    def sendBinaryMessage(self, data: QByteArray | bytes | bytearray | memoryview, /) -> int:
        """Send octets; return how many, 0 where it is closed. Qt: QWebSocket::sendBinaryMessage."""
        octets = bytes(data.data()) if isinstance(data, QByteArray) else bytes(data)
        return self._send(octets, len(octets))

    def _send(self, message: Message, size: int) -> int:
        if not self.isValid() or self._protocol.is_closing:
            return 0
        self._protocol.send(message)
        self._write()
        return size

    def ping(self, payload: QByteArray | bytes = b"", /) -> None:
        """Ask the peer for a pong. Qt: QWebSocket::ping."""
        if self.isValid() and not self._protocol.is_closing:
            self._pinged_at = monotonic()
            self._protocol.ping(bytes(payload.data()) if isinstance(payload, QByteArray) else payload)
            self._write()

    def flush(self) -> bool:
        """Write what waits as far as the system takes it. Qt: QWebSocket::flush."""
        return bool(self._socket.flush()) if isValid(self._socket) else False

    def close(self, closeCode: int = NORMAL, reason: str = "") -> None:
        """Close with *closeCode* and *reason*; the peer has ten seconds to agree. Qt: QWebSocket::close."""
        if not self.isValid():
            return
        self._set_state(QAbstractSocket.SocketState.ClosingState)
        self.aboutToClose.emit()
        self._protocol.close(int(closeCode), reason)
        self._write()
        QTimer.singleShot(10000, self, self.abort)

    def abort(self) -> None:
        """Close at once. Qt: QWebSocket::abort."""
        if isValid(self._socket):
            self._socket.abort()

    def connect(self, signal: SignalInstance, convert: Callable[..., Message] | None = None) -> None:  # type: ignore[override]
        """Send a message at each emission of *signal*, until the peer leaves.

        *convert* makes the message of the signal's arguments; without it there is one, text or octets. Not in Qt.
        """

        def forward(*arguments: Any) -> None:
            message = convert(*arguments) if convert is not None else arguments[0]
            self._send(message if isinstance(message, (str, bytes)) else bytes(message), 0)

        self._connections.append(signal.connect(forward))

    # ---- for coroutines

    async def send(self, message: Message) -> None:
        """Send text or octets, and wait while the peer does not keep up (coroutine).

        Raises:
            ConnectionClosed: it is closed.

        Not in Qt.
        """
        if not self.isValid() or self._protocol.is_closing:
            raise ConnectionClosed(f"the WebSocket is closed ({self.closeCode()})")
        self._send(message, 0)
        while self.isValid() and self.bytesToWrite() > HIGH_WATER:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    async def recv(self) -> Message:
        """Return the next message (coroutine).

        Raises:
            ConnectionClosed: it is closed, and every message was taken.
            RuntimeError: its messages go to signals.

        Not in Qt.
        """
        queue = self._queue
        if queue is None:
            raise RuntimeError("the messages of this WebSocket go to its signals; take it in a coroutine of a route")
        while not queue:
            if not self.isValid():
                raise ConnectionClosed(f"the WebSocket is closed ({self.closeCode()})")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        message = queue.popleft()
        if len(queue) == MAXIMUM_QUEUE // 2:
            self._read()
        return message

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over the messages until it is closed."""
        while True:
            try:
                message = await self.recv()
            except ConnectionClosed:
                return
            yield message

    # ---- slots of the socket

    def _read(self) -> None:
        socket = self._socket
        if not isValid(socket) or (self._queue is not None and len(self._queue) >= MAXIMUM_QUEUE):
            return
        data = bytes(socket.readAll().data())
        if data:
            self._take(data)

    def _take(self, data: bytes) -> None:
        self._heard_at = monotonic()
        messages = self._protocol.receive(data)
        pongs = self._protocol.pongs
        self._write()  # pongs, and the close that answers the peer's
        for payload in pongs:
            self.pong.emit(round((monotonic() - self._pinged_at) * 1000), QByteArray(payload))
        for message in messages:
            self._hand_out(message)

    def _hand_out(self, message: Message) -> None:
        if self._queue is not None:
            self._queue.append(message)
            self._wake()
        elif isinstance(message, str):
            self.textFrameReceived.emit(message, True)
            self.textMessageReceived.emit(message)
        else:
            self.binaryFrameReceived.emit(QByteArray(message), True)
            self.binaryMessageReceived.emit(QByteArray(message))

    def _write(self) -> None:
        data, ends = self._protocol.data_to_send()
        socket = self._socket
        if not isValid(socket):
            return
        if data:
            socket.write(data)
        if self._protocol.is_closing and self.isValid():
            self._set_state(QAbstractSocket.SocketState.ClosingState)
        if ends:
            socket.disconnectFromHost()

    def _written(self, count: int) -> None:
        self.bytesWritten.emit(count)
        room = self._room
        if room is not None and not room.done() and self.bytesToWrite() <= HIGH_WATER // 2:
            room.set_result(None)

    def _keep_alive(self) -> None:
        now, interval = monotonic(), self._ping.interval() / 1000
        if now - self._heard_at >= 2 * interval:
            self._error = "the peer did not answer a ping"
            self.abort()
        elif now - self._heard_at >= interval:
            self.ping(b"")

    def _gone(self) -> None:
        if self._state is QAbstractSocket.SocketState.UnconnectedState:
            return
        self._protocol.receive_eof()
        self._ping.stop()
        connections, self._connections = self._connections, []
        for connection in connections:
            QObject.disconnect(connection)
        self._set_state(QAbstractSocket.SocketState.UnconnectedState)
        self._wake()
        self.readChannelFinished.emit()
        self.disconnected.emit()

    def _wake(self) -> None:
        for future in (self._waiter, self._room):
            if future is not None and not future.done() and (future is self._waiter or not self.isValid()):
                future.set_result(None)

    def _set_state(self, state: QAbstractSocket.SocketState) -> None:
        self._state = state
        self.stateChanged.emit(state)


def going_away(socket: Any) -> None:
    """Close *socket* because the server ends."""
    if isValid(socket):
        socket.close(GOING_AWAY)
