"""The chunked decoder, row by row read whole, octet by octet and with other octets behind it."""

from __future__ import annotations

import pytest

from qhttpserver_py._protocol.engine import Header, Limits
from qhttpserver_py._protocol.http1.chunked import MAX_EXTENSIONS, MAX_LINE, ChunkedDecoder
from qhttpserver_py._protocol.http1.fields import Fault


def decode(data: bytes, step: int, limit: int = -1) -> tuple[bytes, list[Header], int]:
    """Return body, trailers and how many octets were taken."""
    decoder = ChunkedDecoder(Limits(), limit)
    out: list[bytes] = []
    taken = 0
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        taken += decoder.feed(piece, 0, out)
        if decoder.done:
            return b"".join(out), decoder.trailers, taken
        assert taken == start + len(piece)
    raise EOFError


VALID: list[tuple[bytes, bytes, list[Header]]] = [
    (b"0\r\n\r\n", b"", []),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello", []),
    (b"1\r\na\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", b"a0123456789abcdef", []),
    (b"00A\r\n0123456789\r\n000\r\n\r\n", b"0123456789", []),
    (b"0000000000000001\r\nx\r\n0\r\n\r\n", b"x", []),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", []),
    (b"1;a\r\nx\r\n0;b=c\r\n\r\n", b"x", []),
    (b'1 ; a = "q\\"uoted; \xe9" ;b\r\nx\r\n0\r\n\r\n', b"x", []),
    (b"1;" + b"a" * (MAX_LINE - 4) + b"\r\nx\r\n0\r\n\r\n", b"x", []),
    (b"1\r\nx\r\n0\r\nA: b\r\nC:d \r\n\r\n", b"x", [(b"a", b"b"), (b"c", b"d")]),
    (b"0\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\nX: y\r\n\r\n", b"", [(b"x", b"y")]),
]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100_000])
@pytest.mark.parametrize(("data", "body", "trailers"), VALID)
def test_valid(data: bytes, body: bytes, trailers: list[Header], step: int) -> None:
    assert decode(data + b"GET / HTTP/1.1\r\n", step) == (body, trailers, len(data))


INVALID: list[tuple[bytes, int]] = [
    (b"\r\n", 400),
    (b"g\r\n", 400),
    (b"1\n", 400),
    (b"1\r\r\n", 400),
    (b"1\rx", 400),
    (b"1;a\rx", 400),
    (b"1 \r\n", 400),
    (b"\t1\r\n", 400),
    (b"1;\r\n", 400),
    (b"1;=a\r\n", 400),
    (b"1;a=\r\n", 400),
    (b"1;a b\r\n", 400),
    (b'1;a="\x01"\r\n', 400),
    (b'1;a="b\r\n', 400),
    (b"1;" + b"a" * MAX_LINE, 400),
    (b"1" * (MAX_LINE + 1), 400),
    ((b"1;" + b"a" * 4000 + b"\r\nx\r\n") * (MAX_EXTENSIONS // 4000 + 1), 400),
    (b"00000000000000001\r\nx", 400),
    (b"8000000000000000\r\n", 400),
    (b"1\r\nxy", 400),
    (b"1\r\nx\n", 400),
    (b"1\r\nx\rx", 400),
    (b"0\r\nbad\r\n\r\n", 400),
    (b"0\r\n A: b\r\n\r\n", 400),
    (b"0\r\nA: b\x00\r\n\r\n", 400),
    (b"0\r\nA: " + b"b" * 65536, 431),
    (b"0\r\n" + b"A: b\r\n" * 129, 431),
]


@pytest.mark.parametrize("step", [1, 2, 100_000])
@pytest.mark.parametrize(("data", "status"), INVALID, ids=range(len(INVALID)))
def test_invalid(data: bytes, status: int, step: int) -> None:
    with pytest.raises(Fault) as raised:
        decode(data, step)
    assert raised.value.status == status


@pytest.mark.parametrize("step", [1, 100_000])
@pytest.mark.parametrize(("data", "fits"), [(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", True), (b"2\r\nab\r\n2\r\n", False)])
def test_the_limit_counts_what_is_announced(data: bytes, fits: bool, step: int) -> None:
    if fits:
        assert decode(data, step, 3)[0] == b"abc"
    else:
        with pytest.raises(Fault) as raised:
            decode(data, step, 3)
        assert raised.value.status == 413


def test_nothing_waits_for_a_cut_coding() -> None:
    for data in (b"", b"5", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n", b"0\r\n", b"0\r\nA: b\r\n"):
        with pytest.raises(EOFError):
            decode(data, 100)


def test_data_is_not_copied_twice() -> None:
    decoder = ChunkedDecoder(Limits(), -1)
    out: list[bytes] = []
    assert decoder.feed(b"3\r\nabc\r\n3\r\nde", 0, out) == 13
    assert out == [b"abc", b"de"]
    assert decoder.size == 6
