"""The magic rules of the shared MIME database (freedesktop.org), read from its ``mime.cache`` files. Pure.

Strategy: QMimeDatabase tries some eight hundred rules one by one, for 54 µs or more. Most bodies match none. Two
expressions, made of what every rule begins with, find that in about a microsecond: one is anchored at the first octet,
the other searches the few hundred octets that rules with a range look at. Only where one of them matches, the rules in
question are tried, in the order in which Qt would try them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MAXIMUM_SMALL = 512
"""Rules whose range ends beyond this offset are searched for one by one, in bodies that are longer than it."""

_HEADER = struct.Struct(">HH")
_LIST = struct.Struct(">II")
_MATCH = struct.Struct(">IIII")
_MATCHLET = struct.Struct(">8I")
_MAGIC_LIST = 24  # where the header has the offset of the list
_VERSIONS = ((1, 1), (1, 2))

Trie = dict[bytes, "Trie"]
Entry = tuple[int, "Rule"]


class UnknownCacheError(ValueError):
    """The file is no mime.cache of a version that is known."""


@dataclass(frozen=True, slots=True)
class Matchlet:
    """Octets that have to be at one of *length* offsets from *start* on, and matchlets of which one has to match
    besides.
    """

    start: int
    length: int
    value: bytes
    mask: bytes
    children: tuple[Matchlet, ...]

    def matches(self, data: bytes) -> bool:
        """Return whether *data* matches this and, where there are any, one of the children."""
        return self._is_in(data) and (not self.children or any(child.matches(data) for child in self.children))

    def _is_in(self, data: bytes) -> bool:
        size = len(self.value)
        if not self.mask:
            return data.find(self.value, self.start, self.start + max(self.length, 1) - 1 + size) >= 0
        last = min(self.start + max(self.length, 1) - 1, len(data) - size)
        return any(self._fits(data[begin : begin + size]) for begin in range(self.start, last + 1))

    def _fits(self, octets: bytes) -> bool:
        return all((o ^ v) & m == 0 for o, v, m in zip(octets, self.value, self.mask, strict=True))

    @property
    def end(self) -> int:
        """The offset behind the last octet that this looks at."""
        return self.start + max(self.length, 1) - 1 + len(self.value)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what has to match, and the type that follows."""

    priority: int
    mime: bytes
    matchlet: Matchlet


def read_rules(cache: bytes) -> Iterator[Rule]:
    """Return the magic rules of a ``mime.cache``, in its order.

    Raises:
        UnknownCacheError: it is of another version, or damaged.
    """
    try:
        if _HEADER.unpack_from(cache) not in _VERSIONS:
            raise UnknownCacheError("a mime.cache of another version")
        (at,) = struct.unpack_from(">I", cache, _MAGIC_LIST)
        count, _extent = _LIST.unpack_from(cache, at)
        (first,) = struct.unpack_from(">I", cache, at + 8)
        for number in range(count):
            priority, name, matchlets, begin = _MATCH.unpack_from(cache, first + _MATCH.size * number)
            mime = cache[name : cache.index(0, name)]
            for index in range(matchlets):
                yield Rule(priority, mime, _matchlet(cache, begin + _MATCHLET.size * index, 0))
    except (struct.error, ValueError, RecursionError) as error:
        raise UnknownCacheError(f"a damaged mime.cache: {error}") from error


def _matchlet(cache: bytes, at: int, depth: int) -> Matchlet:
    start, length, _word, size, value, mask, count, child = _MATCHLET.unpack_from(cache, at)
    if depth > 16 or value + size > len(cache):
        raise UnknownCacheError("a damaged mime.cache")
    return Matchlet(
        start,
        length,
        cache[value : value + size],
        cache[mask : mask + size] if mask else b"",
        tuple(_matchlet(cache, child + _MATCHLET.size * index, depth + 1) for index in range(count)),
    )


