"""How the values of header fields are compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.request import parse_http_list, parse_keqv_list

ValueMatcher = Callable[[str | None, Any], bool]
"""Given the value that came, or None, and the expected one."""


def text_equal(actual: str | None, expected: Any) -> bool:
    """Tell whether *actual* is what *expected* says: text, regular expression, callable, or None for absent."""
    if expected is None or actual is None:
        return bool(expected is actual)
    if isinstance(expected, bytes):
        expected = expected.decode("latin-1")
    if isinstance(expected, re.Pattern):
        return expected.match(actual) is not None
    return bool(expected(actual) if callable(expected) else expected == actual)


def credentials_equal(actual: str | None, expected: Any) -> bool:
    """Compare credentials (RFC 9110 11.4): the scheme in any case, its parameters in any order."""
    if not isinstance(expected, str) or actual is None:
        return text_equal(actual, expected)
    return _credentials(actual) == _credentials(expected)


class HeaderValueMatcher:
    """Compares the values of header fields, each by the function for its name.

    ``DEFAULT_MATCHERS`` has the functions that are used where nothing else is said, at first one for
    ``Authorization``; a test may add to it.

    Parameters:
        matchers: functions by header name, in any case, taking the value that came (None for no such field) and
            the expected one. Fields without one are compared as text.

    Not in Qt.
    """

    DEFAULT_MATCHERS: ClassVar[dict[str, ValueMatcher]] = {"Authorization": credentials_equal}

    def __init__(self, matchers: Mapping[str, ValueMatcher] | None = None) -> None:
        self.matchers = self.DEFAULT_MATCHERS if matchers is None else matchers

    def __call__(self, header_name: str, actual: str | None, expected: Any) -> bool:
        """Tell whether *actual* is the expected value of the field. Not in Qt."""
        wanted = header_name.lower()
        compare = next((function for name, function in self.matchers.items() if name.lower() == wanted), text_equal)
        return bool(compare(actual, expected))


def _credentials(value: str) -> tuple[str, object]:
    scheme, _, rest = value.strip().partition(" ")
    items = parse_http_list(rest)
    if items and all("=" in item.rstrip("=") for item in items):
        return scheme.lower(), {name.lower(): text for name, text in parse_keqv_list(items).items()}
    return scheme.lower(), rest.strip()
