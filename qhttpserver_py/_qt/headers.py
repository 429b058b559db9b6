"""Converts between QHttpHeaders and the engines' lists of (name, value) bytes."""

from __future__ import annotations

from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py._protocol.engine import Header, Headers


def pairs(headers: QHttpHeaders) -> list[Header]:
    """Return the fields of *headers* in order, names in lower case."""
    return [(bytes(name.data()).lower(), bytes(value.data())) for name, value in headers.toListOfPairs()]


def qt_headers(fields: Headers) -> QHttpHeaders:
    """Return a new QHttpHeaders with *fields* in order."""
    return QHttpHeaders.fromListOfPairs(list(fields))  # type: ignore[arg-type] # bytes convert


def with_fields(headers: Headers, added: Headers) -> list[Header]:
    """Return *headers* and those of *added* whose names they lack; the members of both ``vary`` fields are joined."""
    named = {name for name, _ in headers}
    return [*headers, *(field for field in added if field[0] == b"vary" or field[0] not in named)]
