"""Describes requests, and finds how a request differs. It knows no server and no reply."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import parse_qs, parse_qsl, urlsplit

from PySide6.QtCore import QUrl, QUrlQuery

from qhttpserver_py._routing.pattern import placeholders
from qhttpserver_py._routing.table import path_of
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.testing.headers import HeaderValueMatcher, text_equal
from qhttpserver_py.testing.intercept.origins import PORTS, Origin, origin_of_url
from qhttpserver_py.testing.uri import PathPattern, Uri, path_pattern

METHOD_ALL = "__ALL"
"""Any method, as pytest-httpserver spells it; ``None`` says the same."""


class Undefined(Enum):
    """The one value that no JSON document has: ``json=None`` asks for ``null``."""

    UNDEFINED = "undefined"

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED = Undefined.UNDEFINED

HeaderValue = str | bytes | None | Sequence[str] | Callable[[str], object] | re.Pattern[str]
Headers = Mapping[str, HeaderValue]
CompareHeader = Callable[[str, str | None, Any], bool]
Query = str | bytes | Mapping[str, Any] | Iterable[tuple[str, str]] | QUrlQuery | Callable[[str], object]
Data = str | bytes | Mapping[str, Any] | Callable[[bytes], object] | re.Pattern[str] | re.Pattern[bytes]
Methods = str | QHttpServerRequest.Method | Iterable[str]
Check = Callable[[QHttpServerRequest], object]


class Mismatch(NamedTuple):
    """One way in which a request is not the expected one."""

    field: str
    expected: object
    actual: object


class SeenRequest:
    """The parts of a request that are compared, taken apart once."""

    __slots__ = ("body", "fields", "headers", "method", "path", "query", "request")

    def __init__(self, request: QHttpServerRequest) -> None:
        message = request._message
        self.request = request
        self.method = message.method
        self.path = path_of(message)
        self.query = message.target.partition(b"#")[0].partition(b"?")[2].decode("latin-1")
        self.body = bytes(message.body)
        self.fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message.headers]
        self.headers: dict[str, str] = {}
        for key, text in self.fields:
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text


class Matching(Protocol):
    """What ``expect()`` takes: anything that can tell whether a request is meant."""

    def match(self, request: QHttpServerRequest, /) -> object:
        """Tell whether *request* is meant."""
        ...


class RequestMatcher:
    """Describes requests by their parts; a part that is not given matches anything.

    Parameters:
        uri: a path as text (``"/items"``, also with ``?query``), an absolute URL, whose origin counts too unless
            it is of this computer, a compiled regular expression or QRegularExpression (matched from the start
            of the path), a Qt pattern with ``<arg>``, or any object with ``match(path)`` or an ``==``
            of its own. Paths are compared percent-decoded. ``""`` is any.
        method: a name, several names, or ``QHttpServerRequest.Method`` flags.
        data: the body: text, bytes, a mapping (form fields), a regular expression to search for, or a callable
            taking the bytes.
        data_encoding: of *data* given as text.
        headers: names (in any case) and values: text, a regular expression matched from the start, a callable
            taking the text, several values of one name, in order, or None for a header that must be absent.
        query_string: text or bytes, a mapping, pairs, a QUrlQuery, or a callable taking the text.
        json: the parsed body, or a callable taking it. Excludes *data*.
        header_value_matcher: ``(name, actual or None, expected) -> bool`` in place of the default, a
            ``HeaderValueMatcher``.
        matcher: callable(s) taking the request; false, or an AssertionError, is a mismatch.
        converters: types of the ``<arg>`` in *uri*, in order; text by default.

    Raises:
        ValueError: both *data* and *json* were given, or *uri* is no valid pattern.

    Not in Qt.
    """

    def __init__(
        self,
        uri: Uri | None = "",
        method: Methods | None = None,
        data: Data | None = None,
        data_encoding: str = "utf-8",
        headers: Headers | None = None,
        query_string: Query | None = None,
        header_value_matcher: CompareHeader | None = None,
        *,
        json: Any = UNDEFINED,
        matcher: Check | Iterable[Check] | None = None,
        converters: Iterable[type] = (),
    ) -> None:
        if data is not None and json is not UNDEFINED:
            raise ValueError("data and json both describe the body: give one of them")
        if isinstance(uri, str) and "?" in uri and "<arg>" not in uri and query_string is None:
            uri, _, query_string = uri.partition("?")
        self.origin = origin_of_url(uri) if isinstance(uri, str) else None
        if isinstance(uri, str) and re.match("(?:https?|wss?)://", uri):
            uri = urlsplit(uri).path or "/"
        self.uri: Uri = uri if uri is not None else ""
        self.methods = _method_names(method)
        self.data = data.encode(data_encoding) if isinstance(data, str) else data
        self.headers: Headers = headers or {}
        self.query_string = query_string
        self.header_value_matcher = header_value_matcher or HeaderValueMatcher()
        self.json = json
        self.checks: tuple[Check, ...] = _as_tuple(matcher)
        self._typed = bool(types := tuple(converters))
        self.pattern: PathPattern = path_pattern(self.uri, types)

    def match(self, request: QHttpServerRequest) -> bool:
        """Tell whether *request* is meant. Not in Qt."""
        return not self.difference(request)

    def difference(self, request: QHttpServerRequest) -> list[Mismatch]:
        """Return every way in which *request* differs; an empty list means it matches. Not in Qt."""
        seen = SeenRequest(request)
        found = [*self._method(seen), *self._origin(seen), *self._path(seen), *self._query(seen), *self._headers(seen)]
        found += [*self._body(seen), *self._json(seen), *self._checks(seen)]
        return found

    @property
    def placeholders(self) -> int:
        """How many ``<arg>`` the path has. Not in Qt."""
        return placeholders(self.uri) if isinstance(self.uri, str) else 0

    def bind(self, types: Iterable[Any]) -> None:
        """Give the ``<arg>`` of the path the types of a handler's parameters, unless they have some. Not in Qt."""
        if not self._typed and isinstance(self.uri, str):
            self.pattern = path_pattern(self.uri, tuple(types))

    def captures(self, request: QHttpServerRequest) -> tuple[object, ...]:
        """Return what the ``<arg>`` of the path stand for in *request*. Not in Qt."""
        return self.pattern.captures(path_of(request._message)) or ()

    def __repr__(self) -> str:
        """What was asked for, as a test would write it."""
        parts = [f"{'|'.join(self.methods) or 'any method'} {self._where()}"]
        for name in ("query_string", "headers", "data"):
            value = getattr(self, name)
            if value:
                parts.append(f"{name}={_show(value)}")
        if self.json is not UNDEFINED:
            parts.append(f"json={_show(self.json)}")
        parts += [f"matcher={_show(check)}" for check in self.checks]
        return " ".join(parts)

    def _where(self) -> str:
        path = self.pattern.text or "any path"
        return path if self.origin is None else f"{self.origin}{path}"

    # ---- one generator per part, each yielding at most what differs there

    def _method(self, seen: SeenRequest) -> Iterable[Mismatch]:
        if self.methods and seen.method not in self.methods:
            yield Mismatch("method", "|".join(self.methods), seen.method)

    def _origin(self, seen: SeenRequest) -> Iterable[Mismatch]:
        if self.origin is None:
            return
        url = seen.request.url()
        scheme = {"ws": "http", "wss": "https"}.get(url.scheme(), url.scheme())
        came = Origin(scheme, url.host(QUrl.ComponentFormattingOption.FullyEncoded), url.port(PORTS.get(scheme, 0)))
        if not self.origin.covers(*came):
            yield Mismatch("origin", str(self.origin), str(came))

    def _path(self, seen: SeenRequest) -> Iterable[Mismatch]:
        if self.pattern.captures(seen.path) is None:
            yield Mismatch("path", self.pattern.text, seen.path)

    def _query(self, seen: SeenRequest) -> Iterable[Mismatch]:
        if self.query_string is not None and not _query_equal(self.query_string, seen.query):
            yield Mismatch("query", _query_shown(self.query_string), seen.query)

    def _headers(self, seen: SeenRequest) -> Iterable[Mismatch]:
        for name, expected in self.headers.items():
            actual = seen.headers.get(name.lower())
            if isinstance(expected, (list, tuple)):
                came = [text for other, text in seen.fields if other == name.lower()]
                if came != list(expected):
                    yield Mismatch(f"header {name.lower()}", list(expected), came)
            elif not self.header_value_matcher(name, actual, expected):
                yield Mismatch(f"header {name.lower()}", expected, actual)

    def _body(self, seen: SeenRequest) -> Iterable[Mismatch]:
        if self.data is not None and not _data_equal(self.data, seen.body):
            yield Mismatch("body", self.data, seen.body)

    def _json(self, seen: SeenRequest) -> Iterable[Mismatch]:
        if self.json is UNDEFINED:
            return
        try:
            actual = jsonlib.loads(seen.body)
        except ValueError:
            yield Mismatch("json", self.json, seen.body)
            return
        if not (self.json(actual) if callable(self.json) else self.json == actual):
            yield Mismatch("json", self.json, actual)

    def _checks(self, seen: SeenRequest) -> Iterable[Mismatch]:
        for check in self.checks:
            try:
                result = check(seen.request)
            except AssertionError as error:
                yield Mismatch("matcher", check, str(error) or "AssertionError")
                continue
            if not result:
                yield Mismatch("matcher", check, result)


