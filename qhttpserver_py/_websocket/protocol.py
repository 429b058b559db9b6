"""The WebSocket protocol (RFC 6455) with compression (RFC 7692), by the package ``websockets``. Pure.

Its ServerProtocol does the opening handshake, what extensions agree on, control frames and the closing handshake. Data
frames are cut, joined and written here, and their messages compressed: see ``frames.py`` and ``deflate.py`` for why.
"""

from __future__ import annotations

import codecs
import logging
from io import BytesIO, StringIO
from typing import Any

from qhttpserver_py._protocol.engine import Headers
from qhttpserver_py._websocket.deflate import Deflate, extension
from qhttpserver_py._websocket.frames import (
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FrameFault,
    FrameReader,
    head,
    unmasking,
)

WORTH_DEFLATING = 32
"""Octets of the shortest message that is compressed."""

MAXIMUM_FRAGMENTS = 131072
"""Frames that one message may come in; one more closes with 1009."""

NORMAL, GOING_AWAY, PROTOCOL_ERROR, BAD_DATA, ABNORMAL, TOO_BIG, INTERNAL = 1000, 1001, 1002, 1007, 1006, 1009, 1011

_RSV1 = 0x40  # of a message that is compressed (RFC 7692 6)

_HANDSHAKE = frozenset(
    {
        b"connection",
        b"host",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"upgrade",
    }
)

