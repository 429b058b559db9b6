"""The answer to requests that no rule matches: a handler that was set, or the default one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._qt import log
from qhttpserver_py._routing.context import ContextBound
from qhttpserver_py._routing.registration import missing_call
from qhttpserver_py._serving.answers import Answers
from qhttpserver_py._serving.results import empty_response

if TYPE_CHECKING:
    from PySide6.QtCore import QObject

    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
    from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
    from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
    from qhttpserver_py.qhttpserverrouter import QHttpServerRouter

KNOWN_METHODS = frozenset(("GET", "PUT", "DELETE", "POST", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"))


class MissingHandler:
    """The missing handler of one server."""

    def __init__(self, router: QHttpServerRouter, answers: Answers) -> None:
        self.answers_405 = False
        self.bound: ContextBound | None = None
        self.mounted: Callable[[Exchange, QHttpServerRequest], None] | None = None  # an application at "/"
        self._router = router
        self._answers = answers

    def set(self, context: QObject, function: Callable[..., Any]) -> None:
        """Call *function*, instead of the one set before, until *context* is destroyed."""
        self.bound = ContextBound(context, missing_call(function, context), self._drop)

    def _drop(self, bound: ContextBound) -> None:
        if self.bound is bound:
            self.bound = None

    def answer(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        """Answer a request that no rule matched."""
        exchange = responder._exchange
        if self.mounted is not None:
            self.mounted(exchange, request)
            return
        if self.answers_405 and (allowed := self._router._methods_for(exchange.message)):
            fields = {"allow": ", ".join(sorted(allowed))}
            self._answers.finish(exchange, request, (405, 405, fields))
            return
        handler = self.bound.callback if self.bound is not None else None
        if handler is None:
            self._answers.finish(exchange, request, self._default_reply(exchange.message))
            return
        self._answers.await_handler(exchange, request, handler(request, responder))

    def _default_reply(self, message: Message) -> QHttpServerResponse:
        if log.SERVER.isDebugEnabled():
            log.debug(log.SERVER, f'missing handler: "{message.path}"')
        if message.target == b"*":  # only OPTIONS comes so far; it asks about the server (RFC 9110 9.3.7)
            response = empty_response(200)
            response._headers = ((b"allow", self._router._allow()),)
            return response
        return empty_response(404 if message.method in KNOWN_METHODS else 501)
