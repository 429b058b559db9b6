"""Autobahn's list of cases (chapters 1 to 7, 9, 10, 12 and 13: 517) as a table, and what is right for each.

The suite runs chapters 9, 12 and 13 in small; ``python -m tests.websocket.autobahn`` runs all of them in full.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..support.wsclient import BINARY, CLOSE, PING, PONG, TEXT, frame

CONT = 0
FAILS = frozenset({1002})
BAD_TEXT = frozenset({1007})


@dataclass(frozen=True)
class Case:
    """What is sent, and what has to come back."""

    name: str
    sent: list[bytes]
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    closes: frozenset[int] = frozenset()  # codes of the server's own close; empty: it stays open until we close
    chop: int = 0  # octets that are written at a time
    offer: str = ""  # Sec-WebSocket-Extensions
    lenient: bool = False  # before the close, answers may be missing


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def fragments(opcode: int, payload: bytes, size: int, *between: bytes) -> list[bytes]:
    """Return the frames of *payload* in pieces of *size*, with the octets of *between* after each but the last."""
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    wire = []
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        wire.append(frame(opcode if number == 0 else CONT, piece, fin=last))
        wire += () if last else between
    return wire


SIZES = (0, 125, 126, 127, 128, 65535, 65536, 65536)


def chapter_1() -> Iterator[Case]:
    for group, opcode, letter in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        for number, size in enumerate(SIZES, 1):
            payload = letter * size
            chop = 997 if number == 8 else 0
            yield Case(f"1.{group}.{number}", [frame(opcode, payload)], [(opcode, payload)], chop=chop)


def chapter_2() -> Iterator[Case]:
    for number, payload in enumerate((b"", b"Hello, world!", b"\0\xff\xfe\xfd\xfc\xfb\0\xff", b"\xfe" * 125), 1):
        yield Case(f"2.{number}", [frame(PING, payload)], [(PONG, payload)])
    yield Case("2.5", [frame(PING, b"\xfe" * 126)], closes=FAILS)
    yield Case("2.6", [frame(PING, b"\xfe" * 125)], [(PONG, b"\xfe" * 125)], chop=1)
    yield Case("2.7", [frame(PONG)])
    yield Case("2.8", [frame(PONG, b"unsolicited")])
    yield Case("2.9", [frame(PONG, b"unsolicited"), frame(PING, b"p")], [(PONG, b"p")])
    pings = [b"payload-%d" % number for number in range(10)]
    for number, chop in ((10, 0), (11, 1)):
        yield Case(f"2.{number}", [frame(PING, ping) for ping in pings], [(PONG, ping) for ping in pings], chop=chop)


def chapter_3() -> Iterator[Case]:
    yield Case("3.1", [frame(TEXT, b"*", reserved=1)], closes=FAILS)
    for number, chop in ((2, 0), (3, 20), (4, 1)):
        wire = [frame(TEXT, b"Hello"), frame(TEXT, b"Hello", reserved=number), frame(PING)]
        yield Case(f"3.{number}", wire, [(TEXT, b"Hello")], FAILS, chop=chop, lenient=True)
    for number, opcode in ((5, BINARY), (6, PING), (7, CLOSE)):
        yield Case(f"3.{number}", [frame(opcode, b"*" * 20, reserved=number)], closes=FAILS)


def chapter_4() -> Iterator[Case]:
    for group, first in ((1, 3), (2, 11)):
        for number in range(1, 6):
            opcode, payload = first + number - 1, b"reserved opcode payload" if number in (2, 4, 5) else b""
            before = number > 2
            wire = [frame(TEXT, b"Hello")] * before + [frame(opcode, payload)] + [frame(PING)] * before
            answers = [(TEXT, b"Hello")] * before
            chop = {4: 20, 5: 1}.get(number, 0)
            yield Case(f"4.{group}.{number}", wire, answers, FAILS, chop=chop, lenient=True)


def chapter_5() -> Iterator[Case]:
    for number, opcode in ((1, PING), (2, PONG)):
        wire = [frame(opcode, b"fragment1", fin=False), frame(CONT, b"fragment2")]
        yield Case(f"5.{number}", wire, closes=FAILS)
    halves = [frame(TEXT, b"fragment1", fin=False), frame(CONT, b"fragment2")]
    whole = (TEXT, b"fragment1fragment2")
    for number, chop in ((3, 0), (4, 30), (5, 1)):
        yield Case(f"5.{number}", halves, [whole], chop=chop)
    for number, chop in ((6, 0), (7, 30), (8, 1)):
        wire = [halves[0], frame(PING, b"ping"), halves[1]]
        yield Case(f"5.{number}", wire, [(PONG, b"ping"), whole], chop=chop)
    for begin, fin in ((9, True), (12, False)):
        for number, chop in ((begin, 0), (begin + 1, 30), (begin + 2, 1)):
            wire = [frame(CONT, b"non-continuation payload", fin=fin), frame(TEXT, b"Hello, world!")]
            yield Case(f"5.{number}", wire, closes=FAILS, chop=chop)
    wire = [*halves, frame(CONT, b"fragment3", fin=False), frame(TEXT, b"fragment4")]
    yield Case("5.15", wire, [whole], FAILS, lenient=True)
    for number, fin in ((16, False), (17, True)):
        group = [frame(CONT, b"fragment1", fin=fin), frame(TEXT, b"fragment2", fin=False), frame(CONT, b"fragment3")]
        yield Case(f"5.{number}", group * 2, closes=FAILS)
    yield Case("5.18", [frame(TEXT, b"fragment1", fin=False), frame(TEXT, b"fragment2")], closes=FAILS)
    for number, chop in ((19, 0), (20, 40)):
        wire = [frame(TEXT, b"fragment1", fin=False), frame(CONT, b"fragment2", fin=False), frame(PING, b"one")]
        wire += [frame(CONT, b"fragment3", fin=False), frame(CONT, b"fragment4", fin=False), frame(PING, b"two")]
        wire.append(frame(CONT, b"fragment5"))
        joined = b"".join(b"fragment%d" % part for part in range(1, 6))
        yield Case(f"5.{number}", wire, [(PONG, b"one"), (PONG, b"two"), (TEXT, joined)], chop=chop)


KOSME = "κόσμε".encode()
GREETING = "Hello-µ@ßöäüàá-UTF-8!!".encode()
MISSING = ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"]
SEQUENCES = {
    5: ["ceba", "cebae1bdb9", "cebae1bdb9cf83", "cebae1bdb9cf83cebc", "cebae1bdb9cf83cebcceb5"],
    6: [KOSME[: count + 1].hex() for count in range(11)],
    7: ["00", "c280", "e0a080", "f0908080"],
    8: ["f888808080", "fc8480808080"],
    9: ["7f", "dfbf", "efbfbf", "f48fbfbf"],
    10: ["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"],
    11: ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf", "f4908080"],
    12: ["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf", bytes(range(0x80, 0xC0)).hex()],
    13: [b"".join(bytes([octet, 32]) for octet in range(*span)).hex() for span in (
        (0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE))],
    14: MISSING,
    15: ["".join(MISSING)],
    16: ["fe", "ff", "fefeffff"],
    17: ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"],
    18: ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"],
    19: ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"],
    20: ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"],
    21: [one + two for one in ("eda080", "edadbf", "edae80", "edafbf") for two in ("edb080", "edbfbf")],
    22: [chr(plane << 16 | last).encode().hex() for plane in range(17) for last in (0xFFFE, 0xFFFF)],
    23: [chr(point).encode().hex() for point in range(0xFFF9, 0x10000)],
}  # fmt: skip


def chapter_6() -> Iterator[Case]:
    yield Case("6.1.1", [frame(TEXT)], [(TEXT, b"")])
    for number, middle in ((2, b""), (3, b"middle frame payload")):
        wire = [frame(TEXT, fin=False), frame(CONT, middle, fin=False), frame(CONT)]
        yield Case(f"6.1.{number}", wire, [(TEXT, middle)])
    yield Case("6.2.1", [frame(TEXT, GREETING)], [(TEXT, GREETING)])
    yield Case("6.2.2", fragments(TEXT, GREETING, 12), [(TEXT, GREETING)])
    yield Case("6.2.3", fragments(TEXT, GREETING, 1), [(TEXT, GREETING)])
    yield Case("6.2.4", fragments(TEXT, KOSME, 1), [(TEXT, KOSME)])
    bad = KOSME + b"\xed\xa0\x80edited"
    yield Case("6.3.1", [frame(TEXT, bad)], closes=BAD_TEXT)
    yield Case("6.3.2", fragments(TEXT, bad, 1), closes=BAD_TEXT)
    for number, parts in ((1, (KOSME, b"\xf4\x90\x80\x80", b"edited")), (2, (KOSME + b"\xf4", b"\x90", b"edited"))):
        wire = [frame(TEXT, parts[0], fin=False), frame(CONT, parts[1], fin=False)]  # at once: the end is not sent
        yield Case(f"6.4.{number}", wire, closes=BAD_TEXT)
    for number, chop in ((3, 20), (4, 1)):  # within a frame, only at its end: non-strict
        yield Case(f"6.4.{number}", [frame(TEXT, KOSME + b"\xf4\x90\x80\x80edited")], closes=BAD_TEXT, chop=chop)
    for group, sequences in SEQUENCES.items():
        for number, octets in enumerate(map(bytes.fromhex, sequences), 1):
            try:
                octets.decode()
            except UnicodeDecodeError:
                yield Case(f"6.{group}.{number}", [frame(TEXT, octets)], closes=BAD_TEXT)
            else:
                yield Case(f"6.{group}.{number}", [frame(TEXT, octets)], [(TEXT, octets)])


VALID = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
INVALID = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)


def chapter_7() -> Iterator[Case]:
    hello = frame(TEXT, b"Hello World!")
    normal = frozenset({1000})
    yield Case("7.1.1", [hello, close()], [(TEXT, b"Hello World!")], normal)
    for number, behind in ((2, close()), (3, frame(PING)), (4, hello)):
        yield Case(f"7.1.{number}", [close(), behind], closes=normal)
    yield Case("7.1.5", [frame(TEXT, b"fragment1", fin=False), close(), frame(CONT, b"fragment2")], closes=normal)
    large = b"BAsd7&jh23" * 26214
    yield Case(
        "7.1.6", [frame(TEXT, large), hello, close(), frame(PING)], [(TEXT, large), (TEXT, b"Hello World!")], normal
    )
    yield Case("7.3.1", [close(None)], closes=frozenset({1005}))
    yield Case("7.3.2", [frame(CLOSE, b"a")], closes=FAILS)
    yield Case("7.3.3", [close()], closes=normal)
    yield Case("7.3.4", [close(1000, b"Hello World!")], closes=normal)
    yield Case("7.3.5", [close(1000, b"*" * 123)], closes=normal)
    yield Case("7.3.6", [close(1000, b"*" * 124)], closes=FAILS)
    yield Case("7.5.1", [close(1000, KOSME + b"\xed\xa0\x80edited")], closes=BAD_TEXT)
    for number, code in enumerate(VALID, 1):
        yield Case(f"7.7.{number}", [close(code)], closes=frozenset({code}))
    for number, code in enumerate(INVALID, 1):
        yield Case(f"7.9.{number}", [close(code)], closes=FAILS)
    for number, code in ((1, 5000), (2, 65535)):
        yield Case(f"7.13.{number}", [close(code)], closes=FAILS)


def chapter_9(full: bool) -> Iterator[Case]:
    kib = 1024 if full else 16  # the sizes of Autobahn's, or a 64th
    for group, opcode in ((1, TEXT), (2, BINARY)):
        for number, size in enumerate((64, 256, 1024, 4096, 8192, 16384), 1):
            payload = b"*" * (size * kib)
            yield Case(f"9.{group}.{number}", [frame(opcode, payload)], [(opcode, payload)])
    for group, opcode in ((3, TEXT), (4, BINARY)):
        payload = b"*" * (4096 * kib)
        for number in range(9):
            wire = fragments(opcode, payload, 64 * 4**number)
            yield Case(f"9.{group}.{number + 1}", wire, [(opcode, payload)])
    for group, opcode in ((5, TEXT), (6, BINARY)):
        payload = b"*" * (1024 * kib)
        for number in range(6):
            yield Case(f"9.{group}.{number + 1}", [frame(opcode, payload)], [(opcode, payload)], chop=64 << number)
    for group, opcode in ((7, TEXT), (8, BINARY)):
        for number, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
            messages = [b"*" * size] * (1000 if full else 100)
            wire = [frame(opcode, message) for message in messages]
            yield Case(f"9.{group}.{number}", wire, [(opcode, message) for message in messages])


def chapter_10() -> Iterator[Case]:
    yield Case("10.1.1", fragments(TEXT, b"*" * 65536, 1300), [(TEXT, b"*" * 65536)])


_PLAIN = [(size, 0) for size in (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)]
_SPLIT = [(8192, 256), (16384, 256), (32768, 256), (65536, 256), (131072, 256), (131072, 1024), (131072, 4096)]
MESSAGES = [*_PLAIN, *_SPLIT, (131072, 32768)]

_JSON = b'[{"id": %d, "name": "sensor", "value": 0.%d, "unit": "\xc2\xb0C", "ok": true}, null, false],'
DATA: list[tuple[int, bytes]] = [
    (TEXT, b"".join(_JSON % (number, number * 7919) for number in range(2000))),
    (BINARY, b"".join(number.to_bytes(4, "big") * 3 for number in range(11000))),
    (TEXT, b"Habe nun, ach! Philosophie, Juristerei und Medizin " * 2700),
    (TEXT, b"<div class='row'><a href='#'>x</a></div>\n" * 3300),
    (BINARY, b"".join(zlib.crc32(bytes([number & 255, number >> 8])).to_bytes(4, "big") for number in range(33000))),
]
OFFERS = [
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_max_window_bits",
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits",
    "permessage-deflate; server_max_window_bits=15; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=15; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits, "
    "permessage-deflate; server_no_context_takeover; client_max_window_bits, "
    "permessage-deflate; client_max_window_bits",
]


def deflated(opcode: int, messages: list[bytes], size: int) -> list[bytes]:
    """Return the frames of compressed *messages*, whose context goes on (RFC 7692 7.2.1); 9 bits fit any agreement."""
    deflate = zlib.compressobj(wbits=-9)
    wire = []
    for message in messages:
        data = (deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
        first, *others = fragments(opcode, data, size or len(data) or 1)
        wire += [bytes([first[0] | 0x40]) + first[1:], *others]
    return wire


def cut(opcode: int, data: bytes, size: int, number: int) -> bytes:
    """Return *size* octets of *data*, from another place for each *number*; text stays text."""
    at = (number * 977) % max(1, len(data) - size)
    piece = data[at : at + size]
    return piece.decode("utf-8", "ignore").encode() if opcode == TEXT else piece


def compressed(name: str, opcode: int, data: bytes, offer: str, full: bool) -> Iterator[Case]:
    for number, (size, split) in enumerate(MESSAGES, 1):
        count = 1000 if full else 3
        messages = [cut(opcode, data, size if full else min(size, 16384), each) for each in range(count)]
        wire = deflated(opcode, messages, split)
        yield Case(f"{name}.{number}", wire, [(opcode, message) for message in messages], offer=offer)


def chapter_12(full: bool) -> Iterator[Case]:
    for group, (opcode, data) in enumerate(DATA, 1):
        yield from compressed(f"12.{group}", opcode, data, OFFERS[0], full)


def chapter_13(full: bool) -> Iterator[Case]:
    for group, offer in enumerate(OFFERS, 1):
        yield from compressed(f"13.{group}", *DATA[0], offer, full)


def cases(*, full: bool = False) -> Iterator[Case]:
    """Return all cases."""
    for chapter in (chapter_1, chapter_2, chapter_3, chapter_4, chapter_5, chapter_6, chapter_7):
        yield from chapter()
    yield from chapter_9(full)
    yield from chapter_10()
    yield from chapter_12(full)
    yield from chapter_13(full)


def main() -> int:
    """Run all cases in full; print what is not right, and the counts."""
    from PySide6.QtCore import QCoreApplication

    from .autobahn_runner import EchoServer, verdict

    application = QCoreApplication.instance() or QCoreApplication(sys.argv)
    wanted = sys.argv[1:]  # prefixes of names
    counts: dict[str, int] = {}
    with EchoServer() as server:
        for case in cases(full=True):
            if not wanted or any(case.name.startswith(prefix) for prefix in wanted):
                found = verdict(server, case)
                counts[found.split(":")[0]] = counts.get(found.split(":")[0], 0) + 1
                if found not in ("OK", "NON-STRICT"):
                    print(case.name, found)
    print(", ".join(f"{count} {word}" for word, count in sorted(counts.items())))
    del application
    return int(set(counts) > {"OK", "NON-STRICT"})


if __name__ == "__main__":
    sys.exit(main())
