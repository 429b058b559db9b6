"""What is measured once per start, smaller being better: memory, start-up, import and first reply."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from .load import read_reply
from .proc import resident_kib
from .servers import START_LIMIT, Running, Server, Setup

GET = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
IDLE = 400  # connections held open


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


def idle_connection_kib(server: Server, setup: Setup) -> float:
    with Running(server, "http", setup) as running, ExitStack() as warm:
        for _ in range(20):
            warm.enter_context(ask(running.port))
        before = resident_kib(running.process.pid)
        with ExitStack() as held:
            for _ in range(IDLE):
                held.enter_context(ask(running.port))
            return (resident_kib(running.process.pid) - before) / IDLE


def start_to_reply_ms(server: Server, setup: Setup) -> float:
    with Running(server, "http", setup) as running, ask(running.port):
        return (time.perf_counter() - running.started) * 1000


def first_reply_ms(server: Server, setup: Setup) -> float:
    with Running(server, "http", setup) as running:
        time.sleep(0.3)  # let it come to rest: only the first request's own cost is wanted
        start = time.perf_counter()
        with ask(running.port):
            return (time.perf_counter() - start) * 1000


def import_ms(server: Server, setup: Setup) -> float:
    code = f"import time; t = time.perf_counter(); import {server.module}; print(time.perf_counter() - t)"
    done = subprocess.run(
        [setup.python, "-c", code],
        capture_output=True,
        text=True,
        env=setup.variables(),
        timeout=START_LIMIT,
        check=True,
    )
    return float(done.stdout) * 1000


@dataclass(frozen=True)
class Probe:
    """One row of the second table."""

    name: str
    title: str
    unit: str
    measure: Callable[[Server, Setup], float]


PROBES = (
    Probe("idle", "an idle keep-alive connection", "KiB", idle_connection_kib),
    Probe("start", "process start to first reply", "ms", start_to_reply_ms),
    Probe("import", "import", "ms", import_ms),
    Probe("first", "first reply of a started server", "ms", first_reply_ms),
)
