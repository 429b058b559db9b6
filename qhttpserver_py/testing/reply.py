"""How an expectation answers: whole, in pieces, slowly, cut short, or not as HTTP at all."""

from __future__ import annotations

import itertools
import json as jsonlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer

from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._serving import results
from qhttpserver_py._transport import sockets
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange

TICK_MS = 20
"""A throttled body leaves in pieces, one each tick."""

GARBAGE = b"\x16\x00\xff\x80garbage, not HTTP\r\n\x00\x01\r\n\r\n"

# A NUL in the extension (RFC 9112 7.1.1), and more announced than comes: QNetworkAccessManager does not read
# extensions, takes a size that is no number for the end of the body, and may never return from a negative one.
MALFORMED_CHUNK = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nFF;\x00\r\nhello"
)


class Stream:
    """A reply in pieces, as ``respond_with_stream`` describes it."""

    __slots__ = ("cut", "headers", "interval", "keep_open", "pieces", "rate", "size", "status")

    def __init__(
        self,
        pieces: Iterable[bytes],
        status: int,
        headers: list[Header],
        *,
        size: int | None = None,
        interval: int = 0,
    ) -> None:
        self.pieces = pieces
        self.status = status
        self.headers = headers
        self.size = size  # announced as Content-Length; None is chunked
        self.interval = interval  # ms between two pieces
        self.rate = 0.0  # bytes a second, 0 for no limit
        self.keep_open = False  # never ends the reply
        self.cut = False  # ends it by breaking the connection


