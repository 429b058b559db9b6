"""Tells what came to a fake backend, and whether it was as expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.testing.expectation import Expectation, HandlerType, LogEntry
from qhttpserver_py.testing.ledger import Ledger
from qhttpserver_py.testing.matcher import Check, Matching, RequestMatcher, as_matcher
from qhttpserver_py.testing.watchdog import BlockingClientError


class Inspection:
    """Answers questions about the requests of a fake backend, by its ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._blocked: BlockingClientError | None = None

    # ---- what came

    @property
    def requests(self) -> list[QHttpServerRequest]:
        """The requests that came, oldest first, answered or not. Not in Qt."""
        return [arrival.request for arrival in self._ledger.arrivals]

    @property
    def last_request(self) -> QHttpServerRequest | None:
        """The request that came last, or None. Not in Qt."""
        arrivals = self._ledger.arrivals
        return arrivals[-1].request if arrivals else None

    def handlers_of(self, kind: HandlerType) -> list[Expectation]:
        """Return the expectations of one kind that may still answer, oldest first."""
        return [e for e in self._ledger.expectations if e.kind is kind and not e.exhausted]

    def iter_matching_requests(self, matcher: RequestMatcher | Matching | Check) -> Iterable[LogEntry]:
        """Return those entries of the log that *matcher* means. Not in Qt."""
        return self._ledger.matching(as_matcher(matcher))

    def get_matching_requests_count(self, matcher: RequestMatcher | Matching | Check) -> int:
        """Return how many entries of the log *matcher* means. Not in Qt."""
        return sum(1 for _ in self.iter_matching_requests(matcher))

    # ---- whether it was right

    def assert_request_made(self, matcher: RequestMatcher | Matching | Check, *, count: int = 1) -> None:
        """Assert that exactly *count* requests were made that *matcher* means.

        Raises:
            AssertionError: with the requests that came, and how similar ones differ.

        Not in Qt.
        """
        __tracebackhide__ = True
        self._ledger.assert_made(as_matcher(matcher), count)

    def add_assertion(self, assertion: str | AssertionError) -> None:
        """Let the test fail with *assertion*; for handlers that notice something wrong. Not in Qt."""
        self._ledger.failed(assertion if isinstance(assertion, AssertionError) else AssertionError(assertion))

    def check_assertions(self) -> None:
        """Raise what was wrong with the requests.

        Raises:
            AssertionError: the first request that nobody expected, or that failed an assertion in a handler; else
                the counts set by ``times()`` or ``never()`` that are not met.
            BlockingClientError: a blocking client was used in this thread.

        Not in Qt.
        """
        __tracebackhide__ = True
        self._check_blocked()
        self._ledger.check_assertions()

    def check_handler_errors(self) -> None:
        """Raise the first error of a handler, with its own traceback. Not in Qt."""
        __tracebackhide__ = True
        self._ledger.check_handler_errors()

    def check_expectations(self) -> None:
        """Raise AssertionError if requests are still to come: oneshot and ordered ones count as well. Not in Qt."""
        __tracebackhide__ = True
        self._ledger.check_expectations()

    def check(self) -> None:
        """Do ``check_assertions`` and ``check_handler_errors``. Not in Qt."""
        __tracebackhide__ = True
        self.check_assertions()
        self.check_handler_errors()

    @contextmanager
    def with_check(self) -> Iterator[None]:
        """Return a context manager that does ``check`` at its end, unless its block raised. Not in Qt."""
        __tracebackhide__ = True
        yield
        self.check()

    def problems(self) -> list[BaseException]:
        """Return everything that was wrong and not raised by a check before. Not in Qt."""
        blocked = [self._blocked] if self._blocked is not None else []
        return [*blocked, *self._ledger.problems()]

    def forget_problems(self) -> None:
        """Forget what was wrong up to now, so that it does not fail the test. Not in Qt."""
        self._blocked = None
        self._ledger.forget_problems()

    def blocked(self, error: BlockingClientError) -> None:
        """Keep *error*, the first one, for the test; called in the watchdog's thread."""
        if self._blocked is None:
            self._blocked = error

    def _check_blocked(self) -> None:
        blocked, self._blocked = self._blocked, None
        if blocked is not None:
            raise blocked

    # ---- forgetting

    def clear(self) -> None:
        """Forget expectations, log and errors. Not in Qt."""
        self._ledger.expectations.clear()
        self.clear_log()
        self.clear_assertions()
        self.clear_handler_errors()

    def clear_log(self) -> None:
        """Forget the requests that came. Not in Qt."""
        self._ledger.log.clear()
        self._ledger.arrivals.clear()

    def clear_assertions(self) -> None:
        """Forget unexpected requests and failed assertions. Not in Qt."""
        self._ledger.assertions.clear()

    def clear_handler_errors(self) -> None:
        """Forget the errors of handlers. Not in Qt."""
        self._ledger.handler_errors.clear()
