"""Expectations as a test writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack

from qhttpserver_py.testing.delegate import Delegated
from qhttpserver_py.testing.expectation import Expectation, HandlerType
from qhttpserver_py.testing.ledger import Ledger
from qhttpserver_py.testing.matcher import (
    Check,
    CompareHeader,
    Data,
    Headers,
    Matching,
    Methods,
    Query,
    RequestMatcher,
    as_matcher,
)
from qhttpserver_py.testing.uri import Uri


class Criteria(TypedDict, total=False):
    """The keyword arguments that describe requests; see ``RequestMatcher``."""

    data_encoding: str
    headers: Headers | None
    query_string: Query | None
    header_value_matcher: CompareHeader | None
    json: Any
    matcher: Check | Iterable[Check] | None
    converters: Iterable[type]


class Baking(Criteria, total=False):
    """Criteria that ``bake()`` takes."""

    method: Methods | None
    data: Data | None


class Expectations:
    """Takes expectations for a fake backend and keeps them in its ledger.

    Parameters:
        ledger: where the backend records what came.
        defaults: criteria of every expectation that does not say otherwise.

    Not in Qt.
    """

    def __init__(self, ledger: Ledger, defaults: Mapping[str, Any] | None = None) -> None:
        self._ledger = ledger
        self._defaults: Mapping[str, Any] = defaults or {}

    def create_matcher(self, uri: Uri | None = "", *args: Any, **criteria: Any) -> RequestMatcher:
        """Return a matcher; the parameters are those of ``RequestMatcher``. Not in Qt."""
        return RequestMatcher(uri, *args, **criteria)

    def expect(
        self, matcher: RequestMatcher | Matching | Check, handler_type: HandlerType = HandlerType.PERMANENT
    ) -> Expectation:
        """Expect the requests that *matcher* means.

        Parameters:
            matcher: a RequestMatcher, or a callable taking the request.
            handler_type: for any number of requests, for one, or for one in its turn.

        Not in Qt.
        """
        expectation = Expectation(as_matcher(matcher), handler_type)
        self._ledger.expectations.append(expectation)
        return expectation

    def expect_request(
        self,
        uri: Uri | None,
        method: Methods | None = None,
        data: Data | None = None,
        *,
        handler_type: HandlerType = HandlerType.PERMANENT,
        **criteria: Unpack[Criteria],
    ) -> Expectation:
        """Answer any number of requests, or as many as ``times()`` says.

        Of several expectations that match, the one made first answers. The parameters are those of
        ``RequestMatcher``.

        Not in Qt.
        """
        return self.expect(self._matcher(uri, method, data, criteria), handler_type)

    def expect_oneshot_request(
        self,
        uri: Uri | None,
        method: Methods | None = None,
        data: Data | None = None,
        **criteria: Unpack[Criteria],
    ) -> Expectation:
        """Answer one request; it goes before expectations for any number. Not in Qt."""
        return self.expect(self._matcher(uri, method, data, criteria), HandlerType.ONESHOT)

    def expect_ordered_request(
        self,
        uri: Uri | None,
        method: Methods | None = None,
        data: Data | None = None,
        **criteria: Unpack[Criteria],
    ) -> Expectation:
        """Answer one request, after those of the ordered expectations made before; goes before all others.

        Not in Qt.
        """
        return self.expect(self._matcher(uri, method, data, criteria), HandlerType.ORDERED)

    def with_defaults(self, **criteria: Unpack[Baking]) -> Expectations:
        """Return an object that takes the same expectations, with *criteria* unless they say otherwise. Not in Qt."""
        return Expectations(self._ledger, {**self._defaults, **criteria})

    def clear_expectations(self) -> None:
        """Forget all expectations, met or not. Not in Qt."""
        self._ledger.expectations.clear()

    clear_all_handlers = clear_expectations

    def _matcher(
        self, uri: Uri | None, method: Methods | None, data: Data | None, criteria: Mapping[str, Any]
    ) -> RequestMatcher:
        given: dict[str, Any] = {**self._defaults, **criteria}
        if method is not None:
            given["method"] = method
        if data is not None:
            given["data"] = data
        return RequestMatcher(uri, **given)


class Baked:
    """A fake backend whose expectations have criteria of their own unless they say otherwise; made by ``bake()``.

    What it has no method for is the backend's.

    Not in Qt.
    """

    def __init__(self, server: Any, expectations: Expectations) -> None:
        self._server = server
        self._expectations = expectations

    expect_request = Delegated("_expectations", Expectations.expect_request)
    expect_oneshot_request = Delegated("_expectations", Expectations.expect_oneshot_request)
    expect_ordered_request = Delegated("_expectations", Expectations.expect_ordered_request)

    def bake(self, **criteria: Unpack[Baking]) -> Baked:
        """Return the same with more criteria; of two for one thing, the newer is taken. Not in Qt."""
        return Baked(self._server, self._expectations.with_defaults(**criteria))

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the backend."""
        return getattr(self._server, name)
