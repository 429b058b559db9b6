"""The HTTP/2 engine (RFC 9113): frames to events, replies to frames.

Strategy: settings, error codes and their rules are those of `h2`, tables and Huffman code those of
`hpack`. The connection itself is not that of `h2`, which keeps over-long frames whole, has no budgets against floods,
and takes seventeen times as long for one exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from h2.errors import ErrorCodes

from qhttpserver_py._protocol import wire
from qhttpserver_py._protocol.engine import (
    BodyLimit,
    EngineState,
    Event,
    Headers,
    Limits,
    Message,
    Refusal,
    Reset,
    Waits,
)
from qhttpserver_py._protocol.http2.budget import CHATTER_PER_BYTES
from qhttpserver_py._protocol.http2.content import BODILESS, SPECIAL, announced_length, is_bodiless
from qhttpserver_py._protocol.http2.control import ControlFrames
from qhttpserver_py._protocol.http2.frames import END_STREAM, MAX_STREAM_ID, ConnectionFault, goaway
from qhttpserver_py._protocol.http2.hpack_encoder import HeaderEncoder, ReplyHead, list_size
from qhttpserver_py._protocol.http2.outbox import Outbox
from qhttpserver_py._protocol.http2.receiver import Flood, Receiver
from qhttpserver_py._protocol.http2.settings import Http2Settings
from qhttpserver_py._protocol.http2.stream import Reply, Stream
from qhttpserver_py._protocol.http2.streams import Streams
from qhttpserver_py._protocol.http2.waiting import Waiting

_ALL = 1 << 62


class Http2Engine:
    """One HTTP/2 connection, from its preface to its GOAWAY."""

    __slots__ = ("_control", "_handed_out", "_ignores_input", "_outbox", "_receiver", "_streams", "state", "waits")

    interleaves = True

    def __init__(self, limits: Limits, settings: Http2Settings, clock: Callable[[], float] = monotonic) -> None:
        self.state = EngineState(partial=1)
        self._outbox = outbox = Outbox(HeaderEncoder(settings.huffman))
        self._streams = streams = Streams(self.state, settings, outbox, limits.pool, clock)
        self._control = ControlFrames(streams)
        self._receiver = Receiver(limits, settings, streams, self._control, clock)
        self.waits: Waits = Waiting(streams.open, outbox, streams.bodies)
        self._ignores_input = False  # whether all input is ignored
        self._handed_out = 0  # the highest stream whose message was returned
        outbox.parts.append(settings.frames(limits.header_size))

    @property
    def body_limit(self) -> BodyLimit:
        """See ``Engine``."""
        return self._receiver.body_limit

    @body_limit.setter
    def body_limit(self, limit: BodyLimit) -> None:
        self._receiver.body_limit = limit

    # ---- receiving

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes from the peer; return what they complete, as in ``Engine``."""
        if self._ignores_input:
            return []
        self._streams.batch += 1
        events: list[Event] = []
        self._streams.events = events
        try:
            cut = self._receiver.receive(data)
        except ConnectionFault as fault:
            return self._fail_connection(fault)
        except Flood as flood:
            return self._stop_listening(flood)
        if self._streams.window * 2 <= self._streams.window_goal:
            self._streams.give_connection_credit()
        self._handed_out = self._streams.processed
        if self._streams.history.last == MAX_STREAM_ID:  # the client cannot open another: let it reconnect
            self.close()
        self.state.partial = self._receiver.how_partial(cut)
        return events

    def _fail_connection(self, fault: ConnectionFault) -> list[Event]:
        """Send GOAWAY and forget all streams, because the peer broke a rule for the connection (RFC 9113 5.4.1)."""
        # Messages of this batch are not returned, so the client may repeat them elsewhere.
        events: list[Event] = [Reset(stream.stream_id) for stream in self._streams.open.values() if self._known(stream)]
        events.append(Refusal(0, 0, fault.detail))
        for stream in tuple(self._streams.open.values()):
            self._streams.drop(stream.stream_id)
        self._outbox.parts.append(goaway(self._handed_out, fault.error_code, fault.detail))
        self.state.should_close = self.state.linger = True
        self._ignore_input()
        return events

    def _ignore_input(self) -> None:
        self._ignores_input = True
        self._receiver.stop()
        self._streams.events = []
        self._streams.fed.clear()
        self._streams.lingering.clear()
        self.state.partial = 0

    def _stop_listening(self, flood: Flood) -> list[Event]:
        """Answer what was asked completely, and close; ``linger`` lets the peer read it."""
        self._streams.goaway_code = ErrorCodes.ENHANCE_YOUR_CALM
        self.state.linger = True
        events = [*self._streams.events, Refusal(0, 0, str(flood)), *self.receive_eof()]
        self._ignore_input()
        return events

    def _known(self, stream: Stream) -> bool:
        return stream.batch != self._streams.batch

    def receive_eof(self) -> list[Event]:
        """Take no more requests and reset incomplete ones; replies in flight can still be read."""
        unfinished = [stream for stream in self._streams.open.values() if stream.upload is not None]
        self._streams.closing = True
        for stream in unfinished:
            self._streams.drop(stream.stream_id)
        if not self._streams.open:
            self._streams.end()
        self.state.partial = 0
        return [Reset(stream.stream_id) for stream in unfinished]

    def rest(self) -> None:
        """See ``Engine``."""
        self._receiver.heads.forget()

    def consumed(self, stream_id: int, size: int) -> None:
        """*size* bytes of a streaming message's pieces were used up: the peer may send more."""
        stream = self._streams.open.get(stream_id)
        if stream is not None and stream.upload is not None:
            self._streams.give_credit(stream_id, stream.upload, min(size, stream.upload.owed))

    def unfinished(self) -> list[Message]:
        """Return the requests whose bodies are still awaited."""
        uploads = [(stream.message, stream.upload) for stream in self._streams.open.values()]
        return [message for message, upload in uploads if upload is not None and not (upload.discards or upload.tunnel)]

    # ---- replying

    def send_continue(self, stream_id: int) -> None:
        """Queue ``100 Continue``, if the peer is still waiting for it."""
        stream = self._streams.open.get(stream_id)
        if stream is not None and stream.upload is not None and not stream.upload.received:
            self._outbox.head(stream_id, self._outbox.encoder.informational(100), 0)

    def send_interim(self, stream_id: int, status: int, headers: Headers) -> None:
        """Queue an interim response, as in ``Engine``; one larger than the client takes is left out."""
        wire.check_interim(status)
        for field in headers:
            wire.check_header(*field)
        stream = self._streams.open.get(stream_id)
        if stream is None:
            return
        if stream.reply is not None:
            raise RuntimeError("the reply was already begun")
        if self._control.peer_takes < 0 or not self._is_too_large(headers):
            self._outbox.head(stream_id, self._outbox.encoder.informational(status, headers), 0)

    def send_response(self, stream_id: int, status: int, headers: Headers, body: bytes) -> None:
        """Queue a whole reply; nothing where the stream is closed."""
        stream = self._streams.open.get(stream_id)
        if stream is None:
            return
        size = len(body)
        outbox = self._outbox
        head = self._head(stream, status, headers)
        if head is None:
            return
        method = stream.message.method
        # The tests that fail for most replies come first: the call costs as much as the rest of this.
        bodiless = (status in BODILESS or method in SPECIAL) and is_bodiless(method, status)
        block = self._block_of(head, announced_length(method, status, head.length, size) if bodiless else size)
        if bodiless or not size:
            outbox.head(stream_id, block, END_STREAM)
            self._streams.done(stream)
        else:
            outbox.head(stream_id, block, 0)
            if outbox.whole_body(stream, body):
                self._streams.done(stream)

    def send_headers(self, stream_id: int, status: int, headers: Headers, length: int | None) -> None:
        """Queue the head of a reply whose body follows in chunks, *length* bytes in all if known."""
        stream = self._streams.open.get(stream_id)
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
            self._streams.done(stream)
            return
        self._outbox.head(stream_id, self._block_of(head, size), 0)
        stream.reply = Reply(size)

    def _head(self, stream: Stream, status: int, headers: Headers) -> ReplyHead | None:
        """Return the rendered head; None where a plain 500 was sent instead."""
        if stream.reply is not None:
            raise RuntimeError("the reply was already begun")
        # An interim reply cannot end a stream (RFC 9113 8.1); and a head beyond what the client
        # announced to take makes many close the connection.
        if not 200 <= status <= 999 or (self._control.peer_takes >= 0 and self._is_too_large(headers)):
            self.send_response(stream.stream_id, 500, (), b"")
            return None
        if status == 304:
            headers = wire.for_not_modified(headers)
        return self._outbox.encoder.head(status, tuple(headers))

    def _is_too_large(self, headers: Headers) -> bool:
        return bool(headers) and list_size(headers) > self._control.peer_takes

    def _block_of(self, head: ReplyHead, length: int) -> bytes:
        encoder = self._outbox.encoder
        block = head.block if head.dated else head.block + encoder.date()
        return block + encoder.content_length(length) if length >= 0 else block

    def send_chunk(self, stream_id: int, data: bytes) -> None:
        """Queue a piece of body; one beyond the announced length resets the stream."""
        stream = self._streams.open.get(stream_id)
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
        stream = self._streams.open.get(stream_id)
        if stream is None:
            return
        reply = self._open_reply(stream)
        if reply.left > 0:
            self.abort(stream_id)
        elif self._outbox.end(stream, reply, () if stream.tunnel else trailers):
            self._streams.done(stream)

    @staticmethod
    def _open_reply(stream: Stream) -> Reply:
        reply = stream.reply
        if reply is None or reply.ended:
            raise RuntimeError("no reply is open on this stream")
        return reply

    def refuse(self, refusal: Refusal) -> None:
        """Queue the answer to a refusal; on stream 0 it ends the connection."""
        stream = self._streams.open.get(refusal.stream_id)
        if stream is None:
            if refusal.status and not refusal.stream_id:
                self.close()
                self.state.should_close = True
        elif stream.reply is not None:
            self.abort(refusal.stream_id)
        elif refusal.status:
            fields = [field for field in refusal.fields if field[0] != b"content-type"]
            self.send_response(refusal.stream_id, refusal.status, fields, b"")

    def abort(self, stream_id: int) -> None:
        """Reset a stream whose reply cannot be completed; a tunnel as if by TCP (RFC 8441 5)."""
        stream = self._streams.open.get(stream_id)
        if stream is not None:
            self._streams.reset(stream_id, ErrorCodes.CANCEL if stream.tunnel else ErrorCodes.INTERNAL_ERROR)

    # ---- sending

    def backlog(self, stream_id: int) -> int:
        """Return the bytes of this reply that flow control holds back, or that wait for their turn."""
        stream = self._streams.open.get(stream_id)
        return stream.reply.size if stream is not None and stream.reply is not None else 0

    @property
    def held(self) -> int:
        """Bytes of all replies held back."""
        return self._outbox.held

    @property
    def requests(self) -> int:
        """The highest stream the peer opened, -1 while one is open."""
        return -1 if self._streams.open else self._streams.history.last

    @property
    def can_send(self) -> bool:
        """Whether ``data_to_send`` with a limit left something that could go out at once."""
        return self._outbox.can_send

    def pieces_to_send(self) -> list[bytes]:
        """Return everything queued, once."""
        return [self.data_to_send()]

    def data_to_send(self, limit: int = _ALL) -> bytes:
        """Return everything queued, joined, once; of bodies held back about *limit* bytes, in turns."""
        outbox = self._outbox
        if self._streams.fed or self._streams.bodies.withholds:
            self._streams.credit_fed()
        if outbox.can_send:
            before = outbox.carried
            for stream in outbox.pump(limit):
                self._streams.done(stream)
            self._streams.chatter.left += (outbox.carried - before) // CHATTER_PER_BYTES
        parts = outbox.parts
        if not parts:
            return b""
        data = b"".join(parts)
        parts.clear()
        return data

    def close(self) -> None:
        """Take no new requests; when the replies in flight are done, send GOAWAY and close (RFC 9113 6.8).

        GOAWAY is not sent earlier, because clients built on h2 read nothing behind it and would lose those replies.
        Requests that come meanwhile are refused one by one, by which the client knows that it may repeat them.
        """
        if self._streams.closing or self._ignores_input:
            return
        self._streams.closing = True
        self._streams.goaway_code = ErrorCodes.NO_ERROR
        self.state.linger = bool(self._streams.lingering)
        if not self._streams.open:
            self._streams.end()

    def terminate(self) -> bool:
        """Give up the replies in flight, and say which requests were processed (RFC 9113 6.8)."""
        if not self._ignores_input:
            self.close()
            for stream_id in tuple(self._streams.open):
                self._streams.reset(stream_id, ErrorCodes.CANCEL)
            self._ignore_input()
        return True

    def lost(self) -> None:
        """Release what counts against the server's limits: the connection is closed."""
        for stream in tuple(self._streams.open.values()):
            self._streams.bodies.release(stream)
