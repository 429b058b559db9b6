"""Draws docs/images/architecture.svg: the folders of the package, and who imports whom.

    python docs/_ext/architecture_picture.py

The rows are those of the table in docs/explanation/architecture.md; the arrows are read from the imports. An arrow that
a longer way implies is left out.
"""

from __future__ import annotations

import ast
import re
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "qhttpserver_py"
TABLE = ROOT / "docs" / "explanation" / "architecture.md"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"

WIDTH, BOX, ROW, MARGIN, CHARACTER = 1120, 30, 74, 24, 7.4
COLOURS = {"folder": "#e3f2e6", "class": "#e6eefb", "extra": "#f6efe0"}

Graph = dict[str, set[str]]


def read_rows() -> list[list[str]]:
    """Return the folders and files of each row of the table, lowest row first."""
    rows = re.findall(r"^\| (\d+) \|([^|]*)\|", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.findall(r"`([^`]+)`", names) for _, names in rows]


def own_file(name: str) -> str | None:
    """Return the file of the package that a dotted name leads to, or None."""
    parts = name.split(".")
    for end in (len(parts), len(parts) - 1):
        path = ROOT.joinpath(*parts[:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if parts[0] == PACKAGE.name and file.is_file():
                return file.relative_to(PACKAGE).as_posix()
    return None


def imports_of(path: Path) -> set[str]:
    """Return the files of the package that a file imports, for annotations included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {own_file(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {own_file(f"{node.module}.{alias.name}") for alias in node.names}
    return {file for file in found if file is not None and file != "__init__.py"}


def read_graph(entries: list[str]) -> Graph:
    """Return which entry of the table imports which others."""

    def entry_of(file: str) -> str | None:
        return next((e for e in entries if file == e or (e.endswith("/") and file.startswith(e))), None)

    graph: Graph = {entry: set() for entry in entries}
    for path in sorted(PACKAGE.rglob("*.py")):
        mine = entry_of(path.relative_to(PACKAGE).as_posix())
        if mine is not None and mine != "__init__.py":
            graph[mine] |= {e for e in map(entry_of, imports_of(path)) if e is not None and e != mine}
    return graph


def without_implied(graph: Graph) -> Graph:
    """Return the arrows that no longer way implies."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        queue = list(graph[start])
        while queue:
            entry = queue.pop()
            if entry not in found:
                found.add(entry)
                queue += graph[entry]
        return found

    below = {entry: reached(entry) for entry in graph}
    return {
        entry: {one for one in targets if not any(one in below[other] for other in targets if other != one)}
        for entry, targets in graph.items()
    }


def place(rows: list[list[str]]) -> dict[str, tuple[float, float, float]]:
    """Return the left edge, the top and the width of each box; the lowest row stands at the bottom."""
    places = {}
    for number, names in enumerate(rows):
        widths = [len(name) * CHARACTER + 20 for name in names]
        gap = (WIDTH - 2 * MARGIN - sum(widths)) / (len(names) + 1)
        left = MARGIN + gap
        for name, width in zip(names, widths, strict=True):
            places[name] = (left, MARGIN + (len(rows) - 1 - number) * ROW, width)
            left += width + gap
    return places


def draw(rows: list[list[str]], graph: Graph) -> str:
    """Return the picture as SVG."""
    places = place(rows)
    height = 2 * MARGIN + (len(rows) - 1) * ROW + BOX
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="monospace" font-size="12">',
        "<title>The folders of qhttpserver_py, and who imports whom</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#8a94a6"/></marker></defs>',
    ]
    for entry, targets in graph.items():
        left, top, width = places[entry]
        for target in sorted(targets):
            other, below, wide = places[target]
            x1, y1, x2, y2 = left + width / 2, top + BOX, other + wide / 2, below
            bend = (y2 - y1) / 2
            lines.append(
                f'<path d="M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}" '
                'fill="none" stroke="#8a94a6" marker-end="url(#tip)"/>'
            )
    for name, (left, top, width) in places.items():
        kind = "folder" if name.startswith("_") and name.endswith("/") else "class" if name.startswith("q") else "extra"
        lines.append(
            f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{BOX}" rx="4" '
            f'fill="{COLOURS[kind]}" stroke="#5b6577"/>'
        )
        lines.append(f'<text x="{left + width / 2:.0f}" y="{top + 20:.0f}" text-anchor="middle">{escape(name)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def picture() -> str:
    """Return the picture of the package as it stands."""
    rows = read_rows()
    return draw(rows, without_implied(read_graph([name for names in rows for name in names])))


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
