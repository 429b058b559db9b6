"""First uses are noted, later ones are not."""

from __future__ import annotations

from time import monotonic

import pytest

from qhttpserver_py import _loading


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loading, "_loaded", {})


def busy(seconds: float) -> str:
    until = monotonic() + seconds
    while monotonic() < until:
        pass
    return "done"


def test_only_the_first_use_counts() -> None:
    before = monotonic()
    assert _loading.first_use("a", lambda: busy(0.02)) == "done"
    first = _loading.seconds_since(before)
    assert first >= 0.02
    assert _loading.first_use("a", lambda: busy(0.02)) == "done"
    assert _loading.seconds_since(before) == first
    assert _loading.seconds_since(monotonic()) == 0


def test_what_raised_was_no_use() -> None:
    with pytest.raises(ZeroDivisionError):
        _loading.first_use("a", lambda: 1 / 0)
    assert _loading.seconds_since(0.0) == 0
