"""Text as a reply: its type, its charset, and what UTF-8 cannot express."""

from __future__ import annotations

import pytest

from qhttpserver_py._content.mime import sniff
from qhttpserver_py._serving.results import text_reply


@pytest.mark.parametrize("size", [1, 100, 1000, 100_000])
@pytest.mark.parametrize("character", ["a", "\u00e9", "\U0001f40d"])
def test_the_type_is_that_of_the_octets(size: int, character: str) -> None:
    text = character * size
    charset = b"" if text.isascii() else b"; charset=utf-8"
    assert text_reply(text) == (((b"content-type", sniff(text.encode()) + charset),), text.encode())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", b"application/x-zerosize"),
        ("<html>\u00fc", b"text/html; charset=utf-8"),
        ("<html>", b"text/html"),
        ("%PDF-1.4 \u00fc", b"application/pdf"),
        ("\ufeffa;b", b"text/plain; charset=utf-8"),
    ],
)
def test_kinds_of_text(text: str, kind: bytes) -> None:
    assert text_reply(text) == (((b"content-type", kind),), text.encode())


def test_a_lone_surrogate_is_no_text() -> None:
    assert text_reply("a\ud800b") is None
