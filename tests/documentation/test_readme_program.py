"""The README's program, as it is typed: it serves, says why it cannot, and ends with Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")


def started(port: int) -> subprocess.Popen[str]:
    program = PROGRAM.replace("8080", str(port)).replace("app.exec()", "print('ready', flush=True)\napp.exec()")
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_it_serves_and_ends_with_an_interrupt() -> None:
    port = free_port()
    with started(port) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/user/7", timeout=10).read() == b'{"user":7}'
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == -signal.SIGINT


def test_a_port_that_is_taken_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, started(taken.getsockname()[1]) as running:
        _, errors = running.communicate(timeout=20)
        assert running.returncode == 1
        assert "address" in errors
