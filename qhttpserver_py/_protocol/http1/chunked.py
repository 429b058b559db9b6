"""Decodes the chunked transfer coding, strictly and within bounds (RFC 9112 7.1).

Strategy: one expression matches a whole chunk-size line, which nearly always arrives in one piece; other lines are
collected first. Data is returned as slices, framing is dropped.
"""

from __future__ import annotations

import re

from qhttpserver_py._protocol.engine import Header, Limits
from qhttpserver_py._protocol.http1.fields import Fault, parse_fields
from qhttpserver_py._protocol.http1.head import HeadReader
from qhttpserver_py._protocol.wire import NOT_IN_TRAILERS

MAX_LINE = 4096
"""Octets of one chunk-size line, with its extensions and CRLF."""

MAX_EXTENSIONS = 16384
"""Octets of all chunk extensions of a message, which are ignored (RFC 9112 7.1.1)."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_EXTENSION = rb"[ \t]*+;[ \t]*+" + _TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?+"

# Sixteen digits are enough for any possible length; more are an attempt to cause an overflow.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)((?:" + _EXTENSION + rb")*+)\r\n")


class ChunkedDecoder:
    """Decodes one body, in pieces as they come. Faults are raised as ``Fault``."""

    __slots__ = (
        "_between",
        "_extensions",
        "_left",
        "_limit",
        "_limits",
        "_line",
        "_reader",
        "done",
        "size",
        "trailers",
    )

    def __init__(self, limits: Limits, limit: int) -> None:
        """*limit* is the most the chunks may add up to, negative for no limit."""
        self._limits = limits
        self._limit = limit
        self._left = 0  # octets of the current chunk still to come
        self._between = False  # behind a chunk's data, before its CRLF is complete
        self._line = b""  # the part of a line that has arrived
        self._extensions = 0
        self._reader: HeadReader | None = None  # of the trailer section
        self.size = 0
        self.trailers: list[Header] = []
        self.done = False

    def feed(self, data: bytes, pos: int, out: list[bytes]) -> int:
        """Decode *data* from *pos* on, append body pieces to *out*; return where the coding stopped."""
        end = len(data)
        while pos < end and not self.done:
            if self._left:
                piece = data[pos : pos + self._left]
                out.append(piece)
                pos += len(piece)
                self._left -= len(piece)
                self._between = not self._left
            elif self._between:
                pos = self._take_line_end(data, pos)
            elif self._reader is not None:
                pos = self._take_trailers(self._reader, data, pos)
            else:
                pos = self._take_size(data, pos, out)
        return pos

    def _take_line_end(self, data: bytes, pos: int) -> int:
        stop = pos + 2 - len(self._line)
        line = self._line + data[pos:stop]
        if line == b"\r\n":
            self._line = b""
            self._between = False
        elif line == b"\r":
            self._line = line
        else:
            raise Fault(400, "chunk data is not followed by CRLF")
        return min(stop, len(data))

    def _take_size(self, data: bytes, pos: int, out: list[bytes]) -> int:
        if not self._line:
            match = _SIZE_LINE.match(data, pos, pos + MAX_LINE)
            if match:
                self._begin_chunk(match)
                start = match.end()
                stop = start + self._left
                # The short way for a chunk that is here as a whole; without it, tiny chunks would be expensive.
                if self._left and data[stop : stop + 2] == b"\r\n":
                    out.append(data[start:stop])
                    self._left = 0
                    return stop + 2
                return start
        stop = data.find(b"\n", pos, pos + MAX_LINE) + 1 or len(data)
        line = self._line + data[pos:stop]
        if len(line) > MAX_LINE:
            raise Fault(400, "chunk-size line too long")
        self._line = line
        if line.endswith(b"\n"):
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise Fault(400, "malformed chunk-size line")
            self._line = b""
            self._begin_chunk(match)
        # RFC 9112 2.2: no line may contain it, so it is refused before the rest of the line arrives
        elif b"\r" in line[:-1]:
            raise Fault(400, "bare CR in a chunk-size line")
        return stop

    def _begin_chunk(self, match: re.Match[bytes]) -> None:
        size = int(match[1], 16)
        self._extensions += match.end(2) - match.start(2)
        if self._extensions > MAX_EXTENSIONS:
            raise Fault(400, "chunk extensions too long")
        if size >= 1 << 63:
            raise Fault(400, "chunk size out of range")
        self.size += size
        if 0 <= self._limit < self.size:
            raise Fault(413, "body too large")
        self._left = size
        if not size:
            self._reader = HeadReader(self._limits, trailers=True)

    def _take_trailers(self, reader: HeadReader, data: bytes, pos: int) -> int:
        pos = reader.feed(data, pos)
        if reader.complete:
            if len(reader.buffer) > 2:
                self.trailers = _trailers(bytes(reader.buffer[:-4]).split(b"\r\n"))
            self._reader = None
            self.done = True
        return pos


def _trailers(lines: list[bytes]) -> list[Header]:
    # One by one: all together might be the framing of a message for llhttp.
    fields = [parse_fields(line + b"\r\n")[0] for line in lines]
    # A trailer that would change framing or routing is dropped: the message was framed and routed without it (RFC 9110
    # 6.5.1).
    return [field for field in fields if field[0] not in NOT_IN_TRAILERS]
