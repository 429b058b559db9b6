"""The receiving half of an HTTP/2 connection: frames in, events out (RFC 9113 4.3, 6.1, 6.2, 8.1).

Strategy: one method per frame type; requests and their bodies here, the rest in ``control``.
"""

from __future__ import annotations

from collections.abc import Callable

from h2.errors import ErrorCodes

from qhttpserver_py._protocol.engine import BodyLimit, Limits, Message
from qhttpserver_py._protocol.http2 import budget as h2_budget
from qhttpserver_py._protocol.http2.budget import Budget
from qhttpserver_py._protocol.http2.control import CONTROL, ControlFrames
from qhttpserver_py._protocol.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    MAX_STREAM_ID,
    PADDED,
    PRIORITIZED,
    SETTINGS,
    ConnectionFault,
    FrameReader,
    unpad,
)
from qhttpserver_py._protocol.http2.heads import Head, HeadReader, check_trailers
from qhttpserver_py._protocol.http2.settings import Http2Settings
from qhttpserver_py._protocol.http2.stream import Block, Stream, Upload
from qhttpserver_py._protocol.http2.streams import Streams

MIN_LARGEST_LIST = 262144
"""Header lists up to this size, or four times the limit, are decoded so as to be refused politely."""


class Flood(Exception):  # noqa: N818 - named for what happened
    """The peer goes on sending what is refused: no more input is taken, but requests that came before are answered."""


