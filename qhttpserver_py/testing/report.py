"""What a failed test reads: what was expected, what came, and where the two part."""

from __future__ import annotations

import difflib
import json
import pprint
from collections.abc import Iterable, Iterator, Sequence

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.testing.expectation import Expectation, LogEntry
from qhttpserver_py.testing.matcher import Mismatch, SeenRequest

CLOSEST = 3
"""How many expectations a request that fits none is compared with."""

BODY_SHOWN = 300


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


def unmet(expectation: Expectation) -> str:
    """Return what *expectation* missed."""
    wanted, came = _times(expectation.expected or 0), _times(len(expectation.calls))
    return f"expected {wanted}, came {came}: {expectation!r}"


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
        return
    yield f"{item.field}: expected (-) and came (+)"
    for line in difflib.ndiff(expected.splitlines(), actual.splitlines()):
        if not line.startswith("?"):
            yield f"  {line}"


def _distance(differences: list[Mismatch]) -> int:
    """Count the differences; one in the path weighs more than all others."""
    return sum(100 if item.field == "path" else 1 for item in differences)


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
