"""How much a peer may ask for without doing anything useful.

Strategy: a leaky bucket that reads the clock only when it is empty. Useful work (requests answered, bytes carried)
fills it; frames that only make work empty it.
"""

from __future__ import annotations

from collections.abc import Callable

from h2.errors import ErrorCodes

from qhttpserver_py._protocol.http2.frames import ConnectionFault

RESET_BURST = 200
"""Streams that the peer cancelled, or that were reset for its fault, beyond those answered in full."""
RESET_RATE = 20
"""Such streams allowed per second besides."""
REFUSAL_BURST = 2000
"""Requests beyond the number of streams at a time: a client may send many before it has read our SETTINGS."""
REFUSAL_RATE = 200
"""Such requests allowed per second besides."""
CHATTER_BURST = 2000
"""Frames without use (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown ones)."""
CHATTER_RATE = 200
"""Such frames allowed per second besides."""
CHATTER_PER_REPLY = 32
"""Such frames that one complete reply compensates."""
CHATTER_PER_BYTES = 512
"""Bytes of body, in either direction, that compensate one such frame."""
SETTINGS_COST = 10
STREAMS_PER_FRAME = 50
"""Streams whose windows a change of INITIAL_WINDOW_SIZE moves at the cost of one more frame without use."""
REFUSAL_COST = 10
LINGER_STREAMS = 8
"""Streams that were answered while the peer was still sending, and whose further DATA is discarded."""
LINGER_SIZE = 67108864
"""Bytes of one such stream that are discarded before it is reset."""
MAX_CONTINUATIONS = 32
"""CONTINUATION frames of one header block."""


class Budget:
    """A leaky bucket; anything may be added to ``left``, whose bound is applied when something is spent."""

    __slots__ = ("_burst", "_clock", "_rate", "_since", "_what", "left")

    def __init__(self, what: str, burst: int, rate: int, clock: Callable[[], float]) -> None:
        self.left = burst
        self._what = what
        self._burst = burst
        self._rate = rate
        self._clock = clock
        self._since = clock()

    def spend(self, cost: int = 1) -> None:
        """Take *cost*; raise ENHANCE_YOUR_CALM where there is nothing left."""
        if not self.take(cost):
            raise self.fault()

    def take(self, cost: int = 1) -> bool:
        """Take *cost*; return whether there was as much."""
        left = self.left
        left = min(left, self._burst)
        self.left = left = left - cost
        if left < 0:
            self._refill()
        return self.left >= 0

    def fault(self) -> ConnectionFault:
        """Return the fault of a peer that has nothing left."""
        return ConnectionFault(ErrorCodes.ENHANCE_YOUR_CALM, f"too many {self._what}")

    def _refill(self) -> None:
        now = self._clock()
        self.left += min(self._burst, int((now - self._since) * self._rate))
        self._since = now
