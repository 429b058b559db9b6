"""Callables that live no longer than a context object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject


class ContextBound:
    """A callable held strongly until its context is destroyed; the context itself is not held."""

    __slots__ = ("__weakref__", "_on_death", "callback")

    def __init__(
        self, context: QObject, callback: Callable[..., Any], on_death: Callable[[ContextBound], None]
    ) -> None:
        self.callback: Callable[..., Any] | None = callback
        self._on_death: Callable[[ContextBound], None] | None = on_death
        context.destroyed.connect(self.die)

    def die(self) -> None:
        """The context is gone, and the callable with it."""
        self.callback = None
        on_death, self._on_death = self._on_death, None
        if on_death is not None:
            on_death(self)
