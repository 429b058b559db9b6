"""Phrases, the Date field and the checks of fields."""

from __future__ import annotations

import re

import pytest

from qhttpserver_py._content.status import StatusCode
from qhttpserver_py._protocol import wire

# Where QHttpServer's phrase is not its enumerator's name split into words.
OWN_PHRASES = {
    200: "OK",
    203: "Non-Authoritative Information",
    207: "Multi-Status",
    226: "I'm Used",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    418: "I'm a teapot",
    505: "HTTP Version Not Supported",
}


@pytest.mark.parametrize("code", list(StatusCode))
def test_every_named_status_has_its_phrase(code: StatusCode) -> None:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code.name)
    expected = OWN_PHRASES.get(code.value, words)
    assert wire.PHRASES[code.value] == expected.encode()
    assert wire.status_line(code.value) == f"HTTP/1.1 {code.value} {expected}\r\n".encode()


def test_only_named_statuses_have_a_phrase() -> None:
    # 103 has no name in Qt, whose servers send no interim responses.
    assert set(wire.PHRASES) == {code.value for code in StatusCode} | {103}


@pytest.mark.parametrize("status", [104, 299, 425, 799, 999])
def test_rfc9112_4_unknown_status_has_an_empty_phrase_and_the_space(status: int) -> None:
    assert wire.status_line(status, b"HTTP/1.0") == b"HTTP/1.0 %d \r\n" % status


def test_date_is_rendered_once_a_second_whatever_the_clock_does() -> None:
    now = [784111777.25]
    cache = wire.DateCache(lambda: now[0])
    first = cache.field()
    assert first == b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert cache.value() == b"Sun, 06 Nov 1994 08:49:37 GMT"
    now[0] += 0.5
    assert cache.field() is first
    now[0] += 0.25
    assert cache.field() == b"date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
    now[0] -= 3600.0
    assert cache.value() == b"Sun, 06 Nov 1994 07:49:38 GMT"


def test_date_of_now() -> None:
    assert re.fullmatch(rb"date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", wire.date_field())
    assert wire.date_field() == b"date: %b\r\n" % wire.date_value()


TOKEN = set(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def refused(name: bytes, value: bytes) -> bool:
    try:
        wire.check_header(name, value)
    except ValueError as error:
        assert "RFC 9110" in str(error)  # says the rule
        return True
    return False


def test_every_octet_in_a_name() -> None:
    assert {octet for octet in range(256) if not refused(b"x" + bytes([octet]), b"")} == TOKEN
    assert refused(b"", b"v")


def test_every_octet_in_a_value() -> None:
    allowed = {octet for octet in range(256) if not refused(b"x", b"a%bb" % bytes([octet]))}
    assert allowed == {9, *range(0x20, 0x7F), *range(0x80, 0x100)}


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: b", b"a\nb", b"a\rb", b"a\0"])
def test_the_remedy_is_named(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"'x-y' has a control character .*: percent-encode or remove it"):
        wire.check_header(b"x-y", value)


@pytest.mark.parametrize("name", sorted(wire.NOT_IN_TRAILERS))
def test_rfc9110_6_5_1_what_is_no_trailer(name: bytes) -> None:
    with pytest.raises(ValueError, match="send it as a header"):
        wire.check_trailer(name.upper(), b"v")


def test_trailers_are_checked_as_headers_are() -> None:
    wire.check_trailer(b"etag", b"v")
    with pytest.raises(ValueError, match="control character"):
        wire.check_trailer(b"etag", b"v\n")


def test_fields_are_rendered_in_lower_case_and_trimmed() -> None:
    fields = ((b"X-MiXeD", b" a b\t"), (b"b", b""), (b"b", b"\xe9"))
    assert wire.render_fields(fields) == b"x-mixed: a b\r\nb: \r\nb: \xe9\r\n"
    with pytest.raises(ValueError, match="control character"):
        wire.render_fields(((b"a", b"b\r\nc: d"),))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"", []), (b"close", [b"close"]), (b" Keep-Alive ,\tUPGRADE,,", [b"keep-alive", b"upgrade"])],
)
def test_tokens(value: bytes, expected: list[bytes]) -> None:
    assert wire.tokens(value) == expected
