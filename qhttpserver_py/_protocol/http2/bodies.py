"""Bodies of requests that are collected, and how much of them a connection and a server may hold.

Strategy: a peer may only send what its windows allow. While less than the budget is held, its window is widened at once
by what was received. Beyond the budget, only the oldest incomplete request gets credit, so that there is always one
which can be completed: the budget, one body, and the windows that were granted before are held at the most. That one
waits, too, while complete requests with large bodies are not answered, because then the next step is the application's
and not the peer's.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qhttpserver_py._protocol.engine import Message, Pool
    from qhttpserver_py._protocol.http2.stream import Stream, Upload

CONNECTION_BODIES = 16777216
"""Bytes of collected bodies, complete or not, of one connection's unanswered requests; beyond, one request gets
credit.
"""

SERVER_BODIES = 268435456
"""The same for all HTTP/2 connections of a server; beyond, one request of each connection gets credit."""

COMPLETE_BODIES = 1048576
"""Bytes of complete bodies whose requests are not answered; beyond, that one request waits, too."""

_MERGE = 8192
"""Pieces of body smaller than this are joined: a peer may send them octet by octet."""


class Bodies:
    """The bodies that one connection holds; they count against the limits of its server, too."""

    __slots__ = ("_complete", "_pool", "held", "withholds")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.held = 0  # bytes, of all streams that are not answered
        self._complete = 0  # of these, bytes of complete bodies
        self.withholds = False  # a peer waits for credit

    def keep(self, stream: Stream, upload: Upload, content: bytes, *, first: bool) -> None:
        """Add *content* to the body of *stream*; *first*: its head came in the same read, so nobody has seen it yet."""
        message, size = stream.message, len(content)
        if message.streaming or upload.tunnel:
            _hand_over(message, upload)
            _append(message.pieces, content)
            return
        stream.kept += size
        self.held += size
        self._pool.held += size
        if upload.body is None:
            if first:  # whether it is taken in pieces is decided when the head is returned
                _append(message.pieces, content)
                return
            upload.body = BytesIO()
            upload.body.writelines(message.pieces)
            message.pieces.clear()
        upload.body.write(content)

    def complete(self, stream: Stream, upload: Upload) -> None:
        """Complete the body of *stream*: its last octet has arrived."""
        message = stream.message
        message.complete = True
        self._complete += stream.kept
        if message.streaming:
            _hand_over(message, upload)
        elif upload.body is not None:
            message.body, upload.body = upload.body.getvalue(), None  # not a copy
        else:
            message.body = b"".join(message.pieces)
            message.pieces.clear()

    def release(self, stream: Stream) -> None:
        """Count the body of *stream* no longer: the stream is over, and the body is the handler's."""
        if stream.message.complete:
            self._complete -= stream.kept
        self.held -= stream.kept
        self._pool.held -= stream.kept
        stream.kept = 0

    def with_credit(self, streams: Iterable[Stream], everyone: Iterable[Stream]) -> list[Stream]:
        """Return those of *streams* whose peer may send on; *everyone* are all of the connection, oldest first."""
        collecting = [stream for stream in streams if stream.upload is not None and _is_collected(stream)]
        if self.held < CONNECTION_BODIES and self._pool.held < SERVER_BODIES:
            return collecting
        oldest = next((stream for stream in everyone if stream.upload is not None and _is_collected(stream)), None)
        self.withholds = self.withholds or any(stream is not oldest for stream in collecting)
        if oldest is None or self._complete > COMPLETE_BODIES:
            self.withholds = self.withholds or bool(collecting)
            return []
        return [stream for stream in collecting if stream is oldest]


def _is_collected(stream: Stream) -> bool:
    upload = stream.upload
    return upload is not None and not (stream.message.streaming or upload.tunnel or upload.discards)


def _hand_over(message: Message, upload: Upload) -> None:
    """Put what was collected before the message had a consumer in front of its pieces."""
    if upload.body is not None:
        message.pieces.insert(0, upload.body.getvalue())
        upload.body = None


def _append(pieces: list[bytes], content: bytes) -> None:
    """Add to the pieces of a body, without a piece per octet."""
    if not content:
        return
    if pieces and len(pieces[-1]) + len(content) <= _MERGE:
        pieces[-1] += content
    else:
        pieces.append(content)
