"""The fake backend: a server in the event loop of the test that answers as the test says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QSslConfiguration

from qhttpserver_py.qhttpserver import QHttpServer
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
from qhttpserver_py.testing.client import Client
from qhttpserver_py.testing.delegate import Delegated
from qhttpserver_py.testing.described import Descriptions
from qhttpserver_py.testing.endpoint import Endpoint
from qhttpserver_py.testing.expect import Baked, Baking, Expectations
from qhttpserver_py.testing.expectation import Expectation, HandlerType, LogEntry
from qhttpserver_py.testing.inspect import Inspection
from qhttpserver_py.testing.intercept.interception import Interceptions
from qhttpserver_py.testing.ledger import Ledger
from qhttpserver_py.testing.loop import Milliseconds, Waiters, call_in_worker
from qhttpserver_py.testing.matcher import Methods, RequestMatcher
from qhttpserver_py.testing.tls import TlsAuthority
from qhttpserver_py.testing.turns import ShapedAnswers, Turns
from qhttpserver_py.testing.uri import Uri
from qhttpserver_py.testing.wait import Waiting, WaitingSettings, wait_for_request

if TYPE_CHECKING:
    from qhttpserver_py.testing.cassette.cassette import BeforeRecord, Cassette, Mode
    from qhttpserver_py.testing.cassette.episodes import Compare

Result = TypeVar("Result")


class FakeBackend(QHttpServer):
    """A server for tests: it answers what it was told to expect, and records what came.

    A QHttpServer, so ``route()``, WebSocket verifiers and the rest work too; expectations go before routes.
    It runs in the event loop of the thread it was made in, so a test is one thread. Times are
    milliseconds.

    Parameters:
        listen_address: host (an IPv4 or IPv6 address, or a name) and port; port 0 takes a free one.
        tls: serve HTTPS, with certificates of this authority or with these settings.
        h2: offer HTTP/2; needs *tls*.
        trust: let every Qt client of the process trust the authority while the server runs.
        strict: whether the fixtures fail the test for what was wrong.
        default_waiting_settings: what ``wait()`` does where its call does not say.

    Not in Qt.
    """

    __test__ = False

    requestReceived = Signal(object)
    """A request came: the QHttpServerRequest. Not in Qt."""
    requestHandled = Signal(object, object)
    """A request was dealt with: the QHttpServerRequest, and the QHttpServerResponse or None. Not in Qt."""

    _answers: ShapedAnswers

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
        default_waiting_settings: WaitingSettings | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.strict = strict
        self.default_waiting_settings = default_waiting_settings or WaitingSettings()
        self._endpoint = Endpoint(self, listen_address, tls, h2=h2, trust=trust)
        self._ledger = Ledger()
        self._waiters = Waiters()
        self._expectations = Expectations(self._ledger)
        self._inspection = Inspection(self._ledger)
        self._turns = Turns(self, self, self._answers, self._ledger, self._waiters)
        self._interceptions = Interceptions(self, self._endpoint.authority, self._inspection.blocked)
        self._descriptions = Descriptions(self._ledger, self._inspection, self._interceptions)
        self._client: Client | None = None
        self._cassettes: list[Cassette] = []
        # What handlers raise fails the test, and is not given to sys.excepthook.
        self._core.report = self._turns.failed  # type: ignore[method-assign]
        self._answers.observers.append(self._turns.observed)

    def _make_answers(self) -> ShapedAnswers:
        return ShapedAnswers(self._core)

    # ---- up and down

    def start(self) -> FakeBackend:
        """Listen; after ``stop()`` on the same port again. Return self.

        Raises:
            OSError: the address cannot be listened on.

        Not in Qt.
        """
        if not self.is_running:
            self._endpoint.start(self._inspection.blocked)
        return self

    def stop(self) -> None:
        """Drop all connections and stop listening: from here on clients are refused. Not in Qt."""
        self._client = None
        self._interceptions.end()
        self._endpoint.stop()
        self._turns.clear()
        cassettes, self._cassettes = self._cassettes, []
        for cassette in cassettes:
            cassette.close()

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
        return self._endpoint.is_running

    @property
    def host(self) -> str:
        """The host it listens on, as it was given. Not in Qt."""
        return self._endpoint.host

    @property
    def port(self) -> int:
        """The port it listens on, also while it is stopped. Not in Qt."""
        return self._endpoint.port

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end. Not in Qt."""
        return self._endpoint.url

    url_for = Delegated("_endpoint", Endpoint.url_for)

    # ---- other servers' names

    intercept = Delegated("_interceptions", Interceptions.intercept)
    intercept_all = Delegated("_interceptions", Interceptions.intercept_all)
    proxy_environment = Delegated("_interceptions", Interceptions.proxy_environment)

    # ---- what is expected

    create_matcher = Delegated("_expectations", Expectations.create_matcher)
    expect = Delegated("_expectations", Expectations.expect)
    expect_request = Delegated("_expectations", Expectations.expect_request)
    expect_oneshot_request = Delegated("_expectations", Expectations.expect_oneshot_request)
    expect_ordered_request = Delegated("_expectations", Expectations.expect_ordered_request)
    clear_expectations = Delegated("_expectations", Expectations.clear_expectations)
    clear_all_handlers = clear_expectations

    def bake(self, **criteria: Unpack[Baking]) -> Baked:
        """Return this backend with *criteria* for all expectations that do not say otherwise. Not in Qt."""
        return Baked(self, self._expectations.with_defaults(**criteria))

    def use_cassette(
        self,
        path: str | os.PathLike[str],
        *,
        target: str | None = None,
        mode: Mode = "once",
        match_on: Sequence[str | Compare] | None = None,
        filter_headers: Iterable[str] = (),
        filter_keys: Iterable[str] = (),
        before_record: BeforeRecord | None = None,
        repeat: bool = False,
        fail_unused: bool = False,
        max_age: timedelta | None = None,
    ) -> Cassette:
        """Answer what nothing else expects from a cassette; its file is written when the backend stops.

        Parameters:
            path: of the file: YAML in VCR.py's format.
            target: the URL of the real server, which this backend stands in for; an intercepted request has its own.
            mode: "none" replays only; "once" records if there is no file; "new_episodes" records what is not
                there; "all" records everything anew.
            match_on: what has to be alike: method, scheme, host, port, path, query, uri, headers, body, raw_body, or
                callables taking the request that came and the recorded one.
            filter_headers: header names whose values are not recorded, beside the usual ones.
            filter_keys: the same for keys of queries, forms and JSON objects.
            before_record: is given each new episode; what it returns is recorded, None is not.
            repeat: replay the last episode that fits again and again.
            fail_unused: episodes that no request asked for fail the test; else they are a CassetteWarning.
            max_age: episodes recorded before that are a CassetteWarning.

        Raises:
            ImportError: PyYAML is not installed.
            ValueError: the file is no cassette, or *target* is no URL of HTTP.

        Not in Qt.
        """
        from qhttpserver_py.testing.cassette import Cassette

        cassette = Cassette(
            Path(path),
            target=target,
            mode=mode,
            match_on=match_on,
            filter_headers=filter_headers,
            filter_keys=filter_keys,
            before_record=before_record,
            repeat=repeat,
            fail_unused=fail_unused,
            max_age=max_age,
        )
        fallback = Expectation(cassette, HandlerType.PERMANENT)
        self._ledger.fallbacks.append(fallback.respond_with_handler(cassette.answer))
        self._ledger.late_checks.append(cassette.report_unused)
        self._cassettes.append(cassette)
        return cassette

    from_openapi = Delegated("_descriptions", Descriptions.from_openapi)

    @property
    def handlers(self) -> list[Expectation]:
        """The expectations for any number of requests that may still answer, oldest first. Not in Qt."""
        return self._inspection.handlers_of(HandlerType.PERMANENT)

    @property
    def oneshot_handlers(self) -> list[Expectation]:
        """The expectations for one request that none came for yet, oldest first. Not in Qt."""
        return self._inspection.handlers_of(HandlerType.ONESHOT)

    @property
    def ordered_handlers(self) -> list[Expectation]:
        """The expectations for one request in its turn that none came for yet, oldest first. Not in Qt."""
        return self._inspection.handlers_of(HandlerType.ORDERED)

    # ---- what came

    @property
    def assertions(self) -> list[AssertionError]:
        """Unexpected requests and failed assertions of handlers, oldest first. Not in Qt."""
        return self._ledger.assertions

    @property
    def handler_errors(self) -> list[BaseException]:
        """What handlers raised and is no AssertionError, oldest first. Not in Qt."""
        return self._ledger.handler_errors

    @property
    def log(self) -> list[LogEntry]:
        """The requests that were dealt with, each with its response, or None where it got none. Not in Qt."""
        return self._ledger.log

    @property
    def requests(self) -> list[QHttpServerRequest]:
        """The requests that came, oldest first, answered or not. Not in Qt."""
        return self._inspection.requests

    @property
    def last_request(self) -> QHttpServerRequest | None:
        """The request that came last, or None. Not in Qt."""
        return self._inspection.last_request

    iter_matching_requests = Delegated("_inspection", Inspection.iter_matching_requests)
    get_matching_requests_count = Delegated("_inspection", Inspection.get_matching_requests_count)
    assert_request_made = Delegated("_inspection", Inspection.assert_request_made)
    add_assertion = Delegated("_inspection", Inspection.add_assertion)
    check_assertions = Delegated("_inspection", Inspection.check_assertions)
    check_handler_errors = Delegated("_inspection", Inspection.check_handler_errors)
    check_expectations = Delegated("_inspection", Inspection.check_expectations)
    check = Delegated("_inspection", Inspection.check)
    with_check = Delegated("_inspection", Inspection.with_check)
    problems = Delegated("_inspection", Inspection.problems)
    forget_problems = Delegated("_inspection", Inspection.forget_problems)
    clear = Delegated("_inspection", Inspection.clear)
    clear_log = Delegated("_inspection", Inspection.clear_log)
    clear_assertions = Delegated("_inspection", Inspection.clear_assertions)
    clear_handler_errors = Delegated("_inspection", Inspection.clear_handler_errors)

    # ---- clients and waiting

    @property
    def client(self) -> Client:
        """A client that runs the event loop while it waits. Not in Qt."""
        if self._client is None:
            endpoint = self._endpoint
            self._client = Client(f"{endpoint.url}/", tls=endpoint.authority, http2=endpoint.offers_http2)
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
        raise_assertions: bool | None = None,
        stop_on_nohandler: bool | None = None,
        timeout: Milliseconds | None = None,
    ) -> AbstractContextManager[Waiting]:
        """Return a context manager that waits until all oneshot, ordered and counted expectations are met.

        Parameters:
            raise_assertions: raise AssertionError if they are not; else look at ``result``.
            stop_on_nohandler: an unexpected request ends the wait.
            timeout: in milliseconds.

        What is not given is taken from ``default_waiting_settings``.

        Not in Qt.
        """
        said: dict[str, Any] = {
            "raise_assertions": raise_assertions,
            "stop_on_nohandler": stop_on_nohandler,
            "timeout": timeout,
        }
        given = {name: value for name, value in said.items() if value is not None}
        return Waiting(self._ledger, self._waiters, self.default_waiting_settings._replace(**given))

    # ---- serving

    def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> bool:
        """Answer as expected; else ask the routes. Qt: QHttpServer::handleRequest."""
        return self._turns.serve(request, responder) or super().handleRequest(request, responder)

    def missingHandler(self, request: QHttpServerRequest, responder: QHttpServerResponder, /) -> None:
        """Record an unexpected request, unless a missing handler was set. Qt: QHttpServer::missingHandler."""
        self._turns.enter(request, responder._exchange)
        if self._missing.bound is not None:
            super().missingHandler(request, responder)
        else:
            self._turns.refuse(request, responder._exchange)
