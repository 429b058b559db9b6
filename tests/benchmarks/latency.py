"""Tail latency, with a GUI timer of 16 ms in the same loop: ``python -m tests.benchmarks.latency``.

What is asked, and what is answered, is new each time; see ``fixed_rate``.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from .certificate import write_certificate
from .fixed_rate import FixedRate, Spread
from .load import Wrk, read_reply
from .peers import ask
from .servers import SERVERS, Running, Setup


def ticks(port: int) -> list[float]:
    """How late the GUI's ticks were since it was last asked."""
    with socket.create_connection(("127.0.0.1", port), 30) as peer:
        peer.sendall(b"GET /gui HTTP/1.1\r\nHost: localhost\r\n\r\n")
        late: list[float] = json.loads(read_reply(peer).partition(b"\r\n\r\n")[2])
        return late


def line(name: str, what: str, replies: Spread | None, late: list[float], seconds: float) -> str:
    shown = str(replies) if replies else " " * 23
    return f"{name:8} {what:22} {shown}   {Spread.of(late)}   {len(late) / seconds:5.1f}"


def watch(name: str, setup: Setup, options: argparse.Namespace) -> list[str]:
    extra = ("--busy", str(options.busy))
    with Running(SERVERS[name], "http", setup, "gui_app.py", extra) as running:
        ask(running.port).close()
        ticks(running.port)
        time.sleep(options.seconds)
        result = [line(name, "idle", None, ticks(running.port), options.seconds)]
        for rate in options.rates:
            ticks(running.port)
            replies = FixedRate(running.port, rate).run(options.seconds)
            result.append(line(name, f"{rate} requests/s", replies, ticks(running.port), options.seconds))
        ticks(running.port)
        flood = threading.Thread(
            target=Wrk(connections=100), args=(running.url("/hello"), options.seconds, None), daemon=True
        )
        flood.start()
        flood.join()
        result.append(line(name, "100 busy connections", None, ticks(running.port), options.seconds))
        return result


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.latency", description=__doc__)
    parser.add_argument("--rates", type=lambda text: [int(rate) for rate in text.split(",")], default=[500, 2000])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--busy", type=float, default=2.0, help="milliseconds the GUI works at each tick")
    parser.add_argument("--servers", default="ours,wheel")
    parser.add_argument("--python", default=sys.executable)
    return parser.parse_args()


def main() -> None:
    options = parse()
    print(f"GUI: a tick every 16 ms with {options.busy:g} ms of work. Milliseconds: p50, p99, worst.")
    print(f"{'server':8} {'load':22} {'reply latency':>23}   {'GUI tick late':>23}   ticks/s")
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = write_certificate(Path(directory))
        setup = Setup(options.python, certificate, key)
        for name in options.servers.split(","):
            print("\n".join(watch(name, setup, options)), flush=True)


if __name__ == "__main__":
    main()
