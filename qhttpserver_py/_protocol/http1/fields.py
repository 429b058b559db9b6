"""Field lines of HTTP/1 (RFC 9112 5), by their bytes.

Strategy: peers say mostly the same again, so lines that were accepted are remembered. Of what is new, a few
plain lines are matched here, and everything else goes through llhttp.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import httptools

from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._protocol.wire import TOKEN


class Fault(Exception):  # noqa: N818 - the peer's, not ours
    """The peer broke a rule or a limit. Never leaves the engine."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


_Tool = tuple[Callable[[bytes], None], list[Header]]

# A parser that has only seen whole heads without a body is as good as new, and making one costs
# half a parse. The list is a stack, so that threads never share one.
_spare: list[_Tool] = []

# Peers say mostly the same again and again: field lines that llhttp accepted, by their bytes.
# A field line means the same in every head, so this changes nothing but the time.
MAX_LINES = 1024
MAX_LINE = 256
_lines: dict[bytes, Header] = {}

_NAME = re.compile(TOKEN.pattern + rb":")
_FIELD = re.compile(rb"(" + TOKEN.pattern + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_FEW = 3


def parse_fields(lines: list[bytes]) -> list[Header]:
    """Return the fields of *lines*, which have no CRLF any more; names in lower case."""
    headers = list(map(_lines.get, lines))
    if None in headers:
        new = [line for line, header in zip(lines, headers, strict=True) if header is None]
        parsed = _parse_few(new) or _parse_lines(new)
        _remember(new, parsed)
        found = iter(parsed)
        return [next(found) if header is None else header for header in headers]
    return headers  # type: ignore[return-value]  # no None in it


def _remember(lines: list[bytes], parsed: list[Header]) -> None:
    for line, header in zip(lines, parsed, strict=True):
        if len(line) <= MAX_LINE:
            if len(_lines) >= MAX_LINES:
                _lines.clear()
            _lines[line] = header


def _parse_few(lines: list[bytes]) -> list[Header]:
    """Return the fields of a few plain *lines*, or nothing: waking llhttp costs as much as parsing several."""
    fields: list[Header] = []
    if len(lines) <= _FEW:
        for line in lines:
            match = _FIELD.fullmatch(line.rstrip(b" \t"))
            if match is None or (name := match[1].lower()) in _ENDING:
                return []
            fields.append((name, match[2]))
    return fields


def _parse_lines(lines: list[bytes]) -> list[Header]:
    block = b"\r\n".join([line.rstrip(b" \t") for line in lines])
    if not block.count(b"\n") == block.count(b"\r") == len(lines) - 1:
        raise Fault(400, "bare CR or bare LF in a field")
    if not all(map(_NAME.match, lines)):  # early llhttp let blanks into names
        raise Fault(400, "malformed header field")
    try:
        tool = _spare.pop()
    except IndexError:
        tool = _make_tool()
    feed, taken = tool
    try:
        # The true request line is ours to decide_by_head: llhttp knows neither every method nor HTTP/1.2.
        feed(b"GET / HTTP/1.1\r\n%b\r\n\r\n" % block)
    except (httptools.HttpParserUpgrade, httptools.HttpParserError):
        pass  # a transfer coding it does not know, say; below we see whether the syntax was right
    else:
        if not _ends_parser(taken):
            _spare.append(tool)
    headers = [(name.lower(), value) for name, value in taken]
    taken.clear()
    if len(headers) != len(lines):  # an obsolete fold would be a line too few (RFC 9112 5.2)
        raise Fault(400, "malformed header field")
    return headers


def _make_tool() -> _Tool:
    taken: list[Header] = []
    append = taken.append

    def on_header(name: bytes, value: bytes) -> None:
        append((name, value))

    parser = httptools.HttpRequestParser(SimpleNamespace(on_header=on_header))
    return parser.feed_data, taken


# Fields that make llhttp expect something else than another head.
_ENDING = frozenset({b"content-length", b"transfer-encoding", b"upgrade", b"connection", b"proxy-connection"})


def _ends_parser(headers: list[Header]) -> bool:
    return any(name.lower() in _ENDING for name, _ in headers)
