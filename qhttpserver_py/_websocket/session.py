"""A WebSocket between its carrier and the consumer of its messages: turns, flow control, silence, and the end.

Strategy: a turn takes messages one by one from the protocol, each only after the one before it was delivered and where
there is room for it. What is sent while more messages wait in the turn is written by one call. A handler may open a
nested event loop, which delays the next messages of this socket, as in Qt, and nothing else.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtNetwork import QAbstractSocket
from shiboken6 import isValid

from qhttpserver_py._qt import log
from qhttpserver_py._websocket.carrier import Carrier
from qhttpserver_py._websocket.protocol import Message, WebSocketProtocol
from qhttpserver_py._websocket.waiting import Waiters

HIGH_WATER = 262144
"""With more octets than this unread by the peer, ``await send()`` waits, and nothing is read from it."""

MAXIMUM_BACKLOG = 16 * 1024 * 1024
"""With more octets than this unread by the peer, one more message ends the connection."""

MAXIMUM_QUEUE = 64
"""Messages that wait for ``async for``; beyond, nothing is read from the peer."""

MESSAGES_PER_TURN = 128
"""Messages that are delivered in one turn before other connections and the GUI get theirs."""

CLOSE_SECONDS = 10.0
"""How long the peer may take to agree to a close, and to read what was sent before it."""

ANSWER_SECONDS = 1.0
"""How long a coroutine may answer messages after which the peer has closed."""

LINGER_SECONDS = 2.0
"""How long a peer that broke a rule may go on sending, so that it can read why it is closed."""

_CORKED = 65536  # octets that wait at most for the end of a turn

State = QAbstractSocket.SocketState
OPEN, CLOSING, CLOSED = State.ConnectedState, State.ClosingState, State.UnconnectedState


class Listener(Protocol):
    """The user's WebSocket. Each of these methods runs user code."""

    def handOut(self, message: Message) -> None:
        """Deliver a message that no coroutine takes."""
        ...

    def reportPong(self, milliseconds: int, payload: bytes) -> None:
        """Report a pong."""
        ...

    def reportState(self, state: State) -> None:
        """Report that it closes, or is closed."""
        ...

    def reportWritten(self, count: int) -> None:
        """Report that the system took octets."""
        ...

    def reportError(self, error: Any) -> None:
        """The socket failed."""
        ...


