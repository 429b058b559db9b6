"""Windows programs under Wine, and the end of all that one of them started."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_MARK = "QHTTPSERVER_WINDOWS_RUN"
# Wine's own servants are started by the first program of a prefix, inherit its environment, and serve all others.
_SERVANTS = (b"wineserver", b"\\windows\\system32\\")
TIMED_OUT = 124
_LAST_OUTPUT = 2.0  # seconds in which what a program wrote before its end is read


def run(command: Sequence[str], *, environment: Mapping[str, str], folder: Path, seconds: float) -> tuple[int, str]:
    """Run a program; return its exit code and what it printed.

    The streams are pipes: under Wine a Python whose stdout is a file ends at once. After `seconds` the program and all
    that it started are killed and the code is 124. What it left running at its end is killed too.
    """
    mark = secrets.token_hex(8)
    reading, writing = os.pipe()
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment, _MARK: mark},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
    )
    os.close(writing)
    output: list[bytes] = []
    reader = threading.Thread(target=_collect, args=(reading, output), daemon=True)
    reader.start()
    late = ""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        late = f"\nended after {seconds:g} seconds"
    kill(marked(mark, process_table()))
    reader.join(_LAST_OUTPUT)  # not for ever: Wine's servants inherited the pipe, and outlive the program
    text = b"".join(output).decode("utf-8", "replace")
    return TIMED_OUT if late else process.returncode, text + late


def _collect(descriptor: int, output: list[bytes]) -> None:
    while data := os.read(descriptor, 65536):
        output.append(data)
    os.close(descriptor)


def process_table() -> dict[int, tuple[bytes, bytes]]:
    """Return the command line and the environment of each process that may be read.

    A Windows program is a process of its own group or session as soon as it asks for a console or a group of its own,
    so a process group would not hold them all; the environment is inherited in any case.
    """
    table = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            table[int(folder.name)] = ((folder / "cmdline").read_bytes(), (folder / "environ").read_bytes())
        except OSError:
            continue  # it ended, or is another user's
    return table


def marked(mark: str, table: Mapping[int, tuple[bytes, bytes]]) -> list[int]:
    """Return which processes of the table carry the mark, without those of Wine itself."""
    wanted = f"{_MARK}={mark}".encode()
    return [
        number
        for number, (command, environment) in table.items()
        if wanted in environment.split(b"\0") and not any(servant in command.lower() for servant in _SERVANTS)
    ]


def kill(numbers: Sequence[int]) -> None:
    """End processes at once."""
    for number in numbers:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue
