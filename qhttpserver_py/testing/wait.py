"""Waiting for requests, as one waits for signals."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import NamedTuple

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.testing import messages
from qhttpserver_py.testing.ledger import Arrival, Ledger
from qhttpserver_py.testing.loop import Milliseconds, Waiters, milliseconds, timeout_error
from qhttpserver_py.testing.matcher import RequestMatcher


def wait_for_request(
    ledger: Ledger, waiters: Waiters, matcher: RequestMatcher, timeout: Milliseconds
) -> QHttpServerRequest:
    """Return the oldest request that *matcher* means and that was not returned before; wait for it if need be."""

    def found() -> Arrival | None:
        return next((a for a in ledger.arrivals if not a.awaited and matcher.match(a.request)), None)

    waiters.wait(found, timeout)
    arrival = found()
    if arrival is None:
        came = messages.requests_that_came(ledger.log)
        raise timeout_error(f"no request within {milliseconds(timeout)} ms for: {matcher!r}\n{came}")
    arrival.awaited = True
    return arrival.request


class WaitingSettings(NamedTuple):
    """What ``wait()`` does where its call does not say. Not in Qt."""

    raise_assertions: bool = True
    stop_on_nohandler: bool = True
    timeout: Milliseconds = 5000
    """In milliseconds."""


class Waiting:
    """Waits, at the end of its ``with`` block, until all that is expected has come.

    ``result`` tells whether it did, ``elapsed_time`` how long that took, in seconds.

    Not in Qt.
    """

    def __init__(
        self,
        ledger: Ledger,
        waiters: Waiters,
        settings: WaitingSettings,
    ) -> None:
        self._ledger = ledger
        self._waiters = waiters
        self._raises, self._stops, self._timeout = settings
        self._began = monotonic()
        self._wrong = len(ledger.assertions)
        self.result = False
        self.elapsed_time = 0.0

    def __enter__(self) -> Waiting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        if kind is not None:
            return
        self._waiters.wait(self._over, self._timeout)
        self.elapsed_time = monotonic() - self._began
        pending = self._ledger.pending()
        self.result = not pending and not self._was_interrupted()
        if not self._raises or self.result:
            return
        if pending and not self._was_interrupted():
            lines = [messages.unmet(expectation) for expectation in pending]
            text = f"still to come after {milliseconds(self._timeout)} ms (timeouts are milliseconds):"
            raise AssertionError("\n".join([text, *lines, messages.requests_that_came(self._ledger.log)]))
        self._ledger.check_assertions()

    def _was_interrupted(self) -> bool:
        return self._stops and len(self._ledger.assertions) > self._wrong

    def _over(self) -> bool:
        return not self._ledger.pending() or self._was_interrupted()
