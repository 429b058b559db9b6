"""From a handler's signature to one call: decided once, at registration.

Strategy: ``inspect_handler`` reads the signature, ``plan`` decides what each parameter is given, and
``Binding`` holds a closure made for that shape, so that a request pays for one call and no decisions.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, Final

from qhttpserver_py._qt.slots import best_overload, call_with_fewer, check_no_signal, overloads

REQUEST: Final = "request"
RESPONDER: Final = "responder"
Source = int | str
"""What is passed for a parameter: the capture at an index, the request, or the responder."""

_ROLE_NAMES = {"QHttpServerRequest": REQUEST, "QHttpServerResponder": RESPONDER}
_ROLE_IN_TEXT = re.compile(r"\b(?:QHttpServerRequest|QHttpServerResponder)\b(?!\.)")


class UnbindableError(Exception):
    """A parameter of the handler could never be given a value; the text says which."""


class Mismatch(Exception):  # noqa: N818 - no fault: the rule does not match after all
    """Captured text that cannot be converted; the next rule is tried."""


class Parameter:
    """One parameter of a handler. ``annotation`` is None where it has none."""

    __slots__ = ("annotation", "keyword", "name", "optional", "positional", "role")

    def __init__(self, parameter: inspect.Parameter, annotation: object) -> None:
        self.name = parameter.name
        self.annotation = annotation
        self.role = _role(annotation)
        self.optional = parameter.default is not parameter.empty
        self.positional = parameter.kind is not parameter.KEYWORD_ONLY
        self.keyword = parameter.kind is not parameter.POSITIONAL_ONLY


class Handler:
    """What a callable takes. ``star``: it has ``*args``; ``forwards``: it has ``**kwargs``, too; ``slots``: overloads
    in C++.
    """

    __slots__ = ("forwards", "known", "parameters", "slots", "star")

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []
        self.slots: list[tuple[Any, ...]] = []
        self.star = False
        self.forwards = False
        self.known = True


def inspect_handler(callback: Callable[..., Any]) -> Handler:
    """Return what *callback* takes; ``known`` is false where it has no signature, as many builtins have none.

    Raises TypeError for a signal.
    """
    check_no_signal(callback)
    handler = Handler()
    handler.slots = overloads(callback)
    if handler.slots:  # PySide shows the parameters of these without types, or not at all
        return handler
    try:
        signature = inspect.signature(callback)
    except (ValueError, TypeError):
        handler.known = False
        return handler
    scope = _Scope(callback)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            handler.star = True
        elif parameter.kind is parameter.VAR_KEYWORD:
            handler.forwards = True
        else:
            handler.parameters.append(Parameter(parameter, scope.resolve(parameter.annotation)))
    return handler


class _Scope:
    """The names by which string annotations of a callable are evaluated: those of the function under all its
    wrappers.
    """

    def __init__(self, callback: Callable[..., Any]) -> None:
        function = _innermost(callback)
        self._names: dict[str, Any] = getattr(function, "__globals__", {})
        self._closure: dict[str, Any] = {}
        code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
        if code is not None and cells:
            for name, cell in zip(code.co_freevars, cells, strict=False):
                try:
                    self._closure[name] = cell.cell_contents
                except ValueError:  # assigned later
                    continue

    def resolve(self, annotation: object) -> object:
        """Return the object that *annotation* names; text that cannot be evaluated stays text, None is no
        annotation.
        """
        if annotation is inspect.Parameter.empty or annotation is Any or annotation is object:
            return None
        if not isinstance(annotation, str):
            return annotation
        try:
            # The application's own code, evaluated as inspect.signature(eval_str=True) does, but each annotation by
            # itself: a name that only a type checker imports must not make the others unknown.
            meant = eval(annotation, self._names, self._closure)  # noqa: S307
        except Exception:  # noqa: BLE001 - whatever evaluating it raises, the name may still tell
            return annotation
        return annotation if isinstance(meant, str) and meant == annotation else self.resolve(meant)


def _innermost(callback: Any) -> Any:
    """Return the function whose signature a callable shows."""
    while True:
        if isinstance(callback, functools.partial):
            callback = callback.func
        elif inspect.ismethod(callback):
            callback = callback.__func__
        elif hasattr(callback, "__wrapped__"):
            callback = callback.__wrapped__
        elif inspect.isclass(callback):
            return callback.__init__
        elif inspect.isroutine(callback):
            return callback
        else:
            return type(callback).__call__


def _role(annotation: object) -> str | None:
    """Return the role that an annotation names. It is compared by name, so PySide's own classes and text are accepted,
    too.
    """
    if isinstance(annotation, str):
        found = _ROLE_IN_TEXT.search(annotation)
        return _ROLE_NAMES[found[0]] if found is not None else None
    if isinstance(annotation, type):
        names = (base.__name__ for base in annotation.__mro__)
        return next((_ROLE_NAMES[name] for name in names if name in _ROLE_NAMES), None)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        roles = (_role(option) for option in typing.get_args(annotation))
        return next((role for role in roles if role is not None), None)
    return None


class Plan:
    """What is passed for each parameter: positional sources in order, then keywords; ``values`` are the captures'
    types. ``fewer``: the callable, whose signature is unknown, may take fewer.
    """

    __slots__ = ("by_name", "fewer", "in_order", "values")

    def __init__(self) -> None:
        self.fewer = False
        self.in_order: list[Source] = []
        self.by_name: dict[str, Source] = {}
        self.values: list[object] = []

    def wants(self, role: str) -> bool:
        """Return whether *role* is passed for any parameter."""
        return role in self.in_order or role in self.by_name.values()


def plan(handler: Handler, placeholders: int) -> Plan:
    """Decide what is passed for each parameter of *handler*, where the pattern has so many *placeholders*.

    Where there are too few parameters for the placeholders, ``values`` is shorter. Raises UnbindableError where a
    parameter needs something that no request has.
    """
    result = Plan()
    if handler.slots:
        result.values = best_overload(handler.slots, placeholders)
        result.in_order = list(range(len(result.values)))
        return result
    if not handler.known:  # PySide's own server passes a request; a C++ method without parameters takes none
        result.values = [None] * placeholders
        result.in_order = list(range(placeholders)) if placeholders else [REQUEST]
        result.fewer = True
        return result
    _Planner(handler, placeholders, result).run()
    return result


class _Planner:
    """Visits the parameters once, from left to right."""

    def __init__(self, handler: Handler, placeholders: int, result: Plan) -> None:
        self._handler = handler
        self._placeholders = placeholders
        self._plan = result
        named = {parameter.role for parameter in handler.parameters}
        self._roles = [role for role in (REQUEST, RESPONDER) if role not in named]
        self._skipped = False

    def run(self) -> None:
        for position, parameter in enumerate(self._handler.parameters):
            source = self._source(parameter, first=position == 0)
            if source is None:
                self._skip(parameter)
            elif self._skipped or not parameter.positional:
                self._by_name(parameter, source)
            else:
                self._plan.in_order.append(source)
        if self._handler.star and not self._skipped:
            self._fill_star()

    def _source(self, parameter: Parameter, *, first: bool) -> Source | None:
        if not parameter.positional and parameter.optional:
            return None  # functools.partial shows bound arguments so
        if parameter.role is not None:
            return parameter.role
        if not parameter.positional:
            return None
        taken = len(self._plan.values)
        typed = parameter.annotation is not None
        # One type more than there are placeholders stands for the rest of the path.
        if taken < self._placeholders or (typed and not parameter.optional and taken == self._placeholders):
            return self._capture(parameter.annotation)
        return None if typed else self._offered(parameter, first=first)

    def _offered(self, parameter: Parameter, *, first: bool) -> Source | None:
        """Return the role that a parameter without annotation has by its position.

        One with a default is taken for a value that is bound already (``lambda request, name=name:``), unless it is
        named as a role, or is the first, which takes the request.
        """
        roles = self._roles
        if not roles:
            return None
        if not parameter.optional or (first and self._placeholders == 0):
            return roles.pop(0)
        if parameter.name in roles:
            roles.remove(parameter.name)
            return parameter.name
        return None

    def _capture(self, annotation: object) -> Source:
        self._plan.values.append(annotation)
        return len(self._plan.values) - 1

    def _skip(self, parameter: Parameter) -> None:
        if not parameter.optional:
            raise UnbindableError(f'nothing to give the parameter "{parameter.name}"')
        self._skipped = self._skipped or parameter.positional

    def _by_name(self, parameter: Parameter, source: Source) -> None:
        if not parameter.keyword:
            raise UnbindableError(f'the parameter "{parameter.name}" cannot be passed by name')
        self._plan.by_name[parameter.name] = source

    def _fill_star(self) -> None:
        """``*args`` takes all that is left.

        With ``**kwargs`` as well it is a wrapper whose inner function is unknown; that one gets what PySide's own
        server passes, a request.
        """
        while len(self._plan.values) < self._placeholders:
            self._plan.in_order.append(self._capture(None))
        self._plan.in_order += [role for role in self._roles if role == REQUEST or not self._handler.forwards]


Captures = tuple[object, ...]
Call = Callable[[Captures, Any, Any], Any]


class Binding:
    """A handler, ready to be called for each request."""

    __slots__ = ("call", "callback", "capture_types", "is_coroutine", "name", "wants_request", "wants_responder")

    def __init__(self, callback: Callable[..., Any], made: Plan, held: Callable[..., Any] | None = None) -> None:
        self.callback = callback if held is None else held
        self.capture_types = tuple(made.values)
        self.is_coroutine = is_coroutine_function(callback)
        self.name = callable_name(callback)
        self.wants_request = made.wants(REQUEST)
        self.wants_responder = made.wants(RESPONDER)
        self.call: Call = _specialised(self.callback, made)
        """``call(captures, request, responder)`` returns what the handler returns."""


def callable_name(callback: Any) -> str:
    """Return a name for logs."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None)
    return name if isinstance(name, str) else type(callback).__qualname__


