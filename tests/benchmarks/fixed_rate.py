"""Requests that are due at fixed times, and how late their replies are.

A reply's latency counts from the time its request was due, so that a server that stalls cannot hide it by
being asked less.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass

from .load import read_reply
from .peers import ask

CONNECTIONS = 16
FRESH = b"GET /fresh?n=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True)
class Spread:
    """Percentiles in milliseconds."""

    p50: float
    p99: float
    worst: float
    count: int

    @classmethod
    def of(cls, seconds: list[float]) -> Spread:
        ordered = sorted(seconds) or [0.0]
        last = len(ordered) - 1
        p50, p99 = ordered[last // 2], ordered[round(last * 0.99)]
        return cls(p50 * 1000, p99 * 1000, ordered[-1] * 1000, len(seconds))

    def __str__(self) -> str:
        return f"{self.p50:7.2f} {self.p99:7.2f} {self.worst:7.2f}"


class FixedRate:
    """Sends *rate* requests a second over a few connections, each waiting its turn; no two are alike."""

    def __init__(self, port: int, rate: float) -> None:
        self.interval = 1 / rate
        self.selector = selectors.DefaultSelector()
        self.free: deque[socket.socket] = deque(ask(port) for _ in range(CONNECTIONS))
        self.due_of: dict[socket.socket, float] = {}
        self.latencies: list[float] = []
        self.sent = 0

    def run(self, seconds: float) -> Spread:
        due = time.perf_counter()
        end = due + seconds
        while due < end:
            now = time.perf_counter()
            while due <= now and self.free:
                self.send(self.free.popleft(), due)
                due += self.interval
            self.collect(max(0.0, due - time.perf_counter()) if self.free else 1.0)
        while self.due_of:
            self.collect(1.0)
        for peer in self.free:
            peer.close()
        return Spread.of(self.latencies)

    def send(self, peer: socket.socket, due: float) -> None:
        self.due_of[peer] = due
        self.selector.register(peer, selectors.EVENT_READ)
        self.sent += 1
        peer.sendall(FRESH % self.sent)

    def collect(self, patience: float) -> None:
        for key, _ in self.selector.select(patience):
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            read_reply(peer)
            self.latencies.append(time.perf_counter() - self.due_of.pop(peer))
            self.selector.unregister(peer)
            self.free.append(peer)
