"""Notices a blocking client in the thread of its own server, which could otherwise only hang.

Strategy: a thread posts an event to the server's thread, four times a second. While that is not delivered, it checks
the line that the server's thread executes. If that line calls a socket, that socket is connected to one of our servers,
and this stays so for a second, no answer will ever come: the client's socket is shut down, so that the client returns,
and the server is notified, so that the test fails with the reason.

Limits: a client that keeps its sockets in C (libcurl) or has a socket on no line of Python is not
seen, nor is a thread that computes or sleeps; such a test ends by its own time limit.
"""

from __future__ import annotations

import _thread
import contextlib
import linecache
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from time import monotonic
from types import FrameType
from typing import Any

from qhttpserver_py._transport.sockets import borrowed

INTERVAL = 0.25
"""Seconds between two checks."""

PATIENCE = 1.0
"""Seconds after which a client that does not go on counts as blocking."""

_DEPTH = 6
_BLOCKS = re.compile(r"\b(recv\w*|read\w*|send\w*|connect\w*|do_handshake|select|poll|write\w*)\s*\(")

_REMEDY = """\
a blocking client waits for {address} in the thread of the server that should answer it.
Client and server share one event loop, and a blocking call does not let it run. Run the client beside the loop,
    response = qhttpserver.call(requests.get, url)
or use qhttpserver.client, or a client of Qt. The client stands at
{stack}"""


class BlockingClientError(RuntimeError):
    """A blocking client was used in the thread that runs the server. Not in Qt."""


class Watched:
    """One server under watch."""

    __slots__ = ("address", "answered", "ident", "on_blocked", "ping", "since", "spot")

    def __init__(
        self,
        address: tuple[str, int],
        ping: Callable[[Callable[[], None]], None],
        on_blocked: Callable[[BlockingClientError], None],
    ) -> None:
        self.address = address
        self.ping = ping  # posts a call to the server's thread
        self.on_blocked = on_blocked
        self.ident = threading.get_ident()
        self.answered = True
        self.since = 0.0
        self.spot: tuple[int, int] | None = None  # where the thread was found, and at which instruction

    def is_suspect(self, now: float) -> bool:
        """Whether the event loop has not taken the last posted event; post one if it has."""
        if not self.answered:
            return True
        self.since, self.spot, self.answered = now, None, False
        self.ping(self._pong)
        return False

    def look(self, frames: dict[int, FrameType], now: float) -> None:
        """Check the line that the thread executes, which is in *frames*."""
        frame = frames.pop(self.ident, None)
        stuck = None
        # That thread goes on meanwhile, so objects may change while they are read, or be proxies of deleted ones.
        with contextlib.suppress(Exception):
            stuck = _socket_to(frame, self.address) if frame is not None else None
        if frame is None or stuck is None:
            self.spot = None
            return
        spot = (id(frame), frame.f_lasti)
        if spot != self.spot or now - self.since < PATIENCE:
            self.spot = spot
            return
        self.spot = None
        stack = "".join(traceback.format_stack(frame)[-8:])
        # While a frame is referred to here, its variables would be deleted in this thread.
        del frame
        frames.clear()
        self._free(stuck, stack)

    def _pong(self) -> None:
        self.answered = True

    def _free(self, stuck: int, stack: str) -> None:
        address = f"{self.address[0]}:{self.address[1]}"
        self.on_blocked(BlockingClientError(_REMEDY.format(address=address, stack=stack)))
        with contextlib.suppress(OSError), borrowed(stuck) as lent:
            if lent is not None:
                lent.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """The thread that checks. It runs while there is a server to watch."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None

    def add(self, watched: Watched) -> None:
        """Watch the thread that calls this, for one server."""
        with self._lock:
            self._watched.append(watched)
            if self._stop is None:
                self._stop = threading.Event()
                # Not threading.Thread, whose start() waits until the thread runs: most of what a server costs.
                _thread.start_new_thread(self._run, (self._stop,))

    def remove(self, watched: Watched) -> None:
        """Stop watching; after the last server the thread ends."""
        with self._lock:
            if watched in self._watched:
                self._watched.remove(watched)
            if not self._watched and self._stop is not None:
                self._stop.set()
                self._stop = None

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(INTERVAL):
            with self._lock:  # who is removed may be deleted: no event is posted to it any more
                suspects = [watched for watched in self._watched if watched.is_suspect(monotonic())]
            for watched in suspects:
                watched.look(sys._current_frames(), monotonic())


WATCHDOG = Watchdog()


def _socket_to(frame: FrameType, address: tuple[str, int]) -> int | None:
    """Return the descriptor of the socket to *address* that the line of *frame* waits for, if any."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    if not _BLOCKS.search(line):
        return None
    current: FrameType | None = frame
    for _ in range(_DEPTH):
        if current is None:
            return None
        for value in tuple(current.f_locals.values()):
            for descriptor in _descriptors(value):
                if _peer(descriptor) == address:
                    return descriptor
        current = current.f_back
    return None


def _descriptors(value: object) -> Iterator[int]:
    """Yield the descriptors of *value*, a socket or a holder of sockets; runs none of its code."""
    if isinstance(value, socket.socket):
        yield value.fileno()
        return
    try:
        attributes: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return
    for name in ("_sock", "sock", "_socket"):
        held = attributes.get(name)
        if isinstance(held, socket.socket):
            yield held.fileno()
    yield from tuple(attributes.get("_fd_to_key") or ())  # a selector: asyncio's own loop in this thread


def _peer(descriptor: int) -> tuple[str, int] | None:
    try:
        with borrowed(descriptor) as lent:
            if lent is None:
                return None
            host, port = lent.getpeername()[:2]
    except (OSError, ValueError, TypeError):
        return None
    return host, port
