"""Frames on the wire (RFC 6455 5.2): octets of a client cut into frames, and the heads of our own. Pure.

The package ``websockets`` has a parser too. It costs several times as much, because it takes the octets of each frame
in five steps of a generator; and it decodes all frames of a read, where reading cannot be stopped between two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

Unmask = Callable[[bytes | memoryview, bytes], bytes]


class FrameFault(Exception):  # noqa: N818 - named for what happened
    """The head of a frame breaks a rule; ``args`` are the code to close with, and the rule."""


class Frame(NamedTuple):
    """One whole frame of a client's."""

    first: int
    """Its first octet: FIN, the reserved bits and the opcode."""
    payload: bytes
    """Unmasked."""


class FrameReader:
    """Cuts the octets of a client into frames, one at each call of ``next()``."""

    __slots__ = ("_at", "_data", "_missing", "_parts", "_unmask")

    def __init__(self, unmask: Unmask) -> None:
        self._unmask = unmask
        self._data = b""
        self._at = 0  # what is before is used up
        self._parts: list[bytes] = []  # of a frame that began in _data and is longer
        self._missing = 0  # octets of it that are missing

    def feed(self, data: bytes) -> None:
        """Keep octets until ``next()`` is called."""
        if self._missing > len(data):
            self._parts.append(data)
            self._missing -= len(data)
            return
        self._missing = 0
        if self._parts:
            self._parts.append(data)
            data, self._parts = b"".join(self._parts), []
        elif self._at < len(self._data):
            data = self._data[self._at :] + data
        self._data, self._at = data, 0

    @property
    def has_more(self) -> bool:
        """Return whether octets are left that may contain another frame."""
        return self._at < len(self._data)

    def clear(self) -> None:
        """Forget what is left."""
        self._data, self._at, self._parts, self._missing = b"", 0, [], 0

    def next(self, maximum: int, reserved: int) -> Frame | None:
        """Return the next frame, None where it is not complete.

        *maximum* is the largest payload, *reserved* the reserved bits that an extension uses.

        Raises:
            FrameFault: its head breaks a rule; nothing behind it can be read.
        """
        data, at = self._data, self._at
        have = len(data) - at
        if have < 2:
            return None
        first, size = data[at], data[at + 1] - 128
        begin = at + 6
        if not 0 <= size < 126 or size > maximum or first not in _PLAIN:
            begin, size = _parse_head(data, at, have, maximum, reserved)
            if not begin:
                return None
        end = begin + size
        if end > len(data):
            if size > _WORTH_PARTS:
                self._missing = end - len(data)
                self._parts, self._data, self._at = [data[at:]], b"", 0
            return None
        self._at = end
        if end == len(data):
            self._data, self._at = b"", 0
        if not size:
            return Frame(first, b"")
        payload = data[begin:end] if size < _WORTH_PARTS else memoryview(data)[begin:end]  # the second copies nothing
        return Frame(first, self._unmask(payload, data[begin - 4 : begin]))


_PLAIN = frozenset({0x80 | TEXT, 0x80 | BINARY})
_WORTH_PARTS = 4096


def _parse_head(data: bytes, at: int, have: int, maximum: int, reserved: int) -> tuple[int, int]:
    """Return where the payload begins and its size, for any frame; (0, 0) where the head is not complete."""
    first, second = data[at], data[at + 1]
    if first & 0x70 & ~reserved:
        raise FrameFault(1002, "a reserved bit is set")  # RFC 6455 5.2
    if first & 15 not in _OPCODES:
        raise FrameFault(1002, "a reserved opcode")
    if not second & 128:
        raise FrameFault(1002, "a frame of a client is not masked")  # RFC 6455 5.1
    size = second & 127
    if first & 8:  # RFC 6455 5.5
        if size > 125:
            raise FrameFault(1002, "a control frame of more than 125 octets")
        if not first & 128:
            raise FrameFault(1002, "a fragmented control frame")
        if first & 0x70:
            raise FrameFault(1002, "a reserved bit on a control frame")
    length = 0 if size < 126 else 2 if size == 126 else 8
    if have < 2 + length:
        return 0, 0
    if length:
        size = int.from_bytes(data[at + 2 : at + 2 + length], "big")
    if size > maximum and not first & 8:
        raise FrameFault(1009, "a frame beyond the limit")
    return at + 6 + length, size


def head(first: int, size: int) -> bytes:
    """Return the head of a frame of a server's."""
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return b"%c\x7e%b" % (first, size.to_bytes(2, "big"))
    return b"%c\x7f%b" % (first, size.to_bytes(8, "big"))


def unmasking() -> Unmask:
    """Return the function that unmasks, in C where the package has its extension."""
    try:
        from websockets.speedups import apply_mask
    except ImportError:
        from websockets.utils import apply_mask
    unmask: Unmask = apply_mask
    return unmask