class PacedSource:
    """Gives the pieces of a stream when each is due. A ``_streams.Source``."""

    def __init__(self, stream: Stream, cut: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        self.size = stream.size
        self.headers: tuple[Header, ...] = ()
        self._stream = stream
        self._pieces: Iterator[bytes] | None = iter(stream.pieces)
        self._rest = b""
        self._cut = cut
        self._failed = failed
        self._on_ready: Callable[[], None] = _nothing
        self._timer = QTimer(singleShot=True, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._due)

    def start(self, on_ready: Callable[[], None]) -> None:
        """Keep *on_ready*, which is called when the next piece is due."""
        self._on_ready = on_ready

    def read(self, limit: int) -> bytes | None:
        """Return the next piece if it is due, None if it is not, b"" at the end."""
        if self._rest:
            return self._take(limit)
        if self._pieces is None or self._timer.isActive():
            return None
        try:
            piece = next(self._pieces, None)
        except Exception as error:  # noqa: BLE001 - the test's own generator: its error belongs to the test
            self._pieces = None
            self._failed(error)
            QTimer.singleShot(0, self._cut)
            return None
        if piece is None:
            return self._end()
        stream = self._stream
        wait = stream.interval + (1000 * len(piece) / stream.rate if stream.rate else 0)
        if wait:
            self._timer.start(round(wait))
        self._rest = piece
        return self._take(limit)

    def close(self) -> None:
        """Stop; nothing more is given."""
        self._timer.stop()
        self._pieces, self._rest, self._on_ready = None, b"", _nothing

    def _take(self, limit: int) -> bytes:
        piece, self._rest = self._rest[:limit], self._rest[limit:]
        return piece

    def _end(self) -> bytes | None:
        self._pieces = None
        if self._stream.cut:
            QTimer.singleShot(0, self._cut)
            return None
        return None if self._stream.keep_open else b""

    def _due(self) -> None:
        self._on_ready()


class Plan:
    """How a reply is changed before it is sent; set by the modifiers of an expectation."""

    __slots__ = ("delay", "fault", "hooks", "rate", "truncate")

    def __init__(self) -> None:
        self.delay = 0  # ms before anything is answered
        self.rate = 0.0  # bytes a second, 0 for no limit
        self.truncate: int | None = None  # bytes of body before the connection breaks
        self.fault: Callable[[Exchange], None] | None = None  # in place of a reply
        self.hooks: list[Callable[[Any, QHttpServerResponse], Any]] = []

    def shape(self, result: QHttpServerResponse | Stream) -> QHttpServerResponse | Stream:
        """Return *result* as it is to be sent: in pieces where it is slowed down or cut short."""
        if not self.rate and self.truncate is None:
            return result
        stream = result if isinstance(result, Stream) else as_stream(result)
        if self.truncate is not None:
            stream.pieces = first_bytes(stream.pieces, self.truncate)
            stream.cut = True
        if self.rate:
            stream.rate = self.rate
            stream.pieces = sliced(stream.pieces, max(1, int(self.rate * TICK_MS / 1000)))
        return stream


def send(exchange: Exchange, reply: QHttpServerResponse | Stream, failed: Callable[[Exception], None]) -> None:
    """Answer the request of *exchange*; *failed* is called with errors of the test's own generators."""
    if isinstance(reply, QHttpServerResponse):
        exchange.send(reply._status, reply._headers, reply._data)
        return
    source = PacedSource(reply, lambda: cut(exchange), failed)
    exchange.stream(reply.status, reply.headers, source)


# ---- faults


def hang(_exchange: Exchange) -> None:
    """Never answer."""


def reset(exchange: Exchange) -> None:
    """Break the connection at once: the peer sees a TCP reset."""
    if exchange.connection is not None:
        exchange.connection.abort()


def cut(exchange: Exchange) -> None:
    """Break the reply off where it is: a closed connection, or over HTTP/2 a reset stream."""
    connection = exchange.connection
    if connection is None or connection.socket is None:
        return
    if connection.engine.interleaves:
        connection.abort_exchange(exchange)
    else:
        connection.flush()
        sockets.disconnect(connection.socket)


def raw(data: bytes) -> Callable[[Exchange], None]:
    """Return a fault that sends *data* in place of a reply and closes."""

    def fault(exchange: Exchange) -> None:
        connection = exchange.connection
        if connection is None or connection.socket is None:
            return
        connection.flush()  # replies to earlier requests, over HTTP/2 also frames
        connection.socket.write(data)
        sockets.disconnect(connection.socket)

    return fault


# ---- bodies


def make_response(
    data: object, status: int = 200, headers: object = None, content_type: str | None = None
) -> QHttpServerResponse:
    """Return a response; without *content_type* the type is guessed from the data, as a server does."""
    fields = results.header_fields(headers)
    if content_type is not None and not any(name == b"content-type" for name, _ in fields):
        fields.insert(0, (b"content-type", content_type.encode("latin-1")))
    response = results.response_body(data)
    if response is None:
        raise TypeError(f"{type(data).__name__} is no body: give str or bytes")
    return results.Shape((int(status), fields)).apply(response)


def make_empty(status: int, headers: object = None) -> QHttpServerResponse:
    """Return a response without content, and so without a content type (RFC 9110 8.3)."""
    return results.Shape((status, results.header_fields(headers))).apply(results.empty_response(status))


def copied(response: QHttpServerResponse) -> QHttpServerResponse:
    """Return a new response of the same content, which a hook may change."""
    return results.Shape((response._status, list(response._headers))).apply(response)


def as_stream(response: QHttpServerResponse) -> Stream:
    """Return *response* as a stream of one piece of known size."""
    data = response._data
    return Stream([data], response._status, list(response._headers), size=len(data))


def encoded(pieces: Iterable[str | bytes]) -> Iterator[bytes]:
    """Yield *pieces* as bytes, leaving out empty ones."""
    for piece in pieces:
        data = piece.encode() if isinstance(piece, str) else bytes(piece)
        if data:
            yield data


def recorded(pieces: Iterable[bytes], response: QHttpServerResponse) -> Iterator[bytes]:
    """Yield *pieces* and keep them as the body of *response*, for the log."""
    for piece in pieces:
        response._data += piece
        yield piece


def sliced(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield *pieces* in slices of at most *size* bytes."""
    for piece in pieces:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


def first_bytes(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    """Yield the first *count* bytes of *pieces*."""
    for piece in pieces:
        if count <= 0:
            return
        yield piece[:count]
        count -= len(piece)


def sse_piece(event: object) -> bytes:
    """Return one server-sent event: text, a mapping of its fields, or ``(event, data)``."""
    if isinstance(event, tuple):
        event = {"event": event[0], "data": event[1]}
    fields: Mapping[str, object] = event if isinstance(event, Mapping) else {"data": event}
    lines = []
    for name in ("event", "id", "retry", "data"):
        if name in fields:
            value = fields[name]
            text = value if isinstance(value, str) else jsonlib.dumps(value)
            lines += [f"{name}: {line}" for line in text.splitlines() or [""]]
    return "\n".join(itertools.chain(lines, ("", ""))).encode()


def _nothing() -> None:
    """What a closed source tells."""
