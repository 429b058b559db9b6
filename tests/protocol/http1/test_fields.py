"""Field lines: what is plain, what llhttp says, and that it makes no difference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttpserver_py._protocol.http1 import fields

PLAIN = [b"A: 1", b"B: 2", b"C: 3", b"D: 4"]


def block(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in lines)


@pytest.fixture(autouse=True)
def forget() -> None:
    fields._spare.clear()


def test_fields_are_taken_apart_in_order() -> None:
    assert fields.parse_fields(block(b"A: 1", b"b:2")) == [(b"a", b"1"), (b"b", b"2")]
    assert fields.parse_fields(block(b"C: 3", b"A:  \t1", b"D:", b"B: 2 \t")) == [
        (b"c", b"3"),
        (b"a", b"1"),
        (b"d", b""),
        (b"b", b"2"),
    ]
    assert fields.parse_fields(b"") == []


@pytest.mark.parametrize(
    "line", [b" folded: x", b"\tfolded", b"a : b", b"no colon", b": b", b"a: b\nc: d", b"a: \x00", b"", b"a: b\r", b"a"]
)
def test_a_bad_line_is_bad_beside_good_ones(line: bytes) -> None:
    for lines in ([b"A: 1", line], [line, b"A: 1"], [line], [b"A: 1", line, b"B: 2"]):
        with pytest.raises(fields.Fault) as raised:
            fields.parse_fields(block(*lines))
        assert raised.value.status == 400


def test_parsers_are_reused_only_where_nothing_is_left_in_them() -> None:
    fields._parse_lines(PLAIN)
    (tool,) = fields._spare
    fields._parse_lines([b"A: 2", *(line + b"2" for line in PLAIN)])
    assert fields._spare == [tool]
    for line in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"Upgrade: x"):
        fields._parse_lines([line])
        assert tool not in fields._spare
        assert fields._parse_lines([b"B%d: %b" % (number, line) for number in range(4)])[3] == (b"b3", line)
        (tool,) = fields._spare


def test_framing_that_llhttp_refuses_is_checked_by_the_engine() -> None:
    for parse in (fields._parse_lines, lambda lines: fields.parse_fields(block(*lines))):
        assert parse([b"Transfer-Encoding: gzip"]) == [(b"transfer-encoding", b"gzip")]
        assert parse([b"Connection: upgrade", b"Upgrade: x"]) == [(b"connection", b"upgrade"), (b"upgrade", b"x")]


NAMES = st.sampled_from([b"host", b"X", b"Cookie", b"Expect", b"TE", b"Trailer", b"a b", b"", b"a\xff", b"X-Content"])
VALUES = st.binary(max_size=6) | st.text(alphabet=' \t,;="aZ0\x7f\x0b\r\n:', max_size=6).map(str.encode)
LINE = st.tuples(NAMES, st.sampled_from([b":", b": ", b" :", b""]), VALUES).map(b"".join)


def outcome(parse: object, *arguments: object) -> object:
    try:
        return parse(*arguments)  # type: ignore[operator]
    except fields.Fault as fault:
        return fault.status


@given(st.lists(LINE, min_size=1, max_size=5))
@settings(deadline=None)
def test_plain_lines_are_what_llhttp_takes_them_for(lines: list[bytes]) -> None:
    assert outcome(fields.parse_fields, block(*lines)) == outcome(
        fields._parse_lines, block(*lines)[:-2].split(b"\r\n")
    )


@given(LINE)
@settings(deadline=None)
def test_a_plain_line_alone_is_what_llhttp_takes_it_for(line: bytes) -> None:
    match = fields.PLAIN_LINE.fullmatch(line.rstrip(b" \t"))
    if match is not None:
        assert [(match[1].lower(), match[2])] == fields._parse_lines([line])


@pytest.mark.parametrize("octet", range(256))
def test_every_octet_of_a_value(octet: int) -> None:
    line = b"a: x%cy" % octet
    allowed = octet == 9 or (octet >= 32 and octet != 127)
    assert bool(fields.PLAIN_LINE.fullmatch(line)) is allowed
    assert (outcome(fields.parse_fields, block(b"b: c", line)) == [(b"b", b"c"), (b"a", b"x%cy" % octet)]) is allowed


@pytest.mark.parametrize("octet", range(256))
def test_every_octet_of_a_name(octet: int) -> None:
    line = b"x%cy: z" % octet
    parsed = outcome(fields.parse_fields, block(line))
    assert parsed == outcome(fields._parse_lines, [line])
    allowed = bool(fields.TOKEN.fullmatch(b"%c" % octet)) or octet == ord(":")
    assert isinstance(parsed, list) is allowed
