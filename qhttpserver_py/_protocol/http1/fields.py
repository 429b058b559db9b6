"""Field lines of HTTP/1 (RFC 9112 5), by their bytes.

Strategy: one expression over the whole block takes plain lines apart, which nearly all are; a block that does not match
goes through llhttp. Nothing of it is kept.
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

# A parser that has only parsed whole heads without a body can be used again, and making one costs half a parse. The
# list is a stack, so that threads never share a parser.
_spare: list[_Tool] = []

PLAIN_LINE = re.compile(rb"(" + TOKEN.pattern + rb"+):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)")
"""A field line without its CRLF and without blanks at its end: name and value."""

_NAME = re.compile(TOKEN.pattern + rb":")
_PLAIN_FIELDS = re.compile(rb"(?m)^(" + TOKEN.pattern + rb"+):[ \t]*+([^\r]*+)(?<![ \t])\r\n")
_PLAIN = bytes(octet for octet in range(256) if octet == 9 or (octet >= 32 and octet != 127))


def parse_fields(block: bytes) -> list[Header]:
    """Return the fields of *block*, lines with their CRLF and without the empty one; names in lower case."""
    fields = _PLAIN_FIELDS.findall(block)
    # Every line was one match, and nothing but its end is a control character.
    if len(fields) == block.count(b"\n") and block.translate(None, _PLAIN) == b"\r\n" * len(fields):
        return [(name.lower(), value) for name, value in fields]
    return _parse_lines(block[:-2].split(b"\r\n"))


def _parse_lines(lines: list[bytes]) -> list[Header]:
    block = b"\r\n".join([line.rstrip(b" \t") for line in lines])
    if not block.count(b"\n") == block.count(b"\r") == len(lines) - 1:
        raise Fault(400, "bare CR or bare LF in a field")
    if not all(map(_NAME.match, lines)):  # older versions of llhttp accept blanks in names
        raise Fault(400, "malformed header field")
    try:
        tool = _spare.pop()
    except IndexError:
        tool = _make_tool()
    feed, taken = tool
    try:
        # The request line was parsed before: llhttp knows neither all methods nor HTTP/1.2.
        feed(b"GET / HTTP/1.1\r\n%b\r\n\r\n" % block)
    except (httptools.HttpParserUpgrade, httptools.HttpParserError):
        pass  # for example a transfer coding that it does not know; the syntax is checked below
    else:
        if not _ends_parser(taken):
            _spare.append(tool)
    headers = [(name.lower(), value) for name, value in taken]
    taken.clear()
    if len(headers) != len(lines):  # with an obsolete fold there is a line too few (RFC 9112 5.2)
        raise Fault(400, "malformed header field")
    return headers


def _make_tool() -> _Tool:
    taken: list[Header] = []
    append = taken.append

    def on_header(name: bytes, value: bytes) -> None:
        append((name, value))

    parser = httptools.HttpRequestParser(SimpleNamespace(on_header=on_header))
    return parser.feed_data, taken


# Fields after which llhttp expects something else than another head.
_ENDING = frozenset({b"content-length", b"transfer-encoding", b"upgrade", b"connection", b"proxy-connection"})


def _ends_parser(headers: list[Header]) -> bool:
    return any(name.lower() in _ENDING for name, _ in headers)
