"""The receiving half of the HTTP/1 engine: bytes to messages (RFC 9112).

Strategy: the engine itself finds where messages begin and end, so that pipelining, unknown
methods and leftovers are exact. A head that repeats the one before it, except for a few plain values, is recognised by
its bytes (``Repeated``). After a fault nothing more is interpreted: a smuggled request gets one refusal, and no second
request is made of it.
"""

from __future__ import annotations

from collections import deque
from io import BytesIO

from qhttpserver_py._protocol.engine import BodyLimit, EngineState, Event, Limits, Message, Refusal
from qhttpserver_py._protocol.http1.chunked import ChunkedDecoder
from qhttpserver_py._protocol.http1.fields import Fault
from qhttpserver_py._protocol.http1.head import CHUNKED, CLOSE, INCOMPLETE, HeadReader, parse_head, within
from qhttpserver_py._protocol.http1.repeated import Repeated

MAX_UNREAD = 65536
"""Octets kept behind an upgrade request until somebody takes them."""

# What the next octet belongs to.
_BETWEEN, _IN_HEAD, _IN_BODY, _UPGRADING, _IGNORED = range(5)


class Http1Receiver:
    """The part of ``Http1Engine`` that reads. Only it changes where in its input a connection is."""

    __slots__ = (
        "_body",
        "_chunks",
        "_input",
        "_left",
        "_limits",
        "_reader",
        "_state",
        "_unread",
        "body_limit",
        "eof",
        "known",
        "message",
        "owed",
    )

    body_limit: BodyLimit

    def __init__(self, limits: Limits, state: EngineState) -> None:
        self._limits = limits
        self._state = state
        self.known = Repeated(limits)
        self.body_limit = lambda _message: limits.body_size
        self._input = _BETWEEN
        self._reader: HeadReader | None = None
        self.message: Message | None = None
        """The message whose body is arriving."""
        self._chunks: ChunkedDecoder | None = None
        self._left = 0  # octets of a sized body still to come
        self._body: BytesIO | None = None
        self._unread = b""
        self.eof = False
        """Whether the peer has ended its half."""
        self.owed: deque[int] = deque()
        """The reply bits of each message that is not answered yet, oldest first; whoever answers takes them."""

    def receive_data(self, data: bytes) -> list[Event]:
        """See ``Engine``."""
        if self._input:
            return self._receive(data)
        known = self.known
        message, bits = known.whole, known.bits
        if message is None or data != known.head or known.under != self._limits.generation:
            found = known.recall(data, 0) if data.endswith(b"\r\n\r\n") else None
            if found is None or found[2] or found[3] != len(data):
                return self._receive(data)
            message, bits = found[0], found[1]
            message.complete = True
        self.owed.append(bits)
        if bits & CLOSE:
            self._input = _IGNORED
        return [message]

    def _receive(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        before = self.message
        if before is not None:
            self._choose_body(before)
        pos, end = 0, len(data)
        try:
            while pos < end:
                if self._input <= _IN_HEAD:
                    pos = self._take_head(data, pos, events)
                elif self._input == _IN_BODY:
                    pos = self._take_body(data, pos, events)
                else:
                    self._put_aside(data, pos)
                    break
        except Fault as fault:
            events.append(self._fail(fault))
        message = self.message
        if message is not None and (message is not before or (message.streaming and message.pieces)):
            events.append(message)
        self._note_partial()
        return events

    def _note_partial(self) -> None:
        if self._input == _IN_HEAD and self._reader is not None:
            self._state.partial = 1 if self._reader.buffer else 0
        else:
            self._state.partial = 2 if self._input == _IN_BODY else 0

    def _put_aside(self, data: bytes, pos: int) -> None:
        if self._input == _UPGRADING:
            self._unread += data[pos:]
            if len(self._unread) > MAX_UNREAD:
                raise Fault(400, "too much data behind an upgrade request")
        elif not self.eof:
            self._state.linger = True  # closing now would reset the connection under our reply

    def _take_head(self, data: bytes, pos: int, events: list[Event]) -> int:
        reader = self._reader
        if reader is None:
            found = self.known.recall(data, pos)
            if found is not None:
                return self._accept(*found, data, events)
            stop = data.find(b"\r\n\r\n", pos) + 4
            if stop > 3 and data[pos] != 13:
                head = data[pos:stop]
                if not within(head, self._limits):
                    HeadReader(self._limits).feed(head, 0)
                return self._begin(head, data, stop, events)
            self._reader = reader = HeadReader(self._limits)
            self._input = _IN_HEAD
        pos = reader.feed(data, pos)
        if reader.complete:
            self._reader = None
            return self._begin(bytes(reader.buffer), data, pos, events)
        return pos

    def _begin(self, head: bytes, data: bytes, pos: int, events: list[Event]) -> int:
        """Parse a complete *head*; what follows it in *data* from *pos* on is its body, or the next head."""
        message, bits, length = parse_head(head, self._limits)
        self.known.learn(head, message, bits, length)
        return self._accept(message, bits, length, pos, data, events)

    def _accept(self, message: Message, bits: int, length: int, pos: int, data: bytes, events: list[Event]) -> int:
        if length:
            return self._begin_body(message, bits, length, data, pos, events)
        message.complete = True
        self.owed.append(bits)
        events.append(message)
        if message.websocket:
            self._input = _UPGRADING
        else:
            self._input = _IGNORED if bits & CLOSE else _BETWEEN
        return pos

    def _begin_body(self, message: Message, bits: int, length: int, data: bytes, pos: int, events: list[Event]) -> int:
        limit = self.body_limit(message)
        if 0 <= limit < length:
            self.message = message
            raise Fault(413, "content-length above the limit")
        stop = pos + length
        if length != CHUNKED and stop <= len(data):  # it has arrived completely, as most uploads have
            self._input = _IGNORED if bits & CLOSE else _BETWEEN
            self.owed.append(bits)
            message.body = data[pos:stop]
            message.complete = True
            message.expects_continue = False
            events.append(message)
            return stop
        if pos < len(data):
            message.expects_continue = False  # the peer did not wait (RFC 9110 10.1.1)
        self._input = _IN_BODY
        self.message = message
        self._body = None
        self._left = 0 if length == CHUNKED else length
        self._chunks = ChunkedDecoder(self._limits, limit) if length == CHUNKED else None
        self.owed.append(bits | INCOMPLETE)
        return pos

    def _take_body(self, data: bytes, pos: int, events: list[Event]) -> int:
        if self._chunks is not None:
            pieces: list[bytes] = []
            pos = self._chunks.feed(data, pos, pieces)
            # Joined: a million chunks of an octet each must not become a million objects.
            self._keep(b"".join(pieces))
            complete = self._chunks.done
        else:
            piece = data[pos : pos + self._left]
            pos += len(piece)
            self._left -= len(piece)
            self._keep(piece)
            complete = not self._left
        if complete:
            self._complete_body(events)
        return pos

    def _choose_body(self, message: Message) -> None:
        """Collect the body or return it in pieces, which was decided when the head was returned."""
        if message.streaming:
            if self._body is not None:
                message.pieces.insert(0, self._body.getvalue())
                self._body = None
        elif self._body is None:
            self._body = BytesIO()
            self._body.writelines(message.pieces)
            message.pieces.clear()

    def _keep(self, piece: bytes) -> None:
        if self._body is not None:
            self._body.write(piece)
        elif piece and self.message is not None:
            self.message.pieces.append(piece)

    def _complete_body(self, events: list[Event]) -> None:
        message = self.message
        assert message is not None
        if self._chunks is not None:
            message.trailers = self._chunks.trailers
        if self._body is not None:
            message.body = self._body.getvalue()
        elif not message.streaming:
            message.body = b"".join(message.pieces)
            message.pieces.clear()
        message.complete = True
        self.message = self._body = self._chunks = None
        self.owed[-1] &= ~INCOMPLETE
        self._input = _IGNORED if self.owed[-1] & CLOSE else _BETWEEN
        events.append(message)

    def _fail(self, fault: Fault) -> Refusal:
        message = self.message
        self.stop_reading()
        return Refusal(1, fault.status, fault.detail, message)

    def stop_reading(self) -> None:
        """Interpret nothing more, and forget what is incomplete."""
        self._input = _IGNORED
        self.message = self._body = self._chunks = self._reader = None
        self._unread = b""
        self._state.partial = 0

    def receive_eof(self) -> list[Event]:
        """See ``Engine``. What was asked completely is still answered (RFC 9112 9.6)."""
        self.eof = True
        if self._state.partial:
            return [self._fail(Fault(400, "the request was cut short"))]
        if self._input != _UPGRADING:
            self.stop_reading()
        if self.owed:
            self.owed[-1] |= CLOSE
        else:
            self._state.should_close = True
        return []

    def unfinished(self) -> list[Message]:
        """See ``Engine``."""
        return [self.message] if self.message is not None else []

    def unread(self) -> bytes | None:
        """See ``Http1Engine``."""
        if self._input != _UPGRADING:
            return None
        data, self._unread = self._unread, b""
        return data

    def resume(self) -> None:
        """See ``Http1Engine``."""
        self.stop_reading()
        self._state.linger = not self.eof
