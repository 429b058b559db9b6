"""What /proc says of a process: processor time and resident memory."""

from __future__ import annotations

import time
from pathlib import Path

_PROCESS_CLOCK = 2  # as clock_getcpuclockid(3) of Linux makes clocks of processes


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads so far, to the microsecond where /proc counts in hundredths."""
    return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)


def resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError(f"no VmRSS for {pid}")