class Receiver:
    """The part of ``Http2Engine`` that turns a client's frames into events."""

    __slots__ = (
        "_block",
        "_control",
        "_has_settings",
        "_largest_block",
        "_limits",
        "_max_streams",
        "_reader",
        "_refusals",
        "_special",
        "_streams",
        "body_limit",
        "heads",
    )

    body_limit: BodyLimit

    def __init__(
        self,
        limits: Limits,
        settings: Http2Settings,
        streams: Streams,
        control: ControlFrames,
        clock: Callable[[], float],
    ) -> None:
        largest = max(MIN_LARGEST_LIST, 4 * limits.header_size)
        self._limits = limits
        self._streams = streams
        self._control = control
        self._reader = FrameReader(settings.max_frame_size)
        self.heads = HeadReader(largest, scheme=settings.scheme, tunnels=settings.tunnels)
        self._largest_block = largest
        self._max_streams = settings.max_concurrent_streams
        self._block: Block | None = None
        self._special = True  # the next frame must be of a certain type
        self._has_settings = False  # the client's first SETTINGS came
        self._refusals = Budget("refused streams", h2_budget.REFUSAL_BURST, h2_budget.REFUSAL_RATE, clock)
        self.body_limit = lambda _message: limits.body_size

    def receive(self, data: bytes) -> bool:
        """Handle the frames that *data* completes; return whether there were any.

        Raises ConnectionFault for what ends the connection, Flood for what ends its input.
        """
        frames = self._reader.feed(data)
        for kind, flags, stream_id, payload in frames:
            if self._special:
                self._check_turn(kind, flags, stream_id)
            if kind == HEADERS:
                self._on_headers(flags, stream_id, payload)
            elif kind == DATA:
                self._on_data(flags, stream_id, payload)
            elif kind in CONTROL:
                CONTROL[kind](self._control, flags, stream_id, payload)
            elif kind == CONTINUATION:
                self._on_continuation(flags, stream_id, payload)
            else:
                self._streams.chatter.spend()
        if self._reader.fault is not None:
            raise self._reader.fault
        return bool(frames)

    def how_partial(self, cut: bool) -> int:
        """Return what is incomplete, as in ``EngineState.partial``; *cut*: the last read completed a frame."""
        if self._block is not None or not self._has_settings:
            return 1
        if self._streams.uploads:
            return 2
        # Where the read completed a frame, the peer is sending; a frame that is cut by the read is not yet late.
        return 1 if self._reader.holds and not cut else 0

    def stop(self) -> None:
        """Forget what is incomplete: nothing more is taken."""
        self._reader = FrameReader(0)
        self._block = None

    def _check_turn(self, kind: int, flags: int, stream_id: int) -> None:
        """Check that SETTINGS come first (RFC 9113 3.4), and nothing between the parts of a header block (4.3)."""
        if not self._has_settings:
            if kind != SETTINGS or flags & ACK:
                raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._has_settings = True
            self._special = False
        elif kind != CONTINUATION or self._block is None or stream_id != self._block.stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "a header block was interrupted")

    # ---- HEADERS, CONTINUATION

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        depends_on_itself = False
        if flags & (PADDED | PRIORITIZED):
            payload = unpad(flags, payload)
            if flags & PRIORITIZED:
                if len(payload) < 5:
                    raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "no room for the priority")
                depends_on_itself = int.from_bytes(payload[:4], "big") & MAX_STREAM_ID == stream_id
                payload = payload[5:]
        if flags & END_HEADERS:
            self._on_block(stream_id, bool(flags & END_STREAM), payload, depends_on_itself)
        elif not stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "HEADERS on stream 0")
        else:
            self._block = Block(stream_id, bool(flags & END_STREAM), depends_on_itself, payload)
            self._special = True

    def _on_continuation(self, flags: int, _stream_id: int, payload: bytes) -> None:
        block = self._block
        if block is None:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "CONTINUATION of nothing")
        block.continuations += 1
        block.data += payload
        if len(block.data) > self._largest_block or block.continuations > h2_budget.MAX_CONTINUATIONS:
            raise ConnectionFault(ErrorCodes.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & END_HEADERS:
            self._block = None
            self._special = False
            self._on_block(block.stream_id, block.ended, block.data, block.depends_on_itself)

    def _on_block(self, stream_id: int, ended: bool, block: bytes, depends_on_itself: bool) -> None:
        history = self._streams.history
        if stream_id <= history.last:
            self._on_late_block(stream_id, ended, block)
            return
        if not stream_id & 1:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "a stream that a client cannot open")
        head = self.heads.request(block)
        history.opened(stream_id)
        if self._streams.closing or len(self._streams.open) >= self._max_streams:
            if not self._refusals.take():
                raise Flood(self._refusals.fault().detail)
            self._streams.reset(stream_id, ErrorCodes.REFUSED_STREAM)
        elif depends_on_itself:
            self._streams.fail(stream_id, ErrorCodes.PROTOCOL_ERROR, "a stream that depends on itself")
        elif head.fault or (ended and head.length > 0):
            self._streams.fail(stream_id, ErrorCodes.PROTOCOL_ERROR, head.fault or "no content for the content-length")
        else:
            self._open(stream_id, ended, head)

    def _open(self, stream_id: int, ended: bool, head: Head) -> None:
        message = Message(stream_id, head.method, head.target, 20, head.fields)
        message.scheme = head.scheme
        message.authority = head.authority
        message.protocol = head.protocol
        stream = Stream(stream_id, self._streams.outbox.initial_window, message, self._streams.batch)
        self._streams.open[stream_id] = stream
        self._streams.processed = stream_id
        status = head.excess(self._limits)
        if ended:
            message.complete = True
            model = head.model
            if model is not None:
                message.path = model.path
                message.route = model.route
            head.model = message
        else:
            status = self._begin_upload(stream, head, status)
        if status:
            self._streams.refuse_early(stream, status, "a request beyond the limits")
        else:
            self._streams.events.append(message)

    def _begin_upload(self, stream: Stream, head: Head, status: int) -> int:
        """Expect a body; return the status to refuse it with, or 0."""
        message = stream.message
        message.expects_continue = head.expects_continue
        tunnel = bool(head.protocol)
        limit = -1 if status or tunnel else self.body_limit(message)
        stream.upload = Upload(self._streams.stream_window, head.length, limit)
        stream.upload.batch = self._streams.batch
        stream.upload.tunnel = tunnel
        self._streams.uploads += not tunnel
        if message.method == "CONNECT" and not tunnel:  # what follows is discarded (RFC 9113 8.5)
            stream.upload.discards = message.complete = True
        return 413 if head.length > limit >= 0 else status

    def _on_late_block(self, stream_id: int, ended: bool, block: bytes) -> None:
        """Take trailers; refuse HEADERS where none may come (RFC 9113 5.1)."""
        if not stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "HEADERS on stream 0")
        stream = self._streams.open.get(stream_id)
        if stream is None:
            if stream_id in self._streams.lingering:
                self._streams.end_lingering(stream_id)
            else:
                self._streams.history.check_late_headers(stream_id)
            self.heads.fields(block)  # decoded only because the table has to stay right
            return
        fields = self.heads.fields(block)
        upload = stream.upload
        if upload is None:
            self._streams.fail(stream_id, ErrorCodes.STREAM_CLOSED, "HEADERS behind the end of the request")
            return
        if upload.tunnel and not upload.discards:
            self._streams.fail(stream_id, ErrorCodes.PROTOCOL_ERROR, "HEADERS inside a tunnel")
            return
        head = check_trailers(fields)
        if not ended or head.fault:
            self._streams.fail(stream_id, ErrorCodes.PROTOCOL_ERROR, head.fault or "trailers without END_STREAM")
        elif not upload.discards and head.excess(self._limits):
            self._streams.refuse_early(stream, 431, "trailers beyond the limits")
            self._streams.end_upload(stream)
        else:
            stream.message.trailers = fields
            self._complete(stream, upload)

    # ---- DATA

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._streams.window -= size
        if self._streams.window < 0:
            raise ConnectionFault(ErrorCodes.FLOW_CONTROL_ERROR, "more DATA than the connection's window")
        stream = self._streams.open.get(stream_id)
        if stream is None:
            self._drain(stream_id, size, bool(flags & END_STREAM))
            return
        upload = stream.upload
        if upload is None:
            self._streams.fail(stream_id, ErrorCodes.STREAM_CLOSED, "DATA behind the end of the request")
            return
        upload.window -= size
        if size and upload.window < self._streams.stream_floor:
            self._streams.fail(stream_id, ErrorCodes.FLOW_CONTROL_ERROR, "more DATA than the stream's window")
            return
        if flags & PADDED:
            payload = unpad(flags, payload)
        upload.owed += len(payload)  # padding counts as consumed at once
        if not payload and not flags & END_STREAM:
            self._streams.chatter.spend()
        self._take_body(stream, upload, payload, bool(flags & END_STREAM))

    def _drain(self, stream_id: int, size: int, ended: bool) -> None:
        """Discard DATA that comes behind the reply."""
        upload = self._streams.lingering.get(stream_id)
        if upload is None:
            self._streams.history.check_late_data(stream_id, size)
            return
        upload.window -= size
        upload.received += size
        if not size:
            self._streams.chatter.spend()
        if ended:
            del self._streams.lingering[stream_id]
        elif upload.window < self._streams.stream_floor:
            self._streams.end_lingering(stream_id, ErrorCodes.FLOW_CONTROL_ERROR)
        elif upload.received > h2_budget.LINGER_SIZE:
            self._streams.end_lingering(stream_id)
        else:
            self._streams.give_credit(stream_id, upload, 0)

    def _take_body(self, stream: Stream, upload: Upload, content: bytes, ended: bool) -> None:
        upload.received += len(content)
        if upload.received > upload.expected >= 0:
            self._streams.fail(stream.stream_id, ErrorCodes.PROTOCOL_ERROR, "more DATA than the content-length")
        elif upload.discards:
            if ended:
                self._streams.end_upload(stream)
        elif upload.received > upload.limit >= 0:
            self._streams.refuse_early(stream, 413, "a body beyond the limit")
            if ended:
                self._streams.end_upload(stream)
        else:
            self._streams.chatter.left += len(content) // h2_budget.CHATTER_PER_BYTES
            self._streams.bodies.keep(stream, upload, content, first=upload.batch == self._streams.batch)
            if ended:
                self._complete(stream, upload)
            else:
                self._progress(stream, upload)

    def _progress(self, stream: Stream, upload: Upload) -> None:
        self._streams.fed.append(stream)
        if stream.message.streaming:
            self._streams.report(stream, upload)

    def _complete(self, stream: Stream, upload: Upload) -> None:
        if upload.discards:
            self._streams.end_upload(stream)
            return
        if upload.received != upload.expected >= 0:
            self._streams.fail(stream.stream_id, ErrorCodes.PROTOCOL_ERROR, "less DATA than the content-length")
            return
        self._streams.bodies.complete(stream, upload)
        self._streams.end_upload(stream)
        self._streams.report(stream, upload)
        reply = stream.reply
        # our half of the tunnel ended before
        if stream.tunnel and reply is not None and reply.ended and not reply.pieces:
            self._streams.done(stream)
