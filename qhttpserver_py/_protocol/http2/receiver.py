"""The receiving half of an HTTP/2 connection: frames in, events out (RFC 9113 4.3, 6.1, 6.2, 8.1).

Strategy: one method per frame type, found by index; requests and their bodies here, the
rest in ``control``.
"""

from __future__ import annotations

from collections.abc import Callable

from h2.errors import ErrorCodes

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._protocol.http2 import budget as h2_budget
from qhttpserver_py._protocol.http2.control import Control
from qhttpserver_py._protocol.http2.frames import (
    ACK,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    MAX_STREAM_ID,
    PADDED,
    PRIORITIZED,
    SETTINGS,
    ConnectionFault,
    unpad,
    window_update,
)
from qhttpserver_py._protocol.http2.heads import Head, check_trailers
from qhttpserver_py._protocol.http2.stream import Block, Stream, Upload


class Flood(Exception):  # noqa: N818 - named for what happened
    """The peer sends on and on what is refused: nothing more is taken from it, but it gets what it asked for before."""


class Receiving(Control):
    """Turns a client's frames into events."""

    __slots__ = ()

    def _receive(self, data: bytes) -> bool:
        """Handle the frames that *data* completes, if any; raise ConnectionFault for what ends it all."""
        frames = self._reader.feed(data)
        for kind, flags, stream_id, payload in frames:
            if self._special:
                self._check_turn(kind, flags, stream_id)
            if kind < len(_HANDLERS):
                _HANDLERS[kind](self, flags, stream_id, payload)
            else:
                self._chatter.spend()
        if self._reader.fault is not None:
            raise self._reader.fault
        return bool(frames)

    def _check_turn(self, kind: int, flags: int, stream_id: int) -> None:
        """RFC 9113 3.4: SETTINGS come first. 4.3: nothing comes between parts of a header block."""
        if not self._greeted:
            if kind != SETTINGS or flags & ACK:
                raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._greeted = True
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
        history = self._history
        if stream_id <= history.last:
            self._on_late_block(stream_id, ended, block)
            return
        if not stream_id & 1:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "a stream that a client cannot open")
        head = self._heads.request(block)
        history.opened(stream_id)
        if self._closing or len(self._streams) >= self._max_streams:
            if not self._refusals.take():
                raise Flood(self._refusals.fault().detail)
            self._reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
        elif depends_on_itself:
            self._fail(stream_id, ErrorCodes.PROTOCOL_ERROR, "a stream that depends on itself")
        elif head.fault or (ended and head.length > 0):
            self._fail(stream_id, ErrorCodes.PROTOCOL_ERROR, head.fault or "no content for the content-length")
        else:
            self._open(stream_id, ended, head)

    def _open(self, stream_id: int, ended: bool, head: Head) -> None:
        message = Message(stream_id, head.method, head.target, 20, head.fields)
        message.scheme = head.scheme
        message.authority = head.authority
        message.protocol = head.protocol
        stream = Stream(stream_id, self._outbox.initial_window, message, self._batch)
        self._streams[stream_id] = stream
        self._processed = stream_id
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
            self._refuse_early(stream, status, "a request beyond the limits")
        else:
            self._events.append(message)

    def _begin_upload(self, stream: Stream, head: Head, status: int) -> int:
        """Expect a body; return the status to refuse it with, or 0."""
        message = stream.message
        message.expects_continue = head.expects_continue
        tunnel = bool(head.protocol)
        limit = -1 if status or tunnel else self.body_limit(message)
        stream.upload = Upload(self._stream_window, head.length, limit)
        stream.upload.batch = self._batch
        stream.upload.tunnel = tunnel
        self._uploads += not tunnel
        if message.method == "CONNECT" and not tunnel:  # nobody takes what follows (RFC 9113 8.5)
            stream.upload.discards = message.complete = True
        return 413 if head.length > limit >= 0 else status

    def _on_late_block(self, stream_id: int, ended: bool, block: bytes) -> None:
        """Trailers, or HEADERS where none may come (RFC 9113 5.1)."""
        if not stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "HEADERS on stream 0")
        stream = self._streams.get(stream_id)
        if stream is None:
            if stream_id in self._lingering:
                self._end_lingering(stream_id)
            else:
                self._history.check_late_headers(stream_id)
            self._heads.fields(block)  # nobody reads them, but the table has to stay right
            return
        fields = self._heads.fields(block)
        upload = stream.upload
        if upload is None:
            self._fail(stream_id, ErrorCodes.STREAM_CLOSED, "HEADERS behind the end of the request")
            return
        if upload.tunnel and not upload.discards:
            self._fail(stream_id, ErrorCodes.PROTOCOL_ERROR, "HEADERS inside a tunnel")
            return
        head = check_trailers(fields)
        if not ended or head.fault:
            self._fail(stream_id, ErrorCodes.PROTOCOL_ERROR, head.fault or "trailers without END_STREAM")
        elif not upload.discards and head.excess(self._limits):
            self._refuse_early(stream, 431, "trailers beyond the limits")
            self._end_upload(stream)
        else:
            stream.message.trailers = fields
            self._complete(stream, upload)

    # ---- DATA

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._window -= size
        if self._window < 0:
            raise ConnectionFault(ErrorCodes.FLOW_CONTROL_ERROR, "more DATA than the connection's window")
        stream = self._streams.get(stream_id)
        if stream is None:
            self._drain(stream_id, size, bool(flags & END_STREAM))
            return
        upload = stream.upload
        if upload is None:
            self._fail(stream_id, ErrorCodes.STREAM_CLOSED, "DATA behind the end of the request")
            return
        upload.window -= size
        if size and upload.window < self._stream_floor:
            self._fail(stream_id, ErrorCodes.FLOW_CONTROL_ERROR, "more DATA than the stream's window")
            return
        if flags & PADDED:
            payload = unpad(flags, payload)
        upload.owed += len(payload)  # padding is used up as it comes
        if not payload and not flags & END_STREAM:
            self._chatter.spend()
        self._take_body(stream, upload, payload, bool(flags & END_STREAM))

    def _drain(self, stream_id: int, size: int, ended: bool) -> None:
        """Throw away what comes behind the reply."""
        upload = self._lingering.get(stream_id)
        if upload is None:
            self._history.check_late_data(stream_id, size)
            return
        upload.window -= size
        upload.received += size
        if not size:
            self._chatter.spend()
        if ended:
            del self._lingering[stream_id]
        elif upload.window < self._stream_floor:
            self._end_lingering(stream_id, ErrorCodes.FLOW_CONTROL_ERROR)
        elif upload.received > h2_budget.LINGER_SIZE:
            self._end_lingering(stream_id)
        else:
            self._give_credit(stream_id, upload, 0)

    def _linger(self, stream_id: int, upload: Upload) -> None:
        """The reply is out, the request not yet in.

        RST_STREAM at once, which RFC 9113 8.1 allows, makes curl and httpx lose the reply; without
        it curl stops sending and waits. So it follows when the peer has read the reply and stopped.
        """
        upload.owed = upload.received = 0
        upload.expected = -1
        self._lingering[stream_id] = upload
        self._ask_has_read()
        self.linger = self.linger or self._closing
        if len(self._lingering) > h2_budget.LINGER_STREAMS:
            self._end_lingering(next(iter(self._lingering)))
        else:
            self._give_credit(stream_id, upload, 0)

    def _take_body(self, stream: Stream, upload: Upload, content: bytes, ended: bool) -> None:
        upload.received += len(content)
        if upload.received > upload.expected >= 0:
            self._fail(stream.stream_id, ErrorCodes.PROTOCOL_ERROR, "more DATA than the content-length")
        elif upload.discards:
            if ended:
                self._end_upload(stream)
        elif upload.received > upload.limit >= 0:
            self._refuse_early(stream, 413, "a body beyond the limit")
            if ended:
                self._end_upload(stream)
        else:
            self._chatter.left += len(content) // h2_budget.CHATTER_PER_BYTES
            self._bodies.keep(stream, upload, content, first=upload.batch == self._batch)
            if ended:
                self._complete(stream, upload)
            else:
                self._progress(stream, upload)

    def _progress(self, stream: Stream, upload: Upload) -> None:
        self._fed.append(stream)
        if stream.message.streaming:
            self._report(stream, upload)

    def _report(self, stream: Stream, upload: Upload) -> None:
        """Put the message among the events, once per batch."""
        if upload.batch != self._batch:
            upload.batch = self._batch
            self._events.append(stream.message)

    def _complete(self, stream: Stream, upload: Upload) -> None:
        if upload.discards:
            self._end_upload(stream)
            return
        if upload.received != upload.expected >= 0:
            self._fail(stream.stream_id, ErrorCodes.PROTOCOL_ERROR, "less DATA than the content-length")
            return
        self._bodies.complete(stream, upload)
        self._end_upload(stream)
        self._report(stream, upload)
        reply = stream.reply
        if stream.tunnel and reply is not None and reply.ended and not reply.pieces:  # our half ended before
            self._done(stream)

    def _done(self, stream: Stream) -> None:
        """See ``Http2Engine``."""
        raise NotImplementedError

    def _give_credit(self, stream_id: int, upload: Upload, size: int) -> None:
        """Count *size* bytes as used up, and tell the peer once it is worth a frame."""
        upload.owed -= size
        room = self._stream_window - upload.window - upload.owed
        if room > 0 and room * 2 >= self._stream_window:
            upload.window += room
            self._outbox.parts.append(window_update(stream_id, room))

    def _give_connection_credit(self) -> None:
        room = self._window_goal - self._window
        if room > 0 and room * 2 >= self._window_goal:
            self._window += room
            self._outbox.parts.append(window_update(0, room))


_HANDLERS: tuple[Callable[[Receiving, int, int, bytes], None], ...] = (
    Receiving._on_data,
    Receiving._on_headers,
    Receiving._on_priority,
    Receiving._on_rst_stream,
    Receiving._on_settings,
    Receiving._on_push_promise,
    Receiving._on_ping,
    Receiving._on_goaway,
    Receiving._on_window_update,
    Receiving._on_continuation,
)
