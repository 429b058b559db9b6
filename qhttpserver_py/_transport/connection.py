"""One accepted connection: owns the socket, the engine, the queue of events and the open exchanges.

Strategy: the slot reads once, lets the engine parse, then walks the events with no parser on
the stack, and writes once. Everything may be entered again from a nested event loop that a
handler spins: an event leaves the queue before it is dispatched, and after each dispatch the
socket is looked at afresh. How a connection ends is in ``_closing.py``.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._protocol.engine import Headers, Message, Refusal
from qhttpserver_py._protocol.select import choose
from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.reader import Head
from qhttpserver_py._transport.writer import HELD_BY_PEER, WRITE_HIGH, Sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtNetwork import QLocalSocket, QTcpSocket

    from qhttpserver_py._protocol.engine import Engine
    from qhttpserver_py._qt.peer import Peer
    from qhttpserver_py._transport.core import ServerCore

READ_BUFFER = 262144
"""Most bytes Qt holds unread for one connection; TCP pushes back beyond."""

REQUESTS_PER_TURN = 32
"""Requests served in one go before other connections and the GUI get their turn."""

MAXIMUM_NESTED = 20
"""Slots of connections on the stack, one in the event loop of a handler of the other; beyond, requests wait."""

_LOOP_NOTICED = 0.00002  # a turn longer than this (seconds) may have spun an event loop

# Reasons not to read, as bits.
HELD_BY_QUEUE = 1  # requests wait for the reply in front of them
HELD_BY_UPGRADE = 8  # a verifier takes its time; what comes now may be another protocol's
HELD_BY_BODY = 4  # the handler does not keep up with the body it asked for piece by piece


class Connection(Sending):
    """A peer's connection, from accept to close. Lives in the server's thread."""

    __slots__ = ("_answered", "_available", "_read", "_turn_posted")

    def __init__(self, core: ServerCore, socket: QTcpSocket | QLocalSocket, host: str | None, peer: Peer) -> None:
        super().__init__(core, socket, host, peer)
        self._answered = 0  # the stream that was last answered
        self._turn_posted = False  # a call of take_turn() is on its way
        self._available = socket.bytesAvailable
        self._read: Any = socket.read

    def start(self, engine: Engine | None) -> None:
        """Begin to serve; *engine* is None where the first bytes decide the protocol."""
        socket = self.socket
        if engine is not None:
            self.engine = engine
            self._first = None
            if engine.interleaves:
                sockets.interleave(socket)
        socket.setReadBufferSize(READ_BUFFER)
        socket.readyRead.connect(self.on_ready_read)
        if self._descriptor is None:
            self.watch_end()
        if socket.bytesAvailable():  # TLS: decrypted before we were connected
            self.on_ready_read()

    def refuse(self, engine: Engine, refusal: Refusal) -> None:
        """Answer *refusal* to whatever the peer may send, and close."""
        self.engine = engine
        self._first = None
        self.drops_input = True
        self.socket.readyRead.connect(self.on_ready_read)
        self.watch_end()
        refusal.fields = self.core.refusal_fields(self, refusal.message)
        if engine.interleaves:  # HTTP/2: GOAWAY says it before any stream exists
            engine.close()
        else:
            engine.refuse(refusal)
        self.flush()

    # ---- reading

    def on_ready_read(self) -> None:
        """Serve what the socket has: one read, the parser, the handlers, one write."""
        core = self.core
        if core.nested >= MAXIMUM_NESTED:
            core.defer(self.on_ready_read)
            return
        core.nested += 1
        self._depth += 1
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - a fault of ours: it costs this connection, and no other
            core.report(error)
            self.abort()
        finally:
            self._depth -= 1
            core.nested -= 1
            if core.deferred:
                core.resume_deferred()
            if self._disconnected is not None:
                self._delete_disconnected()
            if not self._watches_end and self.socket is not None:
                self.watch_end()

    def catch_up(self) -> None:
        """Read what came while a handler of this connection spins an event loop."""
        if not self._held and self.socket is not None and self.socket.bytesAvailable():
            self.on_ready_read()

    def _serve(self) -> None:
        if self._held or self.socket is None:
            return
        # Exactly what there is: then Qt hands its buffer over, and keeps none for an idle connection,
        # where readAll() would leave 16 KiB behind.
        data = self._read(self._available()).data()
        if not data or self.drops_input:
            return
        self.active_at = now = monotonic()
        if self._first is not None and not (data := self._choose(data)):
            return
        engine = self.engine
        events = engine.receive_data(data)
        if engine.partial == 1:
            self.head_since = self.head_since or now
        else:
            self.head_since = 0.0
        if len(events) == 1 and not (self._queue or self._busy or self._windowed):
            event = events[0]
            if type(event) is Message and event.complete and not event.streaming:
                turns = self.core.turns = self.core.turns + 1
                self._dispatch(event)
                if self._queue:  # over TLS, a handler that writes in pieces makes Qt read on
                    self._advance()
                elapsed = self._end_turn(now)
                if elapsed > self.core.slow_after and turns == self.core.turns:
                    self.core.slow(event, elapsed)
                return
        self._enqueue(events)
        self._advance()
        self._end_turn(now)

    def _end_turn(self, began: float) -> float:
        self.flush()
        if self._windowed:
            self._look_at_windows()
        elapsed = monotonic() - began
        if elapsed < _LOOP_NOTICED or self.socket is None:
            return elapsed
        # Qt does not emit readyRead again while its slot runs; a handler that spun an event
        # loop may have had bytes delivered behind our back.
        if not self._held and self.socket.bytesAvailable():
            self.core.post(self.on_ready_read)
        return elapsed

    def _choose(self, data: bytes) -> bytes:
        first = (self._first or b"") + data
        kind = choose(first)
        if kind is None:
            self._first = first
            self.head_since = self.head_since or self.active_at
            return b""
        self._first = None
        # Who connects to a local socket is a proxy, more often than not: its clients' scheme is its own affair.
        self.engine = self.core.make_engine(kind, self.peer.scheme if self.host is not None else "")
        if self.engine.interleaves:
            sockets.interleave(self.socket)
        return first

    # ---- the queue

    def _advance(self) -> None:
        """Dispatch queued events, as many as may be answered now."""
        queue = self._queue
        others = False
        for _ in range(REQUESTS_PER_TURN):
            if not queue or self._busy or self._windowed or self._held & HELD_BY_PEER:
                break
            if self.socket is None or self.closing:
                break
            event = queue.popleft()
            if not self._turn_posted and (others or queue):
                self._turn_posted = True
                self.core.post(self.take_turn)
            others = True
            if isinstance(event, Message):
                self._dispatch_timed(event)
            elif isinstance(event, Head):
                self._take_head(event.message)
            else:
                self.refuse_now(event)
        else:
            if queue:  # not for want of permission, but of time: others first
                self.core.post(self._resume)
        # What opens windows has to be read: then the number of streams bounds the queue.
        self._hold(HELD_BY_QUEUE, bool(queue) and not self._windowed)

    def take_turn(self) -> None:
        """Write replies that are complete, and go on, though a handler of this connection spins an event loop."""
        self._turn_posted = False
        self.flush()
        self._resume()

    def _resume(self) -> None:
        core = self.core
        if core.nested >= MAXIMUM_NESTED:
            core.defer(self._resume)
            return
        if self.socket is None:
            return
        core.nested += 1
        try:
            self._advance()
            self.flush()
        finally:
            core.nested -= 1
            if core.deferred:
                core.resume_deferred()

    def _hold(self, reason: int, on: bool) -> None:
        """Stop or go on reading; Qt's bounded buffer and then TCP hold the peer back meanwhile."""
        held = self._held | reason if on else self._held & ~reason
        if held == self._held:
            return
        self._held = held
        if not held and self.socket is not None and self.socket.bytesAvailable():
            self.core.post(self.on_ready_read)

    def hold_body(self, on: bool) -> None:
        """The consumer of a streamed request body is behind (*on*), or has caught up."""
        self._hold(HELD_BY_BODY, on)

    def hold_upgrade(self, on: bool) -> None:
        """Read no more until the upgrade is decided: what comes may not be HTTP."""
        self._hold(HELD_BY_UPGRADE, on)

    # ---- one event

    def _dispatch(self, message: Message) -> None:
        self._busy = not self.engine.interleaves
        before = self._dispatching
        self._dispatching = message.stream_id
        try:
            self.core.dispatch(self, message)
        except BaseException:
            self._answer_for(message)
            raise
        finally:
            self._dispatching = before
        if self._unchecked > WRITE_HIGH:
            self._check_backlog()

    def _answer_for(self, message: Message) -> None:
        """User code raised what is not caught for it: the peer has its answer before that goes on."""
        exchange = self._exchanges.get(message.stream_id)
        if exchange is not None:
            exchange.fail()
        elif self._answered != message.stream_id or self._busy:
            self.reply(message, 500, (), b"")
        self.flush()

    def _dispatch_timed(self, message: Message) -> None:
        core, began = self.core, monotonic()
        turns = core.turns = core.turns + 1
        self._dispatch(message)
        elapsed = monotonic() - began
        if elapsed > core.slow_after and turns == core.turns:
            core.slow(message, elapsed)

    def _take_head(self, message: Message) -> None:
        """The head is here and the body is not: answer early, ask for it, or wait for it."""
        if message.complete:  # it arrived while others were served; its own event is in the queue
            return
        self._busy = not self.engine.interleaves  # who judges it may spin an event loop
        verdict = self.core.head(self, message)
        self._busy = False
        if message.complete or self.socket is None:
            return
        if verdict == "dispatch":
            self._dispatch(message)
        elif message.expects_continue and verdict == "continue":
            self.engine.send_continue(message.stream_id)

    def refuse_now(self, refusal: Refusal) -> None:
        """Answer what the peer did wrong; what was in flight on that stream is over."""
        if refusal.status:
            refusal.fields = self.core.refusal_fields(self, refusal.message)
        self.engine.refuse(refusal)
        self._cancel(refusal.stream_id, refusal.detail)
        self.core.refused(self, refusal)

    # ---- replying

    def reply(self, message: Message, status: int, headers: Headers, body: bytes) -> None:
        """Queue the whole reply to a message that has no exchange."""
        if self.socket is None:
            return
        self._busy = False
        self._answered = message.stream_id
        self._unchecked += len(body) + 256
        self.engine.send_response(message.stream_id, status, headers, body)

    def open_exchange(self, message: Message, label: str) -> Exchange:
        """Register a request whose reply comes through a responder, or later."""
        self.watch_end()
        exchange = Exchange(self, message, label)
        if self.socket is None:
            exchange.cancel()
        else:
            self._exchanges[message.stream_id] = exchange
        return exchange

    def exchange_done(self, exchange: Exchange, size: int) -> None:
        """The reply of *exchange* is complete; *size* bytes of body went into it."""
        stream_id = exchange.stream_id
        if self._exchanges.get(stream_id) is exchange:
            del self._exchanges[stream_id]
        self._busy = False
        self._answered = stream_id
        self._unchecked += size + 256
        if self._held & HELD_BY_BODY:  # nobody will take the rest of the body
            self._hold(HELD_BY_BODY, False)
        if self._dispatching != stream_id:
            if self._unchecked > WRITE_HIGH:
                self._check_backlog()
            self._advance()
            self.flush()

    def abort_exchange(self, exchange: Exchange) -> None:
        """The reply of *exchange* was begun and cannot be completed: make that visible to the peer."""
        if not self.engine.interleaves:
            self.abort()
            return
        self.engine.abort(exchange.stream_id)
        self._cancel(exchange.stream_id)
        self.flush()

    def release(self) -> Any:
        """Let go of the socket for another protocol: none of our slots hears of it again."""
        self.flush()  # replies to what was asked before
        socket, self.socket = self.socket, None
        if socket is None:
            return None
        sockets.keep_alive(socket)
        socket.readyRead.disconnect(self.on_ready_read)
        if self._watches_end:
            socket.disconnected.disconnect(self.on_disconnected)
        if self._watches_drain:
            sockets.disconnect_written(socket, self.on_bytes_written)
        self._close_unsent()
        self._queue.clear()
        self.core.forget(self)
        return socket

    def post(self, call: Callable[[], Any]) -> None:
        """Run *call* in the server's thread."""
        self.core.post(call)
