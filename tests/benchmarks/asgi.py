"""Mounted applications beside uvicorn (httptools, uvloop) and hypercorn, in interleaved rounds.

python -m tests.benchmarks.asgi [--rounds 5] [--seconds 2] [--only bare,fastapi]
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from .proc import cpu_seconds

ROOT = Path(__file__).parents[2]
SERVERS = ("ours", "uvicorn", "hypercorn")
PATHS = {"bare": "/hello", "bare-100k": "/100k", "stream": "/stream", "fastapi": "/api/items/7?q=a"}
KILOBYTES_100 = b"x" * 100_000
PLAIN = (b"content-type", b"text/plain")


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a word, 100 kB in one piece, or 1 MB in pieces."""
    if scope["type"] != "http":
        raise NotImplementedError
    path = scope["path"]
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [PLAIN]})
        for _ in range(10):
            await send({"type": "http.response.body", "body": KILOBYTES_100, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    content = b"hello" if path == "/hello" else KILOBYTES_100
    headers = [PLAIN, (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def make_application() -> Any:
    """Return the bare application, with FastAPI below /api."""
    from fastapi import FastAPI

    api = FastAPI()

    @api.get("/api/items/{number}")
    async def item(number: int, q: str = "") -> dict[str, Any]:
        return {"number": number, "q": q, "tags": ["a", "b"]}

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"][:5] == "/api/":
            await api(scope, receive, send)
        else:
            await bare(scope, receive, send)

    return application


def serve(name: str, listening: socket.socket) -> None:
    """Serve the application on a listening socket, until the process is ended."""
    application = make_application()
    if name == "uvicorn":
        import uvicorn

        settings: dict[str, Any] = {"http": "httptools", "loop": "uvloop", "lifespan": "off", "log_level": "warning"}
        uvicorn.run(application, fd=listening.fileno(), access_log=False, **settings)
    elif name == "hypercorn":
        import uvloop
        from hypercorn.asyncio import serve as hypercorn_serve
        from hypercorn.config import Config

        config = Config()
        config.bind = [f"fd://{listening.fileno()}"]
        uvloop.run(hypercorn_serve(application, config))
    else:
        from PySide6.QtCore import QCoreApplication
        from PySide6.QtNetwork import QTcpServer

        from qhttpserver_py import QHttpServer, asgi

        app = QCoreApplication([])
        server, tcp = QHttpServer(), QTcpServer()
        asgi.mount(server, "/", application, lifespan="off")
        assert tcp.setSocketDescriptor(listening.detach())
        assert server.bind(tcp)
        app.exec()


def measure(process: int, url: str, seconds: int) -> tuple[float, float]:
    """Return requests a second, and microseconds of processor time for each, under wrk with 16 connections."""
    before = cpu_seconds(process)
    began = time.monotonic()
    said = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{seconds}s", url], capture_output=True, text=True, check=True, timeout=seconds + 20
    ).stdout
    used, elapsed = cpu_seconds(process) - before, time.monotonic() - began
    found = re.search(r"(\d+) requests in", said)
    assert found is not None and "Non-2xx" not in said, said
    count = int(found.group(1))
    return count / elapsed, used / max(count, 1) * 1e6


def main() -> None:
    """Run the rounds, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", default=",".join(PATHS))
    parser.add_argument("--servers", default=",".join(SERVERS))
    arguments = parser.parse_args()
    assert shutil.which("wrk"), "wrk is not installed"
    processes: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
    names = arguments.servers.split(",")
    try:
        for name in names:
            listening = socket.create_server(("127.0.0.1", 0), backlog=128)
            listening.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )  # inherited; uvicorn sets it on its own only
            command = [sys.executable, "-m", "tests.benchmarks.asgi", "--serve", name, str(listening.fileno())]
            process = subprocess.Popen(command, pass_fds=[listening.fileno()], cwd=ROOT)
            processes[name] = process, listening.getsockname()[1]
            listening.close()
        for _, port in processes.values():  # they listen already: this waits for the first answer
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello", timeout=60) as reply:
                assert reply.read() == b"hello"
        for row in arguments.only.split(","):
            results: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
            for _ in range(arguments.rounds):
                for name, (process, port) in processes.items():
                    url = f"http://127.0.0.1:{port}{PATHS[row]}"
                    results[name].append(measure(process.pid, url, arguments.seconds))
            show(row, results)
    finally:
        for process, _ in processes.values():
            process.kill()
            process.wait()


def show(row: str, results: dict[str, list[tuple[float, float]]]) -> None:
    """Print one row: the medians, and what they are to those of uvicorn."""
    medians = {
        name: tuple(statistics.median(column) for column in zip(*got, strict=True)) for name, got in results.items()
    }
    line = [f"{row:10}"]
    for name, (rate, cost) in medians.items():
        line.append(f"{name} {rate:8.0f}/s {cost:7.1f} us")
    if {"ours", "uvicorn"} <= medians.keys():
        (rate, cost), (other_rate, other_cost) = medians["ours"], medians["uvicorn"]
        line.append(f"to uvicorn: rate {rate / other_rate:.2f}, processor time {cost / other_cost:.2f}")
    print("  ".join(line), flush=True)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        name, descriptor = sys.argv[-2:]
        serve(name, socket.socket(fileno=int(descriptor)))
    else:
        main()
