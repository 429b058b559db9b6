"""Downloads and uploads by curl, which takes and gives as fast as it can, and what they cost the server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import trustme

PROTOCOLS = ("HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2", "HTTP/2 over TLS")
DIRECTIONS = ("file", "generated", "upload")

_OPTIONS = {
    "HTTP/1.1": ["--http1.1"],
    "HTTP/1.1 over TLS": ["--http1.1"],
    "HTTP/2": ["--http2-prior-knowledge"],
    "HTTP/2 over TLS": ["--http2"],
}


class Measured(NamedTuple):
    """One transfer."""

    protocol: str
    direction: str
    seconds: float
    grown: int  # bytes by which the server's peak passed what it held before


class Transfers:
    """A server process and a client of it."""

    def __init__(self, folder: Path, size: int, ports: list[int]) -> None:
        self._folder = folder
        self._size = size
        self._ports = ports

    def measure(self, protocol: str, direction: str) -> Measured:
        """Do one transfer, compare what arrived with what was sent, and say what it cost."""
        self._curl(protocol, "/peak")  # what one request loads, of TLS and HTTP/2, is not growth
        before = int(self._curl("HTTP/1.1", "/reset"))
        began = time.perf_counter()
        self._curl(protocol, self._path(direction), *self._wishes(direction))
        seconds = time.perf_counter() - began
        grown = int(self._curl("HTTP/1.1", "/peak")) - before
        self._compare(direction)
        return Measured(protocol, direction, seconds, grown)

    def _path(self, direction: str) -> str:
        return f"/generated/{self._size}" if direction == "generated" else f"/{direction}"

    def _wishes(self, direction: str) -> list[str]:
        if direction == "upload":
            return ["--upload-file", str(self._folder / "download")]
        return ["--output", str(self._folder / "arrived") if direction == "file" else "/dev/null"]

    def _compare(self, direction: str) -> None:
        if direction == "generated":
            return
        arrived = self._folder / ("upload" if direction == "upload" else "arrived")
        subprocess.run(["cmp", str(self._folder / "download"), str(arrived)], check=True)
        arrived.unlink()

    def _curl(self, protocol: str, path: str, *wishes: str) -> str:
        tls = "TLS" in protocol
        url = f"{'https' if tls else 'http'}://127.0.0.1:{self._ports[tls]}{path}"
        command = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--insecure", "--max-time", "600"]
        done = subprocess.run(
            [*command, *_OPTIONS[protocol], *wishes, url], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{protocol} {path}: curl ended with {done.returncode}: {done.stderr}")
        return done.stdout


@contextmanager
def serving(folder: Path, size: int) -> Iterator[Transfers]:
    """Start a server process with a file of *size* bytes to serve."""
    with (folder / "download").open("wb") as file:
        piece = bytes(range(251)) * 4178  # a prime: no page looks like its neighbour
        for start in range(0, size, len(piece)):
            file.write(piece[: size - start])
    certificate = folder / "pair.pem"
    trustme.CA().issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    command = [sys.executable, "-m", "tests.large.server", str(folder), str(certificate)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    try:
        ports = [int(port) for port in process.stdout.readline().split()]
        transfers = Transfers(folder, size, ports)
        yield transfers
        transfers._curl("HTTP/1.1", "/stop")
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
