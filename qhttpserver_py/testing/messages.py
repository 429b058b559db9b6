"""The messages of a failed test: what was expected, what came, and how they differ."""

from __future__ import annotations

import difflib
import json
import pprint
from collections.abc import Callable, Iterable, Iterator, Sequence

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.testing.expectation import Expectation, LogEntry
from qhttpserver_py.testing.matcher import Mismatch, SeenRequest

CLOSEST = 3
"""How many expectations a request that fits none is compared with."""

BODY_SHOWN = 300

ALIKE = 0.75
"""How alike two paths are, at least, for the remark that one may be mistyped."""


def request_line(request: QHttpServerRequest) -> str:
    """Return method, path and query of *request*."""
    seen = SeenRequest(request)
    return f"{seen.method} {seen.path}{f'?{seen.query}' if seen.query else ''}"


def unexpected(request: QHttpServerRequest, expectations: Sequence[Expectation], reason: str = "") -> str:
    """Return why *request* fits none of *expectations*, the closest first."""
    lines = [f"unexpected request: {request_line(request)}{f' ({reason})' if reason else ''}"]
    body = bytes(request._message.body)
    if body:
        lines.append(f"  with body {_shortened(body)}")
    if not expectations:
        return "\n".join([*lines, "  nothing was expected at all"])
    ranked = sorted(((e.matcher.difference(request), e) for e in expectations), key=lambda pair: _distance(pair[0]))
    for differences, expectation in ranked[:CLOSEST]:
        lines.append(f"  expected {expectation!r}")
        lines += [f"    {line}" for line in _differences(expectation, differences)]
    if len(ranked) > CLOSEST:
        lines.append(f"  and {len(ranked) - CLOSEST} more that are less alike")
    return "\n".join(lines)


def unmet(expectation: Expectation, log: Iterable[LogEntry] = ()) -> str:
    """Return what *expectation* missed, and which request of *log* was nearly right."""
    wanted, came = _times(expectation.expected or 0), _times(len(expectation.calls))
    lines = [f"expected {wanted}, came {came}: {expectation!r}"]
    others = [entry.request for entry in log if entry not in expectation.calls]
    differing = [(found, request) for request in others if (found := expectation.matcher.difference(request))]
    if differing and not expectation.exhausted:
        found, request = min(differing, key=lambda pair: _distance(pair[0]))
        if len(found) == 1 and (found[0].field != "path" or _hint(found[0])):
            lines.append(f"  nearly right: {request_line(request)}")
            lines += [f"    {line}" for line in _difference(found[0])]
    return "\n".join(lines)


def requests_that_came(log: Iterable[LogEntry]) -> str:
    """Return the list of requests and the status each was answered with."""
    lines = [
        f"  {number}. {request_line(request)} -> {'no response' if response is None else response._status}"
        for number, (request, response) in enumerate(log, 1)
    ]
    return "\n".join(["requests that came:", *lines]) if lines else "no request came"


def not_made(log: Sequence[LogEntry], expected: object, count: int, came: int, similar: Iterable[str]) -> str:
    """Return why an asserted request was not made as often as asserted."""
    lines = [f"expected {_times(count)}, came {_times(came)}: {expected!r}"]
    lines += [f"  {line}" for line in similar]
    return "\n".join([*lines, requests_that_came(log)])


def similar_requests(log: Iterable[LogEntry], differences: Iterable[list[Mismatch]]) -> Iterator[str]:
    """Yield, for each request that almost fits, how it differs."""
    for entry, found in zip(log, differences, strict=True):
        if found and not any(item.field == "path" for item in found):
            yield f"similar: {request_line(entry.request)}"
            for item in found:
                yield from (f"  {line}" for line in _difference(item))


def _differences(expectation: Expectation, differences: list[Mismatch]) -> Iterator[str]:
    if not differences:
        if expectation.expected == 0:
            yield "must never be requested"
        elif expectation.exhausted:
            yield f"was expected {_times(expectation.expected or 0)} and came before"
        else:
            yield "comes later in the expected order"
    for item in differences:
        yield from _difference(item)


def _difference(item: Mismatch) -> Iterator[str]:
    expected, actual = _pretty(item.expected), _pretty(item.actual)
    if "\n" not in expected and "\n" not in actual:
        yield f"{item.field}: expected {expected}"
        yield f"{'came':>{len(item.field) + 10}} {actual}"
        hint = _hint(item)
        if hint:
            yield f"{'':>{len(item.field) + 10}} ({hint})"
        return
    yield f"{item.field}: expected (-) and came (+)"
    for line in difflib.ndiff(expected.splitlines(), actual.splitlines()):
        if not line.startswith("?"):
            yield f"  {line}"


def _distance(differences: list[Mismatch]) -> float:
    """Count the differences; one in the path weighs more than all others, and less where the paths are alike."""
    return sum(100 - 90 * _similarity(item) if item.field == "path" else 1 for item in differences)


def _similarity(item: Mismatch) -> float:
    return difflib.SequenceMatcher(None, str(item.expected), str(item.actual)).ratio()


_OVERLOOKED: tuple[tuple[Callable[[str], str], str], ...] = (
    (lambda text: text.rstrip("/"), "a slash at the end"),
    (str.casefold, "upper and lower case"),
    (str.strip, "space"),
)


def _hint(item: Mismatch) -> str:
    """Return in what alone the two values differ, where that is easily overlooked; else an empty text."""
    expected, actual = item.expected, item.actual
    if not isinstance(expected, str) or not isinstance(actual, str) or expected == actual:
        return ""
    if item.field == "query" and sorted(expected.split("&")) == sorted(actual.split("&")):
        return "only the order differs: give a mapping"
    for changed, what in _OVERLOOKED:
        if changed(expected) == changed(actual):
            return f"only {what} differs"
    return "nearly right: look for a typing error" if item.field == "path" and _similarity(item) > ALIKE else ""


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _pretty(value: object) -> str:
    if callable(value):
        return getattr(value, "__qualname__", repr(value))
    if isinstance(value, bytes):
        return _shortened(value)
    return pprint.pformat(value, width=60, sort_dicts=True)


def _shortened(body: bytes) -> str:
    try:
        text = repr(json.loads(body))
    except ValueError:
        text = repr(body)
    return text if len(text) <= BODY_SHOWN else f"{text[:BODY_SHOWN]}… ({len(body)} bytes)"
