"""Slow attackers beside one honest client: ``python -m tests.soak.crowd --connections 500``.

A third sends its heads a byte at a time (slowloris), a third its bodies (slow POST), a third asks
for much and reads nothing (slow read). Each comes back as soon as it is thrown out. Printed is how
long the honest client waits for its answers, with the crowd and without it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import socket
import statistics
import sys
import time
from typing import NamedTuple

from .__main__ import running
from .traffic import CLOSED, Peer, get

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
UPLOAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"


class Latency(NamedTuple):
    """Of single requests, in milliseconds."""

    median: float
    p99: float
    worst: float

    def __str__(self) -> str:
        return f"median {self.median:.2f} ms, 99 % within {self.p99:.2f} ms, worst {self.worst:.2f} ms"


async def trickle(port: int, first: bytes, pause: float) -> None:
    """Send *first*, and then a byte at a time, until thrown out."""
    peer = await Peer.connect(port)
    peer.writer.write(first)
    with contextlib.suppress(OSError, *CLOSED):
        while not peer.reader.at_eof():
            peer.writer.write(b"x")
            await asyncio.sleep(pause)
            if peer.writer.is_closing():
                break
    peer.close()


async def gape(port: int, pause: float) -> None:
    """Ask for a lot and read nothing, until thrown out."""
    loop = asyncio.get_running_loop()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    with raw, contextlib.suppress(OSError):
        await loop.sock_connect(raw, ("127.0.0.1", port))
        await loop.sock_sendall(raw, get("/big"))
        while True:
            await asyncio.sleep(pause)
            await loop.sock_sendall(raw, b"\r\n")  # finds out that it was thrown out


async def attack(port: int, number: int, pause: float) -> None:
    """Be one of the crowd for good."""
    await asyncio.sleep(number * 0.002)
    while True:
        with contextlib.suppress(OSError, *CLOSED):
            if number % 3 == 0:
                await trickle(port, HEAD, pause)
            elif number % 3 == 1:
                await trickle(port, UPLOAD, pause)
            else:
                await gape(port, pause)
        await asyncio.sleep(0.05)


async def measure(port: int, seconds: float) -> Latency:
    """Ask again and again on one connection, a few milliseconds apart."""
    peer = await Peer.connect(port)
    found = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        peer.writer.write(get("/"))
        await peer.reply()
        found.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.005)
    peer.close()
    found.sort()
    return Latency(statistics.median(found), found[int(len(found) * 0.99)], found[-1])


async def honest(port: int, seconds: float) -> Latency:
    """``measure()`` in a process of its own, so that the crowd's work is not in it."""
    command = ("-m", "tests.soak.crowd", "--measure", str(port), "--seconds", str(seconds))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return Latency(*map(float, output.split()))


async def crowd(connections: int, seconds: float, pause: float) -> tuple[Latency, Latency]:
    """Return the latency of the honest client alone, and in the crowd."""
    with running(2 * connections + 100) as (_process, port, _secure):
        alone = await honest(port, seconds)
        attackers = [asyncio.create_task(attack(port, number, pause)) for number in range(connections)]
        await asyncio.sleep(connections * 0.002 + 2)
        among = await honest(port, seconds)
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)
    return alone, among


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.crowd")
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between an attacker's bytes")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)  # the port: be the honest client
    options = parser.parse_args()
    if options.measure:
        print(*asyncio.run(measure(options.measure, options.seconds)))
        return
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    alone, among = asyncio.run(crowd(options.connections, options.seconds, options.pause))
    print(f"alone: {alone}\namong {options.connections}: {among}")


if __name__ == "__main__":
    main()
