"""The part of QHttpServer that calls before-request handlers, which decide whether a request may go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from qhttpserver_py._protocol.engine import HeadDecision, Headers, Message
from qhttpserver_py._routing.context import ContextBound, ContextBoundCalls
from qhttpserver_py._serving.answers import Answers, follow
from qhttpserver_py._serving.failures import failure_reply
from qhttpserver_py._serving.handshakes import stay_http
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._transport.connection import Connection
    from qhttpserver_py._transport.core import ServerCore
    from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

Serve = Callable[["Exchange", QHttpServerRequest, "QHttpServerResponder"], None]
"""Runs the user code that answers a request which may go on."""


class Policy(Protocol):
    """Decides by a request's head alone, before any handler; it may run user code."""

    def decide_by_head(self, request: QHttpServerRequest) -> HeadDecision:
        """Return what answers *request*, if it may not go on, and fields that are added to its reply."""
        ...

    def fields(self, request: QHttpServerRequest | None) -> Headers:
        """Return the fields for a reply to *request*. It is None where the request could not be read; then no user code
        runs.
        """
        ...


class BeforeHandlers:
    """Runs before-request handlers for every request: routed or not, upgrades and streamed bodies too."""

    def __init__(self, core: ServerCore, answers: Answers) -> None:
        self.handlers = ContextBoundCalls()
        self.policy: Policy | None = None
        self._core = core
        self._answers = answers

    def admit(
        self, exchange: Exchange, request: QHttpServerRequest, responder: QHttpServerResponder, serve: Serve
    ) -> bool:
        """Return whether the request may go on now; where not, it is answered, or *serve* is called with it later."""
        if self.policy is not None:
            decision = exchange.message.decision or self._decide_by_head(self.policy, request, exchange.label)
            exchange.fields = decision.fields
            if decision.answer is not None:
                self._turn_away(exchange, request, decision.answer)
                return False
        return self._ask(list(self.handlers.items), exchange, request, responder, serve)

    def _decide_by_head(self, policy: Policy, request: QHttpServerRequest, label: str) -> HeadDecision:
        try:
            decision = policy.decide_by_head(request)
        except Exception as error:  # noqa: BLE001 - user code: a failed check admits nothing
            decision = HeadDecision(failure_reply(self._core, error, label), policy.fields(None))
        if not request._message.complete:  # it is kept, because a token may be valid for one request only
            request._message.decision = decision
        return decision

    def refuses_head(self, connection: Connection, message: Message, label: str) -> bool:
        """Return whether a message whose body is still to come is to be refused at once."""
        policy = self.policy
        if policy is None:
            return False
        request = QHttpServerRequest._make(message, connection.peer)
        return self._decide_by_head(policy, request, label).answer is not None

    def refusal_fields(self, connection: Connection, message: Message | None) -> Headers:
        """Return the fields by which a page may read why it was refused, if it may read anything (Fetch 4.10)."""
        policy = self.policy
        if policy is None:
            return ()
        if message is not None and message.decision is not None:
            return message.decision.fields
        try:
            return policy.fields(None if message is None else QHttpServerRequest._make(message, connection.peer))
        except Exception as error:  # noqa: BLE001 - user code: a failed check admits nothing
            self._core.report(error)
            return policy.fields(None)

    def _ask(
        self,
        handlers: list[ContextBound],
        exchange: Exchange,
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
        serve: Serve,
    ) -> bool:
        while handlers:
            handler = handlers.pop(0).callback
            if handler is None:  # its context was destroyed
                continue
            try:
                result = handler(request)
            except Exception as error:  # noqa: BLE001 - user code: a failed check admits nothing
                result = failure_reply(self._core, error, exchange.label)
            if result is None:
                continue

            def settled(value: object) -> None:
                if value is not None:
                    self._turn_away(exchange, request, value)
                elif self._ask(handlers, exchange, request, responder, serve):
                    serve(exchange, request, responder)

            if not follow(self._core, exchange, result, settled):
                self._turn_away(exchange, request, result)
            elif exchange.message.websocket and exchange.connection is not None:
                exchange.connection.hold_upgrade(True)
            return False
        return not exchange.state  # while a handler spun an event loop, the peer may have left

    def _turn_away(self, exchange: Exchange, request: QHttpServerRequest, result: object) -> None:
        connection = exchange.connection
        if connection is not None and exchange.message.websocket:
            stay_http(connection)
        self._answers.finish(exchange, request, result)
