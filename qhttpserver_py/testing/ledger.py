"""Records what was expected, what came, and what went wrong. It knows no socket and no event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
from qhttpserver_py.testing import messages
from qhttpserver_py.testing.expectation import Expectation, HandlerType, LogEntry
from qhttpserver_py.testing.matcher import RequestMatcher


class Arrival:
    """A request that came, from its arrival to its answer."""

    __slots__ = ("awaited", "expectation", "request", "response")

    def __init__(self, request: QHttpServerRequest) -> None:
        self.request = request
        self.response: QHttpServerResponse | None = None
        self.expectation: Expectation | None = None
        self.awaited = False  # whether wait_for_request() returned it


class Ledger:
    """The records of one fake backend."""

    def __init__(self) -> None:
        self.expectations: list[Expectation] = []
        self.fallbacks: list[Expectation] = []  # asked after all expectations
        self.late_checks: list[Callable[[], str]] = []  # each returns what is unmet at the end, or an empty text
        self.arrivals: list[Arrival] = []
        self.log: list[LogEntry] = []
        self.assertions: list[AssertionError] = []
        self.handler_errors: list[BaseException] = []
        self._raised: set[int] = set()

    # ---- choosing

    def choose(self, request: QHttpServerRequest) -> Expectation | None:
        """Return the expectation *request* is for: the next ordered one, else oneshot, else permanent ones."""
        forbidden = self._first(e for e in self.expectations if e.expected == 0 and e.matcher.match(request))
        if forbidden is not None:
            return forbidden
        ordered = self._first(self._open(HandlerType.ORDERED))
        if ordered is not None and ordered.matcher.match(request):
            return ordered
        for kind in (HandlerType.ONESHOT, HandlerType.PERMANENT):
            found = self._first(e for e in self._open(kind) if e.matcher.match(request))
            if found is not None:
                return found
        return self._first(e for e in self.fallbacks if e.matcher.match(request))

    def _open(self, kind: HandlerType) -> Iterator[Expectation]:
        return (e for e in self.expectations if e.kind is kind and not e.exhausted)

    @staticmethod
    def _first(found: Iterator[Expectation]) -> Expectation | None:
        return next(found, None)

    # ---- booking

    def arrived(self, request: QHttpServerRequest) -> Arrival:
        """Record a request that came."""
        arrival = Arrival(request)
        self.arrivals.append(arrival)
        return arrival

    def answered(self, arrival: Arrival, response: QHttpServerResponse | None) -> None:
        """Record the answer, or that there is none."""
        arrival.response = response
        entry = LogEntry(arrival.request, response)
        self.log.append(entry)
        if arrival.expectation is not None:
            calls = arrival.expectation.calls
            for index, call in enumerate(calls):
                if call.request is arrival.request:
                    calls[index] = entry

    def unexpected(self, request: QHttpServerRequest, reason: str = "") -> str:
        """Record an unexpected request; return the report about it."""
        text = messages.unexpected(request, [*self.expectations, *self.fallbacks], reason)
        self.assertions.append(AssertionError(text))
        return text

    def failed(self, error: BaseException) -> None:
        """Record an error of a handler, a matcher or a hook of the test."""
        if isinstance(error, AssertionError):
            self.assertions.append(error)
        else:
            self.handler_errors.append(error)

    # ---- judging

    def pending(self) -> list[Expectation]:
        """Return the expectations that requests are still to come for."""
        return [e for e in self.expectations if not e.met and not e.exhausted]

    def check_assertions(self) -> None:
        """Raise the first unexpected request or failed assertion, or a count that ``times()`` set and was not met."""
        self._raise_first(self.assertions)
        self._check_unmet([e for e in self.expectations if e.counted])

    def check_handler_errors(self) -> None:
        """Raise the first error of a handler."""
        self._raise_first(self.handler_errors)

    def check_expectations(self) -> None:
        """Raise what is unmet, oneshot and ordered expectations included."""
        self._check_unmet(self.expectations, self._late())

    def problems(self) -> list[BaseException]:
        """Return what went wrong and was not raised before, handlers' own errors first."""
        errors = sorted([*self.assertions, *self.handler_errors], key=lambda error: error.__traceback__ is None)
        found: list[BaseException] = [error for error in errors if id(error) not in self._raised]
        text = self._unmet_text(self.expectations, self._late())
        return [*found, AssertionError(text)] if text else found

    def forget_problems(self) -> None:
        """Forget what is wrong up to now: it was reported."""
        self._raised.update(id(error) for error in (*self.assertions, *self.handler_errors))
        self._raised.update(id(e) for e in self.expectations if not e.met)
        self._raised.update(id(check) for check in self.late_checks)

    def _late(self) -> list[str]:
        return [text for check in self.late_checks if id(check) not in self._raised and (text := check())]

    def _raise_first(self, errors: list[AssertionError] | list[BaseException]) -> None:
        if errors:
            self._raised.update(id(error) for error in errors)
            raise errors[0]

    def _check_unmet(self, expectations: list[Expectation], late: Iterable[str] = ()) -> None:
        text = self._unmet_text(expectations, late)
        if text:
            self._raised.update(id(check) for check in self.late_checks if late)
            self._raised.update(id(e) for e in expectations if not e.met)
            raise AssertionError(text)

    def _unmet_text(self, expectations: list[Expectation], late: Iterable[str] = ()) -> str:
        lines = [messages.unmet(e, self.log) for e in expectations if not e.met and id(e) not in self._raised]
        lines += late
        return "\n".join([*lines, messages.requests_that_came(self.log)]) if lines else ""

    # ---- asking

    def matching(self, matcher: RequestMatcher) -> Iterator[LogEntry]:
        """Yield the answered requests that *matcher* means."""
        return (entry for entry in self.log if matcher.match(entry.request))

    def assert_made(self, matcher: RequestMatcher, count: int) -> None:
        """Raise AssertionError unless exactly *count* requests are what *matcher* means."""
        differences = [matcher.difference(entry.request) for entry in self.log]
        came = sum(not found for found in differences)
        if came != count:
            similar = messages.similar_requests(self.log, differences)
            raise AssertionError(messages.not_made(self.log, matcher, count, came, similar))
