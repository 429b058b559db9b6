"""Bodies of requests that are collected, and how much of them a connection and a server may hold.

Strategy: a peer may only send what its windows let it. While less than the budget is held, what was
received is given back to its window at once. Beyond it, one request alone goes on, the oldest that is
incomplete, so that there is always one which comes to its end: what is held is the budget, one
body, and the windows that were granted before. It waits as well while complete requests with much
of a body are not answered: then it is not the peer that has to do something.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qhttpserver_py._protocol.engine import Message, Pool
    from qhttpserver_py._protocol.http2.stream import Stream, Upload

CONNECTION_BODIES = 16777216
"""Bytes of collected bodies, complete or not, of one connection's unanswered requests; beyond, one goes on."""

SERVER_BODIES = 268435456
"""The same for all HTTP/2 connections of a server; beyond, one goes on for each connection."""

COMPLETE_BODIES = 1048576
"""Bytes of complete bodies whose requests are not answered, beyond which that one waits, too."""

_MERGE = 8192
"""Pieces of body smaller than this are joined: a peer may send them octet by octet."""


class Bodies:
    """What one connection holds, on the account of its server."""

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
            if first:  # who takes it in pieces says so when the head was seen
                _append(message.pieces, content)
                return
            upload.body = BytesIO()
            upload.body.writelines(message.pieces)
            message.pieces.clear()
        upload.body.write(content)

    def complete(self, stream: Stream, upload: Upload) -> None:
        """The last octet of a body has come."""
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
        """The stream is over: its body is its handler's."""
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
    """What was collected before the message's consumer was there comes first."""
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
