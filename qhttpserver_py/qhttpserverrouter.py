"""QHttpServerRouter: the rules of a server in order, and what ``<arg>`` may stand for."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

from PySide6.QtCore import QMetaType, QObject, QRegularExpressionMatch, QThread

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._protocol.reply import WAITING
from qhttpserver_py._qt import log
from qhttpserver_py._qt.receiver import Receiver, without_owner
from qhttpserver_py._qt.snake_case import with_snake_case
from qhttpserver_py._routing.binding import (
    Binding,
    Handler,
    Mismatch,
    Plan,
    UnbindableError,
    callable_name,
    inspect_handler,
    plan,
)
from qhttpserver_py._routing.converters import NO_VALUE, ConverterTable
from qhttpserver_py._routing.hints import warnings_about, why_refused
from qhttpserver_py._routing.matcher import PathMatcher, RefusedError, compile_path, quoted
from qhttpserver_py._routing.pattern import placeholders
from qhttpserver_py._routing.registration import check_served
from qhttpserver_py._routing.table import HEAD_BY_GET, EveryMethod, Found, Route, RouteTable, methods_tried, path_of
from qhttpserver_py.qhttpserverrequest import Method, QHttpServerRequest
from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule

if TYPE_CHECKING:
    from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

Rule = QHttpServerRouterRule
ConverterKey = QMetaType | QMetaType.Type | type


@with_snake_case
class QHttpServerRouter:
    """The rules of a server, asked in the order they were added; the first that matches answers.

    Rules may be added at any time, from a handler too; they count from the next request on.

    Qt: QHttpServerRouter.
    """

    def __init__(self, server: QObject | None, /) -> None:
        """Make a router with the default converters and no rules, for *server*, if it has one.

        Qt: QHttpServerRouter::QHttpServerRouter.
        """
        if server is not None and not isinstance(server, QObject):
            raise TypeError(f"QHttpServerRouter(server): a QAbstractHttpServer or None, not {type(server).__name__}")
        self._converters = ConverterTable()
        self._table: RouteTable[Rule] = RouteTable()
        self._lookup: Callable[[Message], Found[Rule] | None] = self._table.lookup
        """Returns the rule for a message, with its captures. What a converter raises is raised in the handler's call,
        not here.
        """
        self._would_match: Callable[[Message], bool] = self._table.would_match
        self._server = Receiver(server) if server is not None else None
        if self._server is not None:
            self._server.watch(_weakly(self, QHttpServerRouter._clear))

    # ---- converters

    @overload
    def addConverter(self, type_: type, regexp: str, /) -> bool: ...
    @overload
    def addConverter(self, metaType: QMetaType | QMetaType.Type, regexp: str, /) -> None: ...

    def addConverter(self, type_: ConverterKey, regexp: str, /) -> bool | None:
        """Let ``<arg>`` stand for *type_* where the text matches *regexp*; an entry it has is replaced.

        *type_* is a class, made from the text by calling it, or a QMetaType. Text that the class refuses with
        ValueError or ArithmeticError does not match the rule. An invalid *regexp* is found when a rule uses it.
        Rules that were added before keep what they had. Returns True for a class. Raises TypeError for anything else.

        Qt: QHttpServerRouter::addConverter.
        """
        self._converters.add(type_, regexp)
        return None if isinstance(type_, (QMetaType, QMetaType.Type)) else True

    def removeConverter(self, metaType: ConverterKey, /) -> None:
        """Forget the converter of a type; nothing happens if it is unknown. Rules already added keep theirs.

        Qt: QHttpServerRouter::removeConverter.
        """
        self._converters.remove(metaType)

    def clearConverters(self) -> None:
        """Forget all converters, the default ones too. Rules without ``<arg>`` can still be added.

        Qt: QHttpServerRouter::clearConverters.
        """
        self._converters.clear()

    def converters(self) -> dict[QMetaType, str]:
        """Return the types that have a QMetaType with their expressions, as a copy.

        Qt: QHttpServerRouter::converters.
        """
        return self._converters.meta_types()

    # ---- rules

    def addRule(self, rule: Rule, viewHandler: Callable[..., Any] | Sequence[Any] | None = None, /) -> Rule | None:
        """Append *rule*, compiling its path with the types of *viewHandler*'s leading parameters.

        *viewHandler* is a callable, never called, or a sequence of types; with None each ``<arg>`` is text.
        Returns *rule*, or None where it is refused: no valid method, a path that cannot be compiled,
        a receiver that is None or lives in another thread, a rule that some router has already. A warning in
        ``qt.httpserver.router.rule`` says why. Raises TypeError if *rule* is no QHttpServerRouterRule.

        Qt: QHttpServerRouter::addRule.
        """
        if not isinstance(rule, Rule):
            raise TypeError(f"addRule(rule, viewHandler): a QHttpServerRouterRule, not {type(rule).__name__}")
        try:
            if rule._installed:
                raise RefusedError(f"the rule was added before, pattern: {quoted(rule._pattern)}")
            types = _types_of(viewHandler, rule._pattern)
            return self._install(rule, types, None)
        except RefusedError as refused:
            log.warning(log.RULE, str(refused))
            return None

    def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> bool:
        """Have the first rule that matches answer *request*; return False if none does.

        Qt: QHttpServerRouter::handleRequest.
        """
        check_served(request, responder, "handleRequest")
        found = self._table.lookup(request._message)
        if found is None:
            return False
        rule, captures = found
        if rule._binding is None:
            return self._walk(rule, request, responder)
        self._answer(rule._binding, rule.label, captures, request, responder)
        return True

    # ---- for QHttpServer

    def _add_view(
        self,
        pattern: str,
        methods: Method,
        context: QObject | None,
        callback: Callable[..., Any],
        rule_type: type[Rule] = Rule,
    ) -> Rule | None:
        """Add a rule whose handler takes captures, request and responder as its signature says; None if refused."""
        if not (isinstance(rule_type, type) and issubclass(rule_type, Rule)):
            raise TypeError(f"Rule is a subclass of QHttpServerRouterRule, not {rule_type!r}")
        if not callable(callback):
            raise TypeError(f"a handler is callable; {type(callback).__name__} is not")
        try:
            if context is None:
                raise RefusedError(_null_context(pattern))
            handler = inspect_handler(callback)
            made = _plan(callback, handler, pattern)
            view = _View(Binding(callback, made, without_owner(callback, context)), self._answer)
            rule = self._install(rule_type(pattern, methods, context, view), made.values, view)
        except RefusedError as refused:
            log.warning(log.RULE, str(refused))
            log.warning(log.RULE, why_refused(callback, pattern, str(refused)))
            return None
        for text in warnings_about(callback, handler, made, pattern):
            log.warning(log.RULE, text)
        return rule

    def _make_view(self, pattern: str, callback: Callable[..., Any]) -> Rule:
        """Return a rule for any path, which is not in the table: it is used where no other rule matches."""
        made = _plan(callback, inspect_handler(callback), "")
        view = _View(Binding(callback, made), self._answer)
        rule = Rule(pattern, view)
        rule._binding = view.binding
        return rule

    def _allow(self) -> bytes:
        """Return the value of an Allow field about the whole server (RFC 9110 10.2.1)."""
        return ", ".join(sorted({"OPTIONS", *self._table.methods()})).encode()

    def _methods_for(self, message: Message) -> set[str]:
        """Return the methods that would find a rule for the path of *message*; overridden rules are not asked."""
        return self._table.methods_for(path_of(message))

    def _clear(self) -> None:
        """Drop all rules and their callables."""
        rules = self._table.targets()
        self._table.clear()
        for rule in rules:
            rule._retire()

    # ---- registration

    def _install(self, rule: Rule, types: Sequence[Any], view: _View | None) -> Rule | None:
        if not rule.hasValidMethods():
            return None
        self._check_receiver(rule)
        matcher = compile_path(self._converters, rule._pattern, types)
        rule._installed = True
        rule._matcher = matcher
        if view is not None:
            view.matcher = matcher
            view.label = rule.label = f'{view.binding.name} at "{rule._pattern}"'
            handler: object = rule._handler
            if handler is view and not rule._is_dynamic():
                rule._binding = view.binding
        self._table.add(_route(rule, matcher, converts=rule._binding is not None))
        if rule._receiver is not None and (self._server is None or rule.contextObject() is not self._server.object()):
            forget, known = _weakly(self, QHttpServerRouter._forget), weakref.ref(rule)
            rule._receiver.watch(lambda: forget(known()))
        if log.RULE.isDebugEnabled():
            log.debug(log.RULE, f"url pathRegexp: {quoted(f'^{matcher.expression.plain}$')}")
        return rule

    def _check_receiver(self, rule: Rule) -> None:
        """Refuse a rule whose receiver does not let it be called in this router's thread."""
        if rule._without_receiver:
            raise RefusedError(_null_context(rule._pattern))
        if rule._receiver is None:
            return
        context = rule.contextObject()
        if context is None:
            raise RefusedError(f"the context object is destroyed, pattern: {quoted(rule._pattern)}")
        server = self._server.object() if self._server is not None else None
        home = server.thread() if server is not None else QThread.currentThread()
        if context.thread() is not home:
            raise RefusedError("QHttpServerRouter: the context object must reside in the same thread")

    def _forget(self, rule: Rule | None) -> None:
        """Remove a rule whose receiver is destroyed."""
        if rule is not None:
            self._table.remove(rule)
            rule._retire()

    # ---- the long way: rules that decide for themselves, and handlers that take the match

    def _walk(self, first: Rule, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
        """Try the rules from *first* on; by the look-up, none before it matches."""
        message = request._message
        routes = self._table.candidates(path_of(message))
        reached = False
        for token in methods_tried(message.method):
            for route in routes:
                if token not in route.methods:
                    continue
                reached = reached or route.target is first
                if reached and self._attempt(route, request, responder):
                    return True
        return False

    def _attempt(self, route: Route[Rule], request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
        rule = route.target
        if route.dynamic:
            return rule.exec(request, responder)
        binding = rule._binding
        if binding is None:
            return rule._exec_path(request, responder)
        found = route.match(path_of(request._message))
        if found is not None:
            self._answer(binding, rule.label, found[1], request, responder)
        return found is not None

    def _answer(
        self,
        binding: Binding,
        label: str,
        captures: tuple[object, ...],
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
    ) -> None:
        """Call a handler of route(), and answer with what it returns unless it does so itself."""
        server: Any = self._server.object() if self._server is not None else None
        exchange = responder._exchange
        exchange.label = label
        result = binding.call(captures, request, responder)
        if server is None:
            return
        if binding.wants_responder:
            server._answers.await_handler(exchange, request, result)
            return
        server._answers.finish(exchange, request, result)
        if exchange.state is WAITING:
            # The answer comes later: until then the responder must not be dropped.
            exchange.when_canceled(lambda: _keep(responder))


class _View:
    """The handler of a rule made by route(). It is called with a match only where a subclass made one."""

    __slots__ = ("__weakref__", "_answer", "binding", "label", "matcher")

    def __init__(self, binding: Binding, answer: Callable[..., None]) -> None:
        self.binding = binding
        self.label = binding.name
        self.matcher: PathMatcher | None = None
        self._answer = answer

    def __call__(
        self, match: QRegularExpressionMatch, request: QHttpServerRequest, responder: QHttpServerResponder, /
    ) -> None:
        captures: tuple[object, ...] = ()
        if self.matcher is not None:
            try:
                captures = self.matcher.captures(match)
            except NO_VALUE:
                raise Mismatch from None
        self._answer(self.binding, self.label, captures, request, responder)


def _route(rule: Rule, matcher: PathMatcher, *, converts: bool) -> Route[Rule]:
    """Return how *rule* is looked up. The captures are converted only for a handler that takes them so."""
    if rule._is_dynamic():
        return Route(rule, EveryMethod(), pure=False)
    methods = rule._tokens
    if "GET" in methods and "HEAD" not in methods:
        methods |= {HEAD_BY_GET}
    expression = matcher.expression
    if expression.exact is not None:
        return Route(rule, methods, exact=expression.exact)
    return Route(
        rule,
        methods,
        prefix=expression.prefix,
        make=lambda: (matcher.test, matcher.convert() if converts else None),
        pure=matcher.pure or not converts,
    )


def _weakly(router: QHttpServerRouter, method: Callable[..., None]) -> Callable[..., None]:
    """Return a call of *method* that does not keep *router* alive."""
    reference = weakref.ref(router)

    def call(*arguments: Any) -> None:
        living = reference()
        if living is not None:
            method(living, *arguments)

    return call


def _keep(_held: object) -> None:
    """Do nothing; a call that refers to *_held* keeps it."""


def _types_of(view: Callable[..., Any] | Sequence[Any] | None, pattern: str) -> Sequence[Any]:
    """Return the types of the placeholders of *pattern*."""
    if view is None:  # C++ has the types from a template parameter
        return [None] * placeholders(pattern)
    return _plan(view, inspect_handler(view), pattern).values if callable(view) else view


def _plan(callback: Callable[..., Any], handler: Handler, pattern: str) -> Plan:
    try:
        return plan(handler, placeholders(pattern))
    except UnbindableError as error:
        raise RefusedError(f"{callable_name(callback)}: {error}, pattern: {quoted(pattern)}") from None


def _null_context(pattern: str) -> str:
    return f"the context object must not be null, pattern: {quoted(pattern)}"