class MagicTable:
    """The rules of several caches, the user's first, as Qt asks them."""

    def __init__(self, caches: Sequence[bytes]) -> None:
        rules = [rule for cache in caches for rule in read_rules(cache)]
        rules.sort(key=lambda rule: -rule.priority)  # stable: of equal ones the first cache's, and its first
        self._of_first: dict[int, list[Entry]] = {}  # by the first octet, of rules that look there
        self._elsewhere: list[Entry] = []  # other rules with fixed offsets
        self._ranged: list[Entry] = []
        anchored: list[Matchlet] = []
        small: list[Matchlet] = []
        far: list[Matchlet] = []
        for entry in enumerate(rules):
            matchlet = entry[1].matchlet
            ranges = False
            for necessary in _necessary(matchlet):
                if necessary.length <= 1:
                    anchored.append(necessary)
                    continue
                ranges = True
                (small if necessary.end <= MAXIMUM_SMALL else far).append(necessary)
            if ranges:
                self._ranged.append(entry)
            elif matchlet.start or matchlet.mask or _is_weak(matchlet):
                self._elsewhere.append(entry)
            else:
                self._of_first.setdefault(matchlet.value[0], []).append(entry)
        self.anchored = re.compile(_anchored_expression(anchored), re.DOTALL)
        """Matches at the begin of whatever a rule with a fixed offset could match."""
        self.floating = re.compile(_any_of([_pattern(matchlet) for matchlet in [*small, *far]]), re.DOTALL)
        """Found within the first ``window`` octets of whatever a rule with a range could match."""
        self.window = MAXIMUM_SMALL if far else max((matchlet.end for matchlet in small), default=0)
        self.far = tuple((b"" if one.mask else one.value, one.start, one.end) for one in far)
        """What rules search for whose range ends far behind the begin, and between which offsets."""

    def find(self, data: bytes) -> bytes | None:
        """Return the name of the type whose rule matches *data* first; None where none does.

        To be called for data that one of the expressions, or ``far``, matches; for other data it is None.
        """
        candidates: list[Entry] = []
        if data and self.anchored.match(data) is not None:
            candidates += self._of_first.get(data[0], ())
            candidates += self._elsewhere
            candidates += self._ranged
        else:
            candidates += self._ranged
        candidates.sort(key=_order)
        return next((rule.mime for _, rule in candidates if rule.matchlet.matches(data)), None)


def _order(entry: Entry) -> int:
    return entry[0]


def _is_weak(matchlet: Matchlet) -> bool:
    """Return whether most bodies have what *matchlet* itself searches for, so that only its children distinguish
    types.
    """
    return bool(matchlet.children) and len(matchlet.value) < 2


def _necessary(matchlet: Matchlet) -> list[Matchlet]:
    """Return matchlets of which one matches whatever *matchlet* matches."""
    if _is_weak(matchlet):
        return [necessary for child in matchlet.children for necessary in _necessary(child)]
    return [matchlet]


def _pattern(matchlet: Matchlet) -> list[bytes]:
    """Return, octet by octet, the expressions for what *matchlet* looks for."""
    if not matchlet.mask:
        return [re.escape(bytes((octet,))) for octet in matchlet.value]
    return [_class(value, mask) for value, mask in zip(matchlet.value, matchlet.mask, strict=True)]


def _class(value: int, mask: int) -> bytes:
    if mask == 0xFF:
        return re.escape(bytes((value,)))
    if not mask:
        return b"."
    fitting = b"".join(b"\\x%02x" % octet for octet in range(256) if (octet ^ value) & mask == 0)
    return b"[" + fitting + b"]"


def _anchored_expression(matchlets: Iterable[Matchlet]) -> bytes:
    at: dict[int, list[list[bytes]]] = {}
    for matchlet in matchlets:
        at.setdefault(matchlet.start, []).append(_pattern(matchlet))
    ways = [(b".{%d}" % start if start else b"") + _any_of(patterns) for start, patterns in sorted(at.items())]
    return b"|".join(ways) or b"(?!)"


def _any_of(patterns: Iterable[Sequence[bytes]]) -> bytes:
    """Return an expression for any of *patterns* that shares their beginnings."""
    root: Trie = {}
    for pattern in patterns:
        node = root
        for part in pattern:
            node = node.setdefault(part, {})
        node[b""] = {}
    return _joined(root) if root else b"(?!)"


def _joined(node: Trie) -> bytes:
    if b"" in node:
        return b""
    ways = [part + _joined(rest) for part, rest in node.items()]
    return ways[0] if len(ways) == 1 else b"(?:" + b"|".join(ways) + b")"
