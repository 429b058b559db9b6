"""WebSockets of mounted applications: which application takes a handshake, and how it gets the socket."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._protocol.engine import Headers, Message
from qhttpserver_py._routing.table import path_of
from qhttpserver_py._serving.tunnels import make_tunnelled
from qhttpserver_py._serving.upgrade import make_native
from qhttpserver_py._websocket.protocol import HandshakeError, WebSocketProtocol
from qhttpserver_py._websocket.socket import WebSocket
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

ServeWebSocket = Callable[[Any, Exchange, QHttpServerRequest], None]
"""Called with the server, the exchange of the handshake, and the request."""


def mount_for(mounts: list[tuple[str, ServeWebSocket]], message: Message) -> ServeWebSocket | None:
    """Return what serves WebSockets at the path of *message*: what was mounted first, and what has all paths last."""
    path = path_of(message)
    for prefix, serve in sorted(mounts, key=lambda mount: not mount[0]):
        if not prefix or path == prefix or path.startswith(f"{prefix}/"):
            return serve
    return None


def take_socket(
    server: Any,
    exchange: Exchange,
    request: QHttpServerRequest,
    protocol: WebSocketProtocol,
    subprotocol: str,
    fields: Headers = (),
) -> tuple[WebSocket, bytes] | None:
    """Answer the handshake of *exchange* with *fields*; return its WebSocket and what the peer sent behind it.

    The socket is closed when *server* is, and deletes itself once it is disconnected. None where the peer has left or
    was refused.
    """
    connection: Any = exchange.connection
    if connection is None:
        return None
    rest: bytes | None = b""
    socket: WebSocket | None
    try:
        if connection.engine.interleaves:
            socket = make_tunnelled(exchange, request, subprotocol, protocol, server, fields)
        elif (rest := connection.engine.unread()) is None:
            server._refuse_upgrade(exchange, 400, b"too much data behind the handshake")
            return None
        else:
            socket, _, rest, _ = make_native(connection, request, rest, subprotocol, protocol, server, fields)
            exchange.upgraded()
    except HandshakeError as error:
        server._refuse_upgrade(exchange, 400, str(error).encode())
        return None
    if socket is None:
        return None
    if server._route_sockets is None:
        server._route_sockets = weakref.WeakSet()
    server._route_sockets.add(socket)
    socket.disconnected.connect(socket.deleteLater)
    return socket, rest or b""
