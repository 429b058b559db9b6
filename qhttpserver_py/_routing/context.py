"""Callables that live no longer than a context object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

import shiboken6
from PySide6.QtCore import QObject

from qhttpserver_py._qt.receiver import without_owner
from qhttpserver_py._routing.binding import is_coroutine_function


def when_destroyed(sender: QObject, method: Callable[[], object]) -> None:
    """Call *method*, bound to a plain object that is not kept alive, when *sender* is destroyed.

    PySide crashes at the end of a process where the collector takes the object of a connected
    method together with the sender; a function that holds it weakly is safe.
    """
    weak = WeakMethod(method)

    def call(*_: object) -> None:
        alive = weak()
        if alive is not None:
            alive()

    sender.destroyed.connect(call)


class ContextBound:
    """A callable held strongly until its context is destroyed; the context itself is not held, nor by a method of it.

    Nor is whoever is to hear of that, as *on_death*: it holds this object, and a server is to go with
    its last reference. Raises RuntimeError for a context that is destroyed already.
    """

    __slots__ = ("__weakref__", "_on_death", "callback", "is_coroutine")

    def __init__(
        self, context: QObject, callback: Callable[..., Any], on_death: Callable[[ContextBound], None]
    ) -> None:
        if not shiboken6.isValid(context):  # connecting it to anything can crash
            raise RuntimeError("the context object is destroyed; give one that lives")
        self.is_coroutine = is_coroutine_function(callback)
        self.callback: Callable[..., Any] | None = without_owner(callback, context)
        self._on_death = WeakMethod(on_death)
        when_destroyed(context, self.die)

    def die(self) -> None:
        """The context is gone, and the callable with it."""
        self.callback = None
        on_death = self._on_death()
        if on_death is not None:
            on_death(self)
