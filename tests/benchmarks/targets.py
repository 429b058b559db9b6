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
    cpu: bool = False
    """Processor time per request is compared, and not the rate."""
    base: str = ""
    """The row of *other*, where it is another one."""

    def met(self, ratio: float) -> bool:
        return ratio <= self.ratio if self.at_most else ratio >= self.ratio

    def __str__(self) -> str:
        of = f" {self.base}" if self.base else ""
        return f"{'<=' if self.at_most else '>='} {self.ratio:g} x {self.other}{of}{', CPU' if self.cpu else ''}"


@dataclass(frozen=True)
class Verdict:
    """A target, the ratio that it is about, and the ratio of the processor time (lower is better, and steadier)."""

    target: Target
    ratio: float
    cpu_ratio: float | None

    @property
    def passed(self) -> bool:
        return self.target.met(self.ratio)

    def __str__(self) -> str:
        cpu = f"; CPU {self.cpu_ratio:.2f}" if self.cpu_ratio else ""
        word = "PASS" if self.passed else "MISS"
        return f"{word}  {self.target.row:10} {self.ratio:6.2f}  (wanted {self.target}{cpu})"


def both(row: str, wheel: float, uvicorn: float) -> list[Target]:
    return [Target(row, "wheel", wheel), Target(row, "uvicorn", uvicorn)]


def websocket(row: str, qwebsocket: float, uvicorn: float) -> list[Target]:
    return [Target(row, "qwebsocket", qwebsocket), Target(row, "uvicorn", uvicorn)]


def cost(row: str, other: str, ratio: float, base: str = "") -> Target:
    return Target(row, other, ratio, at_most=True, cpu=True, base=base)


TARGETS: list[Target] = [
    *both("target", 4.0, 1.35),
    *both("fresh", 3.5, 1.1),
    *both("fresh-json", 3.0, 1.05),
    *both("fresh-100k", 4.0, 0.9),
    cost("crowd-8000", "uvicorn", 1.0),
    cost("crowd-8000", "ours", 1.3, base="crowd-0"),
    cost("upload", "wheel", 0.6),
    cost("upload", "uvicorn", 0.6),
    cost("upload", "aiohttp", 1.1),
    cost("connect", "wheel", 0.75),
    cost("connect", "uvicorn", 0.95),
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
    *websocket("ws-64", 3.0, 1.0),
    *websocket("ws-64k", 3.0, 1.0),
    *websocket("ws-1m", 3.0, 1.0),
    Target("ws-64-deflate", "uvicorn", 1.0),
    Target("ws-64k-deflate", "uvicorn", 1.0),
    Target("ws-fan-out", "uvicorn", 1.0),
    Target("idle", "wheel", 1.0, at_most=True),
    Target("start", "wheel", 1.0, at_most=True),
]


def ratio(table: Table, row: str, name: str, other: str) -> float | None:
    """``name / other`` of a row, or None where either was not measured."""
    cells = table.get(row, {})
    if name not in cells or other not in cells or not cells[other].value:
        return None
    return cells[name].value / cells[other].value


def cpu_ratio(table: Table, row: str, name: str, other: str, base: str = "") -> float | None:
    """The same of processor time, the other's in the row *base*, if one is named."""
    mine, theirs = table.get(row, {}).get(name), table.get(base or row, {}).get(other)
    return mine.cpu_us / theirs.cpu_us if mine is not None and theirs is not None and theirs.cpu_us else None


def judge(table: Table) -> list[Verdict]:
    """The verdicts on those targets whose rows were measured."""
    verdicts = []
    for target in TARGETS:
        cpu = cpu_ratio(table, target.row, "ours", target.other, target.base)
        value = cpu if target.cpu else ratio(table, target.row, "ours", target.other)
        if value is not None:
            verdicts.append(Verdict(target, value, None if target.cpu else cpu))
    return verdicts
