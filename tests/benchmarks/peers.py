"""Connections of the benchmarks' own: one that was answered, and a crowd that stays silent."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .load import read_reply
from .servers import START_LIMIT

GET = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
COMES_TO_REST = 2.5
"""Seconds after which a crowd is what it will be: whatever a server does about silent connections was done."""


def ask(port: int) -> socket.socket:
    """Connect and be answered once; the connection stays open."""
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            peer = socket.create_connection(("127.0.0.1", port), START_LIMIT)
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)
    peer.sendall(GET)
    read_reply(peer)
    return peer


def allow_descriptors() -> None:
    """Raise the limit of open files as far as it goes, for us and the servers that we start."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def crowd(port: int, size: int) -> Iterator[None]:
    """Hold *size* connections that were answered once and say nothing more."""
    with ExitStack() as held:
        for _ in range(size):
            held.enter_context(ask(port))
        if size:
            time.sleep(COMES_TO_REST)
        yield
