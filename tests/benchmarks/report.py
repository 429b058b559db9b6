"""The results as Markdown and JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict

from .measure import Table
from .probes import PROBES
from .servers import SERVERS
from .targets import judge, ratio
from .work import WORK

TITLES = {**{work.name: work.title for work in WORK}, **{probe.name: probe.title for probe in PROBES}}
UNITS = {probe.name: probe.unit for probe in PROBES}


def versions(python: str) -> dict[str, str]:
    """The interpreter and the packages compared, as that interpreter sees them."""
    code = (
        "import importlib.metadata as m, json, platform\n"
        "def v(n):\n"
        "    try: return m.version(n)\n"
        "    except m.PackageNotFoundError: return 'absent'\n"
        "names = ['PySide6-Essentials', 'httptools', 'h2', 'uvicorn', 'uvloop', 'aiohttp', 'hypercorn']\n"
        "print(json.dumps({'Python': platform.python_version(), **{n: v(n) for n in names}}))\n"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    result: dict[str, str] = json.loads(done.stdout)
    return result


def servers_of(table: Table, rows: list[str]) -> list[str]:
    return [name for name in SERVERS if any(name in table.get(row, {}) for row in rows)]


def lines_of(table: Table, rows: list[str], cell: object, caption: str) -> list[str]:
    names = servers_of(table, rows)
    result = [
        f"| {caption} | " + " | ".join(SERVERS[name].title for name in names) + " | vs wheel | vs uvicorn |",
        "| --- |" + " ---: |" * (len(names) + 2),
    ]
    for row in rows:
        if row not in table:
            continue
        shown = [cell(row, table[row][name]) if name in table[row] else "-" for name in names]  # type: ignore[operator]
        against = [ratio(table, row, "ours", other) for other in ("wheel", "uvicorn")]
        shown += [f"{value:.2f}x" if value is not None else "-" for value in against]
        result.append(f"| {TITLES[row]} | " + " | ".join(shown) + " |")
    return result


def markdown(table: Table, about: dict[str, str]) -> str:
    """Both tables and what they were measured on."""
    works = [work.name for work in WORK if work.name in table]
    probes = [probe.name for probe in PROBES if probe.name in table]
    parts: list[str] = []
    if works:
        parts += lines_of(
            table,
            works,
            lambda _row, c: f"{c.value:,.0f}/s · {c.cpu_us:,.0f} µs" + (f" ({c.failed} failed)" if c.failed else ""),
            "work: requests a second · CPU per request",
        )
        parts.append("")
    if probes:
        parts += lines_of(table, probes, lambda row, c: f"{c.value:.1f} {UNITS[row]}", "cost: smaller is better")
        parts.append("")
    machine = f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()} {platform.release()}"
    parts.append("Medians of interleaved rounds. " + ", ".join(f"{k} {v}" for k, v in about.items()) + f"; {machine}.")
    return "\n".join(parts) + "\n"


def as_json(table: Table, about: dict[str, str]) -> str:
    rows = {row: {name: asdict(cell) for name, cell in cells.items()} for row, cells in table.items()}
    verdicts = [
        {
            "row": v.target.row,
            "other": v.target.other,
            "ratio": v.ratio,
            "wanted": v.target.ratio,
            "passed": v.passed,
        }
        for v in judge(table)
    ]
    return json.dumps({"about": about, "rows": rows, "targets": verdicts}, indent=1) + "\n"
