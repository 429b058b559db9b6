"""Notes when something was loaded at its first use: that time is not counted as the handler's. Pure."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

Result = TypeVar("Result")

_loaded: dict[str, tuple[float, float]] = {}


def first_use(what: str, call: Callable[[], Result]) -> Result:
    """Return what *call* returns, noting when it ran if it is the first one for *what*."""
    if what in _loaded:
        return call()
    began = monotonic()
    result = call()
    _loaded[what] = (began, monotonic())
    return result


def seconds_since(moment: float) -> float:
    """Return how many of the seconds since *moment* were spent in first uses."""
    return sum(ended - max(began, moment) for began, ended in _loaded.values() if ended > moment)