def as_matcher(value: RequestMatcher | Matching | Check) -> RequestMatcher:
    """Return *value* as a matcher: a callable taking the request becomes one."""
    if isinstance(value, RequestMatcher):
        return value
    if callable(value):
        return RequestMatcher(matcher=value)
    match = getattr(value, "match", None)
    if callable(match):
        return RequestMatcher(matcher=match)
    raise TypeError(f"a RequestMatcher or a callable taking the request is needed, not {value!r}")


def _as_tuple(matcher: Check | Iterable[Check] | None) -> tuple[Check, ...]:
    if matcher is None:
        return ()
    return (matcher,) if callable(matcher) else tuple(matcher)


def _method_names(method: Methods | None) -> tuple[str, ...]:
    if method is None or method == METHOD_ALL:
        return ()
    if isinstance(method, str):
        return (method.upper(),)
    if isinstance(method, QHttpServerRequest.Method):
        known = QHttpServerRequest.Method.AnyKnown
        return () if method == known else tuple(str(flag.name).upper() for flag in method)
    return tuple(name.upper() for name in method)


def _query_equal(expected: Query, actual: str) -> bool:
    if callable(expected):
        return bool(expected(actual))
    if isinstance(expected, Mapping):
        return _fields_equal(cast("Mapping[str, Any]", expected), parse_qs(actual, keep_blank_values=True))
    pairs = parse_qsl(actual, keep_blank_values=True)
    return pairs == _pairs(expected)


