"""Runs the work in interleaved rounds, A B C A B C, so that a noisy minute touches all alike."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from .peers import crowd
from .probes import Probe
from .proc import cpu_seconds
from .servers import SERVERS, Running, Setup
from .work import Work

WARM_UP = 1.0  # seconds, once per server and work


@dataclass(frozen=True)
class Sample:
    """One round of one work on one server."""

    rate: float
    cpu_us: float
    failed: int


@dataclass(frozen=True)
class Cell:
    """The median of a server's rounds: requests per second or a probe's value, and processor time."""

    value: float
    cpu_us: float = 0.0
    failed: int = 0
    low: float = 0.0
    high: float = 0.0


Table = dict[str, dict[str, Cell]]
"""Cells by row name, then server name."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report_sample(turn: int, row: str, name: str, sample: Sample) -> None:
    failed = f" {sample.failed} failed" if sample.failed else ""
    say(f"{turn + 1}: {row:11} {name:10} {sample.rate:10,.0f}/s {sample.cpu_us:9.1f} us{failed}")


class Bench:
    """Keeps one process per server and kind for the whole run."""

    def __init__(self, setup: Setup, load_cpu: int | None) -> None:
        self.setup = setup
        self.load_cpu = load_cpu
        self.running: dict[tuple[str, str], Running] = {}
        self.stack = ExitStack()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def server(self, name: str, kind: str) -> Running:
        if (name, kind) not in self.running:
            started = self.stack.enter_context(Running(SERVERS[name], kind, self.setup))
            self.running[name, kind] = started
        return self.running[name, kind]

    def sample(self, work: Work, name: str, seconds: float) -> Sample:
        running = self.server(name, work.kind)
        with crowd(running.port, work.idle):
            before = cpu_seconds(running.process.pid)
            load = work.load(running.url(work.path), seconds, self.load_cpu)
            spent = cpu_seconds(running.process.pid) - before
        return Sample(load.rate, spent / max(load.requests, 1) * 1e6, load.failed)

    def rounds(self, works: Iterable[Work], wanted: list[str], count: int, seconds: float) -> Table:
        pairs = [(work, name) for work in works for name in contestants(work, wanted)]
        samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
        for turn in range(count):
            for work, name in pairs:
                if turn == 0:
                    self.sample(work, name, WARM_UP)
                sample = self.sample(work, name, seconds)
                samples[work.name, name].append(sample)
                report_sample(turn, work.name, name, sample)
        return collect(samples)


def contestants(work: Work, wanted: list[str]) -> list[str]:
    """Those of *wanted* that can do this work."""
    return [name for name in wanted if work.kind in SERVERS[name].kinds and (work.floor or name != "floor")]


def collect(samples: dict[tuple[str, str], list[Sample]]) -> Table:
    table: Table = defaultdict(dict)
    for (row, name), taken in samples.items():
        rates = [sample.rate for sample in taken]
        table[row][name] = Cell(
            statistics.median(rates),
            statistics.median(sample.cpu_us for sample in taken),
            sum(sample.failed for sample in taken),
            min(rates),
            max(rates),
        )
    return dict(table)


def probe_rounds(probes: Iterable[Probe], wanted: list[str], count: int, setup: Setup) -> Table:
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for turn in range(count):
        for probe in probes:
            for name in (name for name in wanted if probe.asks(SERVERS[name])):
                value = probe.measure(SERVERS[name], setup)
                values[probe.name][name].append(value)
                say(f"{turn + 1}: {probe.name:11} {name:10} {value:10.2f} {probe.unit}")
    return {
        row: {name: Cell(statistics.median(taken), low=min(taken), high=max(taken)) for name, taken in cells.items()}
        for row, cells in values.items()
    }
