"""First uses are noted, later ones are not."""

from __future__ import annotations

from time import monotonic

import pytest

from qhttpserver_py._qt import first_use


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_use, "_loaded", {})


def busy(seconds: float) -> str:
    until = monotonic() + seconds
    while monotonic() < until:
        pass
    return "done"


def test_only_the_first_use_counts() -> None:
    before = monotonic()
    assert first_use.first_use("a", lambda: busy(0.02)) == "done"
    first = first_use.seconds_since(before)
    assert first >= 0.02
    assert first_use.first_use("a", lambda: busy(0.02)) == "done"
    assert first_use.seconds_since(before) == first
    assert first_use.seconds_since(monotonic()) == 0


def test_what_raised_was_no_use() -> None:
    with pytest.raises(ZeroDivisionError):
        first_use.first_use("a", lambda: 1 / 0)
    assert first_use.seconds_since(0.0) == 0
