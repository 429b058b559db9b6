"""The command line of the benchmarks; see docs/explanation/performance.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from .certificate import write_certificate
from .load import missing_tools
from .measure import Bench, Table, probe_rounds, say
from .peers import allow_descriptors
from .probes import PROBES
from .report import as_json, markdown, versions
from .servers import SERVERS, Setup, absent_modules
from .svg import picture
from .targets import judge
from .work import WORK

ROWS = [row.name for row in (*WORK, *PROBES)]


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Compare servers on the same work, in interleaved rounds.",
        epilog=f"rows: {', '.join(ROWS)}; servers: {', '.join(SERVERS)}",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--only", type=names, default=ROWS, metavar="ROWS", help="comma-separated rows")
    parser.add_argument("--servers", type=names, default=list(SERVERS), metavar="NAMES", help="comma-separated servers")
    parser.add_argument("--python", default=sys.executable, help="interpreter the servers run on")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--no-pin", action="store_true", help="leave the choice of processors to the system")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    for given, known in ((options.only, ROWS), (options.servers, list(SERVERS))):
        unknown = [name for name in given if name not in known]
        if unknown:
            parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
    return options


def processors(pin: bool) -> tuple[int | None, int | None]:
    """One processor for the servers, another for the load, where there are two."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if pin and len(available) > 1 else (None, None)


def present(servers: list[str], setup: Setup) -> list[str]:
    """Those of *servers* that can be run; what the others lack is said."""
    absent = {name: absent_modules(SERVERS[name], setup) for name in servers}
    for name, modules in absent.items():
        if modules:
            say(f"{name} is left out: {', '.join(modules)} not installed for {setup.python}")
    return [name for name in servers if not absent[name]]


def measure(options: argparse.Namespace, directory: Path) -> Table:
    certificate, key = write_certificate(directory)
    server_cpu, load_cpu = processors(not options.no_pin)
    setup = Setup(options.python, certificate, key, server_cpu)
    works = [work for work in WORK if work.name in options.only]
    probes = [probe for probe in PROBES if probe.name in options.only]
    absent = missing_tools({work.load.tool for work in works})
    if absent:
        raise SystemExit("\n".join(absent))
    servers = present(options.servers, setup)
    table = probe_rounds(probes, servers, options.rounds, setup)
    with Bench(setup, load_cpu) as bench:
        return bench.rounds(works, servers, options.rounds, options.seconds) | table


def write(options: argparse.Namespace, table: Table) -> None:
    about = versions(options.python)
    text = markdown(table, about)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(as_json(table, about), encoding="utf-8")
    if options.svg:
        caption = "Bars are scaled to the fastest of each work. " + ", ".join(f"{k} {v}" for k, v in about.items())
        options.svg.write_text(picture(table, caption), encoding="utf-8")


def main() -> int:
    options = parse()
    allow_descriptors()
    with tempfile.TemporaryDirectory() as directory:
        table = measure(options, Path(directory))
    write(options, table)
    verdicts = judge(table)
    for verdict in verdicts:
        print(verdict)
    missed = sum(not verdict.passed for verdict in verdicts)
    say(f"{len(verdicts) - missed} of {len(verdicts)} targets met")
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
