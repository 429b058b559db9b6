"""Windows programs under Wine, and the end of all that one of them started."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_MARK = "QHTTPSERVER_WINDOWS_RUN"
# Wine's own servants are started by the first program of a prefix, inherit its environment, and serve all others.
_SERVANTS = (b"wineserver", b"\\windows\\system32\\")
TIMED_OUT = 124


def run(command: Sequence[str], *, environment: Mapping[str, str], folder: Path, seconds: float) -> tuple[int, str]:
    """Run a program; return its exit code and what it printed.

    The streams are pipes: under Wine a Python whose stdout is a file ends at once. After `seconds` the program and all
    that it started are killed and the code is 124. What it left running at its end is killed too.
    """
    mark = secrets.token_hex(8)
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment, _MARK: mark},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    late = ""
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill(marked(mark, process_table()))
        output, _ = process.communicate()
        late = f"\nended after {seconds:g} seconds"
    kill(marked(mark, process_table()))
    return TIMED_OUT if late else process.returncode, output.decode("utf-8", "replace") + late


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