# What a handshake over HTTP/2 has not (RFC 8441 5), and the package looks for.
_HTTP1_ONLY = (
    (b"upgrade", b"websocket"),
    (b"connection", b"upgrade"),
    (b"sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
)

Message = str | bytes
_QUIET = logging.getLogger("qhttpserver_py.websocket")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # its messages would be logged twice: Qt's categories are used


class HandshakeError(Exception):
    """The request is no opening handshake that can be accepted."""


class WebSocketProtocol:
    """One connection from its handshake on: octets in, messages out, and the other way round."""

    __slots__ = (
        "_closing",
        "_compressed",
        "_decoder",
        "_deflate",
        "_fragments",
        "_frames",
        "_handshake",
        "_opcode",
        "_out",
        "_over",
        "_pieces",
        "_size",
        "ending",
        "ends",
        "is_closing",
        "maximum_size",
        "pongs",
        "queued",
    )

    def __init__(self, maximum_size: int, *, compression: bool) -> None:
        """Raises ImportError where the package ``websockets`` is not installed."""
        try:
            from websockets.server import ServerProtocol
        except ImportError as error:
            raise ImportError(
                "WebSockets need the package websockets, or QtWebSockets of PySide6-Addons: "
                "pip install 'qhttpserver-py[websockets]'"
            ) from error
        self._handshake: Any = ServerProtocol(extensions=[extension()] if compression else None, logger=_QUIET)
        self._closing: Any = None  # made when the WebSocket is closed
        self._deflate: Deflate | None = None  # where both sides agreed on it
        self._frames = FrameReader(unmasking())
        self._opcode = 0  # of the message whose fragments are arriving
        self._compressed = False
        self._pieces: Any = None  # what has arrived of it, as one growing buffer
        self._decoder: codecs.IncrementalDecoder | None = None
        self._size = self._fragments = 0
        self._out: list[bytes | memoryview] = []
        self._over = False  # what still comes is ignored
        self.maximum_size = maximum_size
        """The octets of the largest message that is taken, inflated."""
        self.pongs: list[bytes] = []
        """Payloads of the pongs that came since this was read."""
        self.is_closing = False
        """Whether a close frame was sent or the connection is over."""
        self.ending: bytes | FrameFault | None = None
        """How the peer has ended what it sends, while that is not applied yet."""
        self.queued = 0
        """About how many octets ``take()`` will return."""
        self.ends = False
        """Whether the connection is to be closed once everything is written."""

    # ---- the handshake

    def accept(self, headers: Headers, subprotocol: str, fields: Headers = ()) -> bytes:
        """Return the answer to the opening handshake, with *fields*. Raises HandshakeError where there is none."""
        return b"".join(self._accept(headers, subprotocol, fields)[1])

    def accept_tunnel(self, headers: Headers, subprotocol: str) -> list[tuple[bytes, bytes]]:
        """Return the fields of the answer over HTTP/2 (RFC 8441 5). Raises HandshakeError."""
        response, _ = self._accept([*headers, *_HTTP1_ONLY], subprotocol)
        wanted = ("sec-websocket-extensions", "sec-websocket-protocol")
        fields = [(name.lower(), value) for name, value in response.headers.raw_items()]
        return [(name.encode(), value.encode()) for name, value in fields if name in wanted]

    def _accept(self, headers: Headers, subprotocol: str, fields: Headers = ()) -> tuple[Any, list[bytes]]:
        protocol, self._handshake = self._handshake, None  # it would keep the request
        # It parses the request itself, which was parsed before within our own limits. So it gets only the lines it
        # needs.
        lines = [b"GET / HTTP/1.1", *(b"%b: %b" % field for field in headers if field[0] in _HANDSHAKE)]
        protocol.receive_data(b"\r\n".join([*lines, b"", b""]))
        requests = protocol.events_received()
        if not requests:
            raise HandshakeError(str(protocol.handshake_exc or protocol.parser_exc))
        response = protocol.accept(requests[0])
        if response.status_code != 101:
            raise HandshakeError(str(protocol.handshake_exc))
        if subprotocol:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
            protocol.subprotocol = subprotocol
        for name, value in fields:
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
        protocol.send_response(response)
        self._deflate = Deflate(protocol.extensions[0]) if protocol.extensions else None
        return response, protocol.data_to_send()

    # ---- receiving

    def feed(self, data: bytes) -> None:
        """Take octets from the peer; ``next_message()`` gives what they complete."""
        if not self._over:
            self._frames.feed(data)

    @property
    def has_more(self) -> bool:
        """Return whether octets are left that ``next_message()`` has not read."""
        return not self._over and self._frames.has_more

    def next_message(self, *, may_end: bool = True) -> Message | None:
        """Return the next message, None where none is complete. For a fault of the peer the close frame is queued.

        A close frame or a fault is not applied, but ``ending`` is set, as long as *may_end* is false.
        """
        if self.ending is not None and may_end:
            self._end(self.ending)
        frames = self._frames
        reserved = 0 if self._deflate is None else _RSV1
        while not self._over and self.ending is None:
            try:
                frame = frames.next(self.maximum_size, reserved)
                if frame is None:
                    return None
                first, payload = frame
                if first == 0x80 | CLOSE:
                    self._end_later(payload, may_end)
                    continue
                if first & 8:
                    self._control(first & 15, payload)
                    if first & 15 == PONG:
                        return None  # it is reported in its turn
                    continue
                if first & 0x80 and not (first & _RSV1 or self._opcode) and first & 15:
                    return payload if first & 1 == 0 else payload.decode()
                message = self._fragment(first, payload)
            except FrameFault as fault:
                self._end_later(fault, may_end)
            except UnicodeDecodeError:
                self._end_later(FrameFault(BAD_DATA, "text that is no UTF-8"), may_end)
            else:
                if message is not None:
                    return message
        return None

    def _control(self, opcode: int, payload: bytes) -> None:
        """Answer a ping, note a pong."""
        if opcode == PONG:
            self.pongs.append(payload)
        elif self._closing is None or not self._closing.eof_sent:
            self._out.append(head(0x80 | PONG, len(payload)) + payload)

    def _end_later(self, ending: bytes | FrameFault, may_end: bool) -> None:
        if may_end:
            self._end(ending)
        else:
            self.ending = ending

    def _end(self, ending: bytes | FrameFault) -> None:
        """Fail for a fault, or answer the close frame with that payload."""
        self.ending = None
        if isinstance(ending, FrameFault):
            self.fail(*ending.args)
            return
        self._protocol.receive_data(bytes((0x80 | CLOSE, 128 | len(ending))) + b"\0\0\0\0" + ending)
        self._protocol.events_received()
        self._collect()
        self._end_input()

    def _fragment(self, first: int, payload: bytes) -> Message | None:
        """Take a data frame that is compressed or not a whole message; return the message it completes."""
        opcode = first & 15
        if opcode == CONTINUATION:
            if not self._opcode:
                raise FrameFault(PROTOCOL_ERROR, "a continuation of nothing")
            if first & _RSV1:
                raise FrameFault(PROTOCOL_ERROR, "a reserved bit on a continuation")
        elif self._opcode:
            raise FrameFault(PROTOCOL_ERROR, "a message inside a fragmented one")
        else:
            self._opcode, self._compressed = opcode, bool(first & _RSV1)
            self._size = self._fragments = 0
            self._pieces = None
        final = bool(first & 0x80)
        if self._compressed:
            assert self._deflate is not None
            payload = self._deflate.inflate(payload, self.maximum_size - self._size, final=final)
        self._size += len(payload)
        self._fragments += 1
        if self._size > self.maximum_size:
            raise FrameFault(TOO_BIG, "a message beyond the limit")
        if self._fragments > MAXIMUM_FRAGMENTS:
            raise FrameFault(TOO_BIG, "a message of too many fragments")
        return self._joined(payload, final=final)

    def _joined(self, payload: bytes, *, final: bool) -> Message | None:
        """Add *payload* to the message; return that if it is complete. Text is checked as it arrives (RFC 6455 8.1)."""
        is_text = self._opcode == TEXT
        if self._pieces is None:
            if final:
                self._opcode = 0
                return payload.decode() if is_text else payload
            self._pieces = StringIO(newline="") if is_text else BytesIO()
            self._decoder = codecs.getincrementaldecoder("utf-8")() if is_text else None
        self._pieces.write(payload if self._decoder is None else self._decoder.decode(payload, final))
        if not final:
            return None
        message: Message = self._pieces.getvalue()
        self._opcode, self._pieces, self._decoder = 0, None, None
        return message

    def receive_eof(self) -> None:
        """The peer has closed its side."""
        self._protocol.receive_eof()
        self.is_closing = True
        self._end_input()

    def _end_input(self) -> None:
        self._over = True
        self.ending = None
        self._frames.clear()
        self._pieces = self._decoder = None

    # ---- sending

    def send(self, message: Message) -> int:
        """Queue a whole message; return its octets."""
        if isinstance(message, str):
            first, payload = 0x81, _encoded(message)
        else:
            first, payload = 0x82, message
        size = len(payload)
        if self._deflate is not None and size >= WORTH_DEFLATING:
            data = self._deflate.deflate(payload)
            self._out += (head(first | _RSV1, len(data)), data)
        elif size < _WORTH_JOINING:
            self._out.append(head(first, size) + payload)
        else:
            self._out += (head(first, size), payload)
        self.queued += size + 4
        return size

    def ping(self, payload: bytes) -> None:
        """Queue a ping."""
        self._out.append(head(0x80 | PING, len(payload)) + payload)

    def close(self, code: int, reason: str) -> None:
        """Queue a close frame, once; a code that cannot be sent is replaced by 1000 or 1011."""
        if self.is_closing:
            return
        from websockets.exceptions import ProtocolError

        reason = reason.encode("utf-8", "replace")[:123].decode("utf-8", "ignore")
        try:
            self._protocol.send_close(code, reason)
        except ProtocolError:  # a code that must not be sent, such as 1005 and 1006 (RFC 6455 7.4.1)
            self._protocol.send_close(NORMAL, reason)
        self._collect()

    def fail(self, code: int, reason: str) -> None:
        """Close because the peer broke a rule (RFC 6455 7.1.7)."""
        self._protocol.fail(code, reason)
        if self._protocol.parser_exc is None:
            self._protocol.parser_exc = FrameFault(code, reason)
        self._collect()
        self._end_input()

    @property
    def _protocol(self) -> Any:
        """The package's protocol object of a connection that is open, or closes."""
        if self._closing is None:
            from websockets.protocol import Protocol, Side, State

            self._closing = Protocol(Side.SERVER, state=State.OPEN, logger=_QUIET)
        return self._closing

    def _collect(self) -> None:
        self.is_closing = self._protocol.state.value > 1  # OPEN
        for piece in self._protocol.data_to_send():
            if piece:
                self._out.append(piece)
            else:
                self.ends = True

    @property
    def has_output(self) -> bool:
        """Return whether something is to be written."""
        return bool(self._out)

    def take(self) -> list[bytes | memoryview]:
        """Return what is to be written, once."""
        out, self._out = self._out, []
        self.queued = 0
        return out

    # ---- what became of it

    @property
    def is_agreed(self) -> bool:
        """Return whether the peer has sent its close frame too, after which nothing more comes."""
        return self._closing is not None and self._closing.close_rcvd is not None

    @property
    def close_code(self) -> int:
        """The code that the peer closed with, else ours, else 1006."""
        close = self._close
        return ABNORMAL if close is None else int(close.code)

    @property
    def close_reason(self) -> str:
        """The reason that came with it."""
        close = self._close
        return "" if close is None else str(close.reason)

    @property
    def _close(self) -> Any:
        """The peer's close frame, else ours."""
        closing = self._closing
        return None if closing is None else closing.close_rcvd or closing.close_sent

    @property
    def fault(self) -> str:
        """What the peer did wrong, "" if nothing."""
        error = None if self._closing is None else self._closing.parser_exc
        return "" if error is None else str(error.args[-1] if isinstance(error, FrameFault) else error)


_WORTH_JOINING = 4096


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair is "?", as where Qt encodes
        return text.encode("utf-8", "replace")
