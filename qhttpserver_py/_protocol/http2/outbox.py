"""What waits to be written: frames in order, and reply bodies that flow control holds back.

Strategy: HEADERS and control frames go out at once, in order, as HPACK demands. Bodies that
fit the windows follow them directly. The others queue; each stream with something to send
sends one frame per turn, so that a small reply overtakes a long one.
"""

from __future__ import annotations

from collections import deque

from qhttpserver_py._protocol.engine import Headers
from qhttpserver_py._protocol.http2.frames import (
    DATA,
    DEFAULT_FRAME_SIZE,
    DEFAULT_WINDOW,
    END_STREAM,
    frame,
    header_frames,
    pack_head,
)
from qhttpserver_py._protocol.http2.hpack_encoder import HeaderEncoder
from qhttpserver_py._protocol.http2.stream import Reply, Stream

MAX_REQUESTS_PER_TURN = 65536
"""Most bytes of one stream's turn, however large frames the peer takes."""


class Outbox:
    """The sending half of a connection."""

    __slots__ = ("_ready", "carried", "encoder", "frame_size", "held", "initial_window", "parts", "window")

    def __init__(self, encoder: HeaderEncoder) -> None:
        self.encoder = encoder
        self.parts: list[bytes | memoryview] = []
        self.window = DEFAULT_WINDOW  # bytes of body the peer lets us send on all streams together
        self.initial_window = DEFAULT_WINDOW  # of streams to come
        self.frame_size = DEFAULT_FRAME_SIZE  # the largest the peer takes
        self.held = 0  # bytes of body held back, all streams
        self.carried = 0  # bytes of body sent, ever
        self._ready: deque[Stream] = deque()  # streams with body and window

    def head(self, stream_id: int, block: bytes, flags: int) -> None:
        """Queue a header block."""
        if len(block) <= self.frame_size:
            self.parts += (pack_head(len(block) >> 16, len(block) & 0xFFFF, 1, flags | 4, stream_id), block)
        else:
            self.parts.append(header_frames(stream_id, block, flags, self.frame_size))

    def whole_body(self, stream: Stream, body: bytes) -> bool:
        """Send *body* and end the stream; return whether it is all out."""
        size = len(body)
        if size <= self.window and size <= stream.window and size <= self.frame_size and not self._ready:
            self.window -= size
            self.carried += size
            self.parts += (pack_head(size >> 16, size & 0xFFFF, DATA, END_STREAM, stream.stream_id), body)
            return True
        stream.reply = reply = Reply(size)
        reply.ended = True
        self.add(stream, reply, body)
        return False

    def add(self, stream: Stream, reply: Reply, data: bytes) -> None:
        """Queue a piece of body."""
        reply.pieces.append(memoryview(data))
        size = len(data)
        reply.size += size
        reply.given += size
        self.held += size
        self.wake(stream)

    def end(self, stream: Stream, reply: Reply, trailers: Headers) -> bool:
        """End the body, followed by *trailers*; return whether the stream is ended."""
        reply.ended = True
        reply.trailers = trailers
        if reply.pieces:
            return False
        self._finish(stream, reply)
        return True

    def wake(self, stream: Stream) -> None:
        """Give *stream* turns if it has body to send and window for it."""
        reply = stream.reply
        if reply is not None and reply.pieces and stream.window > 0 and not reply.listed:
            reply.listed = True
            self._ready.append(stream)

    def forget(self, stream: Stream) -> None:
        """Drop what is held for *stream*."""
        reply = stream.reply
        if reply is not None:
            self.held -= reply.size
            stream.reply = None

    @property
    def can_send(self) -> bool:
        """Whether body could go out now."""
        return bool(self._ready) and self.window > 0

    def pump(self, limit: int) -> list[Stream]:
        """Queue frames of body in turns, about *limit* bytes of it; return the streams that ended."""
        ended: list[Stream] = []
        ready = self._ready
        stop_at = self.carried + limit
        while ready and self.window > 0 and self.carried < stop_at:
            stream = ready.popleft()
            reply = stream.reply
            if reply is None:  # it was dropped while it waited
                continue
            if stream.window <= 0:
                reply.listed = False
                continue
            if self._turn(stream, reply):
                ended.append(stream)
            elif reply.pieces and stream.window > 0:
                ready.append(stream)
            else:
                reply.listed = False
        return ended

    def _turn(self, stream: Stream, reply: Reply) -> bool:
        """Queue one frame of body; return whether it ended the stream."""
        piece = reply.pieces[0]
        size = min(len(piece), self.window, stream.window, self.frame_size, MAX_REQUESTS_PER_TURN)
        if size == len(piece):
            reply.pieces.popleft()
        else:
            reply.pieces[0] = piece[size:]
            piece = piece[:size]
        reply.size -= size
        self.held -= size
        self.carried += size
        self.window -= size
        stream.window -= size
        last = reply.ended and not reply.pieces
        flags = END_STREAM if last and not reply.trailers else 0
        self.parts += (pack_head(size >> 16, size & 0xFFFF, DATA, flags, stream.stream_id), piece)
        if last and reply.trailers:
            self._finish(stream, reply)
        return last

    def _finish(self, stream: Stream, reply: Reply) -> None:
        # Trailers are encoded when they go out, not before: blocks share one table.
        if reply.trailers:
            self.head(stream.stream_id, self.encoder.trailers(reply.trailers), END_STREAM)
        else:
            self.parts.append(frame(DATA, END_STREAM, stream.stream_id))
