"""The logging categories of the documented module, and functions that write to them.

Messages go through Qt, so ``QT_LOGGING_RULES``, ``QLoggingCategory.setFilterRules`` and an
installed message handler see them as they see those of Qt's module.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from PySide6 import QtCore
from PySide6.QtCore import QLoggingCategory

_qt: Any = QtCore  # the releases' stubs disagree on str or bytes for these functions; all take str

# Qt keeps the pointer to the name, which is the buffer of the Python string: the strings must exist as long as the
# categories.
_NAMES = (
    "qt.httpserver",
    "qt.httpserver.router.rule",
    "qt.httpserver.http1handler",
    "qt.httpserver.http2handler",
    "qt.httpserver.parser",
    "qt.httpserver.security",
)


def _category(name: str) -> QLoggingCategory:
    category: QLoggingCategory = _qt.QLoggingCategory(name)
    return category


SERVER, RULE, HTTP1, HTTP2, PARSER, SECURITY = (_category(name) for name in _NAMES)


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def one_line(text: str) -> str:
    """Return *text* with its control characters escaped, so that text of a peer cannot look like a line of the log."""
    if text.isprintable():
        return text
    return _CONTROL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def debug(category: QLoggingCategory, text: str) -> None:
    """Write *text* as a debug message of *category*."""
    _qt.qCDebug(category, one_line(text))


def info(category: QLoggingCategory, text: str) -> None:
    """Write *text* as an info message of *category*."""
    _qt.qCInfo(category, one_line(text))


def warning(category: QLoggingCategory, text: str) -> None:
    """Write *text* as a warning of *category*."""
    _qt.qCWarning(category, one_line(text))


def critical(category: QLoggingCategory, text: str) -> None:
    """Write *text* as a critical message of *category*."""
    _qt.qCCritical(category, one_line(text))


def report(category: QLoggingCategory, error: Exception, label: str = "") -> None:
    """Show an exception of user code where tests and applications look for it, and log it."""
    where = f"{label}: " if label else ""
    warning(category, f"{where}{type(error).__name__}: {_text_of(error)}")
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except Exception as failed:  # noqa: BLE001 - a hook of the program's must not cost the peer its answer
        warning(category, f"sys.excepthook raised {type(failed).__name__}: {_text_of(failed)}")


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failed:  # noqa: BLE001 - a __str__ of the program's
        return f"its text raised {type(failed).__name__}"
