"""The ways in which a test names a path: text, regular expression, or Qt pattern with ``<arg>``."""

from __future__ import annotations

import re
from typing import Any, Protocol, cast

from PySide6.QtCore import QRegularExpression

from qhttpserver_py._routing.converters import Converter, ConverterTable, UnknownTypeError
from qhttpserver_py._routing.matcher import PathMatcher
from qhttpserver_py._routing.pattern import PLACEHOLDER, SEGMENT, PathExpression, placeholders

_CONVERTERS = ConverterTable()


class UriPattern(Protocol):
    """Anything that can tell whether a path is meant; ``re.Pattern`` is one."""

    def match(self, uri: str, /) -> object:
        """Return a true value if *uri* is meant. Not in Qt."""
        ...


class EqualUri(Protocol):  # noqa: PLW1641 - it need not be hashable
    """Anything with an ``==`` of its own that takes a path."""

    def __eq__(self, uri: object, /) -> bool: ...


Uri = str | UriPattern | QRegularExpression | EqualUri


class PathPattern:
    """A way to name paths. ``captures`` is all that is asked of it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text  # for reports

    def captures(self, path: str) -> tuple[object, ...] | None:
        """Return what the placeholders stand for, or None where *path* is not meant."""
        return () if self.text in ("", path) else None


class CustomPattern(PathPattern):
    """A regular expression, or an object with ``match``."""

    __slots__ = ("_match",)

    def __init__(self, pattern: UriPattern | QRegularExpression) -> None:
        super().__init__(_text(pattern))
        self._match = pattern.match

    def captures(self, path: str) -> tuple[object, ...] | None:
        """Return the groups of the match, or None."""
        match: Any = self._match(path)
        if hasattr(match, "hasMatch"):  # QRegularExpressionMatch, true in any case
            return tuple(match.capturedTexts()[1:]) if match.hasMatch() else None
        if not match:
            return None
        return tuple(match.groups()) if isinstance(match, re.Match) else ()


class EqualPattern(PathPattern):
    """An object that says by ``==`` which paths it means."""

    __slots__ = ("_uri",)

    def __init__(self, uri: object) -> None:
        super().__init__(repr(uri))
        self._uri = uri

    def captures(self, path: str) -> tuple[object, ...] | None:
        """Return no captures, or None where the object is not equal to *path*."""
        return () if self._uri == path else None


class QtPattern(PathPattern):
    """A pattern as ``QHttpServer.route()`` takes it; the text beside placeholders is a regular expression, as there."""

    __slots__ = ("_convert", "_test")

    def __init__(self, text: str, types: tuple[Any, ...]) -> None:
        super().__init__(text)
        count = max(len(types), placeholders(text))
        converters = [_converter(kind) for kind in (*types, *[str] * (count - len(types)))]
        matcher = PathMatcher(PathExpression(text, [item.regexp for item in converters]), converters)
        if not matcher.regular_expression().isValid():
            raise ValueError(f"{text!r} is no valid pattern: {matcher.regular_expression().errorString()}")
        self._test = matcher.test
        self._convert = matcher.convert()

    def captures(self, path: str) -> tuple[object, ...] | None:
        """Return the converted placeholders; a converter's ValueError means no match."""
        match = self._test(path)
        if match is None:
            return None
        return () if self._convert is None else self._convert(match)


def path_pattern(uri: Uri, types: tuple[Any, ...] = ()) -> PathPattern:
    """Return the way to match *uri*; *types* are those of its placeholders, and of the end of the path if more."""
    if not isinstance(uri, str):
        return CustomPattern(cast("UriPattern", uri)) if hasattr(uri, "match") else EqualPattern(uri)
    return QtPattern(uri, types) if PLACEHOLDER in uri or types else PathPattern(uri)


def _converter(kind: Any) -> Converter:
    try:
        return _CONVERTERS.find(kind)
    except UnknownTypeError:  # a class that nobody registered: it is called with the text of the segment
        return Converter(getattr(kind, "__name__", str(kind)), SEGMENT, kind, pure=False)


def _text(pattern: Any) -> str:
    if isinstance(pattern, re.Pattern):
        return f"re.compile({pattern.pattern!r})"
    if isinstance(pattern, QRegularExpression):
        return f"QRegularExpression({pattern.pattern()!r})"
    return repr(pattern)
