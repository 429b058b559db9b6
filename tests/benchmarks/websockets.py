"""Load of WebSockets: echoes over a few connections, and one message that goes to a crowd of them."""

from __future__ import annotations

import base64
import os
import selectors
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .load import SLACK, Load, received

TEXT, COMPRESSED = 0x81, 0xC1
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
WORDS = ("temperature", "pressure", "humidity", "valid", "sensor", "name", "value", "unit")


def opened(port: int, path: str, *, compressed: bool = False) -> socket.socket:
    """Connect and shake hands."""
    peer = socket.create_connection(("127.0.0.1", port), SLACK)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    peer.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"{DEFLATE if compressed else ''}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        reply += received(peer)
    if not reply.startswith(b"HTTP/1.1 101") or (compressed and b"permessage-deflate" not in reply):
        raise ConnectionError(f"no WebSocket: {reply[:200]!r}")
    return peer


def frame(first: int, payload: bytes) -> bytes:
    """A masked frame of a client (RFC 6455 5.2)."""
    size, key = len(payload), os.urandom(4)
    if size < 126:
        head = bytes((first, 128 | size))
    elif size < 65536:
        head = bytes((first, 128 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 128 | 127)) + size.to_bytes(8, "big")
    pad = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return head + key + masked.to_bytes(size, "big")


def texts(size: int) -> Iterator[bytes]:
    """Texts of *size* octets, of words and numbers, no two alike."""
    number = 0
    while True:
        number += 1
        line = b"".join(b"%s %d; " % (word.encode(), number * (place + 7919)) for place, word in enumerate(WORDS))
        yield (b"%08d " % number + line * (size // len(line) + 1))[:size]


def frames_of(size: int, count: int, *, compressed: bool) -> list[bytes]:
    """*count* frames with texts of *size* octets."""
    made = texts(size)
    if not compressed:
        return [frame(TEXT, next(made)) for _ in range(count)]
    result = []
    for _ in range(count):
        deflate = zlib.compressobj(wbits=-12)
        data = deflate.compress(next(made)) + deflate.flush(zlib.Z_SYNC_FLUSH)
        result.append(frame(COMPRESSED, data.removesuffix(b"\0\0\xff\xff")))  # RFC 7692 7.2.1
    return result


@dataclass
class Peer:
    """One connection, which counts the frames that come."""

    socket: socket.socket
    rest: bytes = b""
    skip: int = 0

    def take(self) -> int:
        """Read once; return how many frames came to their end."""
        data = received(self.socket)
        ended = 0
        if self.skip:
            taken = min(self.skip, len(data))
            self.skip -= taken
            data = data[taken:]
            ended += not self.skip
        data = self.rest + data
        at = 0
        while len(data) - at >= 2:
            size, begin = data[at + 1], at + 2
            if size >= 126:
                begin += 2 if size == 126 else 8
                if begin > len(data):
                    break
                size = int.from_bytes(data[at + 2 : begin], "big")
            at = begin + size
            if at > len(data):
                self.skip = at - len(data)
                break
            ended += 1
        self.rest = data[at:]
        return ended


@dataclass(frozen=True)
class Echo:
    """Connections that each keep *in_flight* messages under way."""

    size: int
    in_flight: int = 1
    compressed: bool = False
    connections: int = 8
    tool: str = field(default="socket", init=False)

    def __call__(self, url: str, seconds: float, cpu: int | None) -> Load:
        where = urlsplit(url)
        prepared = frames_of(self.size, max(8, min(2048, (1 << 24) // self.size)), compressed=self.compressed)
        sent = done = 0
        with ExitStack() as held, selectors.DefaultSelector() as selector, _kept_on(cpu):
            for _ in range(self.connections):
                peer = held.enter_context(opened(where.port or 0, where.path, compressed=self.compressed))
                selector.register(peer, selectors.EVENT_READ, Peer(peer))
                for _ in range(self.in_flight):
                    peer.sendall(prepared[sent % len(prepared)])
                    sent += 1
            start = time.perf_counter()
            while (elapsed := time.perf_counter() - start) < seconds:
                for key, _ in selector.select(SLACK):
                    ended = key.data.take()
                    if ended:
                        more = [prepared[(sent + number) % len(prepared)] for number in range(ended)]
                        key.data.socket.sendall(more[0] if ended == 1 else b"".join(more))
                        sent += ended
                        done += ended
        return Load(done, elapsed, 0)


@dataclass(frozen=True)
class FanOut:
    """A crowd of connections, each of which gets what one of them says; a delivery counts as a request."""

    crowd: int = 500
    size: int = 200
    tool: str = field(default="socket", init=False)

    def __call__(self, url: str, seconds: float, cpu: int | None) -> Load:
        where = urlsplit(url)
        prepared = frames_of(self.size, 2048, compressed=False)
        rounds = done = 0
        with ExitStack() as held, selectors.DefaultSelector() as selector, _kept_on(cpu):
            peers = [held.enter_context(opened(where.port or 0, where.path)) for _ in range(self.crowd)]
            for peer in peers:
                selector.register(peer, selectors.EVENT_READ, Peer(peer))
            start = time.perf_counter()
            while (elapsed := time.perf_counter() - start) < seconds:
                rounds += 1
                peers[rounds % len(peers)].sendall(prepared[rounds % len(prepared)])
                while done < rounds * len(peers):
                    for key, _ in selector.select(SLACK):
                        done += key.data.take()
        return Load(done, elapsed, 0)


@contextmanager
def _kept_on(cpu: int | None) -> Iterator[None]:
    """Keep this process on one processor for as long as it makes load."""
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
