"""Callables that are dropped when a context object is destroyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakMethod

import shiboken6
from PySide6.QtCore import QObject

from qhttpserver_py._qt.receiver import without_owner
from qhttpserver_py._routing.binding import is_coroutine_function


def when_destroyed(sender: QObject, method: Callable[[], object]) -> None:
    """Call *method*, bound to a plain object that is not kept alive, when *sender* is destroyed.

    PySide crashes at the end of a process where the garbage collector deletes the object of a connected method together
    with the sender; a function that holds the object weakly is safe.
    """
    weak = WeakMethod(method)

    def call(*_: object) -> None:
        alive = weak()
        if alive is not None:
            alive()

    sender.destroyed.connect(call)


class ContextBound:
    """Holds a callable until its context is destroyed, but not the context, even where the callable is a method of it.

    *on_destroyed* is called then. Its object is not held either: it holds this one, and a server has to end with its
    last reference. Raises RuntimeError for a context that is destroyed already.
    """

    __slots__ = ("__weakref__", "_on_destroyed", "callback", "is_coroutine")

    def __init__(
        self, context: QObject, callback: Callable[..., Any], on_destroyed: Callable[[ContextBound], None]
    ) -> None:
        if not shiboken6.isValid(context):  # connecting it to anything can crash
            raise RuntimeError("the context object is destroyed; give one that lives")
        self.is_coroutine = is_coroutine_function(callback)
        self.callback: Callable[..., Any] | None = without_owner(callback, context)
        self._on_destroyed = WeakMethod(on_destroyed)
        when_destroyed(context, self.drop)

    def drop(self) -> None:
        """Drop the callable, because the context is destroyed."""
        self.callback = None
        on_destroyed = self._on_destroyed()
        if on_destroyed is not None:
            on_destroyed(self)


class ContextBoundCalls:
    """Callables in the order they were added, each until its context is destroyed."""

    __slots__ = ("__weakref__", "items")

    def __init__(self) -> None:
        self.items: Sequence[ContextBound] = ()
        """Replaced by every change, so that it may change while it is read."""

    def add(self, context: QObject, function: Callable[..., Any]) -> None:
        """Append *function*."""
        self.items = [*self.items, ContextBound(context, function, self._drop)]

    def _drop(self, bound: ContextBound) -> None:
        self.items = [kept for kept in self.items if kept is not bound]
