"""What a connection holds because its peer has not sent more or opened its windows; deadlines depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qhttpserver_py._protocol.engine import Message
    from qhttpserver_py._protocol.http2.bodies import Bodies
    from qhttpserver_py._protocol.http2.outbox import Outbox
    from qhttpserver_py._protocol.http2.stream import Stream

PACED = 524288
"""A streamed reply with no more than these bytes queued is one whose source is read as fast as the peer takes it."""

_PART = 64  # bytes that an object in the queue takes beside its octets


class Waiting:
    """Implements ``Waits`` for HTTP/2. It only reads, and changes nothing."""

    __slots__ = ("_bodies", "_outbox", "_streams")

    def __init__(self, streams: dict[int, Stream], outbox: Outbox, bodies: Bodies) -> None:
        self._streams = streams
        self._outbox = outbox
        self._bodies = bodies

    def uploads(self) -> list[tuple[Message, int]]:
        """See ``Waits``. Bodies whose peer waits for our credit are not among them."""
        return [
            (stream.message, upload.received)
            for stream in self._streams.values()
            if (upload := stream.upload) is not None
            and not (upload.discards or upload.tunnel)
            and (stream.message.streaming or not upload.owed)
        ]

    def starved(self) -> list[tuple[int, int]]:
        """See ``Waits``."""
        outbox = self._outbox
        if not outbox.held:
            return []
        starved = [
            (stream.stream_id, reply.given - reply.size)
            for stream in self._streams.values()
            if stream.window <= 0 and (reply := stream.reply) is not None and reply.size
        ]
        if outbox.window <= 0:
            starved.append((0, outbox.carried))
        return starved

    def behind(self, stream_id: int) -> list[int]:
        """See ``Waits``."""
        if stream_id:
            return [stream_id]
        streams = self._streams.values()
        return [stream.stream_id for stream in streams if stream.reply is not None and stream.reply.size]

    def queued(self) -> int:
        """See ``Waits``."""
        parts = self._outbox.parts
        replies = [stream.reply for stream in self._streams.values()]
        whole = [r.size for r in replies if r is not None and (r.ended or r.size > PACED)] or [0]
        return sum(whole) - max(whole) + sum(map(len, parts)) + _PART * len(parts)

    @property
    def withheld(self) -> bool:
        """See ``Waits``."""
        return self._bodies.withholds
