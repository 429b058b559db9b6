"""Field lines: what is remembered, what llhttp says, and that it makes no difference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttpserver_py._protocol.http1 import fields

MANY = [b"A: 1", b"B: 2", b"C: 3", b"D: 4"]


@pytest.fixture(autouse=True)
def forget() -> None:
    fields._lines.clear()
    fields._spare.clear()


def test_lines_known_and_new_mix_in_order() -> None:
    assert fields.parse_fields([b"A: 1", b"B: 2"]) == [(b"a", b"1"), (b"b", b"2")]
    assert fields.parse_fields([b"C: 3", b"A: 1", b"D:", b"B: 2"]) == [
        (b"c", b"3"),
        (b"a", b"1"),
        (b"d", b""),
        (b"b", b"2"),
    ]
    assert fields.parse_fields([]) == []


@pytest.mark.parametrize(
    "line", [b" folded: x", b"\tfolded", b"a : b", b"no colon", b": b", b"a: b\nc: d", b"a: \x00", b"", b"a: b\r"]
)
def test_a_bad_line_is_bad_beside_known_ones(line: bytes) -> None:
    fields.parse_fields([b"A: 1"])
    for lines in ([b"A: 1", line], [line, b"A: 1"], [line], [b"A: 1", line, b"B: 2"]):
        with pytest.raises(fields.Fault) as raised:
            fields.parse_fields(lines)
        assert raised.value.status == 400
    assert line not in fields._lines


def test_parsers_are_reused_only_where_nothing_is_left_in_them() -> None:
    fields.parse_fields(MANY)
    (tool,) = fields._spare
    fields.parse_fields([b"A: 2", *(line + b"2" for line in MANY)])
    assert fields._spare == [tool]
    for line in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"Upgrade: x"):
        fields.parse_fields([line])
        assert tool not in fields._spare
        assert fields.parse_fields([b"B%d: %b" % (number, line) for number in range(4)])[3] == (b"b3", line)
        (tool,) = fields._spare


def test_framing_that_llhttp_refuses_is_ours_to_judge() -> None:
    assert fields.parse_fields([b"Transfer-Encoding: gzip"]) == [(b"transfer-encoding", b"gzip")]
    assert fields.parse_fields([b"Connection: upgrade", b"Upgrade: x"]) == [
        (b"connection", b"upgrade"),
        (b"upgrade", b"x"),
    ]


def test_memory_of_lines_is_bounded() -> None:
    long = b"a: " + b"b" * fields.MAX_LINE
    assert fields.parse_fields([long])[0][1] == long[3:]
    assert long not in fields._lines
    for start in range(0, 3000, 100):
        fields.parse_fields([b"n%d: v" % number for number in range(start, start + 100)])
        assert len(fields._lines) <= fields.MAX_LINES


NAMES = st.sampled_from(
    [b"host", b"X", b"Cookie", b"Expect", b"TE", b"Trailer", b"a b", b"", b"a\xff", b"Content-Length"]
)
VALUES = st.binary(max_size=6) | st.text(alphabet=' \t,;="aZ0\x7f\x0b', max_size=6).map(str.encode)


@given(
    st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b" :", b""]), VALUES).map(b"".join), min_size=1, max_size=3)
)
@settings(deadline=None)
def test_a_few_lines_are_what_llhttp_takes_them_for(lines: list[bytes]) -> None:
    few = fields._parse_few(lines)
    if few:
        assert few == fields._parse_lines(lines)


@pytest.mark.parametrize("name", sorted(fields._ENDING))
def test_lines_that_frame_are_left_to_llhttp(name: bytes) -> None:
    assert fields._parse_few([b"a: b", name.title() + b": 1"]) == []


@pytest.mark.parametrize("octet", range(256))
def test_every_octet_of_a_value(octet: int) -> None:
    line = b"a: x%cy" % octet
    allowed = octet == 9 or (octet >= 32 and octet != 127)
    assert bool(fields._parse_few([line])) is allowed
    assert fields._parse_few([line] * 4) == []
