"""The results as a picture: for each work, a bar per server, scaled to the fastest of the row."""

from __future__ import annotations

from xml.sax.saxutils import escape

from .measure import Table
from .servers import SERVERS
from .work import WORK

COLORS = {
    "ours": "#2f8f4e",
    "wheel": "#b5524a",
    "uvicorn": "#4a73b5",
    "aiohttp": "#8a6fb0",
    "hypercorn": "#b58f3c",
    "qwebsocket": "#c77f6f",
    "floor": "#9a9a9a",
}
BAR, GAP, LEFT, WIDTH, RIGHT, TOP = 13, 10, 250, 470, 120, 58
STYLE = (
    "text{font:12px sans-serif;fill:#333}.t{font-size:15px;font-weight:bold}.v{font-size:11px}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)


def bar(y: int, share: float, name: str, rate: float) -> str:
    width = max(1.0, share * WIDTH)
    weight = ' font-weight="bold"' if name == "ours" else ""
    return (
        f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{COLORS[name]}"/>'
        f'<text class="v" x="{LEFT + width + 5:.1f}" y="{y + BAR - 4}"{weight}>{rate:,.0f}/s</text>'
    )


def legend(names: list[str]) -> str:
    parts, x = [], LEFT
    for name in names:
        title = SERVERS[name].title
        parts.append(f'<rect x="{x}" y="34" width="11" height="11" fill="{COLORS[name]}"/>')
        parts.append(f'<text x="{x + 15}" y="44">{escape(title)}</text>')
        x += 30 + 7 * len(title)
    return "".join(parts)


def picture(table: Table, caption: str) -> str:
    """An SVG of the rows that were measured, longer being better."""
    rows = [work for work in WORK if work.name in table]
    names = [name for name in SERVERS if any(name in table[row.name] for row in rows)]
    parts, y = [], TOP
    for row in rows:
        cells = table[row.name]
        best = max(cell.value for cell in cells.values()) or 1.0
        present = [name for name in names if name in cells]
        middle = y + len(present) * BAR / 2 + 4
        parts.append(f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(row.title)}</text>')
        for name in present:
            parts.append(bar(y, cells[name].value / best, name, cells[name].value))
            y += BAR
        y += GAP
    width = max(LEFT + WIDTH + RIGHT, LEFT + sum(30 + 7 * len(SERVERS[name].title) for name in names))
    size = f'width="{width}" height="{y + 22}" viewBox="0 0 {width} {y + 22}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    title = '<text class="t" x="10" y="22">Requests per second, one process, one core</text>'
    foot = f'<text class="v" x="10" y="{y + 12}">{escape(caption)}</text>'
    return f"{head}<style>{STYLE}</style>{title}{legend(names)}{''.join(parts)}{foot}</svg>\n"
