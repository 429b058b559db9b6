"""Programs that run in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_program(source: str, *options: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run *source* with Python's *options*; return what it wrote, once it has ended with 0."""
    command = [sys.executable, *options, "-c", source]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr
    return done
