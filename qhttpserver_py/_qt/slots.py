"""Handlers written in C++: slots and other methods of Qt's classes, and the emit() of signals."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QMetaType, QObject, SignalInstance


def overloads(callback: object) -> list[tuple[QMetaType, ...]]:
    """Return what each overload of a slot, signal or invokable method of a QObject takes; empty for anything else."""
    owner = getattr(callback, "__self__", None)
    if not isinstance(callback, types.BuiltinMethodType) or not isinstance(owner, QObject):
        return []
    meta, name = owner.metaObject(), callback.__name__.encode()
    methods = [meta.method(index) for index in range(meta.methodCount())]
    return [
        tuple(method.parameterMetaType(index) for index in range(method.parameterCount()))
        for method in methods
        if method.name() == name
    ]


def best_overload(found: Sequence[tuple[QMetaType, ...]], placeholders: int) -> list[object]:
    """Return the types of the overload that takes so many placeholders, else of one that takes the rest of the path,
    too.
    """
    by_count = {len(taken): taken for taken in reversed(found)}
    counts = (placeholders, placeholders + 1, max(by_count))
    return list(by_count[next(count for count in counts if count in by_count)])


def check_no_signal(callback: object) -> None:
    """Raise TypeError for a signal, for which ``callable()`` is true although it cannot be called."""
    if isinstance(callback, SignalInstance):
        raise TypeError(f"{callback!r} cannot be called; to have it emitted, give its emit")


def call_with_fewer(callback: Callable[..., Any], arguments: Sequence[Any], least: int) -> Any:
    """Call something without a signature with all *arguments*, or with fewer, down to *least*.

    A C++ function refuses arguments before it does anything. An exception that has passed through other frames was
    raised by the function itself, and is raised again.
    """
    result = _call(callback, arguments, least)
    return None if isinstance(getattr(callback, "__self__", None), SignalInstance) else result


def _call(callback: Callable[..., Any], arguments: Sequence[Any], least: int) -> Any:
    for count in range(len(arguments), least, -1):
        try:
            return callback(*arguments[:count])
        except TypeError as error:
            if _from_within(error):
                raise
    return callback(*arguments[:least])


def _from_within(error: TypeError) -> bool:
    # A function of its own: a frame that refers to its own traceback is a cycle, which would keep the responder.
    trace = error.__traceback__
    return trace is None or trace.tb_next is not None