def is_coroutine_function(callback: Any) -> bool:
    """Return whether calling *callback* makes a coroutine; its wrappers need not show it."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    if inspect.isroutine(callback) or inspect.isclass(callback):
        return inspect.iscoroutinefunction(callback)
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__)


def _specialised(callback: Callable[..., Any], made: Plan) -> Call:
    """Return the fastest closure for the shape."""
    if made.by_name:
        return _call_with_keywords(callback, made)
    order = made.in_order
    count = len(made.values)
    if made.fewer:
        return _call_with_fewer(callback, order, count)
    if order[:count] != list(range(count)):
        return _call_in_order(callback, order, count)
    simple = _SHAPES.get((min(count, 2), *order[count:]))
    return simple(callback) if simple is not None else _call_in_order(callback, order, count)


# By the number of leading captures (2 stands for more), and by what follows them. A call with single arguments costs
# half of one with unpacked arguments.
_SHAPES: dict[tuple[Source, ...], Callable[[Callable[..., Any]], Call]] = {
    (0,): lambda f: lambda c, q, r: f(),
    (0, REQUEST): lambda f: lambda c, q, r: f(q),
    (0, RESPONDER): lambda f: lambda c, q, r: f(r),
    (0, REQUEST, RESPONDER): lambda f: lambda c, q, r: f(q, r),
    (0, RESPONDER, REQUEST): lambda f: lambda c, q, r: f(r, q),
    (1,): lambda f: lambda c, q, r: f(c[0]),
    (1, REQUEST): lambda f: lambda c, q, r: f(c[0], q),
    (1, RESPONDER): lambda f: lambda c, q, r: f(c[0], r),
    (1, REQUEST, RESPONDER): lambda f: lambda c, q, r: f(c[0], q, r),
    (1, RESPONDER, REQUEST): lambda f: lambda c, q, r: f(c[0], r, q),
    (2,): lambda f: lambda c, q, r: f(*c),
    (2, REQUEST): lambda f: lambda c, q, r: f(*c, q),
    (2, RESPONDER): lambda f: lambda c, q, r: f(*c, r),
    (2, REQUEST, RESPONDER): lambda f: lambda c, q, r: f(*c, q, r),
    (2, RESPONDER, REQUEST): lambda f: lambda c, q, r: f(*c, r, q),
}


def _indexes(sources: Sequence[Source], count: int) -> list[int]:
    """Return where each source stands in (*captures, request, responder)."""
    places: dict[Source, int] = {REQUEST: count, RESPONDER: count + 1}
    return [places.get(source, source if isinstance(source, int) else 0) for source in sources]


def _call_in_order(callback: Callable[..., Any], order: Sequence[Source], count: int) -> Call:
    indexes = _indexes(order, count)

    def call(captures: Captures, request: Any, responder: Any) -> Any:
        on_offer = (*captures, request, responder)
        return callback(*[on_offer[index] for index in indexes])

    return call


def _call_with_fewer(callback: Callable[..., Any], order: Sequence[Source], count: int) -> Call:
    indexes = _indexes(order, count)

    def call(captures: Captures, request: Any, responder: Any) -> Any:
        on_offer = (*captures, request, responder)
        return call_with_fewer(callback, [on_offer[index] for index in indexes], count)

    return call


def _call_with_keywords(callback: Callable[..., Any], made: Plan) -> Call:
    count = len(made.values)
    indexes = _indexes(made.in_order, count)
    keywords = list(zip(made.by_name, _indexes(list(made.by_name.values()), count), strict=True))

    def call(captures: Captures, request: Any, responder: Any) -> Any:
        on_offer = (*captures, request, responder)
        named = {name: on_offer[index] for name, index in keywords}
        return callback(*[on_offer[index] for index in indexes], **named)

    return call
