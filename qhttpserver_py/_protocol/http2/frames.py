"""HTTP/2 frames on the wire (RFC 9113 sections 4 and 6): cutting input, building output.

Strategy: the nine bytes in front of a frame are checked before its payload is awaited, so an over-long frame is never
held, and what is held is bounded by the largest frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITIZED = 0x20

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_WINDOW = 2**31 - 1
MAX_STREAM_ID = 2**31 - 1
DEFAULT_WINDOW = 65535
DEFAULT_FRAME_SIZE = 16384

Frame = tuple[int, int, int, bytes]
"""Type, flags, stream identifier, payload."""

_head = Struct(">BHBBL")
_setting = Struct(">HL")
pack_head = _head.pack


class ConnectionFault(ProtocolError):  # noqa: N818 - named for what happened
    """The peer broke a rule in a way that ends the connection (RFC 9113 5.4.1)."""

    def __init__(self, code: ErrorCodes, detail: str) -> None:
        super().__init__(detail)
        self.error_code = code
        self.detail = detail


class FrameReader:
    """Cuts received bytes into frames, and checks the client's preface before the first."""

    __slots__ = ("_held", "_in_preface", "_max_size", "_needed", "fault")

    def __init__(self, max_size: int) -> None:
        self.fault: ConnectionFault | None = None  # to be raised after the frames before it
        self._max_size = max_size
        self._held = bytearray()
        self._needed = 0  # bytes that complete what is held
        self._in_preface = True

    @property
    def holds(self) -> int:
        """Bytes of an incomplete frame or preface."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that *data* completes."""
        held = self._held
        if held:
            held += data
            if len(held) < self._needed:
                return []
            data = bytes(held)
            held.clear()
        position = 0
        if self._in_preface:
            position = self._skip_preface(data)
            if self._in_preface:
                return []
        return self._cut(data, position)

    def _skip_preface(self, data: bytes) -> int:
        if not PREFACE.startswith(data[: len(PREFACE)]):
            self.fault = ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "no HTTP/2 connection preface")
        elif len(data) < len(PREFACE):
            self._held += data
            self._needed = len(PREFACE)
        else:
            self._in_preface = False
        return len(PREFACE)

    def _cut(self, data: bytes, position: int) -> list[Frame]:
        frames: list[Frame] = []
        end = len(data)
        unpack = _head.unpack_from
        needed = 9
        while end - position >= 9:
            high, low, kind, flags, stream_id = unpack(data, position)
            size = high << 16 | low
            if size > self._max_size:
                self.fault = ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
                return frames
            stop = position + 9 + size
            if stop > end:
                needed = 9 + size
                break
            frames.append((kind, flags, stream_id & MAX_STREAM_ID, data[position + 9 : stop]))
            position = stop
        if position < end:
            self._held += data[position:]
            self._needed = needed
        return frames


def unpad(flags: int, payload: bytes) -> bytes:
    """Return the payload of DATA or HEADERS without padding (RFC 9113 6.1)."""
    if not flags & PADDED:
        return payload
    if not payload:
        raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "no room for the pad length")
    padding = payload[0]
    if padding >= len(payload):
        raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "padding longer than the payload")
    return payload[1 : len(payload) - padding]


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Build a frame."""
    size = len(payload)
    return pack_head(size >> 16, size & 0xFFFF, kind, flags, stream_id) + payload


def header_frames(stream_id: int, block: bytes, flags: int, frame_size: int) -> bytes:
    """Build HEADERS and the CONTINUATIONs of a *block* that does not fit into one frame."""
    parts = [frame(HEADERS, flags, stream_id, block[:frame_size])]
    for start in range(frame_size, len(block), frame_size):
        last = END_HEADERS if start + frame_size >= len(block) else 0
        parts.append(frame(CONTINUATION, last, stream_id, block[start : start + frame_size]))
    return b"".join(parts)


def settings_frame(values: Sequence[tuple[int, int]]) -> bytes:
    """Build SETTINGS."""
    return frame(SETTINGS, 0, 0, b"".join(_setting.pack(code, value) for code, value in values))


def parse_settings(payload: bytes) -> list[tuple[int, int]]:
    """Return the (identifier, value) pairs of SETTINGS, in their order."""
    return list(_setting.iter_unpack(payload))


def rst_stream(stream_id: int, code: ErrorCodes) -> bytes:
    """Build RST_STREAM."""
    return frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))


def window_update(stream_id: int, increment: int) -> bytes:
    """Build WINDOW_UPDATE."""
    return frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))


def goaway(last_stream_id: int, code: ErrorCodes, detail: str = "") -> bytes:
    """Build GOAWAY; *detail* goes out as debug data."""
    payload = last_stream_id.to_bytes(4, "big") + code.to_bytes(4, "big") + detail.encode("ascii", "replace")
    return frame(GOAWAY, 0, 0, payload)
