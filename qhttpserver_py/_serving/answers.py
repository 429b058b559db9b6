"""Makes a reply of what a handler returned: at once, as a stream, or when an awaited result is there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from qhttpserver_py._exchange.pump import with_source_fields
from qhttpserver_py._exchange.streams import DeviceNotReadable, Source, make_source
from qhttpserver_py._loop.peers import is_peers_fault
from qhttpserver_py._qt import log
from qhttpserver_py._routing.context import ContextBoundCalls
from qhttpserver_py._serving.failures import failure_reply
from qhttpserver_py._serving.file_results import FILES, asked_part, file_result
from qhttpserver_py._serving.results import Shape, empty_response, immediate
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._protocol.engine import Message
    from qhttpserver_py._transport.connection import Connection
    from qhttpserver_py._transport.core import ServerCore
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest


Observer = Callable[["QHttpServerRequest", int, int, float], None]
"""Called after each reply with the request, the status, the bytes of body and the seconds it took."""


class Answers:
    """The part of a server that opens exchanges, answers with what handlers return, and tells observers of replies.

    It does not know its server, which ends with its last reference.
    """

    def __init__(self, core: ServerCore) -> None:
        self.observers: list[Observer] = []
        self.after = ContextBoundCalls()
        self._core = core

    def open(self, connection: Connection, message: Message, request: QHttpServerRequest, label: str) -> Exchange:
        """Return a new exchange for *message*; *label* is what the log calls its handler."""
        exchange = connection.open_exchange(message, label)
        exchange.on_error = partial(self.fail, exchange, request)
        if self.observers:
            began = connection.active_at
            exchange.on_reply = lambda status, size: self.observe(request, status, size, began)
        return exchange

    def observe(self, request: QHttpServerRequest, status: int, size: int, began: float) -> None:
        """Tell the observers of a reply; *began* is when its request came, as ``time.monotonic()``."""
        elapsed = monotonic() - began
        if request._message.method == "HEAD":  # the reply had no body, whatever its handler returned
            size = 0
        for observer in tuple(self.observers):
            try:
                observer(request, status, size, elapsed)
            except Exception as error:  # noqa: BLE001 - an observer must not cost the peer its reply
                self._core.report(error)

    def answer_now(
        self, connection: Connection, message: Message, request: QHttpServerRequest, result: object, label: str
    ) -> None:
        """Answer with *result*, without an exchange where it needs no waiting."""
        try:
            response = self._immediate(result, label)
        except Exception as error:  # noqa: BLE001 - a result that cannot be sent is the handler's fault
            result = response = failure_reply(self._core, error, label)
        if response is None or self.after.items or response._file is not None:
            self.finish(self.open(connection, message, request, label), request, response or result)
            return
        connection.reply(message, response._status, response._headers, response._data)
        if self.observers:
            self.observe(request, response._status, len(response._data), connection.active_at)

    def finish(self, exchange: Exchange, request: QHttpServerRequest, result: object) -> None:
        """Answer *exchange* with *result*; after-request handlers see it first."""
        shape = None
        try:
            if isinstance(result, tuple) and 2 <= len(result) <= 3:
                shape, result = Shape(result[1:]), result[0]
            if isinstance(result, FILES):
                result, shape = file_result(request, result, shape)
            response = self._immediate(result, exchange.label)
            if response is not None:
                response = shape.apply(response) if shape is not None else response
                if response._file is not None:
                    response = asked_part(request, response)
                self.respond(exchange, request, response)
                return
            source = make_source(result)
        except DeviceNotReadable as error:
            log.warning(log.SERVER, f"{exchange.label}: 500: {error}")
            self.respond(exchange, request, empty_response(500))
            return
        except Exception as error:  # noqa: BLE001 - a result that cannot be used is the handler's fault
            self.respond(exchange, request, failure_reply(self._core, error, exchange.label))
            return
        if source is not None:
            self.stream(exchange, request, source, shape)
        else:
            self._await(exchange, request, result, shape)

    def _immediate(self, result: object, label: str) -> QHttpServerResponse | None:
        response = immediate(result)
        if response is not None and response._status < 200:  # RFC 9110 15.2: never a final reply
            log.warning(log.SERVER, f"{label}: status {response._status} cannot answer a request; answering 500")
            return empty_response(500)
        return response

    # ---- responses

    def respond(self, exchange: Exchange, request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        """Answer with a whole response, which after-request handlers see first."""
        # A copy: the handler may return its object again, and what they add is for this request only.
        if self.after.items:
            response = response._copy()
        pending = self._run_after(request, response)
        if not pending:
            _send(exchange, response)
            return
        follow(self._core, exchange, _await_all(pending), lambda _: _send(exchange, response))

    def fail(self, exchange: Exchange, request: QHttpServerRequest, error: Exception) -> None:
        """Answer for user code that raised; after-request handlers see that too."""
        response = failure_reply(self._core, error, exchange.label)
        if exchange.state:
            exchange.fail()
        else:
            self.respond(exchange, request, response)

    def _run_after(self, request: QHttpServerRequest, response: QHttpServerResponse) -> list[Any]:
        """Run the after-request handlers; return the calls that have to wait for a coroutine among them."""
        pending: list[Any] = []
        for bound in self.after.items:
            callback = bound.callback
            if callback is None:
                continue
            if pending or bound.is_coroutine:  # to keep the order, all later ones wait
                pending.append(partial(callback, request, response))
                continue
            try:
                outcome = callback(request, response)
                if outcome is not None and inspect.isawaitable(outcome):
                    pending.append(partial(_same, outcome))
            except Exception as error:  # noqa: BLE001 - user code: the response goes out as it is
                self._core.report(error)
        return pending

    # ---- streams

    def stream(self, exchange: Exchange, request: QHttpServerRequest, source: Source, shape: Shape | None) -> None:
        """Answer with what *source* gives; *shape* has the status and headers that the handler returned with it."""
        status, headers = 200, []
        if shape is not None:
            status, headers = shape.status, list(shape.fields)
        if not self.after.items:
            exchange.stream(status, headers, source)
            return
        response = QHttpServerResponse(status)
        response._headers = with_source_fields(headers, source)
        pending = self._run_after(request, response)
        exchange.when_canceled(source.close)

        def go(_: object) -> None:
            if response._data:  # a handler put another response in place
                source.close()
                _send(exchange, response)
            else:
                exchange.stream(response._status, response._headers, source)

        if pending:
            follow(self._core, exchange, _await_all(pending), go)
        else:
            go(None)

    # ---- results that come later

    def _await(self, exchange: Exchange, request: QHttpServerRequest, result: object, shape: Shape | None) -> None:
        def done(value: object) -> None:
            again = value
            if shape is not None and not isinstance(value, tuple):
                again = (value, shape.status, shape.fields)
            self.finish(exchange, request, again)

        if not follow(self._core, exchange, result, done):
            log.warning(
                log.SERVER,
                f"{exchange.label}: a handler cannot return {type(result).__name__}; answering 500. "
                "Return text, bytes, dict, list, a status, QHttpServerResponse, a stream or a future of these",
            )
            self.respond(exchange, request, empty_response(500))

    def await_handler(self, exchange: Exchange, request: QHttpServerRequest, result: object) -> None:
        """Wait for what a handler that has the responder returned; it answers by the responder, or by its result."""
        if result is None:
            return

        def done(value: object) -> None:
            if value is not None and not exchange.state:
                self.finish(exchange, request, value)

        if not follow(self._core, exchange, result, done) and not exchange.state:
            self.finish(exchange, request, result)


def follow(core: ServerCore, exchange: Exchange, result: object, done: Any) -> bool:
    """Call *done* with the outcome of an awaitable *result*; return False where it is not awaitable."""
    from qhttpserver_py._loop.awaitables import CANCELLED, watch  # loaded by the first awaitable result

    def settled(value: object, error: BaseException | None) -> None:
        try:
            if error is None:
                done(value)
            elif isinstance(error, CANCELLED):
                log.warning(log.SERVER, f"{exchange.label}: its future was cancelled; answering 500")
                exchange.fail()
            elif isinstance(error, Exception) and not is_peers_fault(error):
                exchange.fail_with(error)
            else:
                exchange.fail()
        finally:
            exchange.waited()

    exchange.wait()
    cancel = None
    try:
        cancel = watch(result, settled, core.post)
    finally:
        if cancel is None:
            exchange.waited()
    if cancel is None:
        return False
    exchange.when_canceled(cancel)
    return True


def _send(exchange: Exchange, response: QHttpServerResponse) -> None:
    if response._status < 200:  # swapped in by an after-request handler; RFC 9110 15.2
        log.warning(log.SERVER, f"{exchange.label}: status {response._status} cannot be final; answering 500")
        response = empty_response(500)
    exchange.send(response._status, response._headers, response._data)


def _same(outcome: Any) -> Any:
    return outcome


async def _await_all(pending: list[Any]) -> None:
    for call in pending:
        try:
            outcome = call()
            if inspect.isawaitable(outcome):
                await outcome
        except Exception as error:  # noqa: BLE001 - user code: the response goes out as it is
            import sys

            sys.excepthook(type(error), error, error.__traceback__)
