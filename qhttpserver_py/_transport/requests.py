"""The requests of a connection: it dispatches the events of the engine to the handlers, each in its turn.

All of this may be entered again from a nested event loop that a handler spins: an event is removed from the queue
before it is dispatched, and after each dispatch the socket is checked again. Bodies that are taken as they arrive never
wait.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from qhttpserver_py._exchange.channel import Channel
from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._protocol.engine import Event, Message, Refusal, Reset
from qhttpserver_py._transport.interfaces import Replying
from qhttpserver_py._transport.reader import HELD_BY_BODY, HELD_BY_PEER, HELD_BY_QUEUE
from qhttpserver_py._transport.writer import WRITE_HIGH, Writable, Writer

if TYPE_CHECKING:
    from qhttpserver_py._transport.core import ServerCore

REQUESTS_PER_TURN = 32
"""Requests that are served in one turn before other connections and the GUI get theirs."""


class Head:
    """The head of a message whose body is still arriving, waiting for its turn."""

    __slots__ = ("message", "stream_id")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.stream_id = message.stream_id


class Closable(Protocol):
    """The closer, as far as the requests need it."""

    @property
    def closing(self) -> bool:
        """Whether no more requests are served."""
        ...


class Serving(Writable, Replying, Channel, Protocol):
    """What the requests need of their connection."""

    @property
    def core(self) -> ServerCore:
        """What the connections of a server share."""
        ...

    @property
    def writer(self) -> Writer:
        """The part that writes."""
        ...

    @property
    def closer(self) -> Closable:
        """The part that ends the connection."""
        ...

    def take_turn(self) -> None:
        """Write replies that are complete, and go on with requests that waited."""
        ...


class Requests:
    """The events that wait for their turn, and the requests that are not answered yet."""

    __slots__ = ("_turn_posted", "busy", "dispatching", "exchanges", "last_answered", "queue")

    def __init__(self) -> None:
        self.queue: deque[Message | Head | Refusal] = deque()  # events that wait for their turn
        self.exchanges: dict[int, Exchange] = {}  # by stream; the writer reads it
        self.busy = False  # HTTP/1: a message was dispatched and its reply is not complete
        self.dispatching = 0  # the stream whose handler is on the stack
        self._turn_posted = False  # a call of the connection's take_turn() is posted
        self.last_answered = 0  # the stream that was last answered

    # ---- what the engine reported

    def enqueue(self, connection: Serving, events: list[Event]) -> None:
        """Queue *events*; those of a body that is taken as it arrives go to its consumer at once."""
        queue = self.queue
        due: list[tuple[Exchange, Refusal | None]] = []
        gone: list[int] = []
        for event in events:
            if isinstance(event, Message):
                if event.streaming:
                    exchange = self.exchanges.get(event.stream_id)
                    if exchange is not None and exchange.message is event:
                        due.append((exchange, None))
                elif event.complete:
                    queue.append(event)
                else:
                    queue.append(Head(event))
                continue
            if isinstance(event, Reset):
                self._drop_queued(event.stream_id)
                gone.append(event.stream_id)
                continue
            if (owner := self._body_exchange(event.stream_id)) is not None:
                due.append((owner, event))
                continue
            queue.append(event)
        # Last, because consumers are user code and may spin an event loop that reads more.
        for exchange, refusal in due:
            if refusal is None:
                exchange.feed()
            else:
                self.refuse(connection, refusal)
        for stream_id in gone:  # although other events wait
            self.cancel(stream_id)

    def _body_exchange(self, stream_id: int) -> Exchange | None:
        """Return the exchange whose body is arriving. Its reply may wait for the body, so a refusal of that must not
        wait.
        """
        exchange = self.exchanges.get(stream_id)
        if exchange is None or not exchange.message.streaming or exchange.message.complete:
            return None
        return exchange

    def _drop_queued(self, stream_id: int) -> None:
        """Remove a request that was reset before its turn, so that no handler runs for it (CVE-2023-44487)."""
        queue = self.queue
        if any(event.stream_id == stream_id for event in queue):
            kept = [event for event in queue if event.stream_id != stream_id]
            queue.clear()
            queue.extend(kept)

    # ---- each in its turn

    def advance(self, connection: Serving) -> None:
        """Dispatch queued events, as many as may be answered now."""
        queue, writer, reader = self.queue, connection.writer, connection.reader
        others = False
        for _ in range(REQUESTS_PER_TURN):
            if not queue or self.busy or writer.windowed or reader.held & HELD_BY_PEER:
                break
            if connection.socket is None or connection.closer.closing:
                break
            event = queue.popleft()
            if not self._turn_posted and (others or queue):
                self._turn_posted = True
                connection.core.post(connection.take_turn)
            others = True
            if isinstance(event, Message):
                self._dispatch_timed(connection, event)
            elif isinstance(event, Head):
                self._take_head(connection, event.message)
            else:
                self.refuse(connection, event)
        else:
            if queue:  # only because the turn was long: other connections come first
                connection.core.post(connection.resume)
        # Frames that open windows have to be read; the queue is bounded by the number of streams.
        reader.hold(connection, HELD_BY_QUEUE, bool(queue) and not writer.windowed)

    def take_turn(self, connection: Serving) -> None:
        """Write replies that are complete, and go on, though a handler of this connection spins an event loop."""
        self._turn_posted = False
        connection.flush()
        connection.resume()

    def dispatch(self, connection: Serving, message: Message) -> None:
        """Have the server answer *message*."""
        self.busy = not connection.engine.interleaves
        before = self.dispatching
        self.dispatching = message.stream_id
        try:
            connection.core.dispatch(connection, message)
        except BaseException:
            self._answer_for(connection, message)
            raise
        finally:
            self.dispatching = before
        if connection.writer.unchecked > WRITE_HIGH:
            connection.writer.check_backlog(connection)

    def _answer_for(self, connection: Serving, message: Message) -> None:
        """Answer the peer before a BaseException of user code is raised further."""
        exchange = self.exchanges.get(message.stream_id)
        if exchange is not None:
            exchange.fail()
        elif self.last_answered != message.stream_id or self.busy:
            connection.reply(message, 500, (), b"")
        connection.flush()

    def _dispatch_timed(self, connection: Serving, message: Message) -> None:
        core, began = connection.core, monotonic()
        turns = core.turns = core.turns + 1
        self.dispatch(connection, message)
        elapsed = monotonic() - began
        if elapsed > core.slow_after and turns == core.turns:
            core.slow(message, elapsed)

    def _take_head(self, connection: Serving, message: Message) -> None:
        """Answer a request by its head, ask for its body, or wait for that."""
        if message.complete:  # the body arrived while others were served; its own event is in the queue
            return
        self.busy = not connection.engine.interleaves  # user code that decides on it may spin an event loop
        verdict = connection.core.head(connection, message)
        self.busy = False
        if message.complete or connection.socket is None:
            return
        if verdict == "dispatch":
            self.dispatch(connection, message)
        elif message.expects_continue and verdict == "continue":
            connection.engine.send_continue(message.stream_id)

    def refuse(self, connection: Serving, refusal: Refusal) -> None:
        """Answer a fault of the peer, and cancel what was in flight on that stream."""
        if refusal.status:
            refusal.fields = connection.core.refusal_fields(connection, refusal.message)
        connection.engine.refuse(refusal)
        self.cancel(refusal.stream_id, refusal.detail)
        connection.core.refused(connection, refusal)

    # ---- answered, or given up

    def open_exchange(self, connection: Serving, message: Message, label: str) -> Exchange:
        """Register a request whose reply comes through a responder, or later."""
        exchange = Exchange(connection, message, label)
        if connection.socket is None:
            exchange.cancel()
        else:
            self.exchanges[message.stream_id] = exchange
        return exchange

    def exchange_done(self, connection: Serving, exchange: Exchange, size: int) -> None:
        """Note that the reply of *exchange* is complete, with *size* bytes of body."""
        stream_id, writer = exchange.stream_id, connection.writer
        if self.exchanges.get(stream_id) is exchange:
            del self.exchanges[stream_id]
        self.busy = False
        self.last_answered = stream_id
        writer.unchecked += size + 256
        if connection.reader.held & HELD_BY_BODY:  # the rest of the body has no consumer any more
            connection.reader.hold(connection, HELD_BY_BODY, False)
        if self.dispatching != stream_id:
            if writer.unchecked > WRITE_HIGH:
                writer.check_backlog(connection)
            self.advance(connection)
            writer.flush(connection)

    def forget_exchanges(self) -> None:
        """Forget what is in flight: it counts as answered."""
        self.exchanges.clear()

    @property
    def idle(self) -> bool:
        """Whether no request waits for its turn or for its answer."""
        return not (self.exchanges or self.busy or self.queue)

    def cancel(self, stream_id: int, reason: str = "the peer left") -> None:
        """Cancel the exchange on this stream, where there is one."""
        exchange = self.exchanges.pop(stream_id, None)
        if exchange is not None:
            exchange.cancel(reason)

    def drop_queue(self) -> None:
        """Drop what waits."""
        self.queue.clear()

    def cancel_all(self) -> None:
        """Drop what waits, and cancel what is in flight."""
        self.queue.clear()
        for stream_id in tuple(self.exchanges):
            self.cancel(stream_id)
