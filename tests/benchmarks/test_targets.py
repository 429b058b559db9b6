"""The verdicts of the benchmarks: rates, processor time, and rows compared with others."""

from __future__ import annotations

import pytest

from .measure import Cell, Table
from .probes import PROBES
from .targets import TARGETS, judge
from .work import WORK

TABLE: Table = {
    "target": {"ours": Cell(40.0, 10.0), "wheel": Cell(10.0, 40.0)},
    "upload": {"ours": Cell(1.0, 70.0), "wheel": Cell(2.0, 100.0), "aiohttp": Cell(2.0, 50.0)},
    "crowd-0": {"ours": Cell(1.0, 10.0)},
    "crowd-8000": {"ours": Cell(1.0, 12.0), "uvicorn": Cell(1.0, 11.0)},
}


@pytest.mark.parametrize(
    ("row", "said", "passed"),
    [
        ("target", ">= 4 x wheel", True),
        ("upload", "<= 0.6 x wheel, CPU", False),
        ("upload", "<= 1.1 x aiohttp, CPU", False),
        ("crowd-8000", "<= 1 x uvicorn, CPU", False),
        ("crowd-8000", "<= 1.3 x ours crowd-0, CPU", True),
    ],
)
def test_verdicts(row: str, said: str, passed: bool) -> None:
    (verdict,) = [v for v in judge(TABLE) if v.target.row == row and str(v.target) == said]
    assert verdict.passed is passed


def test_every_target_is_about_a_row() -> None:
    rows = {work.name for work in WORK} | {probe.name for probe in PROBES}
    assert {target.row for target in TARGETS} | {target.base or target.row for target in TARGETS} <= rows


def test_fresh_work_comes_first() -> None:
    assert [work.name for work in WORK[:4]] == ["target", "fresh", "fresh-json", "fresh-100k"]
