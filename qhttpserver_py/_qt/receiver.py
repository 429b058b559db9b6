"""References to the context objects of rules, which do not keep these alive."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any, cast

import shiboken6
from PySide6.QtCore import QObject


class _Watch(QObject):
    """Calls back when a receiver is destroyed.

    It is a QObject, so that Qt removes the connection with it, and a receiver that outlives many servers collects none.
    """

    def __init__(self, tell: Callable[[], object]) -> None:
        super().__init__()
        self._tell: Callable[[], object] | None = tell

    def gone(self) -> None:
        """Call back, once: the receiver is being destroyed."""
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()


class Receiver:
    """A reference to a context object. It belongs to that object's thread."""

    __slots__ = ("_address", "_reference", "_watch")

    def __init__(self, context: QObject) -> None:
        self._reference = weakref.ref(context)
        # Asking a destroyed one for its address can crash.
        self._address: int = shiboken6.getCppPointer(context)[0] if shiboken6.isValid(context) else 0
        self._watch: _Watch | None = None

    def watch(self, tell: Callable[[], object]) -> None:
        """Call *tell*, which must not hold the object, once when the object is destroyed."""
        context = self.object()
        if context is None:
            tell()
            return
        self._watch = _Watch(tell)
        context.destroyed.connect(self._watch.gone)

    def release(self) -> None:
        """Stop watching: the object is destroyed, or of no interest any more."""
        self._watch = None

    def object(self) -> QObject | None:
        """Return the object, or None once it is destroyed."""
        context = self._reference()
        if context is not None:
            return context if shiboken6.isValid(context) else None
        if self._watch is None:
            return None
        # A QObject may outlive the Python wrapper by which it was passed.
        return cast(QObject, shiboken6.wrapInstance(self._address, QObject))


def without_owner(callback: Callable[..., Any], owner: QObject) -> Callable[..., Any]:
    """Return *callback*, or, if it is a method of *owner*, an equal one that does not keep *owner* alive."""
    if getattr(callback, "__self__", None) is not owner:
        return callback
    reference = weakref.ref(owner)
    function: Callable[..., Any] | None = callback.__func__ if inspect.ismethod(callback) else None
    name = callback.__name__

    def call(*arguments: Any, **keywords: Any) -> Any:
        living = reference()
        if living is None:
            raise RuntimeError(f"the object of {name}() is gone")
        if function is None:
            return getattr(living, name)(*arguments, **keywords)
        return function(living, *arguments, **keywords)

    return call
