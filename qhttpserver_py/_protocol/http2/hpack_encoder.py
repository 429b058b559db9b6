"""Reply fields to HPACK header blocks (RFC 7541), with `hpack`'s tables.

Strategy: a server repeats its fields, so rendered blocks are kept. A field that comes a
second time enters the peer's table; the table is only ever filled, never rotated, so an entry's
index depends on the number of insertions alone and a kept block is valid until the next one.
"""

from __future__ import annotations

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from qhttpserver_py._protocol import wire
from qhttpserver_py._protocol.engine import Header, Headers
from qhttpserver_py._protocol.http2.hpack_decoder import ENTRY_OVERHEAD, STATIC, TABLE_SIZE

_FIELDS = {field: index for index, field in reversed(tuple(enumerate(STATIC, 1)))}
_NAMES = {field[0]: index for index, field in reversed(tuple(enumerate(STATIC, 1)))}
_FIRST_DYNAMIC = len(STATIC) + 1

CONNECTION_SPECIFIC = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)
"""Fields that mean nothing in HTTP/2 and must not be sent (RFC 9113 8.2.2)."""

# Values that must not be guessed from sizes never enter a table (RFC 7541 7.1.3).
_SECRET = frozenset({b"authorization", b"set-cookie", b"proxy-authenticate", b"www-authenticate"})

_REMEMBERED = 256  # fields seen once
_KEPT = 64  # rendered blocks

_huffman = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


class ReplyHead:
    """A rendered reply head, without date and content-length unless the response has its own."""

    __slots__ = ("block", "dated", "generation", "length")

    def __init__(self) -> None:
        self.block = b""
        self.dated = False
        self.length = -1  # the response's own content-length, or -1
        self.generation = -1


