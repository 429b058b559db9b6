"""The descriptors of this process."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def files() -> set[str]:
    """Return the sockets that are open."""
    if sys.platform != "linux":
        return set()
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
    return {file for file in found if "socket" in file}
