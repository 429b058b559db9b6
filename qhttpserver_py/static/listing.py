"""The page that lists a directory. Pure: names in, HTML out, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple
from urllib.parse import quote

MAX_ENTRIES = 10_000
"""Entries shown at the most: a longer page is of no use and blocks the event loop."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.25rem; font-weight: 600; overflow-wrap: anywhere }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ padding: .3rem .75rem .3rem 0; text-align: left; border-bottom: 1px solid #8883 }}
td {{ overflow-wrap: anywhere }}
th {{ font-weight: 500; color: #888 }} th:first-child {{ width: 99% }}
.n {{ text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }}
a {{ text-decoration: none }} a:hover {{ text-decoration: underline }}
</style>
</head>
<body>
<h1>{title}</h1>
<table>
<thead><tr><th>Name</th><th class="n">Size</th><th class="n">Modified (UTC)</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
{note}</body>
</html>
"""


class Entry(NamedTuple):
    """One line of the list; *size* in bytes, *modified* in seconds since the epoch."""

    name: str
    is_directory: bool
    size: int
    modified: float


def render(segments: list[str], entries: Iterable[Entry]) -> str:
    """Return the page for the directory whose decoded URL path is *segments*, the last one ``""``."""
    ordered = sorted(entries, key=lambda entry: (not entry.is_directory, entry.name.casefold(), entry.name))
    rows = [_row(entry) for entry in ordered[:MAX_ENTRIES]]
    if len(segments) > 1:
        rows.insert(0, '<tr><td><a href="../">../</a></td><td class="n"></td><td class="n"></td></tr>')
    left_out = len(ordered) - MAX_ENTRIES
    return _PAGE.format(
        title=escape("/" + "/".join(segments)),
        rows="\n".join(rows),
        note=f"<p>… and {left_out} more</p>\n" if left_out > 0 else "",
    )


def _row(entry: Entry) -> str:
    slash = "/" if entry.is_directory else ""
    # "./" keeps a name with a colon from being read as a scheme.
    link = f'<a href="./{quote(entry.name, safe="")}{slash}">{escape(entry.name)}{slash}</a>'
    size = "" if entry.is_directory else f"{entry.size:,}".replace(",", "\u202f")
    when = datetime.fromtimestamp(entry.modified, UTC).strftime("%Y-%m-%d %H:%M")
    return f'<tr><td>{link}</td><td class="n">{size}</td><td class="n">{when}</td></tr>'
