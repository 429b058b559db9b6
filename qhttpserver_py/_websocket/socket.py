"""A WebSocket with QWebSocket's names, signals and semantics; and with coroutines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from enum import Enum
from typing import Any

from PySide6.QtCore import QByteArray, QMetaMethod, QMetaObject, QObject, QTimerEvent, QUrl, Signal, SignalInstance
from PySide6.QtNetwork import QAbstractSocket, QHostAddress, QNetworkRequest, QSslConfiguration
from shiboken6 import isValid

from qhttpserver_py._qt.snake_case import with_snake_case
from qhttpserver_py._websocket.carrier import Carrier
from qhttpserver_py._websocket.closecode import CloseCode, Version
from qhttpserver_py._websocket.handshake import Handshake
from qhttpserver_py._websocket.protocol import NORMAL, Message, WebSocketProtocol
from qhttpserver_py._websocket.session import CLOSE_SECONDS, CLOSED, CLOSING, MAXIMUM_QUEUE, OPEN, Session, State

MAXIMUM_MESSAGE = 16 * 1024 * 1024
"""Octets of the largest message that is taken, inflated; a larger one closes with 1009."""

PING_INTERVAL = 20.0
"""Seconds of silence after which the peer is pinged; after as long again, the connection is ended."""


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
        self, carrier: Carrier, protocol: WebSocketProtocol, handshake: Handshake, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._handshake = handshake
        self._protocol = protocol
        self._error = QAbstractSocket.SocketError.UnknownSocketError
        self._listened: set[bytes] = set()
        self._connections: list[QMetaObject.Connection] = []
        self._session = Session(carrier, protocol, self)
        self._session.set_ping_interval(PING_INTERVAL)

    def start(self, rest: bytes = b"", *, queued: bool = False) -> None:
        """Begin to read; *rest* came behind the handshake, *queued*: a coroutine takes the messages. Not in Qt."""
        self._session.start(rest, queued=queued)

    def connectNotify(self, signal: QMetaMethod, /) -> None:
        """Note which signals are connected: some are emitted only then. Qt: QObject::connectNotify."""
        name = bytes(signal.name().data())
        self._listened.add(name)
        if name == b"bytesWritten":
            self._session.carrier.watch()

    def timerEvent(self, event: QTimerEvent, /) -> None:
        """Check whether the peer is there, and do what was put off. Qt: QObject::timerEvent."""
        if not self._session.on_timer(event.timerId()):
            super().timerEvent(event)

    # ---- what it is

    def request(self) -> QNetworkRequest:
        """Return the opening handshake: its URL and its header fields. Qt: QWebSocket::request."""
        return self._handshake.request()

    def requestUrl(self) -> QUrl:
        """Return the URL that was asked for, ws or wss. Qt: QWebSocket::requestUrl."""
        return self._handshake.url()

    def resourceName(self) -> str:
        """Return the URL that was asked for, as QWebSocket has it on a server. Qt: QWebSocket::resourceName."""
        return self.requestUrl().toString()

    def version(self) -> Version:
        """Return the version of the protocol. Qt: QWebSocket::version."""
        return Version.Version13

    def sslConfiguration(self) -> QSslConfiguration:
        """Return the TLS configuration; a null one (``isNull()``) without TLS. Qt: QWebSocket::sslConfiguration."""
        return self._handshake.asked.sslConfiguration()

    def origin(self) -> str:
        """Return the Origin field of the handshake. Qt: QWebSocket::origin."""
        return self._handshake.field(b"origin")

    def subprotocol(self) -> str:
        """Return the sub-protocol that was agreed on. Qt: QWebSocket::subprotocol."""
        return self._handshake.subprotocol

    def peerAddress(self) -> QHostAddress:
        """Return the address of the peer. Qt: QWebSocket::peerAddress."""
        return QHostAddress(self._handshake.peer[0])

    def peerPort(self) -> int:
        """Return the port of the peer. Qt: QWebSocket::peerPort."""
        return self._handshake.peer[1]

    def peerName(self) -> str:
        """Return the name of the peer, which a server does not know. Qt: QWebSocket::peerName."""
        return ""

    def localAddress(self) -> QHostAddress:
        """Return the address the connection came in on. Qt: QWebSocket::localAddress."""
        return QHostAddress(self._handshake.local[0])

    def localPort(self) -> int:
        """Return the port the connection came in on. Qt: QWebSocket::localPort."""
        return self._handshake.local[1]

    def state(self) -> QAbstractSocket.SocketState:
        """Return whether it is connected, closing or closed. Qt: QWebSocket::state."""
        return self._session.state

    def isValid(self) -> bool:
        """Return whether it can be read and written. Qt: QWebSocket::isValid."""
        return self._session.state is OPEN

    def error(self) -> QAbstractSocket.SocketError:
        """Return the last error of the socket. Qt: QWebSocket::error."""
        return self._error

    def errorString(self) -> str:
        """Return what went wrong last. Qt: QWebSocket::errorString."""
        return self._session.error or self._protocol.fault or "Unknown error"

    def closeCode(self) -> CloseCode:
        """Return the code of its close; 1006 where none was sent. Qt: QWebSocket::closeCode."""
        return CloseCode(self._protocol.close_code if self._protocol.is_closing else NORMAL)

    def closeReason(self) -> str:
        """Return the text that came with the close. Qt: QWebSocket::closeReason."""
        return self._protocol.close_reason

    def bytesToWrite(self) -> int:
        """Return the octets that wait for the peer. Qt: QWebSocket::bytesToWrite."""
        return self._session.pending()

    def maxAllowedIncomingMessageSize(self) -> int:
        """Return the octets of the largest message that is taken. Qt: QWebSocket::maxAllowedIncomingMessageSize."""
        return self._protocol.maximum_size

    def setMaxAllowedIncomingMessageSize(self, size: int, /) -> None:
        """Take no message of more than *size* octets. Qt: QWebSocket::setMaxAllowedIncomingMessageSize."""
        self._protocol.maximum_size = size

    def setMaximumBytesToWrite(self, size: int, /) -> None:
        """End the connection where one more message is sent while over *size* octets wait for the peer (16 MiB).

        What was sent before is lost, and ``errorString()`` says why. Not in Qt.
        """
        self._session.maximum_backlog = size

    def setPingInterval(self, seconds: float, /) -> None:
        """Ping a peer that is silent for *seconds*, and end the connection after as long again; 0: never.

        Time in which nothing is read from it, because its messages are not taken, does not count. Not in Qt.
        """
        self._session.set_ping_interval(seconds)

    # ---- sending

    def sendTextMessage(self, message: str, /) -> int:
        """Send text; return its octets, 0 where it is closed. Qt: QWebSocket::sendTextMessage."""
        return self._session.send(message)

    def sendBinaryMessage(self, data: QByteArray | bytes | bytearray | memoryview, /) -> int:
        """Send octets; return how many, 0 where it is closed. Qt: QWebSocket::sendBinaryMessage."""
        return self._session.send(bytes(data.data()) if isinstance(data, QByteArray) else bytes(data))

    def ping(self, payload: QByteArray | bytes = b"", /) -> None:
        """Ask the peer for a pong; of *payload* 125 octets are sent. Qt: QWebSocket::ping."""
        octets = bytes(payload.data()) if isinstance(payload, QByteArray) else payload
        self._session.ping(octets[:125])

    def flush(self) -> bool:
        """Write what waits as far as the system takes it. Qt: QWebSocket::flush."""
        self._session.flush()
        return self._session.carrier.flush()

    def close(self, closeCode: int | Enum = NORMAL, reason: str = "") -> None:
        """Close with *closeCode* and *reason*; the peer has ten seconds to agree. Qt: QWebSocket::close."""
        code = closeCode.value if isinstance(closeCode, Enum) else closeCode  # QWebSocketProtocol's is no number
        self._session.close(CLOSE_SECONDS, code, reason)

    def abort(self) -> None:
        """Close at once. Qt: QWebSocket::abort."""
        self._session.carrier.abort()

    def connect(self, signal: SignalInstance, convert: Callable[..., Message] | None = None) -> None:  # type: ignore[override]
        """Send a message at each emission of *signal*, until the peer leaves.

        *convert* makes the message of the signal's arguments; without it there is one, text or octets. Not in Qt.
        """

        def forward(*arguments: Any) -> None:
            message = convert(*arguments) if convert is not None else arguments[0]
            self._session.send(message if isinstance(message, (str, bytes)) else bytes(message))

        self._connections.append(signal.connect(forward))

    # ---- for coroutines

    async def send(self, message: Message) -> None:
        """Send text or octets, and wait while the peer does not keep up (coroutine).

        Raises:
            ConnectionClosed: it is closed.

        Not in Qt.
        """
        session = self._session
        while not session.has_room():
            await session.room.wait()
        if not self.isValid():
            raise ConnectionClosed(f"the WebSocket is closed ({self.closeCode()})")
        session.send(message, more=bool(session.queue))  # where a message waits, it is returned at once
        while not session.has_room():
            await session.room.wait()

    async def recv(self) -> Message:
        """Return the next message (coroutine).

        Raises:
            ConnectionClosed: it is closed, and every message was taken.
            RuntimeError: its messages go to signals.

        Not in Qt.
        """
        session = self._session
        queue = session.queue
        if queue is None:
            raise RuntimeError("the messages of this WebSocket go to its signals; take it in a coroutine of a route")
        if not queue:
            session.end_answering()
        while not queue:
            if not self.isValid():
                raise ConnectionClosed(f"the WebSocket is closed ({self.closeCode()})")
            await session.messages.wait()
        message = queue.popleft()
        if len(queue) == MAXIMUM_QUEUE // 2:
            session.on_readable()
        return message

    async def wait_closed(self) -> None:
        """Wait until the connection is over (coroutine). Not in Qt."""
        while self._session.state is not CLOSED:
            await self._session.messages.wait()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over the messages until it is closed."""
        while True:
            try:
                message = await self.recv()
            except ConnectionClosed:
                return
            yield message

    # ---- what the session tells

    def handOut(self, message: Message) -> None:
        """Emit the signals of a message. Not in Qt."""
        listened = self._listened
        if isinstance(message, str):
            if b"textFrameReceived" in listened:
                self.textFrameReceived.emit(message, True)
            self.textMessageReceived.emit(message)
            return
        octets = QByteArray(message)
        if b"binaryFrameReceived" in listened:
            self.binaryFrameReceived.emit(octets, True)
        self.binaryMessageReceived.emit(octets)

    def reportPong(self, milliseconds: int, payload: bytes) -> None:
        """Emit ``pong``. Not in Qt."""
        self.pong.emit(milliseconds, QByteArray(payload))

    def reportWritten(self, count: int) -> None:
        """Emit ``bytesWritten`` where it is connected. Not in Qt."""
        if b"bytesWritten" in self._listened:
            self.bytesWritten.emit(count)

    def reportError(self, error: QAbstractSocket.SocketError) -> None:
        """Emit ``errorOccurred``. Not in Qt."""
        self._error = error
        self.errorOccurred.emit(error)

    def reportState(self, state: State) -> None:
        """Emit ``stateChanged``, and the signals of the new state. Not in Qt."""
        self.stateChanged.emit(state)
        if state is CLOSING:
            self._tell(self.aboutToClose)
        elif state is CLOSED:
            connections, self._connections = self._connections, []
            for connection in connections:
                QObject.disconnect(connection)
            self._tell(self.readChannelFinished)
            self._tell(self.disconnected)

    def _tell(self, signal: SignalInstance) -> None:
        if isValid(self):  # a slot of the signal before may have deleted it
            signal.emit()
