"""The state of an HTTP/2 connection, and the frames that steer it (RFC 9113 5.4, 6.3 to 6.9).

Strategy: a rule broken for the whole connection raises ConnectionFault, caught in one place;
one broken for a stream calls ``_fail``. Streams live in a dictionary while anything is open
about them; of closed ones only what tells them apart is kept.
"""

from __future__ import annotations

from collections.abc import Callable

from h2.errors import ErrorCodes
from h2.exceptions import InvalidSettingsValueError
from h2.settings import SettingCodes, Settings

from qhttpserver_py._protocol.engine import BodyLimit, Event, Limits, Message, Refusal, Reset
from qhttpserver_py._protocol.http2 import budget as h2_budget
from qhttpserver_py._protocol.http2.bodies import Bodies
from qhttpserver_py._protocol.http2.budget import Budget
from qhttpserver_py._protocol.http2.closed_streams import History
from qhttpserver_py._protocol.http2.frames import (
    ACK,
    DEFAULT_WINDOW,
    MAX_STREAM_ID,
    MAX_WINDOW,
    PING,
    SETTINGS,
    ConnectionFault,
    FrameReader,
    frame,
    goaway,
    parse_settings,
    rst_stream,
)
from qhttpserver_py._protocol.http2.heads import HeadReader
from qhttpserver_py._protocol.http2.outbox import Outbox
from qhttpserver_py._protocol.http2.stream import Block, Stream, Upload

_HAS_READ = b"has-read"  # a PING whose answer shows how far the peer has read
_QUIET_ROUNDS = 3

_KNOWN_SETTINGS = frozenset(int(code) for code in SettingCodes)


