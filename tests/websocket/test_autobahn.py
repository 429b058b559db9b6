"""Every case of Autobahn's, with frames of our own; chapters 9, 12 and 13 in small (see ``autobahn.py``)."""

from __future__ import annotations

from collections import Counter

import pytest

from .autobahn import cases
from .autobahn_runner import EchoServer, verdict

pytestmark = [pytest.mark.usefixtures("qapp", "own_loop"), pytest.mark.timeout(300)]

CHAPTERS = {"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1, "12": 90, "13": 126}
NON_STRICT = {"6.4.3", "6.4.4"}  # bad text is told at the end of its frame, not within it


def test_the_list_is_whole() -> None:
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names) == 517
    assert Counter(name.split(".")[0] for name in names) == CHAPTERS


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter(chapter: str) -> None:
    with EchoServer() as server:
        found = {case.name: verdict(server, case) for case in cases() if case.name.split(".")[0] == chapter}
    assert {name: word for name, word in found.items() if word not in ("OK", "NON-STRICT")} == {}
    assert {name for name, word in found.items() if word == "NON-STRICT"} <= NON_STRICT
