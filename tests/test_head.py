"""Reading heads: what is remembered, and that it changes nothing."""

from __future__ import annotations

import re

import pytest

from qhttpserver_py._protocol import head
from qhttpserver_py._protocol.engine import Limits


@pytest.fixture(autouse=True)
def forget() -> None:
    head._lines.clear()
    head._spare.clear()


def test_lines_known_and_new_mix_in_order() -> None:
    assert head.parse_fields([b"A: 1", b"B: 2"]) == [(b"a", b"1"), (b"b", b"2")]
    assert head.parse_fields([b"C: 3", b"A: 1", b"D:", b"B: 2"]) == [
        (b"c", b"3"),
        (b"a", b"1"),
        (b"d", b""),
        (b"b", b"2"),
    ]
    assert head.parse_fields([]) == []


@pytest.mark.parametrize(
    "line", [b" folded: x", b"\tfolded", b"a : b", b"no colon", b": b", b"a: b\nc: d", b"a: \x00", b"", b"a: b\r"]
)
def test_a_bad_line_is_bad_beside_known_ones(line: bytes) -> None:
    head.parse_fields([b"A: 1"])
    for lines in ([b"A: 1", line], [line, b"A: 1"], [line], [b"A: 1", line, b"B: 2"]):
        with pytest.raises(head.Fault) as raised:
            head.parse_fields(lines)
        assert raised.value.status == 400
    assert line not in head._lines


def test_parsers_are_reused_only_where_nothing_is_left_in_them() -> None:
    head.parse_fields([b"A: 1"])
    (tool,) = head._spare
    head.parse_fields([b"A: 2", b"Host: h"])
    assert head._spare == [tool]
    for line in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"Upgrade: x"):
        head.parse_fields([line])
        assert tool not in head._spare
        assert head.parse_fields([b"B: %b" % line]) == [(b"b", line)]
        (tool,) = head._spare


def test_framing_that_llhttp_refuses_is_ours_to_judge() -> None:
    assert head.parse_fields([b"Transfer-Encoding: gzip"]) == [(b"transfer-encoding", b"gzip")]
    assert head.parse_fields([b"Connection: upgrade", b"Upgrade: x"]) == [
        (b"connection", b"upgrade"),
        (b"upgrade", b"x"),
    ]


def test_memory_of_lines_is_bounded() -> None:
    long = b"a: " + b"b" * head.MAX_LINE
    assert head.parse_fields([long])[0][1] == long[3:]
    assert long not in head._lines
    for start in range(0, 3000, 100):
        head.parse_fields([b"n%d: v" % number for number in range(start, start + 100)])
        assert len(head._lines) <= head.MAX_LINES


class Counting:
    """Stands for the expression over a head, and counts the octets it is shown."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.pattern = pattern
        self.octets = 0

    def search(self, data: bytearray, pos: int) -> re.Match[bytes] | None:
        self.octets += len(data) - pos
        return self.pattern.search(data, pos)


def test_a_head_octet_by_octet_is_not_scanned_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(head._BAD)
    monkeypatch.setattr(head, "_BAD", counting)
    data = b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 40_000 + b"\r\n\r\n"
    reader = head.HeadReader(Limits())
    for index in range(len(data)):
        reader.feed(data[index : index + 1], 0)
    assert reader.complete
    assert reader.buffer == data
    assert counting.octets <= 2 * len(data)


def test_a_reader_stops_at_the_end_of_the_head() -> None:
    reader = head.HeadReader(Limits())
    data = b"\r\nGET / HTTP/1.1\r\n\r\nrest"
    assert reader.feed(data, 0) == len(data) - 4
    assert reader.buffer == b"GET / HTTP/1.1\r\n\r\n"
