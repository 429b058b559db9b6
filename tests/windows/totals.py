"""What a run of pytest says at its end, as numbers."""

from __future__ import annotations

import re
from collections import Counter

BAD = ("failed", "error", "crashed")

# Exit codes of pytest: all passed, some failed, nothing collected.
_ORDINARY = (0, 1, 5)
_LAST_LINE = re.compile(r"\b\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?)\b.* in [\d.]+s")
_NUMBER = re.compile(r"(\d+) (passed|failed|error|skipped|xfailed|xpassed)")


def totals_of(code: int, output: str) -> Counter[str]:
    """Return how many tests of one file ended how.

    A process that ended by another code than pytest's ordinary ones counts as one crash, also when pytest printed its
    totals before; so does one that printed no totals, unless it found no test (code 5).
    """
    last = next((line for line in reversed(output.splitlines()) if _LAST_LINE.search(line)), "")
    totals: Counter[str] = Counter()
    for number, word in _NUMBER.findall(last):
        totals[word] += int(number)
    if code not in _ORDINARY or (not last and code != 5):
        totals["crashed"] += 1
    return totals


def sentence(totals: Counter[str]) -> str:
    """Return the totals in pytest's words."""
    return ", ".join(f"{number} {word}" for word, number in sorted(totals.items(), reverse=True) if number) or "nothing"


def share_run(totals: Counter[str]) -> float:
    """Return which part of the tests ran to a verdict: neither skipped nor lost in a crash."""
    ran = totals["passed"] + totals["failed"] + totals["xfailed"] + totals["xpassed"]
    every = ran + totals["skipped"] + totals["error"]
    return ran / every if every else 0.0


def complaints(output: str, limit: int = 4000) -> str:
    """Return the lines of pytest's output that say what failed, of at most `limit` characters."""
    said = [
        line for line in output.splitlines() if line.startswith(("FAILED", "ERROR", "E   ", "Fatal", "Windows fatal"))
    ]
    return "\n".join(said)[:limit] or output[-limit:]
