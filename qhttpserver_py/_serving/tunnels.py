"""WebSockets over HTTP/2 (RFC 8441): makes a stream of octets, and a request like that of HTTP/1, of an extended
CONNECT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer

from qhttpserver_py._protocol.engine import Headers
from qhttpserver_py._websocket.carrier import Owner, Pieces
from qhttpserver_py._websocket.handshake import Handshake
from qhttpserver_py._websocket.protocol import WebSocketProtocol
from qhttpserver_py._websocket.socket import WebSocket

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._protocol.engine import Message
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

HALF_OPEN_SECONDS = 2.0
"""How long the peer may keep its half of a tunnel open after ours has ended."""


def as_upgrade(message: Message) -> None:
    """Turn an extended CONNECT into the GET of a handshake, so that user code sees no difference."""
    if message.protocol == b"websocket":
        message.method, message.websocket = "GET", True


class _Input:
    """The consumer of the octets that come, as the exchange needs it."""

    __slots__ = ("_carrier",)

    def __init__(self, carrier: TunnelCarrier) -> None:
        self._carrier = carrier

    def feed(self) -> None:
        """Pass on that more has come, or the end."""
        self._carrier.fed()

    def abort(self, reason: str) -> None:
        """Do nothing: the exchange calls the hook of its cancellation."""

    def waits_for_peer(self) -> bool:
        """Return False: the deadlines of requests do not apply."""
        return False


class TunnelCarrier:
    """One stream of an HTTP/2 connection; flow control is that of the stream."""

    __slots__ = ("_exchange", "_is_gone", "_is_started", "_left", "_owner", "_written")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._owner: Owner
        self._is_started = self._is_gone = False
        self._written = self._left = 0  # octets given to the connection, and those of them that were written

    def attach(self, owner: Owner, parent: QObject) -> None:  # noqa: ARG002 - nothing here is Qt's
        """See ``Carrier``."""
        self._owner = owner
        exchange = self._exchange
        exchange.body = _Input(self)  # type: ignore[assignment]
        exchange.when_canceled(self._gone)
        exchange.when_drained(self._drained)

    def start(self) -> None:
        """See ``Carrier``."""
        self._is_started = True

    def fed(self) -> None:
        """Octets have come."""
        if self._is_started:
            self._owner.on_readable()

    def read(self) -> bytes:
        """See ``Carrier``."""
        message = self._exchange.message
        pieces, message.pieces = message.pieces, []
        data = b"".join(pieces)
        if data:
            self._exchange.consumed_body(len(data))
        elif message.complete and not self._is_gone:
            self.finish()  # the peer has ended its half without a close frame
        return data

    def write(self, pieces: Pieces) -> None:
        """See ``Carrier``."""
        if self._exchange.is_connected and not self._is_gone:
            data = b"".join(pieces)
            self._written += len(data)
            self._exchange.chunk(data)

    def pending(self) -> int:
        """See ``Carrier``."""
        return self._exchange.backlog()

    def watch(self) -> None:
        """See ``Carrier``; it always does."""

    def flush(self) -> bool:
        """See ``Carrier``."""
        if self._exchange.connection is not None:
            self._exchange.connection.flush()
        return False

    def finish(self) -> None:
        """See ``Carrier``."""
        exchange = self._exchange
        connection: Any = exchange.connection
        if connection is None or self._is_gone:
            return
        exchange.end(b"")
        stream_id = exchange.stream_id

        def reset() -> None:  # it does nothing where the stream is closed
            connection.engine.abort(stream_id)
            connection.flush()

        QTimer.singleShot(round(HALF_OPEN_SECONDS * 1000), connection.core.socket_parent, reset)
        self._gone()

    def shut(self) -> None:
        """See ``Carrier``: what the peer still sends ends with its half."""
        self.finish()

    def abort(self) -> None:
        """See ``Carrier``."""
        self._exchange.fail()
        self._gone()

    def _drained(self) -> None:
        left = self._written - self.pending()
        count, self._left = left - self._left, max(left, self._left)
        if count > 0 and not self._is_gone:
            self._owner.on_written(count)

    def _gone(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            self._owner.on_gone()


def make_tunnelled(
    exchange: Exchange,
    request: QHttpServerRequest,
    subprotocol: str,
    protocol: WebSocketProtocol,
    parent: QObject,
    fields: Headers = (),
) -> WebSocket:
    """Accept an extended CONNECT with *fields*, and return its WebSocket.

    Raises:
        HandshakeError: it cannot be accepted; nothing was sent.
    """
    message = exchange.message
    agreed = protocol.accept_tunnel(message.headers, subprotocol)
    message.streaming = True
    exchange.wait()  # the responder is dropped when this request has been served, and the tunnel stays
    exchange.begin(200, [*agreed, *fields])
    return WebSocket(TunnelCarrier(exchange), protocol, Handshake(request, subprotocol), parent)
