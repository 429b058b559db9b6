"""QHttpServerRouterRule: a path pattern, methods, and the handler for what matches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, overload

from PySide6.QtCore import QObject, QRegularExpressionMatch

from qhttpserver_py._qt.receiver import Receiver, without_owner
from qhttpserver_py._qt.snake_case import with_snake_case
from qhttpserver_py._routing.binding import Binding, Mismatch, UnbindableError, callable_name, inspect_handler, plan
from qhttpserver_py._routing.converters import ConverterTable
from qhttpserver_py._routing.matcher import PathMatcher, RefusedError, compile_path
from qhttpserver_py._routing.pattern import PathExpression
from qhttpserver_py._routing.registration import check_served
from qhttpserver_py._routing.table import path_of
from qhttpserver_py.qhttpserverrequest import Method, QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

RuleHandler = Callable[[QRegularExpressionMatch, QHttpServerRequest, QHttpServerResponder], Any]
Bound = Callable[..., Any]


@with_snake_case
class QHttpServerRouterRule:
    """Decides by path and method whether a request is its own, and calls the handler.

    The handler is called as ``handler(match, request, responder)`` and answers through the responder. The
    router that a rule is added to gives its ``<arg>`` placeholders types, and keeps it until its receiver is
    destroyed; without placeholders it works by itself too. Subclasses may override ``matches``.

    Qt: QHttpServerRouterRule.
    """

    serve: Any = None
    """Answers by the exchange, for a mounted application."""

    streaming: Any = None
    """Whether the rule's handler takes bodies as they arrive. Not in Qt."""
    body_size: int | None = None
    """The most bytes of body the rule takes, where it has a limit of its own; negative: none. Not in Qt."""

    @overload
    def __init__(self, pathPattern: str, handler: RuleHandler, /) -> None: ...
    @overload
    def __init__(self, pathPattern: str, methods: Method, handler: RuleHandler, /) -> None: ...
    @overload
    def __init__(self, pathPattern: str, receiver: QObject | None, slot: RuleHandler, /) -> None: ...
    @overload
    def __init__(self, pathPattern: str, methods: Method, receiver: QObject | None, slot: RuleHandler, /) -> None: ...

    def __init__(self, pathPattern: str, /, *arguments: Any) -> None:
        """Make a rule for *pathPattern*, all known methods where none are given, valid until *receiver* is destroyed.

        Forms: ``(pathPattern[, methods][, receiver], handler)``. A router refuses a rule whose receiver
        is None. Raises TypeError if the arguments fit no form.

        Qt: QHttpServerRouterRule::QHttpServerRouterRule.
        """
        methods, receiver, handler = _rule_arguments(pathPattern, arguments)
        self._pattern = pathPattern
        self._methods = methods
        self._tokens = method_tokens(methods)
        self._receiver = Receiver(receiver) if isinstance(receiver, QObject) else None
        self._without_receiver = receiver is None
        self._handler: RuleHandler | None = handler
        if isinstance(receiver, QObject):
            self._handler = without_owner(handler, receiver)
        self._binding: Binding | None = None
        self._matcher: PathMatcher | None = None
        self._installed = False
        self.label = f'rule "{pathPattern}"'

    def contextObject(self) -> QObject | None:
        """Return the receiver; None if there is none, or it was destroyed.

        Qt: QHttpServerRouterRule::contextObject.
        """
        return self._receiver.object() if self._receiver is not None else None

    @staticmethod
    def bindCaptured(receiver: QObject | None, slot: Callable[..., Any], match: QRegularExpressionMatch, /) -> Bound:
        """Return a callable for ``(request, responder)`` that calls *slot* with the captures of *match* first.

        The captured texts are converted, by position, to the types of the leading parameters of *slot*: those a
        router knows by default, and any class made from text. What *slot* returns is returned. *receiver* is
        not kept alive by a *slot* that is its method.

        Raises:
            TypeError: *slot* has parameters for which there is no value.
            ValueError: a text cannot be converted.

        Qt: QHttpServerRouterRule::bindCaptured.
        """
        return _bind_captured(receiver, slot, match)

    def exec(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> bool:
        """Call the handler if ``matches()`` says so; return whether it did.

        Qt: QHttpServerRouterRule::exec.
        """
        check_served(request, responder, "exec")
        match = QRegularExpressionMatch()
        if self._handler is None or not self.matches(request, match):
            return False
        return self._run(match, request, responder)

    def hasValidMethods(self) -> bool:
        """Return whether any known method is among the rule's.

        Qt: QHttpServerRouterRule::hasValidMethods.
        """
        return bool(self._tokens)

    def matches(self, request: QHttpServerRequest, match: QRegularExpressionMatch, /) -> bool:
        """Return whether path and method of *request* fit; the captures are put into *match*.

        An override fills *match* with ``match.swap(other)``, or leaves it, for a handler without captures.

        Qt: QHttpServerRouterRule::matches.
        """
        return request._message.method in self._tokens and self._match_path(request, match)

    def _match_path(self, request: QHttpServerRequest, match: QRegularExpressionMatch) -> bool:
        matcher = self._matcher or self._compile()
        if matcher is None:
            return False
        found = matcher.match(path_of(request._message))
        if not found.hasMatch():
            return False
        match.swap(found)
        return True

    def _compile(self) -> PathMatcher | None:
        """Return the matcher of a rule that no router has yet; None where only a router could make one."""
        if self._installed:  # and was removed since
            return None
        try:
            self._matcher = compile_path(ConverterTable(), self._pattern, ())
        except RefusedError:
            return None
        return self._matcher

    def _exec_path(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
        """As exec() of this class, the method being settled."""
        match = QRegularExpressionMatch()
        return self._match_path(request, match) and self._run(match, request, responder)

    def _run(
        self, match: QRegularExpressionMatch, request: QHttpServerRequest, responder: QHttpServerResponder
    ) -> bool:
        handler = self._handler
        if handler is None:
            return False
        try:
            handler(match, request, responder)
        except Mismatch:
            return False
        return True

    def _is_dynamic(self) -> bool:
        """Whether a subclass decides what matches."""
        cls = type(self)
        return cls.matches is not QHttpServerRouterRule.matches or cls.exec is not QHttpServerRouterRule.exec

    def _retire(self) -> None:
        """Drop the callable: the receiver or the router is destroyed. A message may still refer to the rule."""
        self._handler = None
        self._binding = None
        self._matcher = None
        if self._receiver is not None:
            self._receiver.release()


@functools.cache
def method_tokens(methods: Method) -> frozenset[str]:
    """Return the tokens of *methods*, case kept as on the wire.

    TRACE has to be asked for by name: a handler for everything is not meant to reflect requests, and in
    the original no rule takes it.
    """
    if methods == Method.AnyKnown:
        methods &= ~Method.Trace
    return frozenset(str(member.name).upper() for member in Method if member in methods)


def _rule_arguments(pattern: object, arguments: tuple[Any, ...]) -> tuple[Method, Any, RuleHandler]:
    """Sort the arguments after the pattern into methods, receiver (... if left out) and handler."""
    rest = list(arguments)
    methods = rest.pop(0) if rest and isinstance(rest[0], Method) else Method.AnyKnown
    receiver: Any = ...
    if len(rest) == 2 and (rest[0] is None or isinstance(rest[0], QObject)):
        receiver = rest.pop(0)
    if not isinstance(pattern, str) or len(rest) != 1 or not callable(rest[0]):
        given = ", ".join(type(value).__name__ for value in (pattern, *arguments))
        raise TypeError(f"QHttpServerRouterRule(pathPattern[, methods][, receiver], handler) does not take ({given})")
    return methods, receiver, rest[0]


def _bind_captured(receiver: QObject | None, slot: Callable[..., Any], match: QRegularExpressionMatch) -> Bound:
    count = max(match.lastCapturedIndex(), 0)
    try:
        made = plan(inspect_handler(slot), count)
    except UnbindableError as error:
        raise TypeError(f"bindCaptured(): {callable_name(slot)}: {error}") from None
    if len(made.values) > count:
        raise TypeError(f"bindCaptured(): {callable_name(slot)} takes more captures than the {count} there are")
    table = ConverterTable()
    matcher = PathMatcher(PathExpression("", ()), [table.find_or_class(annotation) for annotation in made.values])
    captures = matcher.captures(match)
    held = without_owner(slot, receiver) if receiver is not None else slot
    call = Binding(slot, made, held).call

    def bound(request: QHttpServerRequest, responder: QHttpServerResponder | None = None, /) -> Any:
        return call(captures, request, responder)

    return bound
