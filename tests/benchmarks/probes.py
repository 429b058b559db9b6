"""What is measured once per start, smaller being better: memory, start-up, import and first reply."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from .fixed_rate import FixedRate
from .peers import ask
from .proc import resident_kib
from .servers import START_LIMIT, Running, Server, Setup
from .websockets import opened

IDLE = 400  # connections held open
RATE, RATE_SECONDS = 2000, 3.0


def idle_connection_kib(server: Server, setup: Setup) -> float:
    with Running(server, "http", setup) as running, ExitStack() as warm:
        for _ in range(20):
            warm.enter_context(ask(running.port))
        before = resident_kib(running.process.pid)
        with ExitStack() as held:
            for _ in range(IDLE):
                held.enter_context(ask(running.port))
            return (resident_kib(running.process.pid) - before) / IDLE


def idle_websocket_kib(server: Server, setup: Setup) -> float:
    with Running(server, "ws", setup) as running, ExitStack() as warm:
        for _ in range(20):
            warm.enter_context(opened(running.port, "/ws"))
        before = resident_kib(running.process.pid)
        with ExitStack() as held:
            for _ in range(IDLE):
                held.enter_context(opened(running.port, "/ws"))
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


def late_replies_ms(server: Server, setup: Setup) -> float:
    """How late 99 % of fresh replies are at most, in the loop of a GUI."""
    with Running(server, "http", setup, "gui_app.py") as running:
        return FixedRate(running.port, RATE).run(RATE_SECONDS).p99


@dataclass(frozen=True)
class Probe:
    """One row of the second table."""

    name: str
    title: str
    unit: str
    measure: Callable[[Server, Setup], float]
    servers: tuple[str, ...] = ()
    """Those that can be asked; empty: all that serve its kind."""
    kind: str = "http"

    def asks(self, server: Server) -> bool:
        """Whether *server* can be asked."""
        return self.kind in server.kinds and (not self.servers or server.name in self.servers)


PROBES = (
    Probe("p99", "p99 at 2,000 fresh replies/s, 16 ms GUI timer", "ms", late_replies_ms, servers=("ours", "wheel")),
    Probe("idle", "an idle keep-alive connection", "KiB", idle_connection_kib),
    Probe("ws-idle", "an idle WebSocket, not compressed", "KiB", idle_websocket_kib, kind="ws"),
    Probe("start", "process start to first reply", "ms", start_to_reply_ms),
    Probe("import", "import", "ms", import_ms),
    Probe("first", "first reply of a started server", "ms", first_reply_ms),
)
