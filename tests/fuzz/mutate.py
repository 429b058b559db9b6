"""A small fuzzer for where atheris is not: mutates inputs, and keeps those that reach new lines."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import Any

LONGEST = 2000
TRACED = 8
"""One input in so many is run with tracing, which is slow."""

_TOKENS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"/",
        b"%00",
        b"%",
        b"0",
        b"-1",
        b"ffffffffffffffff",
    ),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: h\r\n", b"HTTP/1.1", b"chunked", b"GET / "),
    *(b"<arg>", b"(", b")*", b"[", b"\\", b"\xff", b"\x80", b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\0\0\x04\x08\0"),
)


def mutated(octets: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return *octets* changed in a few places."""
    out = bytearray(octets)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(out) + 1)
        kind = chance.randrange(6)
        if kind == 0 and out:
            out[at - 1] ^= 1 << chance.randrange(8)
        elif kind == 1:
            out[at:at] = chance.choice(_TOKENS)
        elif kind == 2:
            del out[at : at + chance.randrange(1, 9)]
        elif kind == 3:
            start = chance.randrange(len(out) + 1)
            out[at:at] = out[start : start + chance.randrange(1, 40)]
        elif kind == 4:
            other = chance.choice(others)
            start = chance.randrange(len(other) + 1)
            out[at:] = other[start:]
        else:
            out[at : at + 1] = bytes((chance.randrange(256),))
    return bytes(out[:LONGEST])


class Lines:
    """The lines of the package that were ever reached."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()
        self._new = False

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if "qhttpserver_py" not in frame.f_code.co_filename:
            return None
        if event == "line":
            place = (id(frame.f_code), frame.f_lineno)
            if place not in self._seen:
                self._seen.add(place)
                self._new = True
        return self._trace

    def reaches_new(self, target: Callable[[bytes], None], octets: bytes) -> bool:
        """Run *target* and return whether it went where none went before."""
        self._new = False
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            target(octets)
        finally:
            sys.settrace(before)
        return self._new


def fuzz(
    target: Callable[[bytes], None], seeds: list[bytes], seconds: float, seed: int, found: Callable[[bytes], None]
) -> int:
    """Run *target* on mutations of *seeds*; give what fails to *found* and raise its exception."""
    chance, lines, corpus = random.Random(seed), Lines(), list(seeds)
    until, tried = monotonic() + seconds, 0
    octets = b""
    try:
        for octets in corpus:
            lines.reaches_new(target, octets)
        while monotonic() < until:
            octets = mutated(chance.choice(corpus), corpus, chance)
            tried += 1
            if tried % TRACED:
                target(octets)
            elif lines.reaches_new(target, octets):
                corpus.append(octets)
    except Exception:
        found(octets)
        raise
    return tried
