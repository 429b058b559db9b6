"""Reading heads: what is remembered, and that it changes nothing."""

from __future__ import annotations

import re

import pytest

from qhttpserver_py._protocol.engine import Limits
from qhttpserver_py._protocol.http1 import head


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
