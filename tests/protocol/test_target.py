"""Request targets and authorities."""

from __future__ import annotations

import pytest

from qhttpserver_py._protocol import target


@pytest.mark.parametrize(
    "octets",
    [b"/", b"*", b"/a?b", b"/%01", b"/%00", b"/a%00?b", b"/?%00", b"/\xe9", b"/caf\xc3\xa9?\xff", b'/|{}^`"<>\\'],
)
def test_clean(octets: bytes) -> None:
    assert target.clean(octets)


@pytest.mark.parametrize("octets", [b"", b"/ ", b"/\t", b"/\0", b"/#", b"/\x7f", b"/\xe9#"])
def test_not_clean(octets: bytes) -> None:
    assert not target.clean(octets)


@pytest.mark.parametrize(
    ("method", "octets", "expected"),
    [
        ("GET", b"/p", (b"", b"")),
        ("OPTIONS", b"*", (b"", b"")),
        ("CONNECT", b"h:1", (b"", b"h:1")),
        ("CONNECT", b"[::1]:1", (b"", b"[::1]:1")),
        ("GET", b"HTTPS://h:1/p?q", (b"https", b"h:1")),
        ("GET", b"ftp://h", (b"ftp", b"h")),
    ],
)
def test_split(method: str, octets: bytes, expected: tuple[bytes, bytes]) -> None:
    assert target.split(method, octets) == expected


@pytest.mark.parametrize(
    ("method", "octets", "reason"),
    [
        ("GET", b"*", "only OPTIONS"),
        ("GET", b"h:1", "neither a path nor a URI"),
        ("GET", b"p", "neither a path nor a URI"),
        ("GET", b"1http://h/", "neither a path nor a URI"),
        ("GET", b"http:///p", "no valid host"),
        ("GET", b"http://u@h/", "no valid host"),
        ("CONNECT", b"/", "host:port"),
        ("CONNECT", b"h", "host:port"),
        ("CONNECT", b"h:", "host:port"),
        ("CONNECT", b"[::1]", "host:port"),
    ],
)
def test_wrong_form(method: str, octets: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        target.split(method, octets)


def test_a_long_host_is_checked_in_time() -> None:
    assert target.is_authority(b"h" * 60000)
    assert not target.is_authority(b"h" * 60000 + b" ")
    assert not target.is_authority(b"h%41" * 20000 + b"%")
