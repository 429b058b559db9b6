"""Compression of messages (RFC 7692), as the opening handshake agreed on it. Pure.

The package ``websockets`` agrees on the parameters. Its extension needs an object for each frame, which costs more than
inflating a short message.
"""

from __future__ import annotations

import zlib
from typing import Any, Protocol

from qhttpserver_py._websocket.frames import FrameFault

WINDOW_BITS = 12
"""Compression keeps 4 KiB of each direction, as ``websockets`` does: an eighth of the memory, nearly the same size."""

_TAIL = b"\0\0\xff\xff"  # what the sender omits, and the receiver adds (RFC 7692 7.2.1 and 7.2.2)

PROTOCOL_ERROR, TOO_BIG = 1002, 1009


def extension() -> Any:
    """Return the extension that agrees on the parameters in the opening handshake."""
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    return ServerPerMessageDeflateFactory(
        server_max_window_bits=WINDOW_BITS,
        client_max_window_bits=WINDOW_BITS,
        compress_settings={"memLevel": 5},
    )


class Agreement(Protocol):
    """What both sides agreed on (RFC 7692 7.1)."""

    remote_no_context_takeover: bool
    local_no_context_takeover: bool
    remote_max_window_bits: int
    local_max_window_bits: int
    compress_settings: Any


class Deflate:
    """Inflates messages that come, and deflates those that are sent."""

    __slots__ = ("_agreed", "_deflater", "_inflater")

    def __init__(self, agreed: Agreement) -> None:
        self._agreed = agreed
        self._inflater: Any = None
        self._deflater: Any = None

    def inflate(self, payload: bytes, maximum: int, *, final: bool) -> bytes:
        """Return the octets in a frame of a compressed message.

        Raises:
            FrameFault: it cannot be inflated, or is more than *maximum*.
        """
        inflater = self._inflater
        if inflater is None:
            inflater = self._inflater = zlib.decompressobj(wbits=-self._agreed.remote_max_window_bits)
        try:
            data: bytes = inflater.decompress(payload + _TAIL if final else payload, maximum + 1)
        except zlib.error:
            raise FrameFault(PROTOCOL_ERROR, "what cannot be inflated") from None
        if len(data) > maximum:
            raise FrameFault(TOO_BIG, "a message beyond the limit, inflated")
        # A block with BFINAL ends the stream of zlib, and not that of the connection (RFC 7692 7.2.3.4).
        if final and (self._agreed.remote_no_context_takeover or inflater.eof):
            self._inflater = None
        return data

    def deflate(self, payload: bytes) -> bytes:
        """Return the payload of the one frame of a compressed message."""
        deflater = self._deflater
        if deflater is None:
            settings = self._agreed.compress_settings
            deflater = self._deflater = zlib.compressobj(wbits=-self._agreed.local_max_window_bits, **settings)
        data: bytes = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
        if self._agreed.local_no_context_takeover:
            self._deflater = None
        return data[:-4]
