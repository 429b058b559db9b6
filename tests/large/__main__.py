"""Runs the transfers and prints a table; fails if the server grew by more than 20 MB."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .transfers import DIRECTIONS, PROTOCOLS, serving

LIMIT = 20_000_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.large", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--folder", help="where the files go; needs three times the size")
    parser.add_argument("--protocol", choices=PROTOCOLS, action="append", help="default: all")
    parser.add_argument("--direction", choices=DIRECTIONS, action="append", help="default: all")
    given = parser.parse_args()
    size, worst = int(given.gigabytes * 1e9), 0
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, serving(Path(folder), size) as transfers:
        print(f"{size / 1e6:.0f} MB each        direction   MB/s   grown MB")
        for protocol in given.protocol or PROTOCOLS:
            for direction in given.direction or DIRECTIONS:
                found = transfers.measure(protocol, direction)
                worst = max(worst, found.grown)
                speed = size / 1e6 / found.seconds
                print(f"{protocol:20} {direction:10} {speed:6.0f} {found.grown / 1e6:8.1f}", flush=True)
    print("the server's peak stayed within 20 MB" if worst <= LIMIT else "the server grew by more than 20 MB")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
