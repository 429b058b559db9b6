"""The HTTP/2 engine (RFC 9113): frames to events, replies to frames.

Strategy: settings, error codes and their rules are those of `h2`, tables and Huffman code those of
`hpack`. The connection itself is our own: `h2`'s keeps over-long frames whole, has no budgets
against floods, and spends on one exchange what seventeen take here.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from h2.errors import ErrorCodes

from qhttpserver_py._protocol import wire
from qhttpserver_py._protocol.engine import Event, Headers, Limits, Message, Refusal, Reset, Waits
from qhttpserver_py._protocol.http2 import budget as h2_budget
from qhttpserver_py._protocol.http2.content import BODILESS, SPECIAL, announced_length, is_bodiless
from qhttpserver_py._protocol.http2.frames import (
    DEFAULT_WINDOW,
    END_STREAM,
    MAX_STREAM_ID,
    ConnectionFault,
    FrameReader,
    goaway,
)
from qhttpserver_py._protocol.http2.heads import HeadReader
from qhttpserver_py._protocol.http2.hpack_encoder import HeaderEncoder, ReplyHead, list_size
from qhttpserver_py._protocol.http2.outbox import Outbox
from qhttpserver_py._protocol.http2.receiver import Flood, Receiving
from qhttpserver_py._protocol.http2.settings import Http2Settings
from qhttpserver_py._protocol.http2.stream import Reply, Stream
from qhttpserver_py._protocol.http2.waiting import Waiting

MIN_LARGEST_LIST = 262144
"""Header lists up to this size, or four times the limit, are decoded so as to be refused politely."""

_ALL = 1 << 62


class Http2Engine(Receiving):
    """One HTTP/2 connection, from its preface to its GOAWAY."""

    __slots__ = ("_handed_out", "interleaves", "waits")

    def __init__(self, limits: Limits, settings: Http2Settings, clock: Callable[[], float] = monotonic) -> None:
        largest = max(MIN_LARGEST_LIST, 4 * limits.header_size)
        outbox = Outbox(HeaderEncoder(settings.huffman))
        heads = HeadReader(largest, scheme=settings.scheme, tunnels=settings.tunnels)
        super().__init__(limits, outbox, FrameReader(settings.max_frame_size), heads, clock)
        self.interleaves = True
        self.waits: Waits = Waiting(self._streams, outbox, self._bodies)
        self.should_close = False
        self.linger = False
        self.body_limit = self._default_body_limit
        self._handed_out = 0  # the highest stream that anybody heard of
        self._largest_block = largest
        self._max_streams = settings.max_concurrent_streams
        self._window_goal = settings.session_window
        self._stream_window = settings.stream_window
        self._stream_floor = min(0, settings.stream_window - DEFAULT_WINDOW)  # until our SETTINGS are known
        outbox.parts.append(settings.frames(limits.header_size))
        self._window = max(DEFAULT_WINDOW, settings.session_window)

    def _default_body_limit(self, _message: Message) -> int:
        return self._limits.body_size

    # ---- receiving

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes from the peer; return what they complete, as in ``Engine``."""
        if self._deaf:
            return []
        self._batch += 1
        events: list[Event] = []
        self._events = events
        try:
            cut = self._receive(data)
        except ConnectionFault as fault:
            return self._die(fault)
        except Flood as flood:
            return self._stop_listening(flood)
        if self._window * 2 <= self._window_goal:
            self._give_connection_credit()
        self._handed_out = self._processed
        if self._history.last == MAX_STREAM_ID:  # the client cannot open another: let it reconnect
            self.close()
        self.partial = self._how_partial(cut)
        return events

    def _how_partial(self, cut: bool) -> int:
        if self._block is not None or not self._greeted:
            return 1
        if self._uploads:
            return 2
        # What a read happens to cut in two is news, not a peer that hesitates.
        return 1 if self._reader.holds and not cut else 0

    def _die(self, fault: ConnectionFault) -> list[Event]:
        """Announce the end; forget everything (RFC 9113 5.4.1)."""
        # Messages of this batch are not handed out, so the client may repeat them elsewhere.
        events: list[Event] = [Reset(stream.stream_id) for stream in self._streams.values() if self._known(stream)]
        events.append(Refusal(0, 0, fault.detail))
        for stream in tuple(self._streams.values()):
            self._drop(stream.stream_id)
        self._outbox.parts.append(goaway(self._handed_out, fault.error_code, fault.detail))
        self.should_close = self.linger = True
        self._go_deaf()
        return events

    def _go_deaf(self) -> None:
        self._deaf = True
        self._reader = FrameReader(0)
        self._block = None
        self._events = []
        self._fed.clear()
        self._lingering.clear()
        self.partial = 0

    def _stop_listening(self, flood: Flood) -> list[Event]:
        """Answer what was asked completely, and close; ``linger`` lets the peer read it."""
        self._farewell = ErrorCodes.ENHANCE_YOUR_CALM
        self.linger = True
        events = [*self._events, Refusal(0, 0, str(flood)), *self.receive_eof()]
        self._go_deaf()
        return events

    def _known(self, stream: Stream) -> bool:
        return stream.batch != self._batch

    def receive_eof(self) -> list[Event]:
        """No more requests, and incomplete ones stay so; replies in flight can still be read."""
        unfinished = [stream for stream in self._streams.values() if stream.upload is not None]
        self._closing = True
        for stream in unfinished:
            self._drop(stream.stream_id)
        if not self._streams:
            self._end()
        self.partial = 0
        return [Reset(stream.stream_id) for stream in unfinished]

    def rest(self) -> None:
        """See ``Engine``."""
        self._heads.forget()

    def consumed(self, stream_id: int, size: int) -> None:
        """*size* bytes of a streaming message's pieces were used up: the peer may send more."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.upload is not None:
            self._give_credit(stream_id, stream.upload, min(size, stream.upload.owed))

    def unfinished(self) -> list[Message]:
        """Requests whose bodies are still awaited."""
        uploads = [(stream.message, stream.upload) for stream in self._streams.values()]
        return [message for message, upload in uploads if upload is not None and not (upload.discards or upload.tunnel)]

    # ---- replying

    def send_continue(self, stream_id: int) -> None:
        """Queue ``100 Continue``, if the peer is still waiting for it."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.upload is not None and not stream.upload.received:
            self._outbox.head(stream_id, self._outbox.encoder.informational(100), 0)

    def send_interim(self, stream_id: int, status: int, headers: Headers) -> None:
        """Queue an interim response, as in ``Engine``; one larger than the client takes is left out."""
        wire.check_interim(status)
        for field in headers:
            wire.check_header(*field)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if stream.reply is not None:
            raise RuntimeError("the reply was already begun")
        if self._peer_takes < 0 or not self._is_too_large(headers):
            self._outbox.head(stream_id, self._outbox.encoder.informational(status, headers), 0)

    def send_response(self, stream_id: int, status: int, headers: Headers, body: bytes) -> None:
        """Queue a whole reply; a stream that is gone swallows it."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        size = len(body)
        outbox = self._outbox
        head = self._head(stream, status, headers)
        if head is None:
            return
        method = stream.message.method
        # Asked first what most replies are not: a call costs as much as the rest of this.
        bodiless = (status in BODILESS or method in SPECIAL) and is_bodiless(method, status)
        block = self._block_of(head, announced_length(method, status, head.length, size) if bodiless else size)
        if bodiless or not size:
            outbox.head(stream_id, block, END_STREAM)
            self._done(stream)
        else:
            outbox.head(stream_id, block, 0)
            if outbox.whole_body(stream, body):
                self._done(stream)

    def send_headers(self, stream_id: int, status: int, headers: Headers, length: int | None) -> None:
        """Queue the head of a reply whose body follows in chunks, *length* bytes in all if known."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        head = self._head(stream, status, headers)
        if head is None:
            return
        if stream.message.protocol and status < 300:
            # Neither length nor END_STREAM: octets in both directions (RFC 8441 5, RFC 9110 8.6).
            self._outbox.head(stream_id, self._block_of(head, -1), 0)
            stream.reply = Reply(-1)
            stream.tunnel = True
            return
        # A length of the handler's own is not sent: if it were wrong, the reply would be malformed (RFC 9113 8.1.1).
        size = -1 if length is None else length
        method = stream.message.method
        if is_bodiless(method, status):
            size = announced_length(method, status, head.length, size)
            self._outbox.head(stream_id, self._block_of(head, size), END_STREAM)
            self._done(stream)
            return
        self._outbox.head(stream_id, self._block_of(head, size), 0)
        stream.reply = Reply(size)

    def _head(self, stream: Stream, status: int, headers: Headers) -> ReplyHead | None:
        """Return the rendered head; None where a plain 500 took its place."""
        if stream.reply is not None:
            raise RuntimeError("the reply was already begun")
        # An interim reply cannot end a stream (RFC 9113 8.1); and a head beyond what the client
        # announced to take makes many close the connection.
        if not 200 <= status <= 999 or (self._peer_takes >= 0 and self._is_too_large(headers)):
            self.send_response(stream.stream_id, 500, (), b"")
            return None
        if status == 304:
            headers = wire.for_not_modified(headers)
        return self._outbox.encoder.head(status, tuple(headers))

    def _is_too_large(self, headers: Headers) -> bool:
        return bool(headers) and list_size(headers) > self._peer_takes

    def _block_of(self, head: ReplyHead, length: int) -> bytes:
        encoder = self._outbox.encoder
        block = head.block if head.dated else head.block + encoder.date()
        return block + encoder.content_length(length) if length >= 0 else block

    def _done(self, stream: Stream) -> None:
        """The reply is out."""
        if stream.tunnel and stream.upload is not None:  # the peer's half is open
            return
        stream_id = stream.stream_id
        self._resets.left += 1
        self._chatter.left += h2_budget.CHATTER_PER_REPLY
        upload = stream.upload
        if upload is not None:
            self._end_upload(stream)
            self._linger(stream_id, upload)
        if stream.kept:
            self._bodies.release(stream)
        del self._streams[stream_id]
        if self._closing and not self._streams:
            self._end()

    def send_chunk(self, stream_id: int, data: bytes) -> None:
        """Queue a piece of body; one beyond the announced length resets the stream."""
        stream = self._streams.get(stream_id)
        if stream is None or not data:
            return
        reply = self._open_reply(stream)
        if reply.left >= 0:
            reply.left -= len(data)
            if reply.left < 0:
                self.abort(stream_id)
                return
        self._outbox.add(stream, reply, data)

    def end_stream(self, stream_id: int, trailers: Headers = ()) -> None:
        """End a reply begun by ``send_headers``; one shorter than announced resets the stream."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        reply = self._open_reply(stream)
        if reply.left > 0:
            self.abort(stream_id)
        elif self._outbox.end(stream, reply, () if stream.tunnel else trailers):
            self._done(stream)

    @staticmethod
    def _open_reply(stream: Stream) -> Reply:
        reply = stream.reply
        if reply is None or reply.ended:
            raise RuntimeError("no reply is open on this stream")
        return reply

    def refuse(self, refusal: Refusal) -> None:
        """Queue the answer to a refusal; on stream 0 it ends the connection."""
        stream = self._streams.get(refusal.stream_id)
        if stream is None:
            if refusal.status and not refusal.stream_id:
                self.close()
                self.should_close = True
        elif stream.reply is not None:
            self.abort(refusal.stream_id)
        elif refusal.status:
            fields = [field for field in refusal.fields if field[0] != b"content-type"]
            self.send_response(refusal.stream_id, refusal.status, fields, b"")

    def abort(self, stream_id: int) -> None:
        """A begun reply cannot be completed: reset the stream, a tunnel as if by TCP (RFC 8441 5)."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._reset_stream(stream_id, ErrorCodes.CANCEL if stream.tunnel else ErrorCodes.INTERNAL_ERROR)

    # ---- sending

    def backlog(self, stream_id: int) -> int:
        """Bytes of this reply held back by flow control, or waiting for their turn."""
        stream = self._streams.get(stream_id)
        return stream.reply.size if stream is not None and stream.reply is not None else 0

    @property
    def held(self) -> int:
        """Bytes of all replies held back."""
        return self._outbox.held

    @property
    def requests(self) -> int:
        """The highest stream the peer opened, -1 while one is open."""
        return -1 if self._streams else self._history.last

    @property
    def can_send(self) -> bool:
        """Whether ``data_to_send`` with a limit left something that could go out at once."""
        return self._outbox.can_send

    def pieces_to_send(self) -> list[bytes]:
        """Everything queued, once."""
        return [self.data_to_send()]

    def data_to_send(self, limit: int = _ALL) -> bytes:
        """Everything queued, joined, once; of bodies held back about *limit* bytes, in turns."""
        outbox = self._outbox
        if self._fed or self._bodies.withholds:
            self._credit_fed()
        if outbox.can_send:
            before = outbox.carried
            for stream in outbox.pump(limit):
                self._done(stream)
            self._chatter.left += (outbox.carried - before) // h2_budget.CHATTER_PER_BYTES
        parts = outbox.parts
        if not parts:
            return b""
        data = b"".join(parts)
        parts.clear()
        return data

    def _credit_fed(self) -> None:
        """Give credit for bodies that nobody streams; who does is known only by now."""
        bodies, streams = self._bodies, self._streams.values()
        fed = self._fed
        if bodies.withholds:
            bodies.withholds = False
            fed = [stream for stream in streams if stream.upload is not None and stream.upload.owed]
        for stream in bodies.with_credit(fed, streams):
            if stream.upload is not None:
                self._give_credit(stream.stream_id, stream.upload, stream.upload.owed)
        self._fed.clear()

    def close(self) -> None:
        """No new requests; when the replies in flight are done, GOAWAY and close (RFC 9113 6.8).

        Not earlier: clients built on h2 read nothing behind a GOAWAY and would lose those replies.
        Requests that come meanwhile are refused one by one, which says that they may be repeated.
        """
        if self._closing or self._deaf:
            return
        self._closing = True
        self._farewell = ErrorCodes.NO_ERROR
        self.linger = bool(self._lingering)
        if not self._streams:
            self._end()

    def terminate(self) -> bool:
        """Give up the replies in flight, and say which requests were processed (RFC 9113 6.8)."""
        if not self._deaf:
            self.close()
            for stream_id in tuple(self._streams):
                self._reset_stream(stream_id, ErrorCodes.CANCEL)
            self._go_deaf()
        return True

    def lost(self) -> None:
        """The connection is gone: give back what was held on the server's account."""
        for stream in tuple(self._streams.values()):
            self._bodies.release(stream)
