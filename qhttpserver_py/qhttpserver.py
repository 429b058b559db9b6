"""QHttpServer: routes, after-request handlers and the missing handler."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Unpack, overload

from PySide6.QtCore import QObject

from qhttpserver_py._protocol.engine import Headers, Message
from qhttpserver_py._qt.former_names import missing_attribute
from qhttpserver_py._qt.snake_case import with_snake_case
from qhttpserver_py._routing.registration import (
    check_callable,
    check_context,
    check_served,
    check_takes,
    route_arguments,
)
from qhttpserver_py._serving.before_handlers import BeforeHandlers, Policy
from qhttpserver_py._serving.failures import failure_reply
from qhttpserver_py._serving.missing import MissingHandler
from qhttpserver_py._serving.mounting import mount_at
from qhttpserver_py._serving.results import text_reply
from qhttpserver_py._serving.signatures import Decorator, Handler, RouteOptions
from qhttpserver_py._serving.streamed import give_stream
from qhttpserver_py._serving.virtual_methods import serve
from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer
from qhttpserver_py.qhttpserverrequest import Method, QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter
from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._transport.connection import Connection
    from qhttpserver_py._transport.interfaces import HeadVerdict

BeforeHandler = Callable[[QHttpServerRequest], Any]
AfterHandler = Callable[[QHttpServerRequest, QHttpServerResponse], Any]


@with_snake_case
class QHttpServer(QAbstractHttpServer):
    """Calls a handler for each request, chosen by path and method.

    Qt: QHttpServer.
    """

    def __init__(self, parent: QObject | None = None, **properties: Any) -> None:
        """Create a server, child of *parent*; Qt properties and slots for signals may be given by name.

        Qt: QHttpServer::QHttpServer.
        """
        super().__init__(parent, **properties)
        self._router = QHttpServerRouter(self)
        self._lookup = self._router._lookup
        self._before = BeforeHandlers(self._core, self._answers)
        self._missing = MissingHandler(self._router, self._answers)
        self._body_rules = False  # whether any rule streams bodies or has a limit of its own for them
        cls = type(self)
        # A subclass may override the documented virtual methods; then they are called for each request.
        self._virtual = (
            cls.handleRequest is not QHttpServer.handleRequest or cls.missingHandler is not QHttpServer.missingHandler
        )
        self._general = self._virtual  # whether every request takes the general way, through an exchange

    def __getattr__(self, name: str) -> NoReturn:
        missing_attribute(self, name)

    # ---- registration

    @overload
    def route(self, pathPattern: str, callback: Callable[..., Any], /, **options: Unpack[RouteOptions]) -> bool: ...
    @overload
    def route(
        self, pathPattern: str, method: Method, callback: Callable[..., Any], /, **options: Unpack[RouteOptions]
    ) -> bool: ...
    @overload
    def route(
        self,
        pathPattern: str,
        context: QObject | None,
        callback: Callable[..., Any],
        /,
        **options: Unpack[RouteOptions],
    ) -> bool: ...
    @overload
    def route(
        self,
        pathPattern: str,
        method: Method,
        context: QObject | None,
        callback: Callable[..., Any],
        /,
        **options: Unpack[RouteOptions],
    ) -> bool: ...
    @overload
    def route(self, pathPattern: str, /, **options: Unpack[RouteOptions]) -> Decorator: ...
    @overload
    def route(self, pathPattern: str, method: Method, /, **options: Unpack[RouteOptions]) -> Decorator: ...
    @overload
    def route(self, pathPattern: str, context: QObject, /, **options: Unpack[RouteOptions]) -> Decorator: ...
    @overload
    def route(
        self, pathPattern: str, method: Method, context: QObject, /, **options: Unpack[RouteOptions]
    ) -> Decorator: ...

    def route(
        self,
        pathPattern: str,
        /,
        *args: Any,
        Rule: type[QHttpServerRouterRule] = QHttpServerRouterRule,
        stream: bool = False,
        maximum_body_size: int | None = None,
    ) -> Any:
        """Call a handler for requests whose decoded path matches *pathPattern*, anchored at both ends.

        Forms: ``route(pathPattern[, method][, context], callback)``; without *callback* a decorator.
        Each ``<arg>`` in the pattern gives the handler's next leading parameter, converted by its
        annotation; then come request and responder, if it takes them. *method* is a combination of
        ``QHttpServerRequest.Method``, all known ones where left out. With *context*, a QObject of the
        server's thread, the rule lives as long as that. The callable is kept alive.

        Not in Qt: with *stream* the handler runs when the head of the request is there and takes the
        body from ``request.stream()`` as it arrives; *maximum_body_size* (bytes, negative for none)
        replaces the configuration's for this rule.

        Returns:
            True, or False and a warning in ``qt.httpserver.router.rule`` where the rule is refused.
            As a decorator: the function, unchanged.

        Raises:
            TypeError: the arguments fit no form.
            RuntimeError: called from another thread than the server's.

        Qt: QHttpServer::route.
        """
        self._check_thread("route")
        method, context, callback = route_arguments(self, pathPattern, args)

        def register(function: Any) -> Any:
            rule = self._router._add_view(pathPattern, method, context, function, Rule)
            if rule is not None:
                rule.streaming = stream
                rule.body_size = maximum_body_size
                self._body_rules = self._body_rules or stream or maximum_body_size is not None
            return rule

        if callback is None:
            return lambda function: (register(function), function)[1]
        return register(callback) is not None

    def _mount(self, prefix: str, handler: Any, serve: Any, close: Callable[[], None]) -> bool:
        return mount_at(self, prefix, handler, serve, close)

    def router(self) -> QHttpServerRouter:
        """Return this server's router, always the same object.

        Qt: QHttpServer::router.
        """
        return self._router

    @overload
    def addBeforeRequestHandler(self, context: QObject, callback: BeforeHandler, /) -> None: ...
    @overload
    def addBeforeRequestHandler(self, context: QObject, /) -> Callable[[Handler], Handler]: ...

    def addBeforeRequestHandler(self, context: QObject, callback: Any = ..., /) -> Any:
        """Call ``callback(request)`` before anything else sees a request, until *context* is destroyed.

        None lets the request go on; any other result a handler may return answers it instead, and
        so does an exception, with 500. A future or coroutine of either is waited for. Handlers run in
        the order they were added, for every request: where no rule matches, for WebSocket handshakes
        and, once the head is there, for bodies that are streamed. Without *callback* a decorator.

        Raises:
            TypeError: *context* is no QObject, or *callback* cannot be called.
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        self._check_thread("addBeforeRequestHandler")
        check_context(context, "addBeforeRequestHandler")

        def add(function: Any) -> Any:
            check_callable(function, "addBeforeRequestHandler")
            self._before.handlers.add(context, function)
            self._general = True  # for good: a server that had such a handler gains little from the short way later
            return function

        return add if callback is ... else add(callback) and None

    def _set_policy(self, policy: Policy) -> None:
        self._before.policy = policy
        self._general = True

    @overload
    def addAfterRequestHandler(self, context: QObject, callback: AfterHandler, /) -> None: ...
    @overload
    def addAfterRequestHandler(self, context: QObject, /) -> Callable[[Handler], Handler]: ...

    def addAfterRequestHandler(self, context: QObject, callback: Any = ..., /) -> Any:
        """Call ``callback(request, response)`` for each response that a handler returned, and for the default 404.

        It may change the headers, or put another response in place with ``response.swap(other)``.
        Handlers run in the order they were added, until *context* is destroyed. Without *callback* a decorator.

        Raises:
            TypeError: *context* is no QObject, or *callback* cannot be called.
            RuntimeError: called from another thread than the server's.

        Qt: QHttpServer::addAfterRequestHandler.
        """
        self._check_thread("addAfterRequestHandler")
        check_context(context, "addAfterRequestHandler")

        def add(function: Any) -> Any:
            check_callable(function, "addAfterRequestHandler")
            check_takes(function, 2, "addAfterRequestHandler")
            self._answers.after.add(context, function)
            return function

        return add if callback is ... else add(callback) and None

    @overload
    def setMissingHandler(self, context: QObject | None, slot: Callable[..., Any], /) -> None: ...
    @overload
    def setMissingHandler(self, context: QObject, /) -> Callable[[Handler], Handler]: ...

    def setMissingHandler(self, context: QObject | None, slot: Any = ..., /) -> Any:
        """Have ``slot(request, responder)`` answer requests that no rule matched, until *context* is destroyed.

        One handler at a time; a None *context* restores the default one. Without *slot* a decorator.

        Raises:
            TypeError: *context* is no QObject, or *slot* cannot be called.
            RuntimeError: called from another thread than the server's.

        Qt: QHttpServer::setMissingHandler.
        """
        self._check_thread("setMissingHandler")
        if context is None:
            self._missing.bound = None
            return None
        check_context(context, "setMissingHandler")

        def put(function: Any) -> Any:
            check_callable(function, "setMissingHandler")
            self._missing.set(context, function)
            return function

        return put if slot is ... else put(slot) and None

    def setMethodNotAllowed(self, enabled: bool, /) -> None:
        """Answer 405 with ``allow`` where a rule has the path and not the method (RFC 9110 15.5.6).

        Off by default: Qt asks the missing handler, which answers 404. Rules that override ``matches()`` are not asked.

        Raises:
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        self._check_thread("setMethodNotAllowed")
        self._missing.answers_405 = bool(enabled)

    def methodNotAllowed(self) -> bool:
        """Return whether a wrong method is answered by 405 instead of by the missing handler. Not in Qt."""
        return self._missing.answers_405

    def clearMissingHandler(self) -> None:
        """Go back to the default answer to requests that no rule matched: 404.

        Qt: QHttpServer::clearMissingHandler.
        """
        self._check_thread("clearMissingHandler")
        self._missing.bound = None

    # ---- the documented virtual methods

    def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> bool:
        """Run the router; return False where no rule matched.

        Qt: QHttpServer::handleRequest.
        """
        return self._router.handleRequest(request, responder)

    def missingHandler(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> None:
        """Run the missing handler that was set, or the default one.

        The default one answers 404, but 501 to an unknown method, and ``OPTIONS *`` with 200 and the methods of all
        rules.

        Qt: QHttpServer::missingHandler.
        """
        check_served(request, responder, "missingHandler")
        self._missing.answer(request, responder)

    # ---- the short way from connection to handler

    def _dispatch(self, connection: Connection, message: Message) -> None:
        """Serve one request; the documented virtual methods are called only where they are overridden."""
        if self._general or message.websocket:
            super()._dispatch(connection, message)
            return
        found = self._lookup(message)
        if found is None or (binding := found[0]._binding) is None:
            super()._dispatch(connection, message)
            return
        rule, captures = found
        request = QHttpServerRequest._make(message, connection.peer)
        if binding.wants_responder or rule.streaming:
            self._dispatch_open(connection, message, request, found)
            return
        try:
            result = binding.call(captures, request, None)
        except Exception as error:  # noqa: BLE001 - user code: the peer is answered, the server goes on
            result = failure_reply(self._core, error, rule.label)
        answers = self._answers
        if type(result) is str and not answers.after.items and not answers.observers and (reply := text_reply(result)):
            connection.reply(message, 200, *reply)
        else:
            answers.answer_now(connection, message, request, result, rule.label)

    def _dispatch_open(
        self,
        connection: Connection,
        message: Message,
        request: QHttpServerRequest,
        found: tuple[QHttpServerRouterRule, tuple[Any, ...]],
    ) -> None:
        """Serve a request whose handler has the responder, or its body as it arrives."""
        rule, captures = found
        binding = rule._binding
        assert binding is not None
        exchange = self._answers.open(connection, message, request, rule.label)
        if rule.serve is not None:
            if message.streaming:
                give_stream(self._core, exchange, request, message)
            rule.serve(exchange, request)
            return
        responder = QHttpServerResponder._make(exchange) if binding.wants_responder else None
        try:
            if rule.streaming:
                give_stream(self._core, exchange, request, message)
            result = binding.call(captures, request, responder)
        except Exception as error:  # noqa: BLE001 - user code: the peer is answered, the server goes on
            self._answers.fail(exchange, request, error)
            return
        if responder is None:
            self._answers.finish(exchange, request, result)
        elif result is not None:
            self._answers.await_handler(exchange, request, result)

    def _admit(self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
        before = self._before
        if not before.handlers.items and before.policy is None:
            return True
        return before.admit(exchange, request, responder, partial(serve, self))

    def _refusal_fields(self, connection: Connection, message: Message | None) -> Headers:
        return self._before.refusal_fields(connection, message)

    def _prepare(self, exchange: Exchange, request: QHttpServerRequest, message: Message) -> None:
        """Give the request its body stream where its rule asked for one."""
        found = self._lookup(message) if self._body_rules and not self._virtual else None
        if found is not None and found[0].streaming:
            give_stream(self._core, exchange, request, message)

    def _label(self, message: Message) -> str:
        found = self._lookup(message)
        return found[0].label if found is not None else super()._label(message)

    def _head(self, connection: Connection, message: Message) -> HeadVerdict:
        verdict = super()._head(connection, message)
        if self._before.policy is not None and self._before.refuses_head(connection, message, self._label(message)):
            return "dispatch"
        if verdict == "dispatch":
            return verdict
        if self._virtual:
            return "continue"
        if self._body_rules:
            found = self._lookup(message)
            if found is not None and found[0].streaming:
                message.streaming = True
                return "dispatch"
        if message.expects_continue and not self._router._would_match(message):
            return "dispatch"  # to the missing handler, without asking the client for the body
        return "continue"

    def _body_limit(self, message: Message) -> int:
        if self._body_rules:
            found = self._lookup(message)
            if found is not None and found[0].body_size is not None:
                return int(found[0].body_size)
        return self._core.limits.body_size
