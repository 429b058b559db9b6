"""The HTTP/1.0 and 1.1 engine (RFC 9112).

Strategy: the engine itself finds where messages begin and end, so that pipelining, unknown
methods and leftovers are exact; only field lines go through llhttp. A short request without
a body that was accepted before is recognised by its bytes and not parsed again. After a
fault nothing more is interpreted: whoever smuggles gets one refusal and no second request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from io import BytesIO

from qhttpserver_py._protocol.chunked import ChunkedDecoder
from qhttpserver_py._protocol.engine import Event, Headers, Limits, Message, Refusal
from qhttpserver_py._protocol.head import (
    ASKED,
    CHUNKED,
    CLOSE,
    INCOMPLETE,
    Fault,
    HeadReader,
    parse_head,
    within,
)
from qhttpserver_py._protocol.response import (
    CHUNKS,
    NOTHING,
    SIZED,
    ResponseHead,
    last_chunk,
    plain_prefix,
    refusal,
)
from qhttpserver_py._protocol.wire import date_field

MEMO_ENTRIES = 256
MEMO_HEAD = 2048
"""Heads remembered per server, and the longest of them in octets."""

MAX_UNREAD = 65536
"""Octets kept behind an upgrade request until somebody takes them."""

_JOIN_BELOW = 16384  # shorter bodies are copied into their head's bytes object

# What the next octet belongs to.
_BETWEEN, _IN_HEAD, _IN_BODY, _UPGRADING, _DEAF = range(5)


class Http1Engine:
    """Fills ``Engine`` for HTTP/1. One message is answered at a time, in order; its stream is always 1."""

    __slots__ = (
        "_bits",
        "_body",
        "_chunks",
        "_eof",
        "_framing",
        "_input",
        "_left",
        "_limits",
        "_memo",
        "_message",
        "_out",
        "_owed",
        "_reader",
        "_reply_left",
        "_unread",
        "aborted",
        "body_limit",
        "linger",
        "partial",
        "should_close",
    )

    interleaves = False

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._memo = limits.memo
        self.body_limit: Callable[[Message], int] = lambda message: limits.body_size
        self.should_close = False
        self.linger = False
        self.aborted = False
        """The last reply was cut short: closing must not look like its end."""
        self.partial = 0
        # Receiving
        self._input = _BETWEEN
        self._reader: HeadReader | None = None
        self._message: Message | None = None  # its body is arriving
        self._chunks: ChunkedDecoder | None = None
        self._left = 0  # octets of a sized body still to come
        self._body: BytesIO | None = None
        self._unread = b""
        self._eof = False
        # Replying
        self._owed: deque[int] = deque()  # bits of each message not yet answered, oldest first
        self._bits = 0
        self._framing = -1  # of the reply that was begun, -1: none
        self._reply_left = 0
        self._out: list[bytes] = []

    # ---- receiving

    def receive_data(self, data: bytes) -> list[Event]:
        """See ``Engine``."""
        if not self._input and len(data) <= MEMO_HEAD:
            known = self._memo.get(data)
            if known is not None:
                message, bits = known
                self._owed.append(bits)
                if bits & CLOSE:
                    self._input = _DEAF
                return [message]
        return self._receive(data)

    def _receive(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        before = self._message
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
        message = self._message
        if message is not None and (message is not before or (message.streaming and message.pieces)):
            events.append(message)
        self._note_partial()
        return events

    def _note_partial(self) -> None:
        if self._input == _IN_HEAD and self._reader is not None:
            self.partial = 1 if self._reader.buffer else 0
        else:
            self.partial = 2 if self._input == _IN_BODY else 0

    def _put_aside(self, data: bytes, pos: int) -> None:
        if self._input == _UPGRADING:
            self._unread += data[pos:]
            if len(self._unread) > MAX_UNREAD:
                raise Fault(400, "too much data behind an upgrade request")
        elif not self._eof:
            self.linger = True  # closing now would reset the connection under our reply

    def _take_head(self, data: bytes, pos: int, events: list[Event]) -> int:
        reader = self._reader
        if reader is None:
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
        """A head is complete; what follows it in *data* from *pos* on is its body, or the next head."""
        known = self._memo.get(head) if len(head) <= MEMO_HEAD else None
        if known is not None:
            message, bits = known
            length = 0
        else:
            message, bits, length = parse_head(head, self._limits)
        if length:
            return self._begin_body(message, bits, length, data, pos, events)
        message.complete = True
        self._owed.append(bits)
        events.append(message)
        if message.websocket:
            self._input = _UPGRADING
            return pos
        self._input = _DEAF if bits & CLOSE else _BETWEEN
        if known is None and len(head) <= MEMO_HEAD:
            if len(self._memo) >= MEMO_ENTRIES:
                self._memo.clear()
            self._memo[head] = (message, bits)
        return pos

    def _begin_body(
        self, message: Message, bits: int, length: int, data: bytes, pos: int, events: list[Event]
    ) -> int:
        limit = self.body_limit(message)
        if 0 <= limit < length:
            raise Fault(413, "content-length above the limit")
        stop = pos + length
        if length != CHUNKED and stop <= len(data):  # all here, as with most uploads
            self._input = _DEAF if bits & CLOSE else _BETWEEN
            self._owed.append(bits)
            message.body = data[pos:stop]
            message.complete = True
            message.expects_continue = False
            events.append(message)
            return stop
        if pos < len(data):
            message.expects_continue = False  # the peer did not wait (RFC 9110 10.1.1)
        self._input = _IN_BODY
        self._message = message
        self._body = None
        self._left = 0 if length == CHUNKED else length
        self._chunks = ChunkedDecoder(self._limits, limit) if length == CHUNKED else None
        self._owed.append(bits | INCOMPLETE)
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
        """Whether the body is collected here or handed on is known once the head was seen outside."""
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
        elif piece and self._message is not None:
            self._message.pieces.append(piece)

    def _complete_body(self, events: list[Event]) -> None:
        message = self._message
        assert message is not None
        if self._chunks is not None:
            message.trailers = self._chunks.trailers
        if self._body is not None:
            message.body = self._body.getvalue()
        elif not message.streaming:
            message.body = b"".join(message.pieces)
            message.pieces.clear()
        message.complete = True
        self._message = self._body = self._chunks = None
        self._owed[-1] &= ~INCOMPLETE
        self._input = _DEAF if self._owed[-1] & CLOSE else _BETWEEN
        events.append(message)

    def _fail(self, fault: Fault) -> Refusal:
        self._stop_reading()
        return Refusal(1, fault.status, fault.detail)

    def _stop_reading(self) -> None:
        self._input = _DEAF
        self._message = self._body = self._chunks = self._reader = None
        self._unread = b""
        self.partial = 0

    def receive_eof(self) -> list[Event]:
        """See ``Engine``. What was asked completely is still answered (RFC 9112 9.6)."""
        self._eof = True
        if self.partial:
            return [self._fail(Fault(400, "the request was cut short"))]
        self._stop_reading()
        if self._owed:
            self._owed[-1] |= CLOSE
        else:
            self.should_close = True
        return []

    def unread(self) -> bytes:
        """Return, once, what came behind an upgrade request."""
        data, self._unread = self._unread, b""
        return data

    def resume(self) -> None:
        """The upgrade is not taken: the reply ends the connection, what else came is dropped."""
        self._stop_reading()
        self.linger = not self._eof

    # ---- replying

    def send_continue(self, stream_id: int) -> None:
        """See ``Engine``."""
        if self._message is not None:
            self._out.append(b"HTTP/1.1 100 Continue\r\n\r\n")

    def send_response(self, stream_id: int, status: int, headers: Headers, body: bytes) -> None:
        """See ``Engine``."""
        if self._owed and not self._owed[0] and self._framing < 0:
            prefix = plain_prefix(status, tuple(headers))
            if prefix:
                self._owed.popleft()
                size, tail = len(body), self._limits.persistent_tail
                if size < _JOIN_BELOW:
                    self._out.append(b"%b%bcontent-length: %d\r\n%b%b" % (prefix, date_field(), size, tail, body))
                else:
                    self._out.append(b"%b%bcontent-length: %d\r\n%b" % (prefix, date_field(), size, tail))
                    self._out.append(body)
                return
        self.send_headers(stream_id, status, headers, len(body))
        if not self.should_close:
            if self._framing != NOTHING and body:
                self._out.append(body)
            self._reply_left = 0
            self._end_reply()

    def send_headers(self, stream_id: int, status: int, headers: Headers, length: int | None) -> None:
        """See ``Engine``."""
        if not self._may_reply(begun=False):
            return
        bits = self._owed[0]
        head = ResponseHead(status, headers, bits, length, self._limits.persistent_tail)
        if head.closes:
            self._owed[0] = bits | CLOSE
        self._framing = head.framing
        self._reply_left = head.size
        self._out.append(head.data)

    def send_chunk(self, stream_id: int, data: bytes) -> None:
        """See ``Engine``. Raises ValueError if *data* goes beyond the announced length."""
        if not self._may_reply(begun=True) or not data or self._framing == NOTHING:
            return
        size = len(data)
        if self._framing == CHUNKS:
            if size < _JOIN_BELOW:
                self._out.append(b"%x\r\n%b\r\n" % (size, data))
            else:
                self._out += (b"%x\r\n" % size, data, b"\r\n")
            return
        if self._framing == SIZED:
            if size > self._reply_left:
                raise ValueError(f"the body is longer than announced by {size - self._reply_left} bytes")
            self._reply_left -= size
        self._out.append(data)

    def end_stream(self, stream_id: int, trailers: Headers = ()) -> None:
        """See ``Engine``. A body shorter than announced is an abort; trailers go with chunks only."""
        if not self._may_reply(begun=True):
            return
        if self._reply_left:
            self.abort(stream_id)
            return
        if self._framing == CHUNKS:
            self._out.append(last_chunk(trailers))
        self._end_reply()

    def _may_reply(self, *, begun: bool) -> bool:
        """Whether there is a peer to reply to; misuse raises."""
        if self.should_close:
            return False
        if not self._owed or (self._framing >= 0) != begun:
            raise RuntimeError("no reply was begun" if begun else "no message waits for a reply")
        return True

    def _end_reply(self) -> None:
        self._framing = -1
        bits = self._owed.popleft()
        if bits & CLOSE:
            # A peer that wants the close sends no more; another may be in the middle of a request.
            self._finish(linger=not bits & ASKED or bool(bits & INCOMPLETE))

    def _finish(self, *, linger: bool) -> None:
        self._stop_reading()
        self._owed.clear()
        self.should_close = True
        self.linger = (self.linger or linger) and not self._eof

    def refuse(self, refusal_event: Refusal) -> None:
        """See ``Engine``."""
        if self.should_close:
            return
        if self._framing >= 0:  # the refused message's reply has begun: no second one behind it
            self.abort(refusal_event.stream_id)
            return
        if refusal_event.status:
            self._out.append(refusal(refusal_event.status))
        self._finish(linger=True)

    def abort(self, stream_id: int) -> None:
        """See ``Engine``; sets ``aborted``."""
        self._framing = -1
        self._reply_left = 0
        self.aborted = True
        self._finish(linger=False)
        self.linger = False

    def consumed(self, stream_id: int, size: int) -> None:
        """See ``Engine``. Over HTTP/1 the connection just reads no further."""

    def backlog(self, stream_id: int) -> int:
        """See ``Engine``. HTTP/1 has no flow control of its own."""
        return 0

    def data_to_send(self) -> bytes:
        """See ``Engine``."""
        out = self._out
        if len(out) == 1:
            return out.pop()
        data = b"".join(out)
        out.clear()
        return data

    def close(self) -> None:
        """See ``Engine``. The reply in hand ends the connection; what is queued behind it is dropped."""
        if not self._owed:
            self._finish(linger=False)
            return
        self._owed[0] |= CLOSE
        if len(self._owed) > 1 or self._input != _IN_BODY:
            self._stop_reading()
