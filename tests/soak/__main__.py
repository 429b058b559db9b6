"""Mixed traffic with faults for as long as you like: ``python -m tests.soak --minutes 30``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from .traffic import CLOSED, Peer, Traffic, get

GROWTH = 0.05
"""How much more resident memory than after the first minute there may be at the end."""


@contextlib.contextmanager
def running(descriptors: int = 0) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """Run the server with at most *descriptors* files open; give it and its two ports."""
    command = [sys.executable, "-m", "tests.soak.server", *([str(descriptors)] if descriptors else [])]
    rules = "qt.httpserver*.warning=false"
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_LOGGING_RULES": rules}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        plain, secure = map(int, process.stdout.readline().split())
        yield process, plain, secure
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


async def stats(port: int) -> dict[str, Any]:
    """Ask the server what it holds, once it is rid of all but this connection, or does not get rid of it."""
    for _ in range(50):
        peer = await Peer.connect(port)
        peer.writer.write(get("/stats"))
        found: dict[str, Any] = json.loads(await peer.reply())
        peer.close()
        if max(found["connections"], found["QTcpSocket"]) <= 1 and not found["websockets"]:
            break
        await asyncio.sleep(0.2)
    return found


async def starve(port: int, count: int) -> int:
    """Open more connections than the server has descriptors for, then leave."""
    peers = []
    for _ in range(count):
        with contextlib.suppress(OSError, *CLOSED):
            peers.append(await Peer.connect(port))
    await asyncio.sleep(0.5)
    for peer in peers:
        peer.close()
    await asyncio.sleep(1.0)
    return len(peers)


async def load(traffic: Traffic, until: float, workers: int) -> None:
    """Keep *workers* scenarios going."""

    async def work() -> None:
        while time.monotonic() < until:
            await traffic.one()

    await asyncio.gather(*(work() for _ in range(workers)))


async def soak(seconds: float, workers: int, seed: int, descriptors: int, say: Any = print) -> bool:
    """Run; print what was held before and after; return whether nothing was lost and nothing unexpected seen."""
    with running(descriptors) as (process, plain, secure):
        traffic = Traffic(plain, secure, seed)
        first = min(60.0, seconds / 3)  # caches fill, the allocator settles
        await load(traffic, time.monotonic() + first, workers)
        before = await stats(plain)
        say("start", before)
        end = time.monotonic() + seconds - first
        while time.monotonic() < end:
            await load(traffic, min(end, time.monotonic() + 60), workers)
            await starve(plain, descriptors)
            os.kill(process.pid, signal.SIGSTOP)  # the machine sleeps, and all its clocks jump
            await asyncio.sleep(0.5)
            os.kill(process.pid, signal.SIGCONT)
            now = await stats(plain)
            say(f"{sum(traffic.requests.values())} requests, rss {now['rss'] >> 10} KiB, {now['fds']} fds")
        after = await stats(plain)
        say("end  ", after)
        alive = process.poll() is None
    growth = after["rss"] / before["rss"] - 1
    lost = {name: (before[name], after[name]) for name in before if name != "rss" and after[name] > before[name]}
    say(f"{sum(traffic.requests.values())} requests: {dict(traffic.requests)}")
    say(f"errors: {dict(traffic.errors)}; rss {growth:+.1%}; more than at the start: {lost}")
    settled = seconds < 300 or growth <= GROWTH  # in less, caches still fill
    return alive and not traffic.errors and not lost and settled


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=16, help="scenarios at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--descriptors", type=int, default=200, help="files the server may have open")
    options = parser.parse_args()
    fine = asyncio.run(soak(options.minutes * 60, options.workers, options.seed, options.descriptors))
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
