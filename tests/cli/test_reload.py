"""--reload: a change starts the program again, and a program that cannot be loaded waits for the next one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

SECONDS = 30
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]

APP = """
from .deep.words import WORD

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": WORD.encode()})

def make():
    return app
"""


class Output:
    """Reads what a process says, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line for line in self.process.stdout)

    def wait_for(self, text: str, count: int = 1) -> str:
        deadline = time.monotonic() + SECONDS
        while True:
            found = [line for line in list(self.lines) if text in line]
            if len(found) >= count:
                return found[count - 1]
            assert time.monotonic() < deadline, "".join(self.lines)
            assert self.process.poll() is None, "".join(self.lines)
            time.sleep(0.02)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    deep = tmp_path / "package" / "deep"
    deep.mkdir(parents=True)
    for folder in (deep, deep.parent):
        (folder / "__init__.py").write_text("")
    (deep.parent / "main.py").write_text(APP)
    (deep / "words.py").write_text("WORD = 'one'\n")
    return tmp_path


@pytest.fixture
def output(package: Path, request: pytest.FixtureRequest) -> Iterator[Output]:
    target = getattr(request, "param", ["package.main:app"])
    process = subprocess.Popen(
        [sys.executable, "-m", "qhttpserver_py", *target, "--reload", "--port", "0"],
        cwd=package,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Output(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def body(output: Output, count: int) -> bytes:
    found = re.search(r"http://[\d.:]+/", output.wait_for("Serving", count))
    assert found is not None
    with urllib.request.urlopen(found.group(), timeout=SECONDS) as reply:
        return bytes(reply.read())


@pytest.mark.parametrize("output", [["package.main:app"], ["package.main:make", "--factory"]], indirect=True)
def test_a_change_in_a_nested_package_starts_it_again(package: Path, output: Output) -> None:
    output.wait_for("are watched")
    assert body(output, 1) == b"one"
    (package / "package" / "deep" / "words.py").write_text("WORD = 'two'\n")
    output.wait_for("words.py changed; starting again.")
    assert body(output, 2) == b"two"


def test_a_program_that_cannot_be_loaded_waits_for_the_next_change(package: Path, output: Output) -> None:
    words = package / "package" / "deep" / "words.py"
    output.wait_for("are watched")
    for number, fault in enumerate(["WORD = = 1\n", "raise ZeroDivisionError\n", "import none_such\n"], 1):
        words.write_text(fault)
        output.wait_for("Waiting for a Python file", number)
    words.write_text("WORD = 'mended'\n")
    assert body(output, 2) == b"mended"