class HeaderEncoder:
    """The table we filled in the peer's decoder, and how to write blocks with it."""

    __slots__ = (
        "_capacity",
        "_date",
        "_date_block",
        "_entries",
        "_huffman",
        "_kept",
        "_lengths",
        "_resizes",
        "_seen",
        "_settled",
        "_size",
    )

    def __init__(self, huffman: bool) -> None:
        self._huffman = huffman
        self._capacity = TABLE_SIZE
        self._size = 0
        self._entries: dict[Header, int] = {}  # field: number of insertions before it
        self._seen: set[Header] = set()
        self._settled = True  # no field rendered since then is to be inserted next time
        self._kept: dict[tuple[int, tuple[Header, ...]], ReplyHead] = {}
        self._lengths: dict[int, bytes] = {}
        self._resizes = b""  # size updates that the next block has to begin with
        self._date = self._date_block = b""

    def resize(self, size: int) -> None:
        """Apply the peer's SETTINGS_HEADER_TABLE_SIZE."""
        size = min(size, TABLE_SIZE)
        if size == self._capacity:
            return
        # To zero and then up, so that it does not matter what the peer evicted (RFC 7541 4.2 demands the smallest and
        # the last size between two blocks).
        self._resizes = b"\x20" + _integer(size, 5, 0x20)
        self._capacity = size
        self._size = 0
        self._entries.clear()
        self._kept.clear()

    def head(self, status: int, headers: tuple[Header, ...]) -> ReplyHead:
        """Return the head of a reply, to be sent before any other block is rendered."""
        key = (status, headers)
        kept = self._kept.get(key)
        if kept is not None and kept.generation == len(self._entries) and not self._resizes:
            return kept
        head = self._render(status, headers)
        if self._settled:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[key] = head
        return head

    def date(self) -> bytes:
        """Return the ``date`` field of this second, rendered."""
        date = wire.date_value()
        if date is not self._date:
            self._date = date
            self._date_block = self._literal(b"date", date, 0x00, 4)
        return self._date_block

    def content_length(self, size: int) -> bytes:
        """Return the ``content-length`` field, rendered."""
        block = self._lengths.get(size)
        if block is None:
            if len(self._lengths) >= _KEPT:
                self._lengths.clear()
            block = self._lengths[size] = self._literal(b"content-length", b"%d" % size, 0x00, 4)
        return block

    def trailers(self, trailers: Headers) -> bytes:
        """Return a trailer section, without fields that may not be there (RFC 9110 6.5.1)."""
        fields = [
            self._field(name, value)
            for name, value in _clean(trailers)
            if name not in wire.NOT_IN_TRAILERS and name not in CONNECTION_SPECIFIC
        ]
        return self._take_resizes() + b"".join(fields)

    def informational(self, status: int, headers: Headers = ()) -> bytes:
        """Return the head of an interim response, without what frames a message (RFC 9110 8.6)."""
        fields = [
            (name, value)
            for name, value in _clean(headers)
            if name not in CONNECTION_SPECIFIC and name != b"content-length"
        ]
        parts = [self._take_resizes(), self._field(b":status", b"%d" % status)]
        return b"".join(parts + [self._field(name, value) for name, value in fields])

    def _take_resizes(self) -> bytes:
        resizes, self._resizes = self._resizes, b""
        return resizes

    def _render(self, status: int, headers: tuple[Header, ...]) -> ReplyHead:
        head = ReplyHead()
        self._settled = not self._resizes
        parts = [self._take_resizes(), self._field(b":status", b"%d" % status)]
        for name, value in _clean(headers):
            if name in CONNECTION_SPECIFIC:
                continue
            if name == b"content-length":
                head.length = int(value) if value.isdigit() else -1
                continue
            head.dated = head.dated or name == b"date"
            parts.append(self._field(name, value))
        head.block = b"".join(parts)
        head.generation = len(self._entries)
        return head

    def _field(self, name: bytes, value: bytes) -> bytes:
        field = (name, value)
        index = _FIELDS.get(field)
        if index is not None:
            return _integer(index, 7, 0x80)
        inserted = self._entries.get(field)
        if inserted is not None:
            return _integer(_FIRST_DYNAMIC + len(self._entries) - 1 - inserted, 7, 0x80)
        if name in _SECRET:
            return self._literal(name, value, 0x10, 4)
        if self._insert(field):
            return self._literal(name, value, 0x40, 6)
        return self._literal(name, value, 0x00, 4)

    def _insert(self, field: Header) -> bool:
        """Return whether *field* is inserted into the peer's table: from its second time on, while there is room."""
        size = len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        if self._size + size > self._capacity:
            return False
        self._settled = False
        if field not in self._seen:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen.add(field)
            return False
        self._entries[field] = len(self._entries)
        self._size += size
        return True

    def _literal(self, name: bytes, value: bytes, pattern: int, bits: int) -> bytes:
        index = _NAMES.get(name, 0)
        head = _integer(index, bits, pattern)
        return head + self._string(value) if index else head + self._string(name) + self._string(value)

    def _string(self, text: bytes) -> bytes:
        if self._huffman:
            short = _huffman.encode(text)
            if len(short) < len(text):
                return _integer(len(short), 7, 0x80) + short
        return _integer(len(text), 7, 0x00) + text


def list_size(headers: Headers) -> int:
    """Return the size of *headers* as SETTINGS_MAX_HEADER_LIST_SIZE counts it, status, date and length included."""
    automatic = 42 + 65 + 66
    return automatic + sum(len(name) + len(value) + ENTRY_OVERHEAD for name, value in headers)


def _clean(headers: Headers) -> list[Header]:
    """Return checked fields in lower case; raise ValueError for one that must not be sent."""
    fields = []
    for name, value in headers:
        wire.check_header(name, value)
        fields.append((bytes(name).lower(), bytes(value).strip(b" \t")))
    return fields


def _integer(value: int, bits: int, pattern: int) -> bytes:
    """Write an integer behind *pattern* in a prefix of *bits* (RFC 7541 5.1)."""
    full = (1 << bits) - 1
    if value < full:
        return bytes((pattern | value,))
    octets = bytearray((pattern | full,))
    value -= full
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)
