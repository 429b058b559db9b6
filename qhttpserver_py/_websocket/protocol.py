"""The WebSocket protocol (RFC 6455) with compression (RFC 7692), spoken by the package ``websockets``. Pure."""

from __future__ import annotations

import codecs
import logging
from collections.abc import Iterable
from typing import Any

from qhttpserver_py._protocol.engine import Headers

WINDOW_BITS = 12
"""Compression keeps 4 KiB of each direction, as ``websockets`` does: an eighth of the memory, nearly the same size."""

NORMAL, GOING_AWAY, BAD_DATA, ABNORMAL, INTERNAL = 1000, 1001, 1007, 1006, 1011

_MAXIMUM = ("max_size", "max_message_size")  # the attribute before and since websockets 15.1

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

Message = str | bytes
_QUIET = logging.getLogger("qhttpserver_py.websocket")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # what it says is said in Qt's categories


class HandshakeError(Exception):
    """The request is no opening handshake that can be accepted."""


class WebSocketProtocol:
    """One connection from its handshake on: octets in, messages out, and the other way round."""

    __slots__ = ("_decoder", "_pieces", "_protocol", "_text", "pongs")

    def __init__(self, maximum_size: int, *, compression: bool) -> None:
        """Raises ImportError where the package ``websockets`` is not installed."""
        try:
            from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
            from websockets.server import ServerProtocol
        except ImportError as error:
            raise ImportError(
                "WebSockets need the package websockets, or QtWebSockets of PySide6-Addons: "
                "pip install 'qhttpserver-py[websockets]'"
            ) from error
        factory = ServerPerMessageDeflateFactory(
            server_max_window_bits=WINDOW_BITS,
            client_max_window_bits=WINDOW_BITS,
            compress_settings={"memLevel": 5},
        )
        self._protocol: Any = ServerProtocol(
            extensions=[factory] if compression else None, max_size=maximum_size, logger=_QUIET
        )
        self._pieces: list[bytes] | list[str] = []
        self._text = False
        self._decoder: codecs.IncrementalDecoder | None = None
        self.pongs: list[bytes] = []
        """Payloads of the pongs that came with the last octets."""

    def accept(self, headers: Headers, subprotocol: str) -> bytes:
        """Return the answer to the opening handshake. Raises HandshakeError where it cannot be accepted."""
        protocol = self._protocol
        # It parses the request itself. That was parsed before, within our own limits: this is what it has to see of it.
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
        protocol.send_response(response)
        return b"".join(protocol.data_to_send())

    def receive(self, data: bytes) -> list[Message]:
        """Take octets from the peer; return the messages they complete. A fault of the peer's closes by itself."""
        protocol = self._protocol
        protocol.receive_data(data)
        self.pongs = []
        messages: list[Message] = []
        for frame in protocol.events_received():
            if frame.opcode in (0x0, 0x1, 0x2):
                self._take(frame, messages)
            elif frame.opcode == 0xA:
                self.pongs.append(bytes(frame.data))
        return messages

    def _take(self, frame: Any, messages: list[Message]) -> None:
        if frame.opcode:
            self._text = frame.opcode == 0x1
            self._decoder = codecs.getincrementaldecoder("utf-8")() if self._text and not frame.fin else None
        try:
            piece: Any = self._decoded(bytes(frame.data), final=frame.fin)
        except UnicodeDecodeError:
            self._pieces = []
            if not self.is_closing:
                self._protocol.fail(BAD_DATA, "text that is no UTF-8")
            return
        if frame.fin and not self._pieces:
            messages.append(piece)
            return
        self._pieces.append(piece)
        if frame.fin:
            empty: Any = "" if self._text else b""
            messages.append(empty.join(self._pieces))
            self._pieces = []

    def _decoded(self, data: bytes, *, final: bool) -> Message:
        if not self._text:
            return data
        return data.decode() if self._decoder is None else self._decoder.decode(data, final)

    def receive_eof(self) -> None:
        """The peer has closed its side."""
        self._protocol.receive_eof()

    def send(self, message: Message) -> None:
        """Queue a whole message."""
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)

    def ping(self, payload: bytes) -> None:
        """Queue a ping."""
        self._protocol.send_ping(payload)

    def close(self, code: int, reason: str) -> None:
        """Queue a close frame, once."""
        if not self.is_closing:
            self._protocol.send_close(code, reason)

    def data_to_send(self) -> tuple[bytes, bool]:
        """Return what is to be written, and whether the connection is to be closed behind it."""
        pieces: Iterable[bytes] = self._protocol.data_to_send()
        pieces = list(pieces)
        return b"".join(pieces), b"" in pieces or self._protocol.close_expected()

    @property
    def maximum_size(self) -> int:
        """The octets of the largest message that is taken, inflated."""
        return int(getattr(self._protocol, _MAXIMUM[hasattr(self._protocol, _MAXIMUM[True])]) or 0)

    @maximum_size.setter
    def maximum_size(self, size: int) -> None:
        setattr(self._protocol, _MAXIMUM[hasattr(self._protocol, _MAXIMUM[True])], size)

    @property
    def is_closing(self) -> bool:
        """Whether a close frame was sent or the connection is over."""
        return bool(self._protocol.state.value != 1)

    @property
    def close_code(self) -> int:
        """The code that the peer closed with, else ours, else 1006."""
        for close in (self._protocol.close_rcvd, self._protocol.close_sent):
            if close is not None:
                return int(close.code)
        return ABNORMAL

    @property
    def close_reason(self) -> str:
        """The reason that came with it."""
        for close in (self._protocol.close_rcvd, self._protocol.close_sent):
            if close is not None:
                return str(close.reason)
        return ""

    @property
    def fault(self) -> str:
        """What the peer did wrong, "" if nothing."""
        error = self._protocol.parser_exc
        return "" if error is None else str(error)
