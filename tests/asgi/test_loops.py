"""The web's frameworks in one program, on each event loop that Qt programs have, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

NEEDED = [
    "fastapi", "python_multipart", "itsdangerous", "jinja2", "sse_starlette", "django", "flask", "a2wsgi",
    "prometheus_client", "mcp", "websockets", "h2",
]  # fmt: skip
ABSENT = [name for name in NEEDED if importlib.util.find_spec(name) is None]
CHECKS = (
    "routing threads validation sessions compression cors files templates uploads streaming events background "
    "exceptions documentation websockets mcp django flask prometheus closed"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {ABSENT}"),
]


@pytest.mark.parametrize("http", ["1", "2"])
@pytest.mark.parametrize("loop", ["plain", "qtasyncio", "qasync"])
def test_frameworks(loop: str, http: str) -> None:
    if loop == "qasync":
        pytest.importorskip("qasync")
    done = subprocess.run(
        [sys.executable, "-m", "tests.asgi.frameworks", loop, http],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == CHECKS.split()
    assert "never retrieved" not in done.stderr
    assert "was destroyed" not in done.stderr
