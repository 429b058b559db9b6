"""HPACK header blocks to fields (RFC 7541), with `hpack`'s static table and Huffman code.

Strategy: one pass over the block by index, without copies of what is left of it. A block that is too large to be
answered is still decoded, so that the table stays right and only the stream is refused; one beyond a second, larger
limit ends the connection.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._protocol.http2.frames import ConnectionFault

STATIC: tuple[Header, ...] = tuple((bytes(name), bytes(value)) for name, value in HeaderTable.STATIC_TABLE)
TABLE_SIZE = 4096
"""The size of the dynamic table: the default, because our SETTINGS announce no other (RFC 9113 6.5.2)."""
ENTRY_OVERHEAD = 32
"""What an entry counts for beside its octets (RFC 7541 4.1)."""
_MAX_SHIFT = 28  # an integer of more than five octets is an attack, not a length


def _broken(detail: str) -> ConnectionFault:
    return ConnectionFault(ErrorCodes.COMPRESSION_ERROR, detail)


class HeaderDecoder:
    """The dynamic table of the peer's encoder, and how to read blocks with it."""

    __slots__ = ("_entries", "_max_size", "_size", "changes", "largest")

    def __init__(self, largest: int) -> None:
        self.largest = largest  # bytes of a decoded list, overhead included, beyond which the connection is ended
        self.changes = 0  # counts up whenever the same block would have another meaning than before
        self._entries: list[Header] = []
        self._size = 0
        self._max_size = TABLE_SIZE

    def decode(self, block: bytes) -> list[Header]:
        """Return the fields of *block*, in order; raise ConnectionFault if it is no HPACK."""
        fields: list[Header] = []
        position, end, total = 0, len(block), 0
        while position < end:
            octet = block[position]
            if octet & 0x80:
                index = octet & 0x7F
                position += 1
                if index == 0x7F:
                    index, position = _integer(block, position, index)
                field = self._entry(index)
            elif octet & 0x60 == 0x20:
                if fields:
                    raise _broken("a table size update behind a field")
                position = self._resize(block, position)
                continue
            else:
                field, position = self._literal(block, position, octet)
            fields.append(field)
            total += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
            if total > self.largest:
                raise ConnectionFault(ErrorCodes.ENHANCE_YOUR_CALM, "a header list beyond all limits")
        return fields

    def _entry(self, index: int) -> Header:
        if 0 < index <= len(STATIC):
            return STATIC[index - 1]
        if index > len(STATIC) and index - len(STATIC) <= len(self._entries):
            return self._entries[index - len(STATIC) - 1]
        raise _broken(f"no table entry {index}")

    def _literal(self, block: bytes, position: int, octet: int) -> tuple[Header, int]:
        mask = 0x3F if octet & 0x40 else 0x0F
        index = octet & mask
        position += 1
        if index == mask:
            index, position = _integer(block, position, index)
        if index:
            name = self._entry(index)[0]
        else:
            name, position = _string(block, position)
        value, position = _string(block, position)
        field = (name, value)
        if octet & 0x40:
            self._add(field)
        return field, position

    def _add(self, field: Header) -> None:
        self.changes += 1
        self._entries.insert(0, field)
        self._size += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        self._evict()

    def _evict(self) -> None:
        entries = self._entries
        while self._size > self._max_size:
            name, value = entries.pop()
            self._size -= len(name) + len(value) + ENTRY_OVERHEAD

    def _resize(self, block: bytes, position: int) -> int:
        size = block[position] & 0x1F
        position += 1
        if size == 0x1F:
            size, position = _integer(block, position, size)
        if size > TABLE_SIZE:
            raise _broken("a table size above the one agreed")
        self.changes += 1
        self._max_size = size
        self._evict()
        return position


def _integer(block: bytes, position: int, value: int) -> tuple[int, int]:
    """Read the octets behind a full prefix (RFC 7541 5.1)."""
    for shift in range(0, _MAX_SHIFT, 7):
        if position >= len(block):
            break
        octet = block[position]
        position += 1
        value += (octet & 0x7F) << shift
        if octet < 0x80:
            return value, position
    raise _broken("an integer without end")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    if position >= len(block):
        raise _broken("the block ends within a field")
    octet = block[position]
    size = octet & 0x7F
    position += 1
    if size == 0x7F:
        size, position = _integer(block, position, size)
    stop = position + size
    if stop > len(block):
        raise _broken("the block ends within a string")
    text = block[position:stop]
    if not octet & 0x80:
        return text, stop
    try:
        return decode_huffman(text), stop
    except HPACKDecodingError as error:
        raise _broken(f"Huffman code: {error}") from None
