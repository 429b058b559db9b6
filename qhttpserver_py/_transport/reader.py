"""The reader of a connection: it reads bytes from the socket and returns the events that the engine makes of them.

A part of a connection keeps the state that it alone changes. It does not keep the connection, which would be a cycle
that only the garbage collector ends: the connection is an argument of each call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from qhttpserver_py._protocol.engine import Engine, Event
from qhttpserver_py._protocol.select import choose
from qhttpserver_py._transport import sockets

if TYPE_CHECKING:
    from PySide6.QtNetwork import QLocalSocket, QTcpSocket

    from qhttpserver_py._qt.peer import Peer
    from qhttpserver_py._transport.core import ServerCore

READ_BUFFER = 262144
"""Bytes that Qt holds unread for one connection at the most; beyond, TCP stops the peer."""

# Reasons not to read, as bits.
HELD_BY_QUEUE = 1  # requests wait for the reply in front of them
HELD_BY_PEER = 2  # the peer does not read its replies
HELD_BY_BODY = 4  # the consumer of a streamed body is behind
HELD_BY_UPGRADE = 8  # a verifier has not decided, and what comes now may be of another protocol


class Readable(Protocol):
    """What the reader needs of its connection."""

    socket: Any
    engine: Engine
    host: str | None
    peer: Peer

    @property
    def core(self) -> ServerCore:
        """What the connections of a server share."""
        ...

    def on_ready_read(self) -> None:
        """Serve what the socket has."""
        ...


class Reader:
    """Reads from the socket, and decides by the first bytes which protocol it is."""

    __slots__ = ("_available", "_read", "drops_input", "first", "head_since", "held")

    def __init__(self, socket: QTcpSocket | QLocalSocket) -> None:
        self._available = socket.bytesAvailable
        self._read: Any = socket.read
        self.first: bytes | None = b""  # bytes received before the protocol was clear; None since it is
        self.held = 0  # why nothing is read, as bits
        self.head_since = 0.0  # when the head being received began, 0 between heads
        self.drops_input = False  # what the peer still sends is discarded

    def receive(self, connection: Readable, now: float) -> list[Event] | None:
        """Read what the socket has, and return the events that it completes; None where there was nothing to read."""
        if self.held or connection.socket is None:
            return None
        # Exactly what there is: then Qt returns its buffer and keeps none for an idle connection, where readAll() would
        # leave 16 KiB.
        data = self._read(self._available()).data()
        if not data or self.drops_input:
            return None
        if self.first is not None and not (data := self._choose(connection, data, now)):
            return []
        engine = connection.engine
        events = engine.receive_data(data)
        if engine.state.partial == 1:
            self.head_since = self.head_since or now
        else:
            self.head_since = 0.0
        return events

    # ---- the protocol

    def use(self, connection: Readable, engine: Engine) -> None:
        """Set the engine of the connection."""
        self.first = None
        connection.engine = engine

    def use_http1(self, connection: Readable) -> None:
        """Use HTTP/1, where no more bytes follow by which the protocol could be chosen."""
        if self.first is not None:
            self.use(connection, connection.core.make_engine("http1"))

    def _choose(self, connection: Readable, data: bytes, now: float) -> bytes:
        """Choose the engine by the first bytes; return those, or none where more are needed."""
        first = (self.first or b"") + data
        kind = choose(first)
        if kind is None:
            self.first = first
            self.head_since = self.head_since or now
            return b""
        # The client of a local socket is mostly a proxy, whose clients' scheme is not known here.
        scheme = connection.peer.scheme if connection.host is not None else ""
        self.use(connection, connection.core.make_engine(kind, scheme))
        if connection.engine.interleaves:
            sockets.interleave(connection.socket)
        return first

    # ---- stopping and going on

    def drop_input(self) -> None:
        """Discard what the peer still sends."""
        self.drops_input = True

    def postpone(self, seconds: float) -> None:
        """Extend the deadline of a head that is being received."""
        if self.head_since:
            self.head_since += seconds

    def hold(self, connection: Readable, reason: int, on: bool) -> None:
        """Stop or go on reading; meanwhile Qt's buffer fills up, and then TCP stops the peer."""
        held = self.held | reason if on else self.held & ~reason
        if held == self.held:
            return
        self.held = held
        if not held and connection.socket is not None and connection.socket.bytesAvailable():
            connection.core.post(connection.on_ready_read)
