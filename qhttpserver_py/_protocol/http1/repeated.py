"""Remembers a connection's last head, so that only what differs in the next one is parsed. Pure.

Strategy: a peer repeats its fields, and its requests differ in the target and in a field or two. The last head is kept
if its fields decide nothing beyond what is noted here. Only heads are recognised that the parser would read alike;
whatever is new and not plain is parsed. What is remembered belongs to one connection and ends with it, and what was
accepted under other limits is not used.
"""

from __future__ import annotations

import re
from itertools import compress, count
from operator import ne

from qhttpserver_py._protocol.engine import Header, Limits, Message
from qhttpserver_py._protocol.http1.fields import PLAIN_LINE
from qhttpserver_py._protocol.http1.head import HEAD

LARGEST = 4096
"""Octets of the head that is kept for a connection."""

# A request line of a method, a path of plain octets and the usual version.
_REQUEST_LINE = re.compile(rb"(GET|POST|HEAD|PUT|DELETE|PATCH|OPTIONS) (/[\x21\x22\x24-\x7e\x80-\xff]*+) HTTP/1\.1")
_METHODS = {name.encode(): name for name in ("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")}

# Fields that decide more than their own value; a head with one of the first two is always parsed.
_SINGULAR = frozenset({b"expect", b"upgrade"})
_DECISIVE = _SINGULAR | {b"host", b"content-length", b"transfer-encoding", b"connection"}


class Repeated:
    """The last request of a connection: its message, and its fields for the next one."""

    __slots__ = ("_fields", "_length", "_limits", "_line", "_lines", "_message", "bits", "head", "under", "whole")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.forget()

    def forget(self) -> None:
        """Keep nothing."""
        self.under = -1  # the generation of the limits under which the head was accepted; -1: no head is kept
        self.head = b""
        self.whole: Message | None = None  # the message of that head, if it is all of a request
        self.bits = 0
        self._message: Message | None = None  # the last message with these fields; None: heads with them are parsed
        self._length = 0
        self._line = b""
        self._fields = b""  # field lines and empty line, with every CRLF; empty until they are needed
        self._lines: list[bytes] = []  # the same, one by one, once they were compared with another head's

    def learn(self, head: bytes, message: Message, bits: int, length: int) -> None:
        """Keep what the parser made of *head*. Whether its fields can be used for another is checked when the next one
        comes.
        """
        if len(head) > LARGEST or message.websocket:
            return
        self.under = self._limits.generation
        self.head = head
        self.whole = None if length else message
        self.bits = bits
        self._message = message
        self._length = length
        self._fields = b""

    def recall(self, data: bytes, pos: int) -> tuple[Message, int, int, int] | None:
        """Return message, reply bits, body length and end of the head at *pos*; None where it has to be parsed."""
        limits, known = self._limits, self._message
        if known is None or self.under != limits.generation or not (self._fields or self._prepare()):
            return None
        end = data.find(b"\r\n", pos)
        if data.startswith(self._fields, end + 2):
            stop, headers = end + 2 + len(self._fields), known.headers
        else:
            stop = data.find(b"\r\n\r\n", pos) + 4
            if stop < 4 or (changed := self._amend(known.headers, data[end + 2 : stop])) is None:
                return None
            headers = changed
        line = data[pos:end]
        method, target = known.method, known.target
        if line != self._line:
            match = _REQUEST_LINE.fullmatch(line)
            if match is None or stop - pos > LARGEST or 0 <= limits.url_size < len(line):
                return None
            name, target = match.groups()
            method = _METHODS[name]
            self.bits = self.bits & ~HEAD | (HEAD if method == "HEAD" else 0)
            self._line = line
        self._message = message = Message(1, method, target, 11, headers)
        message.authority = known.authority
        if not self._length:
            self.whole = message
            self.head = data[pos:stop]
        return message, self.bits, self._length, stop

    def _prepare(self) -> bool:
        """Take the kept head apart; return whether its fields can be used for others."""
        known, head = self._message, self.head
        end = head.index(b"\r\n")
        plain = _REQUEST_LINE.fullmatch(head, 0, end) is not None
        if known is None or not plain or any(name in _SINGULAR for name, _ in known.headers):
            self._message = None
            return False
        self._line = head[:end]
        self._fields = head[end + 2 :]
        self._lines = []
        return True

    def _amend(self, known: list[Header], fields: bytes) -> list[Header] | None:
        """Keep *fields* and return them parsed, if they differ from those kept only in plain values."""
        limits, size = self._limits, len(fields)
        if size > LARGEST or 0 <= limits.header_size < size or 0 <= limits.field_size < size:
            return None
        before = self._lines or self._fields[:-4].split(b"\r\n")
        lines = fields[:-4].split(b"\r\n")
        if len(lines) != len(before):
            return None
        headers = known.copy()
        for index in compress(count(), map(ne, lines, before)):
            match = PLAIN_LINE.fullmatch(lines[index].rstrip(b" \t"))
            if match is None or (name := match[1].lower()) != headers[index][0] or name in _DECISIVE:
                return None
            headers[index] = (name, match[2])
        self._fields, self._lines = fields, lines
        return headers
