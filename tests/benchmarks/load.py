"""Load generators: wrk, h2load and ab, and a socket of our own for uploads."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "lua"
PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client", "ab": "apache2-utils"}
SLACK = 20.0  # seconds a generator may take beyond its run


@dataclass(frozen=True)
class Load:
    """What one run of a generator brought about."""

    requests: int
    seconds: float
    failed: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


def missing_tools(wanted: set[str]) -> list[str]:
    """One line for each generator that is not installed, naming the Debian package."""
    absent = sorted(tool for tool in wanted if tool in PACKAGES and shutil.which(tool) is None)
    return [f"{tool} is not installed: apt-get install {PACKAGES[tool]}" for tool in absent]


def run(command: list[str], seconds: float, cpu: int | None) -> str:
    pinned = ["taskset", "-c", str(cpu), *command] if cpu is not None and shutil.which("taskset") else command
    done = subprocess.run(pinned, capture_output=True, text=True, timeout=seconds + SLACK, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def number(pattern: str, text: str, default: str = "0") -> float:
    found = re.search(pattern, text)
    return float(found.group(1) if found else default)


@dataclass(frozen=True)
class Wrk:
    """Keep-alive connections that send as soon as they are answered."""

    tool = "wrk"
    headers: tuple[str, ...] = ()
    script: str = ""
    connections: int = 16

    def __call__(self, url: str, seconds: float, cpu: int | None) -> Load:
        command = ["wrk", "-t1", f"-c{self.connections}", f"-d{max(1, round(seconds))}s"]
        for header in self.headers:
            command += ["-H", header]
        if self.script:
            command += ["-s", str(SCRIPTS / self.script)]
        text = run([*command, url], seconds, cpu)
        done = number(r"(\d+) requests in", text)
        spent = re.search(r"requests in\s+([\d.]+)(ms|s|m)", text)
        scale = {"ms": 0.001, "s": 1.0, "m": 60.0}
        elapsed = float(spent.group(1)) * scale[spent.group(2)] if spent else 0.0
        bad = number(r"Non-2xx or 3xx responses: (\d+)", text)
        bad += sum(number(rf"Socket errors:.*{kind} (\d+)", text) for kind in ("connect", "read", "write", "timeout"))
        return Load(int(done), elapsed, int(bad))


@dataclass(frozen=True)
class Ab:
    """A new connection for each request, HTTP/1.0 as ab speaks it."""

    tool = "ab"
    connections: int = 16

    def __call__(self, url: str, seconds: float, cpu: int | None) -> Load:
        limit = ["-t", str(max(1, round(seconds))), "-n", "10000000"]
        text = run(["ab", "-q", "-r", "-c", str(self.connections), *limit, url], seconds, cpu)
        done, spent = (
            number(r"Complete requests:\s+(\d+)", text),
            number(r"Time taken for tests:\s+([\d.]+)", text),
        )
        failed = number(r"Failed requests:\s+(\d+)", text) + number(r"Non-2xx responses:\s+(\d+)", text)
        return Load(int(done), spent, int(failed))


@dataclass(frozen=True)
class H2load:
    """HTTP/2 over TLS: clients with several streams each, always full."""

    tool = "h2load"
    clients: int = 8
    streams: int = 10

    def __call__(self, url: str, seconds: float, cpu: int | None) -> Load:
        duration = max(1, round(seconds))
        counts = [f"-c{self.clients}", f"-m{self.streams}", f"-D{duration}"]
        text = run(["h2load", *counts, url], seconds, cpu)
        done = number(r"(\d+) succeeded", text)
        failed = number(r"(\d+) failed", text) + number(r"(\d+) errored", text)
        return Load(int(done), float(duration), int(failed))


@dataclass(frozen=True)
class Upload:
    """One keep-alive connection that posts *size* bytes again and again."""

    tool = "socket"
    size: int

    def __call__(self, url: str, seconds: float, cpu: int | None) -> Load:
        port = int(url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])
        path = "/" + url.rsplit("/", 1)[1]
        request = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (
            path.encode(),
            self.size,
        )
        request += bytes(self.size)
        done, failed, start = 0, 0, time.perf_counter()
        with socket.create_connection(("127.0.0.1", port), SLACK) as peer:
            while (elapsed := time.perf_counter() - start) < seconds:
                peer.sendall(request)
                reply = read_reply(peer)
                done += 1
                failed += not (reply.startswith(b"HTTP/1.1 200") and reply.endswith(str(self.size).encode()))
        return Load(done, elapsed, failed)


def read_reply(peer: socket.socket) -> bytes:
    """One reply with a content-length, whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(peer)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(number(r"(?i)content-length: *(\d+)", head.decode("latin-1")))
    while len(body) < length:
        body += received(peer)
    return head + b"\r\n\r\n" + body


def received(peer: socket.socket) -> bytes:
    data = peer.recv(1 << 16)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data
