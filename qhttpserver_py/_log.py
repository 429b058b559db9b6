"""The logging categories of the documented module, and one way to write to them.

Messages go through Qt, so ``QT_LOGGING_RULES``, ``QLoggingCategory.setFilterRules`` and an
installed message handler see them as they see those of the original.
"""

from __future__ import annotations

from PySide6.QtCore import QLoggingCategory, qCCritical, qCDebug, qCInfo, qCWarning

SERVER = QLoggingCategory("qt.httpserver")
RULE = QLoggingCategory("qt.httpserver.router.rule")
HTTP1 = QLoggingCategory("qt.httpserver.http1handler")
HTTP2 = QLoggingCategory("qt.httpserver.http2handler")
PARSER = QLoggingCategory("qt.httpserver.parser")
SECURITY = QLoggingCategory("qt.httpserver.security")


def debug(category: QLoggingCategory, text: str) -> None:
    """Write *text* as a debug message of *category*."""
    qCDebug(category, text)


def info(category: QLoggingCategory, text: str) -> None:
    """Write *text* as an info message of *category*."""
    qCInfo(category, text)


def warning(category: QLoggingCategory, text: str) -> None:
    """Write *text* as a warning of *category*."""
    qCWarning(category, text)


def critical(category: QLoggingCategory, text: str) -> None:
    """Write *text* as a critical message of *category*."""
    qCCritical(category, text)
