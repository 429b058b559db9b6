"""Which protocol a connection speaks."""

from __future__ import annotations

import pytest

from qhttpserver_py._protocol.select import PREFACE, choose, from_alpn


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (b"GET / HTTP/1.1\r\n", "http1"),
        (b"\r\nGET / HTTP/1.1\r\n", "http1"),
        (b"POST / HTTP/1.1\r\n", "http1"),
        (b"P", None),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
        (PREFACE, "http2"),
        (PREFACE + b"\0\0\0", "http2"),
        (b"PRI * HTTP/2.0\r\n\r\nXX", "http1"),
        (b"PUT", "http1"),
        (b"\x16\x03\x01", "http1"),
    ],
)
def test_first_bytes(first: bytes, kind: str | None) -> None:
    assert choose(first) == kind


@pytest.mark.parametrize(("protocol", "kind"), [(b"h2", "http2"), (b"http/1.1", None), (b"", None)])
def test_alpn(protocol: bytes, kind: str | None) -> None:
    assert from_alpn(protocol) == kind