class Session:
    """See the module's first lines. Belongs to its listener, a QObject, and dies with it."""

    __slots__ = (
        "__weakref__",
        "_has_ended",
        "_interval",
        "_is_behind",
        "_is_corked",
        "_is_flush_posted",
        "_is_gone",
        "_is_started",
        "_is_turning",
        "_listener",
        "_ping_timer",
        "_pinged_at",
        "_received_at",
        "_timers",
        "carrier",
        "error",
        "is_answering",
        "maximum_backlog",
        "messages",
        "protocol",
        "queue",
        "room",
        "state",
    )

    def __init__(self, carrier: Carrier, protocol: WebSocketProtocol, listener: QObject) -> None:
        self.carrier = carrier
        self.protocol = protocol
        self._listener: Any = weakref.ref(listener)
        self.state = OPEN
        self.queue: deque[Message] | None = None  # a coroutine takes the messages
        self.is_answering = False  # a coroutine has to answer messages before the peer's close is applied
        self.messages, self.room = Waiters(), Waiters()
        self.error = ""
        self.maximum_backlog = MAXIMUM_BACKLOG
        self._is_turning = False  # a turn is on the stack
        self._is_corked = False  # what is sent is not written at once, because more follows
        self._is_flush_posted = False
        self._is_behind = False  # nothing is read, because the peer does not read either
        self._has_ended = False
        self._received_at = monotonic()
        self._pinged_at = 0.0
        self._interval, self._ping_timer = 0.0, 0
        self._timers: dict[int, Callable[[], object]] = {}  # of the listener's
        self._is_started = self._is_gone = False
        carrier.attach(self, listener)

    def start(self, rest: bytes, *, queued: bool) -> None:
        """Begin to read; *rest* came before, *queued*: a coroutine takes the messages."""
        if self.state is CLOSED:
            return
        if queued:
            self.queue = deque()
        self._is_started = True
        self.protocol.feed(rest)
        self.carrier.start()
        self.on_readable()
        if self._is_gone:
            self.on_gone()

    @property
    def is_alive(self) -> bool:
        """Whether the QObject exists."""
        listener = self._listener()
        return listener is not None and isValid(listener)

    def _later(self, seconds: float, call: Callable[[], object]) -> None:
        """Call that after *seconds*, unless it is over by then.

        By a timer of QObject's: of one that QTimer.singleShot() makes, PySide keeps the wrapper where its context dies
        first, and a QTimer for each would be a tenth of what an idle WebSocket takes.
        """
        if not self.is_alive:
            return
        if seconds:
            self._timers[self._listener().startTimer(round(seconds * 1000))] = call
        else:
            QTimer.singleShot(0, self._listener(), call)

    def on_timer(self, timer: int) -> bool:
        """A timer of the listener's has fired; return whether it is one of ours."""
        call = self._timers.get(timer)
        if call is None:
            return False
        if timer != self._ping_timer:
            self._stop(timer)
        # Not here: it may run user code that deletes the listener, in the middle of its own event.
        QTimer.singleShot(0, self._listener(), call)
        return True

    def _stop(self, timer: int) -> None:
        if self._timers.pop(timer, None) is not None and self.is_alive:
            self._listener().killTimer(timer)

    # ---- receiving

    def on_readable(self) -> None:
        """Take what the peer sent, as far as there is room for it."""
        if self._is_turning or self._is_held() or not self.is_alive:
            return
        self._is_turning = True
        try:
            self._turn()
        finally:
            self._is_turning = self._is_corked = False
        self.flush()

    def _is_held(self) -> bool:
        return self._is_behind or (self.queue is not None and len(self.queue) >= MAXIMUM_QUEUE)

    def _turn(self) -> None:
        protocol = self.protocol
        more = protocol.has_more or protocol.ending is not None
        for _ in range(MESSAGES_PER_TURN):
            if not more:
                if self.queue:  # once for all that came together
                    self.messages.wake()
                self.flush()  # also our own pongs, whose size shows whether the peer reads
                if self._is_held() or not (data := self.carrier.read()):
                    return
                self._received_at = monotonic()
                protocol.feed(data)
            message = protocol.next_message(may_end=not self.is_answering)
            if message is not None:
                self._is_corked = more = protocol.has_more
                self._hand_out(message)
            elif protocol.pongs:
                more = True
                self._report_pongs()
            else:
                self._is_corked = more = False
                if protocol.ending is not None:
                    self.messages.wake()
                    self._later(ANSWER_SECONDS, self.end_answering)
                    return
                continue
            if self._is_held():
                self.messages.wake()  # a consumer that takes some now makes room
                if self._is_held():
                    return
            if not self.is_alive:
                return
        self.messages.wake()
        self._later(0, self.on_readable)

    def _hand_out(self, message: Message) -> None:
        queue = self.queue
        if queue is None:
            self._listener().handOut(message)
        else:
            queue.append(message)
            self.is_answering = True

    def end_answering(self) -> None:
        """Apply the close that the peer sent: the coroutine has answered the messages before it, or its time is
        over.
        """
        self.is_answering = False
        if self.protocol.ending is not None:
            self.on_readable()

    def _report_pongs(self) -> None:
        pongs, self.protocol.pongs = self.protocol.pongs, []
        for payload in pongs:
            if self.is_alive:
                self._listener().reportPong(round((monotonic() - self._pinged_at) * 1000), payload)

    # ---- sending

    def send(self, message: Message, *, more: bool = False) -> int:
        """Send a message; return its octets, 0 where it is closed. *more*: another follows, as far as is known."""
        if self.state is not OPEN:
            return 0
        protocol = self.protocol
        size = protocol.send(message)
        if (more or self._is_corked) and protocol.queued < _CORKED:
            if not self._is_flush_posted:  # a handler may spin an event loop before the turn ends
                self._is_flush_posted = True
                self._later(0, self.flush)
        elif self.carrier.pending() > self.maximum_backlog:
            self.error = "the peer does not read what it is sent"
            log.warning(log.HTTP1, f"WebSocket: {self.error}; closing it")
            self.carrier.abort()
            return 0
        else:
            self.flush()
        return size

    def ping(self, payload: bytes) -> None:
        """Ask the peer for a pong."""
        if self.state is OPEN:
            self._pinged_at = monotonic()
            self.protocol.ping(payload)
            self.flush()

    def pending(self) -> int:
        """Return the octets that wait for the peer."""
        return self.carrier.pending() + self.protocol.queued

    def has_room(self) -> bool:
        """Return whether a coroutine may go on sending."""
        return self.state is not OPEN or self.carrier.pending() <= HIGH_WATER

    def flush(self) -> None:
        """Write what was queued; go on with a closing handshake."""
        self._is_flush_posted = False
        protocol = self.protocol
        if protocol.has_output:
            self.carrier.write(protocol.take())
            if self.carrier.pending() > HIGH_WATER:
                self._is_behind = True
        if protocol.is_closing and not self._has_ended:
            self._follow_close()

    def on_written(self, count: int) -> None:
        """The peer took octets."""
        self._received_at = monotonic()
        if self.carrier.pending() <= HIGH_WATER // 2:
            self.room.wake()
            if self._is_behind:
                self._is_behind = False
                self._later(0, self.on_readable)
        if self.is_alive:
            self._listener().reportWritten(count)

    # ---- the end

    def close(self, seconds: float, code: int, reason: str) -> None:
        """Begin the closing handshake, which ends after *seconds* at the latest."""
        if self.state is CLOSED:
            return
        self._later(seconds, self.carrier.abort)
        self.end_answering()
        if self.state is OPEN:
            self.protocol.close(code, reason)
            self.flush()

    def _follow_close(self) -> None:
        """Report that a close frame was sent, and end the connection in time."""
        if self.state is OPEN:
            self._set_state(CLOSING)
        protocol = self.protocol
        if not protocol.ends or self._has_ended:
            return
        self._has_ended = True
        if protocol.is_agreed:
            self._later(CLOSE_SECONDS, self.carrier.abort)
            self.carrier.finish()
        else:
            log.info(log.HTTP1, f"WebSocket closed with {protocol.close_code}: {protocol.fault}")
            self._later(LINGER_SECONDS, self.carrier.abort)
            self.carrier.shut()

    def on_failed(self, error: Any, text: str) -> None:
        """The socket failed."""
        self.error = text
        if self.is_alive:
            self._listener().reportError(error)

    def on_gone(self) -> None:
        """The connection is over. Before the start, what came is kept: whoever starts it hears that first."""
        if self.state is CLOSED:
            return
        if not self._is_started:
            self._is_gone = True
            return
        self.protocol.receive_eof()
        for timer in tuple(self._timers):
            self._stop(timer)
        self._set_state(CLOSED)

    def _set_state(self, state: State) -> None:
        self.state = state
        self.messages.wake()
        self.room.wake()
        if self.is_alive:
            self._listener().reportState(state)

    # ---- silence

    def set_ping_interval(self, seconds: float) -> None:
        """Ping a peer that is silent for *seconds*; 0: never."""
        self._stop(self._ping_timer)
        self._interval = seconds
        if seconds > 0 and self.state is not CLOSED:
            self._ping_timer = self._listener().startTimer(round(seconds * 1000), Qt.TimerType.CoarseTimer)
            self._timers[self._ping_timer] = self._keep_alive

    def _keep_alive(self) -> None:
        """Ping a peer that was silent for the interval; end one that did not answer."""
        now, interval = monotonic(), self._interval
        if self._is_turning or (self._is_held() and not self._is_behind):
            self._received_at = now  # nothing is read from the peer, so its silence proves nothing
        elif now - self._received_at >= 2 * interval:
            self.error = "the peer did not read what it was sent" if self._is_behind else "the peer answered no ping"
            self.carrier.abort()
        elif now - self._received_at >= interval and not self._is_behind:
            self.ping(b"")
