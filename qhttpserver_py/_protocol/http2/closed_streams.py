"""What is remembered of streams that are no longer open (RFC 9113 5.1 and 5.1.1).

Strategy: clients number their streams 1, 3, 5, … All numbers up to the last were open once, except for gaps. So only
the gaps are remembered, and the streams that we reset, which are few.
"""

from __future__ import annotations

from h2.errors import ErrorCodes

from qhttpserver_py._protocol.http2.frames import ConnectionFault

_GAPS = 64
_RESETS = 512


class History:
    """Tells idle, skipped, reset and closed streams apart."""

    __slots__ = ("_gaps", "_resets", "last")

    def __init__(self) -> None:
        self.last = 0  # the highest stream the client opened
        self._gaps: list[range] = []
        self._resets: dict[int, int] = {}  # stream: bytes that may still be under way

    def opened(self, stream_id: int) -> None:
        """The client opened *stream_id*, which closes all idle ones below."""
        if stream_id > self.last + 2:
            self._gaps = [*self._gaps[1 - _GAPS :], range(self.last + 1, stream_id)]
        self.last = stream_id

    def we_reset(self, stream_id: int, window: int) -> None:
        """Remember that we sent RST_STREAM; the client may have sent *window* bytes before it receives that."""
        if len(self._resets) >= _RESETS:
            del self._resets[next(iter(self._resets))]
        self._resets[stream_id] = window

    def check_not_idle(self, stream_id: int) -> None:
        """Raise for a stream that was never opened, and for stream 0."""
        if not stream_id or stream_id > self.last or not stream_id & 1:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "a frame on an idle stream")

    def check_late_headers(self, stream_id: int) -> None:
        """Raise unless HEADERS on this closed stream can have crossed our RST_STREAM."""
        if stream_id in self._resets:
            return
        if not stream_id & 1 or any(stream_id in gap for gap in self._gaps):
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "a stream number that was passed over")
        raise ConnectionFault(ErrorCodes.STREAM_CLOSED, "HEADERS on a closed stream")

    def check_late_data(self, stream_id: int, size: int) -> None:
        """Raise unless DATA on this closed stream can have crossed our RST_STREAM."""
        self.check_not_idle(stream_id)
        left = self._resets.get(stream_id)
        if left is None:
            raise ConnectionFault(ErrorCodes.STREAM_CLOSED, "DATA on a closed stream")
        if size > left:
            raise ConnectionFault(ErrorCodes.STREAM_CLOSED, "DATA on and on behind a reset")
        self._resets[stream_id] = left - size
