"""The fake backend: a server in the event loop of the test that answers as the test says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtNetwork import QHostAddress, QSslConfiguration, QSslServer, QTcpServer

from qhttpserver_py._serving.results import Shape
from qhttpserver_py.qhttpserver import QHttpServer
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
from qhttpserver_py.testing import reply as replies
from qhttpserver_py.testing.client import Client
from qhttpserver_py.testing.expect import Expecting
from qhttpserver_py.testing.expectation import Expectation
from qhttpserver_py.testing.inspect import Inspecting
from qhttpserver_py.testing.ledger import Arrival, Ledger
from qhttpserver_py.testing.loop import Milliseconds, Waiters, call_in_worker
from qhttpserver_py.testing.matcher import Methods, RequestMatcher
from qhttpserver_py.testing.tls import TlsAuthority, Trust
from qhttpserver_py.testing.uri import Uri
from qhttpserver_py.testing.wait import Waiting, wait_for_request
from qhttpserver_py.testing.watchdog import WATCHDOG, BlockingClientError, Watched

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._exchange.streams import Source

Result = TypeVar("Result")


class Turn:
    """One request on its way through the backend."""

    __slots__ = ("arrival", "expectation", "responder", "response")

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.expectation: Expectation | None = None
        self.responder: QHttpServerResponder | None = None  # kept until a late result is there
        self.response: QHttpServerResponse | None = None  # what is being sent


class FakeBackend(Expecting, Inspecting, QHttpServer):
    """A server for tests: it answers what it was told to expect, and books what came.

    A QHttpServer, so ``route()``, WebSocket verifiers and the rest work too; expectations go before routes.
    It lives in the event loop of the thread it was made in, so a test is one thread. Times are
    milliseconds.

    Parameters:
        listen_address: host and port; port 0 takes a free one.
        tls: serve HTTPS, with certificates of this authority or with these settings.
        h2: offer HTTP/2; needs *tls*.
        trust: let every Qt client of the process trust the authority while the server runs.
        strict: whether the fixtures fail the test for what was wrong.

    Not in Qt.
    """

    __test__ = False

    requestReceived = Signal(object)
    """A request came: the QHttpServerRequest. Not in Qt."""
    requestHandled = Signal(object, object)
    """A request was dealt with: the QHttpServerRequest, and the QHttpServerResponse or None. Not in Qt."""

    no_handler_status_code = 500
    """The status that answers an unexpected request."""

    def __init__(
        self,
        listen_address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        tls: TlsAuthority | QSslConfiguration | None = None,
        h2: bool = False,
        trust: bool = True,
        strict: bool = True,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.host, self._port = listen_address
        self.strict = strict
        self._tls = tls
        self._h2 = h2
        self._trusts = trust and isinstance(tls, TlsAuthority)
        self._trust: Trust | None = None
        self._ledger = Ledger()
        self._waiters = Waiters()
        self._turns: dict[int, Turn] = {}
        self._held: list[QHttpServerResponder] = []  # of requests that are never answered
        self._client: Client | None = None
        self._watched: Watched | None = None
        # Whatever fails in a handler belongs to the test, not to sys.excepthook.
        self._core.report = self._failed  # type: ignore[method-assign]
        self._observers.append(self._observed)

    # ---- up and down

    def start(self) -> FakeBackend:
        """Listen; after ``stop()`` on the same port again. Return self.

        Raises:
            OSError: the address cannot be listened on.

        Not in Qt.
        """
        if self.is_running:
            return self
        server = self._make_server()
        address = QHostAddress("127.0.0.1" if self.host == "localhost" else self.host)
        if not server.listen(address, self._port):
            raise OSError(f"cannot listen on {self.host}:{self._port}: {server.errorString()}")
        self._port = server.serverPort()
        self.bind(server)
        self._watched = Watched((address.toString(), self._port), self._core.post, self._on_blocked)
        WATCHDOG.add(self._watched)
        if self._trusts and isinstance(self._tls, TlsAuthority):
            self._trust = Trust(self._tls)
        return self

    def stop(self) -> None:
        """Drop all connections and stop listening: from here on clients are refused. Not in Qt."""
        if self._watched is not None:
            WATCHDOG.remove(self._watched)
            self._watched = None
        if self._trust is not None:
            self._trust.revoke()
            self._trust = None
        self._client = None
        self.close()
        self._turns.clear()
        self._held.clear()

    def _make_server(self) -> QTcpServer:
        if self._tls is None:
            return QTcpServer(self)
        server = QSslServer(self)
        tls = self._tls
        server.setSslConfiguration(tls.server_configuration(h2=self._h2) if isinstance(tls, TlsAuthority) else tls)
        return server

    def __enter__(self) -> FakeBackend:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        problems = self.problems()
        if self.strict and kind is None and problems:
            raise problems[0]

    # ---- where it is

    @property
    def is_running(self) -> bool:
        """Whether it listens. Not in Qt."""
        return self._watched is not None

    @property
    def port(self) -> int:
        """The port it listens on, also while it is stopped. Not in Qt."""
        return self._port

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end. Not in Qt."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self._port}"

    def url_for(self, suffix: str) -> str:
        """Return the URL of the path *suffix*. Not in Qt."""
        return f"{self.url}{'' if suffix.startswith('/') else '/'}{suffix}"

    # ---- clients and waiting

    @property
    def client(self) -> Client:
        """A client that runs the event loop while it waits. Not in Qt."""
        if self._client is None:
            authority = self._tls if isinstance(self._tls, TlsAuthority) else None
            self._client = Client(f"{self.url}/", tls=authority, http2=self._h2)
        return self._client

    def call(self, function: Callable[..., Result], *args: Any, timeout: Milliseconds = 5000, **kwargs: Any) -> Result:
        """Run a blocking *function*, such as ``requests.get``, in a worker thread; the event loop runs meanwhile.

        Returns:
            What the function returns.

        Raises:
            TimeoutError: it did not return within *timeout* milliseconds (pytest-qt's where that is loaded).
            BaseException: what the function raises.

        Not in Qt.
        """
        return call_in_worker(lambda: function(*args, **kwargs), self._waiters, timeout)

    def wait_for_request(
        self,
        path: Uri | RequestMatcher | None = None,
        method: Methods | None = None,
        timeout: Milliseconds = 5000,
        **criteria: Any,
    ) -> QHttpServerRequest:
        """Return the oldest request of this kind that was not returned before; wait for it if need be.

        Parameters:
            path: a path in any form that ``RequestMatcher`` takes, or a RequestMatcher.
            method: as for ``RequestMatcher``, like all other criteria.
            timeout: in milliseconds.

        Raises:
            TimeoutError: none came in time (pytest-qt's TimeoutError where that is loaded).

        Not in Qt.
        """
        __tracebackhide__ = True
        matcher = path if isinstance(path, RequestMatcher) else RequestMatcher(path, method, **criteria)
        return wait_for_request(self._ledger, self._waiters, matcher, timeout)

    def wait(
        self,
        raise_assertions: bool = True,
        stop_on_nohandler: bool = True,
        timeout: Milliseconds = 5000,
    ) -> AbstractContextManager[Waiting]:
        """Return a context manager that waits until all oneshot, ordered and counted expectations are met.

        Parameters:
            raise_assertions: raise AssertionError if they are not; else look at ``result``.
            stop_on_nohandler: an unexpected request ends the wait.
            timeout: in milliseconds.

        Not in Qt.
        """
        return Waiting(self._ledger, self._waiters, timeout, raise_assertions, stop_on_nohandler)

    # ---- serving

    def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> bool:
        """Answer as expected; else ask the routes. Qt: QHttpServer::handleRequest."""
        turn = self._enter(request, responder._exchange)
        try:
            expectation = self._ledger.choose(request)
        except BaseException as error:  # noqa: BLE001 - of a matcher of the test
            self._fail_turn(error, responder._exchange)
            return True
        if expectation is not None:
            turn.expectation = turn.arrival.expectation = expectation
            expectation.begin(request)
        self.requestReceived.emit(request)
        self._waiters.notify()
        if expectation is None:
            return super().handleRequest(request, responder)
        if expectation.forbidden:
            self._refuse(request, responder._exchange)
        elif expectation.plan.delay:
            QTimer.singleShot(expectation.plan.delay, self, lambda: self._answer(turn, expectation, responder))
        else:
            self._answer(turn, expectation, responder)
        return True

    def missingHandler(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> None:
        """Book an unexpected request, unless a missing handler was set. Qt: QHttpServer::missingHandler."""
        self._enter(request, responder._exchange)
        if self._missing is not None:
            super().missingHandler(request, responder)
            return
        self._refuse(request, responder._exchange)

    def _refuse(self, request: QHttpServerRequest, exchange: Exchange) -> None:
        text = self._ledger.unexpected(request)
        response = replies.make_response(text, self.no_handler_status_code, None, "text/plain; charset=utf-8")
        self._respond(exchange, request, response)

    def _enter(self, request: QHttpServerRequest, exchange: Exchange) -> Turn:
        turn = self._turns.get(id(request))
        if turn is None:
            turn = self._turns[id(request)] = Turn(self._ledger.arrived(request))
            exchange.when_canceled(lambda: self._leave(request))
        return turn

    def _leave(self, request: QHttpServerRequest) -> None:
        """The request is dealt with: answered, or given up."""
        turn = self._turns.pop(id(request), None)
        if turn is None:
            return
        self._ledger.answered(turn.arrival, turn.response)
        self.requestHandled.emit(request, turn.response)
        self._waiters.notify()

    def _observed(self, request: QHttpServerRequest, status: int, _size: int, _elapsed: float) -> None:
        turn = self._turns.get(id(request))
        if turn is not None:
            turn.response = turn.response or QHttpServerResponse(status)
            self._leave(request)

    def _answer(self, turn: Turn, expectation: Expectation, responder: QHttpServerResponder) -> None:
        request, exchange = turn.arrival.request, responder._exchange
        if exchange.connection is None:  # the peer, or the server, went away during the delay
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
            self._fail_turn(error, exchange)
            return
        turn.responder = None if answers_itself else responder
        if answers_itself:
            self._await_handler(exchange, request, result)
        elif isinstance(result, replies.Stream):
            self._send(exchange, turn, result)
        else:
            self._finish(exchange, request, result)

    def _respond(self, exchange: Exchange, request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        turn = self._turns.get(id(request))
        expectation = turn.expectation if turn is not None else None
        if turn is None or expectation is None:
            if turn is not None:
                turn.response = response
            super()._respond(exchange, request, response)
            return
        response = replies.copied(response)
        try:
            for hook in expectation.plan.hooks:
                response = hook(request, response) or response
        except BaseException as error:  # noqa: BLE001 - of a hook of the test
            self._fail_turn(error, exchange)
            return
        turn.response = response
        shaped = expectation.plan.shape(response)
        if isinstance(shaped, replies.Stream):
            replies.send(exchange, shaped, self._failed)
        else:
            super()._respond(exchange, request, shaped)

    def _stream(self, exchange: Exchange, request: QHttpServerRequest, source: Source, shape: Shape | None) -> None:
        turn = self._turns.get(id(request))
        plan = turn.expectation.plan if turn is not None and turn.expectation is not None else None
        if plan is not None and (plan.rate or plan.truncate is not None):
            source.close()
            wrong = "throttle() and truncate() take a whole body or respond_with_stream(), not a handler's stream"
            self._fail_turn(TypeError(wrong), exchange)
            return
        super()._stream(exchange, request, source, shape)

    def _send(self, exchange: Exchange, turn: Turn, stream: replies.Stream) -> None:
        expectation = turn.expectation
        assert expectation is not None
        turn.response = replies.make_response(b"", stream.status, stream.headers)
        stream.pieces = replies.recorded(stream.pieces, turn.response)
        shaped = expectation.plan.shape(stream)
        assert isinstance(shaped, replies.Stream)
        replies.send(exchange, shaped, self._failed)

    # ---- what goes wrong

    def _failed(self, error: BaseException, label: str = "") -> None:  # noqa: ARG002 - as ServerCore.report
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        self._ledger.failed(error)

    def _fail_turn(self, error: BaseException, exchange: Exchange) -> None:
        self._failed(error)
        exchange.fail()

    def _on_blocked(self, error: BlockingClientError) -> None:
        """Called in the watchdog's thread, while this object's own is stuck."""
        if self._blocked is None:
            self._blocked = error
