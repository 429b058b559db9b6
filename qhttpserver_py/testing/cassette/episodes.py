"""A request and its answer as they are recorded, and how two requests are compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

Fields = list[tuple[str, str]]


@dataclass
class RecordedRequest:
    """A request: its method, absolute URI, header fields and body. Not in Qt."""

    method: str
    uri: str
    headers: Fields = field(default_factory=list)
    body: bytes = b""

    @property
    def parts(self) -> SplitResult:
        """The parts of the URI. Not in Qt."""
        return urlsplit(self.uri)


@dataclass
class RecordedResponse:
    """A response: its status, reason, header fields and body. Not in Qt."""

    status: int
    reason: str = ""
    headers: Fields = field(default_factory=list)
    body: bytes = b""


@dataclass
class Episode:
    """A request, what answered it, and when that was, where it is known. Not in Qt."""

    request: RecordedRequest
    response: RecordedResponse
    recorded_at: datetime | None = None


Compare = Callable[[RecordedRequest, RecordedRequest], object]
"""Given the request that came and the recorded one, tells whether they are alike."""


def _port(request: RecordedRequest) -> int | None:
    return request.parts.port or {"http": 80, "https": 443}.get(request.parts.scheme)


def _query(request: RecordedRequest) -> list[tuple[str, str]]:
    return sorted(parse_qsl(request.parts.query, keep_blank_values=True))


def _headers(request: RecordedRequest) -> Fields:
    return sorted((name.lower(), value) for name, value in request.headers)


def _body(request: RecordedRequest) -> Any:
    """Return the body so that spelling does not count: a JSON document, sorted form fields, or bytes."""
    kind = header(request.headers, "content-type").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return sorted(parse_qsl(request.body.decode("latin-1"), keep_blank_values=True))
    try:
        return json.loads(request.body) if request.body else b""
    except ValueError:
        return request.body


PARTS: dict[str, Callable[[RecordedRequest], Any]] = {
    "method": lambda request: request.method,
    "uri": lambda request: request.uri,
    "scheme": lambda request: request.parts.scheme,
    "host": lambda request: request.parts.hostname,
    "port": _port,
    "path": lambda request: request.parts.path or "/",
    "query": _query,
    "headers": _headers,
    "body": _body,
    "raw_body": lambda request: request.body,
}
"""What ``match_on`` may name: VCR.py's names."""


def header(headers: Iterable[tuple[str, str]], name: str) -> str:
    """Return the value of the first field *name*, or an empty text."""
    return next((value for other, value in headers if other.lower() == name), "")


def check_names(match_on: Sequence[str | Compare]) -> tuple[str | Compare, ...]:
    """Return *match_on*.

    Raises:
        ValueError: a name in it is unknown.
    """
    unknown = [name for name in match_on if isinstance(name, str) and name not in PARTS]
    if unknown:
        raise ValueError(f"match_on takes {', '.join(PARTS)} and callables, not {unknown[0]!r}")
    return tuple(match_on)


def differences(
    came: RecordedRequest, recorded: RecordedRequest, match_on: Iterable[str | Compare]
) -> list[tuple[str, object, object]]:
    """Return what differs: the name of the part, its recorded value and the one that came."""
    found: list[tuple[str, object, object]] = []
    for item in match_on:
        if not isinstance(item, str):
            if not item(came, recorded):
                found.append((getattr(item, "__name__", "match_on"), "alike", "different"))
            continue
        expected, actual = PARTS[item](recorded), PARTS[item](came)
        if expected != actual:
            found.append((item, expected, actual))
    return found