def _pairs(query: str | bytes | Iterable[tuple[str, str]] | QUrlQuery) -> list[tuple[str, str]]:
    if isinstance(query, QUrlQuery):
        query = query.toString(QUrl.ComponentFormattingOption.FullyEncoded)
    if isinstance(query, bytes):
        query = query.decode("latin-1")
    if isinstance(query, str):
        return parse_qsl(query, keep_blank_values=True)
    return [(str(name), str(value)) for name, value in query]


def _fields_equal(expected: Mapping[str, Any], actual: Mapping[str, list[str]]) -> bool:
    """A single expected value stands for the first that came; a list for all of them."""
    if set(expected) != set(actual):
        return False
    return all(
        [str(item) for item in value] == actual[name]
        if isinstance(value, (list, tuple))
        else text_equal(actual[name][0], value if callable(value) or hasattr(value, "match") else str(value))
        for name, value in expected.items()
    )


def _data_equal(expected: Data, actual: bytes) -> bool:
    if isinstance(expected, Mapping):
        return _fields_equal(expected, parse_qs(actual.decode("utf-8", "replace"), keep_blank_values=True))
    if isinstance(expected, re.Pattern):
        return _search(expected, actual)
    return bool(expected(actual) if callable(expected) else expected == actual)


def _search(pattern: re.Pattern[Any], body: bytes) -> bool:
    subject = body if isinstance(pattern.pattern, bytes) else body.decode("utf-8", "replace")
    return pattern.search(subject) is not None


def _query_shown(query: Query) -> object:
    return query.toString() if isinstance(query, QUrlQuery) else query


def _show(value: object, limit: int = 120) -> str:
    text = repr(_query_shown(value)) if isinstance(value, QUrlQuery) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
