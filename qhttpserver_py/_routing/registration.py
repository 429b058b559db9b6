"""Sorts and checks what the registering methods of QHttpServer are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject

from qhttpserver_py._qt.receiver import without_owner
from qhttpserver_py._routing.binding import (
    REQUEST,
    RESPONDER,
    Binding,
    UnbindableError,
    callable_name,
    inspect_handler,
    plan,
)
from qhttpserver_py.qhttpserverrequest import Method


def route_arguments(server: QObject, pattern: object, args: tuple[Any, ...]) -> tuple[Method, QObject | None, Any]:
    """Sort the positional arguments of ``route()`` after the pattern into method, context, callback."""
    if not isinstance(pattern, str):
        raise TypeError(f"route(): the path pattern is a str, not {type(pattern).__name__}")
    rest = list(args)
    method = rest.pop(0) if rest and isinstance(rest[0], Method) else Method.AnyKnown
    context: QObject | None = server
    if rest and (rest[0] is None or isinstance(rest[0], QObject)) and (len(rest) == 2 or not callable(rest[0])):
        context = rest.pop(0)
    callback = rest.pop(0) if rest else None
    if inspect.iscoroutine(callback):
        callback.close()
        raise TypeError(f"route(): {callback.__qualname__} was called; give the function itself, without parentheses")
    if rest or (callback is not None and not callable(callback)) or None in args[-1:]:
        given = ", ".join(type(value).__name__ for value in args)
        raise TypeError(f"route(pathPattern[, method][, context], callback) does not take (str, {given})")
    return method, context, callback


def missing_call(function: Callable[..., Any], context: QObject) -> Callable[..., Any]:
    """Return *function* as a callable of request and responder; roles go by annotation, else by position.

    Raises TypeError where it takes anything else.
    """
    handler = inspect_handler(function)
    for position, parameter in enumerate(handler.parameters):
        if parameter.role is None:  # there are no captures
            parameter.annotation = None
            parameter.optional = parameter.optional and not (parameter.positional and position < 2)
    try:
        made = plan(handler, 0)
    except UnbindableError as error:
        raise TypeError(f"setMissingHandler(): {callable_name(function)}: {error}") from None
    if made.values:
        raise TypeError(f"setMissingHandler(): {callable_name(function)} takes a value; there is only the request")
    if made.fewer:
        made.in_order = [REQUEST, RESPONDER]
    call = Binding(function, made, without_owner(function, context)).call
    return lambda request, responder: call((), request, responder)


def check_context(context: object, name: str) -> None:
    """Raise TypeError, naming the method called, unless *context* is a QObject."""
    if not isinstance(context, QObject):
        raise TypeError(f"{name}(context, callback): context is a QObject, not {type(context).__name__}")


def check_callable(function: object, name: str) -> None:
    """Raise TypeError, naming the method called, unless *function* can be called."""
    if not callable(function):
        raise TypeError(f"{name}(context, callback): {type(function).__name__} cannot be called")


def check_takes(function: Any, count: int, name: str) -> None:
    """Raise TypeError, naming the method called, where *function* says that it cannot take *count* arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # many builtins, and slots of Qt
        return
    try:
        signature.bind(*[None] * count)
    except TypeError:
        raise TypeError(f"{name}(): {callable_name(function)} has to take {count} arguments") from None


def check_served(request: object, responder: object, call: str) -> None:
    """Raise TypeError unless these can be what a server hands to *call*."""
    if not hasattr(request, "_message") or not hasattr(responder, "_exchange"):
        given = f"{type(request).__name__}, {type(responder).__name__}"
        raise TypeError(f"{call}(request, responder) takes what a handler was given, not ({given})")
