"""What the parser reported, sorted: requests that wait their turn, and bodies that never wait."""

from __future__ import annotations

from time import monotonic

from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._protocol.engine import Event, Message, Refusal, Reset
from qhttpserver_py._transport.closer import Closing


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
            elif (taker := self._taker(event.stream_id)) is not None:
                due.append((taker, event))
                continue
            queue.append(event)
        # Last: consumers are user code, and may run an event loop that reads on.
        for exchange, refusal in due:
            if refusal is None:
                exchange.feed()
            else:
                self.refuse_now(refusal)

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

    def _sweep_idle(self) -> None:
        """Over HTTP/2 a peer takes no bytes by not opening its windows: what it does not want is reset."""
        starved = self.engine.starved()
        if starved and monotonic() - self.active_at < 1.0:  # whatever the timeout: a round trip may take so long
            return
        for stream_id in starved:
            self.core.log_timeout(self, "takes no bytes of its reply")
            self.engine.abort(stream_id)
            self._cancel(stream_id)
        if starved:
            self.flush()
        if self.socket is not None and not self.closing:
            super()._sweep_idle()

    def _stalled(self, detail: str) -> None:
        """Over HTTP/2 each request that stalls gets its 408, and others on the connection go on."""
        if not self.engine.interleaves:
            super()._stalled(detail)
            return
        for message in self.engine.unfinished():
            if not message.complete:  # a consumer that hears of its end may run an event loop
                self.core.log_timeout(self, detail)
                self.refuse_now(Refusal(message.stream_id, 408, detail, message))
        self.flush()
