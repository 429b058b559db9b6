"""Text as a reply: what is remembered, and that it changes nothing."""

from __future__ import annotations

import pytest

from qhttpserver_py._content.mime import sniff
from qhttpserver_py._serving import results

LONG = results._TEXT_LENGTH + 1


@pytest.mark.parametrize("size", [1, LONG - 1, LONG, 100_000, results._LONG_LENGTH + 1])
@pytest.mark.parametrize("character", ["a", "é", "\U0001f40d"])
def test_said_again_it_is_the_same(size: int, character: str) -> None:
    text = character * size
    for said in (text, text, (text + "x")[:-1], "b" * size, text):
        fields, body = results.text_reply(said)
        assert body == said.encode()
        assert fields == ((b"content-type", sniff(body)),)


def test_the_same_long_object_is_not_encoded_again() -> None:
    text = "a" * LONG
    assert results.text_reply(text)[1] is results.text_reply(text)[1]


def test_a_very_long_text_is_not_kept() -> None:
    text = "a" * (results._LONG_LENGTH + 1)
    results.text_reply(text)
    assert results._last_long[0][0] is not text
    assert text not in results._texts
