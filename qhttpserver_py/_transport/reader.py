"""What the parser reported, sorted: requests that wait their turn, and bodies that never wait."""

from __future__ import annotations

from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._protocol.engine import Event, Message, Refusal, Reset
from qhttpserver_py._transport.closer import PROGRESS, Closing
from qhttpserver_py._transport.progress import StreamDeadlines

_STALLED = "the request's body stalled"


class Head:
    """The head of a message whose body is still arriving, waiting for its turn."""

    __slots__ = ("message", "stream_id")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.stream_id = message.stream_id


class Incoming(Closing):
    """The part of a connection between the parser and the handlers."""

    __slots__ = ()

    def _enqueue(self, events: list[Event]) -> None:
        """Queue *events*; hand those to their consumers that belong to a body being taken as it arrives."""
        queue = self._queue
        due: list[tuple[Exchange, Refusal | None]] = []
        gone: list[int] = []
        for event in events:
            if isinstance(event, Message):
                if event.streaming:
                    exchange = self._exchanges.get(event.stream_id)
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
            if (taker := self._taker(event.stream_id)) is not None:
                due.append((taker, event))
                continue
            queue.append(event)
        # Last: consumers are user code, and may run an event loop that reads on.
        for exchange, refusal in due:
            if refusal is None:
                exchange.feed()
            else:
                self.refuse_now(refusal)
        for stream_id in gone:  # whatever the others wait for
            self._cancel(stream_id)

    def _taker(self, stream_id: int) -> Exchange | None:
        """Return the exchange whose body is arriving; its reply may wait for the body, so a refusal must not."""
        exchange = self._exchanges.get(stream_id)
        if exchange is None or not exchange.message.streaming or exchange.message.complete:
            return None
        return exchange

    def _drop_queued(self, stream_id: int) -> None:
        """A request that was reset before its turn is not worth a handler (CVE-2023-44487)."""
        queue = self._queue
        if any(event.stream_id == stream_id for event in queue):
            kept = [event for event in queue if event.stream_id != stream_id]
            queue.clear()
            queue.extend(kept)

    def _sweep_streams(self, now: float, timeout: float) -> None:
        """Over HTTP/2 each stream has its own deadlines, and others on the connection go on."""
        patience = max(timeout, 1.0)  # whatever the timeout: a round trip may take so long
        deadlines, waits = self._deadlines, self.engine.waits
        if deadlines is None:
            deadlines = self._deadlines = StreamDeadlines()
        uploads = {message.stream_id: (message, size) for message, size in waits.uploads() if self._awaits(message)}
        counts = [(stream_id, size) for stream_id, (_, size) in uploads.items()]
        late = deadlines.uploads.overdue(counts, 1, now, timeout)
        starved = waits.starved()
        least = PROGRESS * patience
        keys = deadlines.replies.overdue(starved, least / max(1, len(starved)), now, patience)
        for stream_id in [stream_id for key in keys for stream_id in waits.behind(key)]:
            self.core.log_timeout(self, "takes no bytes of its reply")
            self.engine.abort(stream_id)
            self._cancel(stream_id)
        for stream_id in late:
            message = uploads[stream_id][0]
            if not message.complete and self.socket is not None:  # a consumer that hears of its end may run a loop
                self.core.log_timeout(self, _STALLED)
                self.refuse_now(Refusal(stream_id, 408, _STALLED, message))
        if keys or late or waits.withheld:
            self.flush()
        if self._windowed:
            self._look_at_windows()
        if self.socket is None or self.closing or self._taken_at:
            return
        if deadlines.is_idle(self.engine.requests, self.active_at, now, timeout):
            self._end_idle()

    def _look_at_windows(self) -> None:
        """See ``Sending``."""
        raise NotImplementedError

    def _awaits(self, message: Message) -> bool:
        """Whether we wait for more of this body, and not its peer for us."""
        exchange = self._exchanges.get(message.stream_id)
        return exchange is None or exchange.body is None or exchange.body.is_hungry()
