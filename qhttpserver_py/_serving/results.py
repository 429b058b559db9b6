"""Makes a response of what a handler returned.

``text_reply`` is the short way of the hot path; ``immediate`` handles everything that needs no waiting. Streams and
awaitable results are handled in ``answers.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import PurePath

from PySide6.QtCore import QByteArray, QJsonArray, QJsonDocument
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py._content.mime import (
    FILTER,
    PLAIN,
    PLAIN_UTF8,
    SMALL,
    TEXT_SIZE,
    find_control,
    text_type,
    type_fields,
)
from qhttpserver_py._content.status import StatusCode
from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._protocol.wire import check_header
from qhttpserver_py._qt.headers import pairs
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse

_Reply = tuple[tuple[Header, ...], bytes]


def text_reply(text: str) -> _Reply | None:
    """Return the header fields and the body of a ``str`` result.

    None where UTF-8 cannot express it, because of a lone surrogate; making a response of it raises the error.
    """
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return None
    # The code of sniff() for most text, which saves a call for each request.
    if (
        body
        and FILTER.anchored(body) is None
        and FILTER.floating(body, 0, FILTER.window) is None
        and len(body) <= SMALL
        and find_control(body, 0, TEXT_SIZE) is None
    ):
        return (PLAIN if text.isascii() else PLAIN_UTF8), body
    return type_fields(text_type(text, body)), body


def empty_response(status: int) -> QHttpServerResponse:
    """Return a response without content, and so without a content type (RFC 9110 8.3)."""
    response = QHttpServerResponse.__new__(QHttpServerResponse)
    response._status, response._headers, response._data, response._file = status, (), b"", None
    return response


def immediate(result: object) -> QHttpServerResponse | None:
    """Return the response of *result*, or None if it needs waiting or is a stream."""
    if isinstance(result, QHttpServerResponse):
        return result
    if result is None:
        return QHttpServerResponse("")
    if isinstance(result, bool):
        return None
    if isinstance(result, (str, bytes, bytearray, memoryview, QByteArray, dict, list, QJsonDocument, QJsonArray)):
        return QHttpServerResponse(result)
    if isinstance(result, (StatusCode, HTTPStatus, int)):
        return empty_response(_code(result)) if _code(result) in range(100, 600) else None
    return None


def response_body(body: object) -> QHttpServerResponse | None:
    """Return the response of *body* where there is no request that could ask for a part of a file."""
    return QHttpServerResponse.fromFile(body) if isinstance(body, PurePath) else immediate(body)


class Shape:
    """The status and headers of a ``(result, status, headers)`` tuple."""

    __slots__ = ("fields", "status")

    def __init__(self, rest: tuple[object, ...]) -> None:
        if not isinstance(rest[0], (StatusCode, HTTPStatus, int)) or isinstance(rest[0], bool):
            raise TypeError(f"(result, status[, headers]): status is a StatusCode or int, not {rest[0]!r}")
        self.status = _code(rest[0])
        self.fields = header_fields(rest[1]) if len(rest) > 1 else []

    def merged(self, headers: Iterable[Header]) -> list[Header]:
        """Return *headers* with the tuple's fields, which replace those of the same name."""
        named = {name for name, _ in self.fields}
        return [field for field in headers if field[0] not in named] + self.fields

    def apply(self, response: QHttpServerResponse) -> QHttpServerResponse:
        """Set the tuple's status and headers in *response*."""
        shaped = QHttpServerResponse.__new__(QHttpServerResponse)
        shaped._status = self.status
        shaped._headers = self.merged(response._headers)
        shaped._data, shaped._file = response._data, response._file
        return shaped


def header_fields(headers: object) -> list[Header]:
    """Return checked fields from a QHttpHeaders, a mapping or an iterable of pairs.

    Raises:
        ValueError: a name is no token, or a value has CR, LF or NUL.
        TypeError: *headers* is none of these.
    """
    if headers is None:
        return []
    if isinstance(headers, QHttpHeaders):
        return pairs(headers)
    if isinstance(headers, (str, bytes)):
        raise TypeError(
            f"(result, status, headers): headers are a mapping, pairs or QHttpHeaders, not {headers!r}; "
            "a content type is {'content-type': 'text/html'}"
        )
    items = headers.items() if isinstance(headers, Mapping) else headers
    if not isinstance(items, Iterable):
        raise TypeError(f"headers are a QHttpHeaders, a mapping or pairs, not {type(headers).__name__}")
    fields: list[Header] = []
    for name, value in items:
        field = (_latin(name).lower(), _latin(value))
        check_header(*field)
        fields.append(field)
    return fields


def _latin(text: object) -> bytes:
    if isinstance(text, bytes):
        return text
    if isinstance(text, QByteArray):
        return bytes(text.data())
    return str(text).encode("latin-1")


def _code(status: StatusCode | HTTPStatus | int) -> int:
    return int(status.value) if isinstance(status, StatusCode) else int(status)