class Control:
    """Streams, windows, budgets; and every frame but HEADERS, CONTINUATION and DATA."""

    __slots__ = (
        "_asked",
        "_batch",
        "_block",
        "_bodies",
        "_chatter",
        "_closing",
        "_deaf",
        "_events",
        "_farewell",
        "_fed",
        "_greeted",
        "_heads",
        "_history",
        "_largest_block",
        "_limits",
        "_lingering",
        "_max_streams",
        "_outbox",
        "_peer_takes",
        "_processed",
        "_reader",
        "_refusals",
        "_resets",
        "_special",
        "_stream_floor",
        "_stream_window",
        "_streams",
        "_uploads",
        "_window",
        "_window_goal",
        "body_limit",
        "linger",
        "partial",
        "should_close",
    )

    body_limit: BodyLimit
    should_close: bool
    linger: bool

    def __init__(
        self,
        limits: Limits,
        outbox: Outbox,
        reader: FrameReader,
        heads: HeadReader,
        clock: Callable[[], float],
    ) -> None:
        self.partial = 1
        self._limits = limits
        self._outbox = outbox
        self._reader = reader
        self._heads = heads
        self._largest_block = 0
        self._max_streams = 100
        self._streams: dict[int, Stream] = {}
        self._lingering: dict[int, Upload] = {}  # answered while the peer is still sending
        self._asked = False  # a PING is under way that tells what the peer has read
        self._history = History()
        self._events: list[Event] = []
        self._batch = 0  # counts calls of receive_data
        self._fed: list[Stream] = []  # streams that got body since data_to_send
        self._uploads = 0  # streams whose request is incomplete
        self._block: Block | None = None
        self._special = True  # the next frame must be of a certain type
        self._greeted = False  # the client's first SETTINGS came
        self._closing = False
        self._deaf = False  # what the peer sends is not looked at any more
        self._farewell: ErrorCodes | None = None  # of the GOAWAY that is due when the last reply is out
        self._processed = 0  # the highest stream whose request was not refused
        self._peer_takes = -1  # the largest header list, as its settings count it, or -1
        self._window = DEFAULT_WINDOW  # bytes the peer may send on all streams together
        self._window_goal = DEFAULT_WINDOW
        self._stream_window = DEFAULT_WINDOW
        self._stream_floor = 0  # below this, a stream's window was overrun
        self._bodies = Bodies(limits.pool)
        self._refusals = Budget("refused streams", h2_budget.REFUSAL_BURST, h2_budget.REFUSAL_RATE, clock)
        self._resets = Budget("abandoned streams", h2_budget.RESET_BURST, h2_budget.RESET_RATE, clock)
        self._chatter = Budget("idle frames", h2_budget.CHATTER_BURST, h2_budget.CHATTER_RATE, clock)

    # ---- streams

    def _fail(self, stream_id: int, code: ErrorCodes, detail: str) -> None:
        """End a stream for the peer's fault (RFC 9113 5.4.2)."""
        self._reset_stream(stream_id, code)
        self._withdraw(stream_id)
        self._events.append(Refusal(stream_id, 0, detail))
        self._resets.spend()

    def _reset_stream(self, stream_id: int, code: ErrorCodes) -> None:
        """Send RST_STREAM, and remember that frames of the stream may still be under way."""
        self._outbox.parts.append(rst_stream(stream_id, code))
        stream = self._streams.get(stream_id)
        window = self._stream_window
        if stream is not None:
            window = stream.upload.window if stream.upload is not None else 0
            self._drop(stream_id)
        self._history.we_reset(stream_id, window - self._stream_floor)

    def _ask_has_read(self) -> None:
        """Find out when the peer has read the replies that precede its requests' end."""
        if self._lingering and not self._asked:
            self._asked = True
            self._outbox.parts.append(frame(PING, 0, 0, _HAS_READ))

    def _on_has_read(self) -> None:
        """Reset the streams whose peer, asked several times, has stopped sending."""
        self._asked = False
        for stream_id, upload in tuple(self._lingering.items()):
            # Once is not enough: a peer that waited for credit answers before it goes on.
            upload.quiet = upload.quiet + 1 if upload.received == upload.expected else 0
            upload.expected = upload.received
            if upload.quiet == _QUIET_ROUNDS:
                self._end_lingering(stream_id)
        self._ask_has_read()

    def _end_lingering(self, stream_id: int, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Ask the peer to stop sending what nobody reads (RFC 9113 8.1)."""
        upload = self._lingering.pop(stream_id)
        self._outbox.parts.append(rst_stream(stream_id, code))
        self._history.we_reset(stream_id, upload.window - self._stream_floor)

    def _drop(self, stream_id: int) -> Stream | None:
        """Forget everything about a stream."""
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return None
        if stream.upload is not None:
            self._end_upload(stream)
        if stream.kept:
            self._bodies.release(stream)
        self._outbox.forget(stream)
        if self._closing and not self._streams:
            self._end()
        return stream

    def _end(self) -> None:
        """The last reply of a connection that takes no more requests is out."""
        if self._farewell is not None:
            self._outbox.parts.append(goaway(self._processed, self._farewell))
            self._farewell = None
        self.should_close = True

    def _end_upload(self, stream: Stream) -> None:
        upload, stream.upload = stream.upload, None
        if upload is None or upload.tunnel:
            return
        self._uploads -= 1
        if not self._uploads and self.partial == 2:
            self.partial = 0

    def _withdraw(self, stream_id: int) -> None:
        """Take back the event of a message, if it was not handed out yet."""
        for index, event in enumerate(self._events):
            if type(event) is Message and event.stream_id == stream_id:
                del self._events[index]
                return

    def _refuse_early(self, stream: Stream, status: int, detail: str) -> None:
        """Have the stream answered with *status* instead of being handled."""
        if stream.upload is not None:
            stream.upload.discards = True
        self._withdraw(stream.stream_id)
        # The reply will earn what replies earn; a refused request is not to live on that.
        self._resets.spend()
        self._chatter.spend(h2_budget.CHATTER_PER_REPLY + h2_budget.REFUSAL_COST)
        self._events.append(Refusal(stream.stream_id, status, detail, stream.message))

    # ---- the other frames

    def _on_priority(self, _flags: int, stream_id: int, payload: bytes) -> None:
        """RFC 9113 6.3 and RFC 7540 5.3.1. Legal in every state; heeded in none."""
        if not stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "PRIORITY on stream 0")
        self._chatter.spend()
        if len(payload) != 5:
            code = ErrorCodes.FRAME_SIZE_ERROR
        elif int.from_bytes(payload[:4], "big") & MAX_STREAM_ID == stream_id:
            code = ErrorCodes.PROTOCOL_ERROR
        else:
            return
        if stream_id not in self._streams:  # a stream that is not open must not be reset
            raise ConnectionFault(code, "an illegal PRIORITY")
        self._fail(stream_id, code, "an illegal PRIORITY")

    def _on_rst_stream(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "RST_STREAM of a wrong size")
        self._history.check_not_idle(stream_id)
        stream = self._drop(stream_id)
        if stream is None:
            if self._lingering.pop(stream_id, None) is None:
                self._chatter.spend()
            return
        self._resets.spend()
        self._withdraw(stream_id)
        if stream.batch != self._batch:  # else nobody heard of the request yet, and nobody will
            self._events.append(Reset(stream_id))

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "SETTINGS on a stream")
        if len(payload) % 6 or (flags & ACK and payload):
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
        self._chatter.spend(h2_budget.SETTINGS_COST)
        if flags & ACK:
            self._stream_floor = 0
            return
        # A frame may hold thousands of values. Nothing can happen between them, so each setting is applied
        # once, with its last one; what is legal is a range, so the extremes stand for all.
        values: dict[int, list[int]] = {}
        for code, value in parse_settings(payload):
            if code in _KNOWN_SETTINGS:
                values.setdefault(code, []).append(value)
        for code, given in values.items():
            self._apply_setting(SettingCodes(code), min(given), max(given), given[-1])
        self._outbox.parts.append(frame(SETTINGS, ACK, 0))

    def _apply_setting(self, code: SettingCodes, least: int, most: int, value: int) -> None:
        """Apply *value*, the last of those between *least* and *most* (RFC 9113 6.5.3)."""
        for given in {least, most}:
            try:
                Settings(initial_values={code: given})  # h2 knows what is legal
            except InvalidSettingsValueError as error:
                fault_code = ErrorCodes(error.error_code)
                raise ConnectionFault(fault_code, f"an illegal value for {code.name}") from None
        if code == SettingCodes.INITIAL_WINDOW_SIZE:
            self._move_windows(value)
        elif code == SettingCodes.MAX_FRAME_SIZE:
            self._outbox.frame_size = value
        elif code == SettingCodes.HEADER_TABLE_SIZE:
            self._outbox.encoder.resize(least)  # the peer may have dropped entries meanwhile (RFC 7541 4.2)
            self._outbox.encoder.resize(value)
        elif code == SettingCodes.MAX_HEADER_LIST_SIZE:
            self._peer_takes = value

    def _move_windows(self, initial: int) -> None:
        """RFC 9113 6.9.2: the change applies to open streams too, and may make windows negative."""
        outbox = self._outbox
        change = initial - outbox.initial_window
        outbox.initial_window = initial
        if not change:
            return
        self._chatter.spend(len(self._streams) // h2_budget.STREAMS_PER_FRAME)
        for stream in self._streams.values():
            stream.window += change
            if stream.window > MAX_WINDOW:
                raise ConnectionFault(ErrorCodes.FLOW_CONTROL_ERROR, "a stream's window above 2**31-1")
            outbox.wake(stream)

    def _on_push_promise(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "PING of a wrong size")
        self._chatter.spend()
        if not flags & ACK:
            self._outbox.parts.append(frame(PING, ACK, 0, payload))
        elif payload == _HAS_READ and self._asked:
            self._on_has_read()

    def _on_goaway(self, _flags: int, stream_id: int, payload: bytes) -> None:
        """The peer will close when it has its replies; only frames that break rules matter to us."""
        if stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "GOAWAY of a wrong size")
        self._chatter.spend()

    def _on_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size")
        self._chatter.spend()
        increment = int.from_bytes(payload, "big") & MAX_WINDOW
        if not stream_id:
            self._widen_connection(increment)
            return
        self._history.check_not_idle(stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.window += increment
        if not increment:
            self._fail(stream_id, ErrorCodes.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        elif stream.window > MAX_WINDOW:
            self._fail(stream_id, ErrorCodes.FLOW_CONTROL_ERROR, "a stream's window above 2**31-1")
        else:
            self._outbox.wake(stream)

    def _widen_connection(self, increment: int) -> None:
        self._outbox.window += increment
        if not increment:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        if self._outbox.window > MAX_WINDOW:
            raise ConnectionFault(ErrorCodes.FLOW_CONTROL_ERROR, "the connection's window above 2**31-1")
