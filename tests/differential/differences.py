"""Reads the table of docs/explanation/differences.md: which cases differ, what ours answers, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "differences.md"
ROW = re.compile(r"^\| (?P<id>[a-z0-9-]+) \| (?P<cases>`[^|]+`) \| (?P<ours>`[^|]+`) \|")
QUOTED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Difference:
    """One row: ``cases`` are patterns of labels, ``ours`` the summaries our outcome may have."""

    id: str
    cases: tuple[str, ...]
    ours: tuple[str, ...]

    def covers(self, label: str) -> bool:
        return any(fnmatchcase(label, pattern) for pattern in self.cases)


def read_differences(page: Path = PAGE) -> list[Difference]:
    rows = (ROW.match(line) for line in page.read_text(encoding="utf-8").splitlines())
    return [
        Difference(row["id"], tuple(QUOTED.findall(row["cases"])), tuple(QUOTED.findall(row["ours"])))
        for row in rows
        if row is not None
    ]
