"""The part of QHttpServer that asks before-request handlers whether a request may go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from PySide6.QtCore import QObject

from qhttpserver_py._protocol.engine import HeadDecision, Headers, Message
from qhttpserver_py._qt.snake_case import with_snake_case
from qhttpserver_py._routing.context import ContextBound
from qhttpserver_py._serving.failures import failure_reply
from qhttpserver_py._serving.upgrade import stay_http
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._transport.connection import Connection
    from qhttpserver_py._transport.core import ServerCore
    from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

BeforeHandler = Callable[[QHttpServerRequest], Any]
Function = TypeVar("Function", bound=Callable[..., Any])


class Policy(Protocol):
    """What decides by a request's head alone, before any handler; it may run user code."""

    def decide_by_head(self, request: QHttpServerRequest) -> HeadDecision:
        """Return what answers *request*, if it may not go on, and fields for whatever reply follows."""
        ...

    def fields(self, request: QHttpServerRequest | None) -> Headers:
        """Return the fields for a reply to *request*; None, and no user code runs: it could not be read."""
        ...


@with_snake_case
class Guards:
    """Before-request handlers. They see every request: routed or not, upgrades and streamed bodies too."""

    _guards: Sequence[ContextBound] = ()
    _policy: Policy | None = None
    _general = False  # every request takes the general way, through an exchange
    _core: ServerCore

    if TYPE_CHECKING:  # of QHttpServer's other bases

        def _check_thread(self, name: str) -> None: ...
        def _label(self, message: Message) -> str: ...
        def _finish(self, exchange: Exchange, request: QHttpServerRequest, result: object) -> None: ...
        def _watch(self, exchange: Exchange, result: object, done: Any) -> bool: ...
        def _serve(self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder) -> None: ...

    @overload
    def addBeforeRequestHandler(self, context: QObject, callback: BeforeHandler, /) -> None: ...
    @overload
    def addBeforeRequestHandler(self, context: QObject, /) -> Callable[[Function], Function]: ...

    def addBeforeRequestHandler(self, context: QObject, callback: Any = ..., /) -> Any:
        """Call ``callback(request)`` before anything else sees a request, until *context* dies.

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
        if not isinstance(context, QObject):
            raise TypeError(f"addBeforeRequestHandler(): context is a QObject, not {type(context).__name__}")

        def add(function: Any) -> Any:
            if not callable(function):
                raise TypeError(f"addBeforeRequestHandler(): {type(function).__name__} cannot be called")
            self._guards = [*self._guards, ContextBound(context, function, self._drop_guard)]
            self._general = True
            return function

        return add if callback is ... else add(callback) and None

    def _set_policy(self, policy: Policy) -> None:
        self._policy = policy
        self._general = True

    def _drop_guard(self, bound: ContextBound) -> None:
        # _general stays: a server that had a guard does not gain from the short way much later.
        self._guards = [kept for kept in self._guards if kept is not bound]

    def _admit(self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
        """Whether the request may go on now; where not, it is answered, or goes on by itself later."""
        if self._policy is not None:
            decision = exchange.message.decision or self._decide_by_head(self._policy, request, exchange.label)
            exchange.fields = decision.fields
            if decision.answer is not None:
                self._turn_away(exchange, request, decision.answer)
                return False
        return self._ask_guards(list(self._guards), exchange, request, responder)

    def _decide_by_head(self, policy: Policy, request: QHttpServerRequest, label: str) -> HeadDecision:
        try:
            decision = policy.decide_by_head(request)
        except Exception as error:  # noqa: BLE001 - user code: what cannot say yes has not said it
            decision = HeadDecision(failure_reply(self._core, error, label), policy.fields(None))
        if not request._message.complete:  # once: a token may be good for one request
            request._message.decision = decision
        return decision

    def _refuses_head(self, connection: Connection, message: Message) -> bool:
        """Whether a message whose body is still to come is to be refused at once."""
        policy = self._policy
        if policy is None:
            return False
        request = QHttpServerRequest._make(message, connection.peer)
        return self._decide_by_head(policy, request, self._label(message)).answer is not None

    def _refusal_fields(self, connection: Connection, message: Message | None) -> Headers:
        """Let pages read why they were refused, where they may read anything (Fetch 4.10)."""
        policy = self._policy
        if policy is None:
            return ()
        if message is not None and message.decision is not None:
            return message.decision.fields
        try:
            return policy.fields(None if message is None else QHttpServerRequest._make(message, connection.peer))
        except Exception as error:  # noqa: BLE001 - user code: what cannot say yes has not said it
            self._core.report(error)
            return policy.fields(None)

    def _ask_guards(
        self,
        guards: list[ContextBound],
        exchange: Exchange,
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
    ) -> bool:
        while guards:
            guard = guards.pop(0).callback
            if guard is None:  # its context died
                continue
            try:
                result = guard(request)
            except Exception as error:  # noqa: BLE001 - user code: what cannot say yes has not said it
                result = failure_reply(self._core, error, exchange.label)
            if result is None:
                continue

            def settled(value: object) -> None:
                if value is not None:
                    self._turn_away(exchange, request, value)
                elif self._ask_guards(guards, exchange, request, responder):
                    self._serve(exchange, request, responder)

            if not self._watch(exchange, result, settled):
                self._turn_away(exchange, request, result)
            elif exchange.message.websocket and exchange.connection is not None:
                exchange.connection.hold_upgrade(True)
            return False
        return not exchange.state  # a handler that spun an event loop may have seen the peer leave

    def _turn_away(self, exchange: Exchange, request: QHttpServerRequest, result: object) -> None:
        connection = exchange.connection
        if connection is not None and exchange.message.websocket:
            stay_http(connection)
        self._finish(exchange, request, result)
