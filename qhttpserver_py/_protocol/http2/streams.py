"""The streams of an HTTP/2 connection: how they end, what is granted to them, and when the connection is over.

Strategy: streams live in a dictionary while anything is open about them; of closed ones only what tells
them apart is kept. A rule broken for a stream calls ``fail``.
"""

from __future__ import annotations

from collections.abc import Callable

from h2.errors import ErrorCodes

from qhttpserver_py._protocol.engine import EngineState, Event, Message, Pool, Refusal
from qhttpserver_py._protocol.http2 import budget as h2_budget
from qhttpserver_py._protocol.http2.bodies import Bodies
from qhttpserver_py._protocol.http2.budget import Budget
from qhttpserver_py._protocol.http2.closed_streams import History
from qhttpserver_py._protocol.http2.frames import DEFAULT_WINDOW, PING, frame, goaway, rst_stream, window_update
from qhttpserver_py._protocol.http2.outbox import Outbox
from qhttpserver_py._protocol.http2.settings import Http2Settings
from qhttpserver_py._protocol.http2.stream import Stream, Upload

HAS_READ = b"has-read"
"""The payload of a PING whose answer shows how far the peer has read."""

_QUIET_ROUNDS = 3


class Streams:
    """The part of ``Http2Engine`` that both its receiving parts and its replies change."""

    __slots__ = (
        "_state",
        "asked",
        "batch",
        "bodies",
        "chatter",
        "closing",
        "events",
        "fed",
        "goaway_code",
        "history",
        "lingering",
        "open",
        "outbox",
        "processed",
        "resets",
        "stream_floor",
        "stream_window",
        "uploads",
        "window",
        "window_goal",
    )

    def __init__(
        self, state: EngineState, settings: Http2Settings, outbox: Outbox, pool: Pool, clock: Callable[[], float]
    ) -> None:
        self._state = state
        self.outbox = outbox
        self.open: dict[int, Stream] = {}
        self.lingering: dict[int, Upload] = {}  # answered while the peer is still sending
        self.asked = False  # a PING is under way that tells what the peer has read
        self.history = History()
        self.events: list[Event] = []
        self.batch = 0  # counts calls of receive_data
        self.fed: list[Stream] = []  # streams that got body since data_to_send
        self.uploads = 0  # streams whose request is incomplete
        self.closing = False
        self.goaway_code: ErrorCodes | None = None  # of the GOAWAY that is due when the last reply is out
        self.processed = 0  # the highest stream whose request was not refused
        self.window = max(DEFAULT_WINDOW, settings.session_window)  # bytes the peer may send on all streams together
        self.window_goal = settings.session_window
        self.stream_window = settings.stream_window
        self.stream_floor = min(0, settings.stream_window - DEFAULT_WINDOW)
        """Below this, a stream's window was overrun; not zero until the peer has acknowledged our SETTINGS."""
        self.bodies = Bodies(pool)
        self.resets = Budget("abandoned streams", h2_budget.RESET_BURST, h2_budget.RESET_RATE, clock)
        self.chatter = Budget("idle frames", h2_budget.CHATTER_BURST, h2_budget.CHATTER_RATE, clock)

    def fail(self, stream_id: int, code: ErrorCodes, detail: str) -> None:
        """End a stream for the peer's fault (RFC 9113 5.4.2)."""
        self.reset(stream_id, code)
        self.withdraw(stream_id)
        self.events.append(Refusal(stream_id, 0, detail))
        self.resets.spend()

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        """Send RST_STREAM, and remember that frames of the stream may still be under way."""
        self.outbox.parts.append(rst_stream(stream_id, code))
        stream = self.open.get(stream_id)
        window = self.stream_window
        if stream is not None:
            window = stream.upload.window if stream.upload is not None else 0
            self.drop(stream_id)
        self.history.we_reset(stream_id, window - self.stream_floor)

    def _ask_has_read(self) -> None:
        """Send a PING whose answer tells that the peer has read the replies before it."""
        if self.lingering and not self.asked:
            self.asked = True
            self.outbox.parts.append(frame(PING, 0, 0, HAS_READ))

    def on_has_read(self) -> None:
        """Reset the streams whose peer, asked several times, has stopped sending."""
        self.asked = False
        for stream_id, upload in tuple(self.lingering.items()):
            # One answer proves nothing: a peer that waited for credit answers before it goes on.
            upload.quiet = upload.quiet + 1 if upload.received == upload.expected else 0
            upload.expected = upload.received
            if upload.quiet == _QUIET_ROUNDS:
                self.end_lingering(stream_id)
        self._ask_has_read()

    def end_lingering(self, stream_id: int, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Ask the peer to stop sending what nobody reads (RFC 9113 8.1)."""
        upload = self.lingering.pop(stream_id)
        self.outbox.parts.append(rst_stream(stream_id, code))
        self.history.we_reset(stream_id, upload.window - self.stream_floor)

    def drop(self, stream_id: int) -> Stream | None:
        """Forget everything about a stream."""
        stream = self.open.pop(stream_id, None)
        if stream is None:
            return None
        if stream.upload is not None:
            self.end_upload(stream)
        if stream.kept:
            self.bodies.release(stream)
        self.outbox.forget(stream)
        if self.closing and not self.open:
            self.end()
        return stream

    def end(self) -> None:
        """Close the connection, with the GOAWAY that is due: the last reply is out."""
        if self.goaway_code is not None:
            self.outbox.parts.append(goaway(self.processed, self.goaway_code))
            self.goaway_code = None
        self._state.should_close = True

    def end_upload(self, stream: Stream) -> None:
        """Expect no more of the request's body."""
        upload, stream.upload = stream.upload, None
        if upload is None or upload.tunnel:
            return
        self.uploads -= 1
        if not self.uploads and self._state.partial == 2:
            self._state.partial = 0

    def withdraw(self, stream_id: int) -> None:
        """Remove the event of a message, if it was not returned yet."""
        for index, event in enumerate(self.events):
            if type(event) is Message and event.stream_id == stream_id:
                del self.events[index]
                return

    def refuse_early(self, stream: Stream, status: int, detail: str) -> None:
        """Have the stream answered with *status* instead of being handled."""
        if stream.upload is not None:
            stream.upload.discards = True
        self.withdraw(stream.stream_id)
        # The reply will fill both budgets; a refused request must not gain by that.
        self.resets.spend()
        self.chatter.spend(h2_budget.CHATTER_PER_REPLY + h2_budget.REFUSAL_COST)
        self.events.append(Refusal(stream.stream_id, status, detail, stream.message))

    def done(self, stream: Stream) -> None:
        """Close a stream whose reply is out."""
        if stream.tunnel and stream.upload is not None:  # the peer's half is open
            return
        stream_id = stream.stream_id
        self.resets.left += 1
        self.chatter.left += h2_budget.CHATTER_PER_REPLY
        upload = stream.upload
        if upload is not None:
            self.end_upload(stream)
            self.linger_for(stream_id, upload)
        if stream.kept:
            self.bodies.release(stream)
        del self.open[stream_id]
        if self.closing and not self.open:
            self.end()

    def linger_for(self, stream_id: int, upload: Upload) -> None:
        """Let the peer go on with a request that is answered already, until it has read the reply.

        RST_STREAM at once, which RFC 9113 8.1 allows, makes curl and httpx lose the reply; without it curl stops
        sending and waits. So it is sent when the peer has read the reply and stopped.
        """
        upload.owed = upload.received = 0
        upload.expected = -1
        self.lingering[stream_id] = upload
        self._ask_has_read()
        self._state.linger = self._state.linger or self.closing
        if len(self.lingering) > h2_budget.LINGER_STREAMS:
            self.end_lingering(next(iter(self.lingering)))
        else:
            self.give_credit(stream_id, upload, 0)

    def report(self, stream: Stream, upload: Upload) -> None:
        """Append the message to the events, once per batch."""
        if upload.batch != self.batch:
            upload.batch = self.batch
            self.events.append(stream.message)

    def give_credit(self, stream_id: int, upload: Upload, size: int) -> None:
        """Count *size* bytes as used, and tell the peer once it is worth a frame."""
        upload.owed -= size
        room = self.stream_window - upload.window - upload.owed
        if room > 0 and room * 2 >= self.stream_window:
            upload.window += room
            self.outbox.parts.append(window_update(stream_id, room))

    def give_connection_credit(self) -> None:
        """Widen the window of the whole connection to its goal, once it is worth a frame."""
        room = self.window_goal - self.window
        if room > 0 and room * 2 >= self.window_goal:
            self.window += room
            self.outbox.parts.append(window_update(0, room))

    def credit_fed(self) -> None:
        """Give credit for bodies that are collected; whether one is streamed is known only when its head was
        returned.
        """
        bodies, streams = self.bodies, self.open.values()
        fed = self.fed
        if bodies.withholds:
            bodies.withholds = False
            fed = [stream for stream in streams if stream.upload is not None and stream.upload.owed]
        for stream in bodies.with_credit(fed, streams):
            if stream.upload is not None:
                self.give_credit(stream.stream_id, stream.upload, stream.upload.owed)
        self.fed.clear()
