"""Answers the requests of a fake backend: from their arrival, by an expectation, to what is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, QTimer

from qhttpserver_py._exchange.streams import Source
from qhttpserver_py._serving.answers import Answers
from qhttpserver_py._serving.results import Shape
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
from qhttpserver_py.testing import hooks
from qhttpserver_py.testing import reply as replies
from qhttpserver_py.testing.expectation import Expectation
from qhttpserver_py.testing.ledger import Arrival, Ledger
from qhttpserver_py.testing.loop import Waiters

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange


class Server(Protocol):
    """What the turns need of the server they are part of."""

    no_handler_status_code: int
    requestReceived: Any
    requestHandled: Any


class Turn:
    """One request, from its arrival to its answer."""

    __slots__ = ("arrival", "expectation", "responder", "response")

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.expectation: Expectation | None = None
        self.responder: QHttpServerResponder | None = None  # kept until a late result is there
        self.response: QHttpServerResponse | None = None  # what is being sent


class ShapedAnswers(Answers):
    """Sends replies as the expectation of their request wants them sent."""

    turns: Turns

    def respond(self, exchange: Exchange, request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        """Answer with *response*, changed as the expectation says."""
        shaped = self.turns.shape(exchange, request, response)
        if shaped is not None:
            super().respond(exchange, request, shaped)

    def stream(self, exchange: Exchange, request: QHttpServerRequest, source: Source, shape: Shape | None) -> None:
        """Answer with what *source* gives, unless the expectation wants what cannot be done to it."""
        if self.turns.may_stream(exchange, request, source):
            super().stream(exchange, request, source, shape)


class Turns:
    """Answers requests as their expectations say, and records what came and what was sent.

    Parameters:
        server: has the signals, and the status of what is unexpected.
        context: the same server, as the QObject whose end ends all delays.
        answers: the part of the server that sends.
        ledger: has the expectations and the records.
        waiters: are told of each change.
    """

    def __init__(
        self, server: Server, context: QObject, answers: ShapedAnswers, ledger: Ledger, waiters: Waiters
    ) -> None:
        self._server = server
        self._context = context
        self._answers = answers
        answers.turns = self
        self._ledger = ledger
        self._waiters = waiters
        self._turns: dict[int, Turn] = {}
        self._held: list[QHttpServerResponder] = []  # of requests that are never answered

    def serve(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
        """Answer *request* if it is expected; return False where it is not."""
        turn = self.enter(request, responder._exchange)
        try:
            expectation = self._ledger.choose(request)
        except BaseException as error:  # noqa: BLE001 - of a matcher of the test
            self._fail(error, responder._exchange)
            return True
        if expectation is not None:
            turn.expectation = turn.arrival.expectation = expectation
            expectation.begin(request)
        self._server.requestReceived.emit(request)
        self._waiters.notify()
        if expectation is None:
            return False
        if expectation.forbidden:
            self.refuse(request, responder._exchange)
        elif expectation.plan.delay:
            answer = self._answer
            QTimer.singleShot(expectation.plan.delay, self._context, lambda: answer(turn, expectation, responder))
        else:
            self._answer(turn, expectation, responder)
        return True

    def refuse(self, request: QHttpServerRequest, exchange: Exchange) -> None:
        """Answer and record an unexpected request."""
        text = self._ledger.unexpected(request)
        status = self._server.no_handler_status_code
        self._answers.respond(exchange, request, replies.make_response(text, status, None, "text/plain; charset=utf-8"))

    def enter(self, request: QHttpServerRequest, exchange: Exchange) -> Turn:
        """Record a request, unless that was done before; return its turn."""
        turn = self._turns.get(id(request))
        if turn is None:
            turn = self._turns[id(request)] = Turn(self._ledger.arrived(request))
            exchange.when_canceled(lambda: self._leave(request))
        return turn

    def observed(self, request: QHttpServerRequest, status: int, _size: int, _elapsed: float) -> None:
        """Record that a reply was sent; called by the server."""
        turn = self._turns.get(id(request))
        if turn is not None:
            turn.response = turn.response or QHttpServerResponse(status)
            self._leave(request)

    def shape(
        self, exchange: Exchange, request: QHttpServerRequest, response: QHttpServerResponse
    ) -> QHttpServerResponse | None:
        """Return *response* as the expectation wants it sent; None where it was sent, or a hook failed."""
        turn = self._turns.get(id(request))
        if turn is None or turn.expectation is None:
            if turn is not None:
                turn.response = response
            return response
        plan, response = turn.expectation.plan, replies.copied(response)
        try:
            for hook in plan.hooks:
                response = hooks.apply(hook, request, response)
        except BaseException as error:  # noqa: BLE001 - of a hook of the test
            self._fail(error, exchange)
            return None
        turn.response = response
        shaped = plan.shape(response)
        if isinstance(shaped, replies.Stream):
            replies.send(exchange, shaped, self.failed)
            return None
        return shaped

    def may_stream(self, exchange: Exchange, request: QHttpServerRequest, source: Source) -> bool:
        """Return whether a handler's stream can be sent as the expectation wants it; fail the test where not."""
        turn = self._turns.get(id(request))
        plan = turn.expectation.plan if turn is not None and turn.expectation is not None else None
        if plan is None or not (plan.rate or plan.truncate is not None):
            return True
        source.close()
        wrong = "throttle() and truncate() take a whole body or respond_with_stream(), not a handler's stream"
        self._fail(TypeError(wrong), exchange)
        return False

    def failed(self, error: BaseException, label: str = "") -> None:  # noqa: ARG002 - as ServerCore.report
        """Record an error of user code, which fails the test."""
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        self._ledger.failed(error)

    def clear(self) -> None:
        """Forget the requests that are not answered: the server is down."""
        self._turns.clear()
        self._held.clear()

    # ---- one turn

    def _answer(self, turn: Turn, expectation: Expectation, responder: QHttpServerResponder) -> None:
        request, exchange = turn.arrival.request, responder._exchange
        if exchange.connection is None:  # the peer left, or the server was stopped, during the delay
            return
        fault = expectation.plan.fault
        if fault is not None:
            self._held.append(responder)
            self._leave(request)
            fault(exchange)
            return
        try:
            result, answers_itself = expectation.result(request, responder)
        except BaseException as error:  # noqa: BLE001 - pytest.fail() in a handler is no Exception
            self._fail(error, exchange)
            return
        turn.responder = None if answers_itself else responder
        if answers_itself:
            self._answers.await_handler(exchange, request, result)
        elif isinstance(result, replies.Stream):
            self._send(exchange, turn, expectation, result)
        else:
            self._answers.finish(exchange, request, result)

    def _send(self, exchange: Exchange, turn: Turn, expectation: Expectation, stream: replies.Stream) -> None:
        turn.response = replies.make_response(b"", stream.status, stream.headers)
        stream.pieces = replies.recorded(stream.pieces, turn.response)
        shaped = expectation.plan.shape(stream)
        assert isinstance(shaped, replies.Stream)
        replies.send(exchange, shaped, self.failed)

    def _leave(self, request: QHttpServerRequest) -> None:
        """End the turn of a request that was answered or given up."""
        turn = self._turns.pop(id(request), None)
        if turn is None:
            return
        self._ledger.answered(turn.arrival, turn.response)
        self._server.requestHandled.emit(request, turn.response)
        self._waiters.notify()

    def _fail(self, error: BaseException, exchange: Exchange) -> None:
        self.failed(error)
        exchange.fail()
