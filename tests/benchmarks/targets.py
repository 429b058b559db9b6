"""What the server has to reach, as ratios to others in the same run."""

from __future__ import annotations

from dataclasses import dataclass

from .measure import Table


@dataclass(frozen=True)
class Target:
    """``ours / other`` of a row must be at least (or, for costs, at most) *ratio*."""

    row: str
    other: str
    ratio: float
    at_most: bool = False

    def met(self, ratio: float) -> bool:
        return ratio <= self.ratio if self.at_most else ratio >= self.ratio

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.ratio:g} x {self.other}"


@dataclass(frozen=True)
class Verdict:
    """A target, the ratio measured, and the ratio of the processor time (lower is better, and steadier)."""

    target: Target
    ratio: float
    cpu_ratio: float | None

    @property
    def passed(self) -> bool:
        return self.target.met(self.ratio)

    def __str__(self) -> str:
        cpu = f"; CPU {self.cpu_ratio:.2f}" if self.cpu_ratio else ""
        word = "PASS" if self.passed else "MISS"
        return f"{word}  {self.target.row:9} {self.ratio:6.2f}  (wanted {self.target}{cpu})"


def both(row: str, wheel: float, uvicorn: float) -> list[Target]:
    return [Target(row, "wheel", wheel), Target(row, "uvicorn", uvicorn)]


TARGETS: list[Target] = [
    *both("hello", 3.5, 1.3),
    Target("hello", "floor", 0.6),
    *both("headers", 3.0, 1.2),
    *both("routes", 3.0, 1.2),
    *both("typed", 3.0, 1.2),
    *both("echo", 3.0, 1.2),
    *both("100k", 1.5, 0.8),
    *both("1m", 1.2, 0.8),
    *both("upload", 1.0, 0.8),
    *both("connect", 1.2, 1.0),
    *both("tls", 1.5, 1.0),
    Target("h2", "wheel", 1.0),
    Target("h2", "hypercorn", 4.0),
    Target("h2-100k", "wheel", 1.0),
    Target("h2-100k", "hypercorn", 1.5),
    Target("idle", "wheel", 1.0, at_most=True),
    Target("start", "wheel", 1.0, at_most=True),
]


def ratio(table: Table, row: str, name: str, other: str) -> float | None:
    """``name / other`` of a row, or None where either was not measured."""
    cells = table.get(row, {})
    if name not in cells or other not in cells or not cells[other].value:
        return None
    return cells[name].value / cells[other].value


def cpu_ratio(table: Table, row: str, name: str, other: str) -> float | None:
    cells = table[row]
    return cells[name].cpu_us / cells[other].cpu_us if cells[other].cpu_us else None


def judge(table: Table) -> list[Verdict]:
    """The verdicts on those targets whose rows were measured."""
    return [
        Verdict(target, value, cpu_ratio(table, target.row, "ours", target.other))
        for target in TARGETS
        if (value := ratio(table, target.row, "ours", target.other)) is not None
    ]
