"""QHttpServerResponse: a complete reply held in memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, overload

from PySide6.QtCore import QByteArray, QFile, QIODevice, QJsonArray, QJsonDocument, QJsonValue
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py._content import status as statuscode
from qhttpserver_py._content.conditional import Representation
from qhttpserver_py._content.cookies import set_cookie
from qhttpserver_py._content.json import dumps
from qhttpserver_py._content.mime import EMPTY, JSON, for_file, sniff, text_type, type_fields
from qhttpserver_py._content.status import CODES, Status, code_of
from qhttpserver_py._content.validators import representation_of
from qhttpserver_py._protocol.engine import Header, Headers
from qhttpserver_py._protocol.wire import check_header
from qhttpserver_py._qt import log
from qhttpserver_py._qt.former_names import missing_attribute
from qhttpserver_py._qt.headers import pairs, qt_headers
from qhttpserver_py._qt.snake_case import with_snake_case

Bytes = QByteArray | bytes | bytearray | memoryview
Json = QJsonArray | QJsonDocument | QJsonValue | dict[str, Any] | list[Any]

_Content = tuple[tuple[Header, ...], bytes]

_FORMS = (
    "QHttpServerResponse(status), QHttpServerResponse(data[, status]) or "
    "QHttpServerResponse(mimeType, data[, status]); "
    "data is str, bytes, bytearray, memoryview, QByteArray, dict, list, QJsonArray or QJsonDocument, "
    "mimeType bytes or str, status a StatusCode or an int"
)


@with_snake_case
class QHttpServerResponse:
    """A complete reply: status, header fields and body, all in memory.

    Returned by handlers, or sent by ``QHttpServerResponder.sendResponse()``. It cannot be copied;
    ``swap()`` it into another. Not bound to a thread.

    Qt: QHttpServerResponse.
    """

    __slots__ = ("__weakref__", "_data", "_file", "_headers", "_status")

    StatusCode: TypeAlias = statuscode.StatusCode

    _status: int
    _headers: Headers
    _data: bytes
    _file: Representation | None  # the validators of a file that _data is, if it is one

    @overload
    def __init__(self, statusCode: Status, /) -> None: ...
    @overload
    def __init__(self, data: str | Bytes | Json | None, /, status: Status = ...) -> None: ...
    @overload
    def __init__(self, mimeType: Bytes | str, data: Bytes | str | None, /, status: Status = ...) -> None: ...
    def __init__(self, *arguments: object, status: object = None) -> None:  # pyright: ignore[reportInconsistentOverload]
        """Make a reply of a status alone, of data, or of a content type and data.

        Without a content type, data that is JSON gets ``application/json`` and compact text; other
        data the type that its bytes look like, which is ``text/plain`` for most text. An empty
        mimeType adds no content type. The status is 200 unless given; a status alone has an empty
        body of type ``application/x-empty``. None is an empty body.

        Text goes out as UTF-8; where it is not ASCII and its type is one of text, with ``; charset=utf-8``.

        Raises TypeError for arguments that fit no form, and ValueError for a status outside 100 to
        599, for a mimeType with CR, LF, NUL or another control character, and for text with a lone
        surrogate, which UTF-8 cannot express.

        Qt: QHttpServerResponse::QHttpServerResponse; str as mimeType, list, QJsonDocument and int as
        status are not in Qt for Python.
        """
        self._file = None
        write = _WRITERS.get(type(arguments[0])) if len(arguments) == 1 else None
        if write is not None:
            self._headers, self._data = write(arguments[0])
            self._status = 200 if status is None else code_of(status)
        else:
            self._fill(arguments, status)

    def _fill(self, arguments: tuple[object, ...], status: object) -> None:
        given = list(arguments)
        if given and status is None and _is_status(given[-1]):
            status = given.pop()
        if len(given) == 2:
            self._headers, self._data = type_fields(_mime_type(given[0])), _body(given[1])
        elif len(given) == 1:
            self._headers, self._data = _typed_body(given[0])
        elif not given and arguments:
            self._headers, self._data = type_fields(EMPTY), b""
        else:
            _misfit(arguments)
        self._status = 200 if status is None else code_of(status)

    def __getattr__(self, name: str) -> NoReturn:
        missing_attribute(self, name)

    @staticmethod
    def fromFile(fileName: str | os.PathLike[str], /) -> QHttpServerResponse:
        """Return a reply with the content of a file, and the type by its name, else by its content.

        A file that is missing, no regular file, or cannot be read gives status 404 with an empty
        body. The name is used as it is: a program that makes it from a request has to ensure that it stays inside of
        the intended directory. ``:/…`` names a Qt resource.

        Returned by a handler, it answers GET requests for a range (206, 416) and with conditions
        (304, 412), as ``StaticFiles`` does. A client that asks for neither gets what Qt sends.

        Qt: QHttpServerResponse::fromFile; os.PathLike, ranges and conditions are not in Qt.
        """
        name = os.fspath(fileName)
        if not isinstance(name, str):
            raise TypeError(f"fromFile() takes a str or an os.PathLike of str, not {type(fileName).__name__}")
        data, file = _read(name)
        if data is None:
            return QHttpServerResponse(404)
        response = QHttpServerResponse.__new__(QHttpServerResponse)
        response._status, response._data, response._file = 200, data, file
        response._headers = type_fields(for_file(name, data))
        return response

    def data(self) -> QByteArray:
        """Return the body.

        Qt: QHttpServerResponse::data.
        """
        return QByteArray(self._data)

    def mimeType(self) -> QByteArray:
        """Return the value of the Content-Type field; ``text/html`` if there is none.

        Qt: QHttpServerResponse::mimeType.
        """
        for name, value in self._headers:
            if name == b"content-type":
                return QByteArray(value)
        return QByteArray(b"text/html")

    def statusCode(self) -> Status:
        """Return the status: a StatusCode, or an int if Qt has no name for it.

        Qt: QHttpServerResponse::statusCode; int is not in Qt.
        """
        return CODES.get(self._status, self._status)

    def headers(self) -> QHttpHeaders:
        """Return a copy of the header fields; change it and give it back with ``setHeaders()``.

        Qt: QHttpServerResponse::headers.
        """
        return qt_headers(self._headers)

    def setHeaders(self, newHeaders: QHttpHeaders, /) -> None:
        """Replace all header fields, the content type among them, with *newHeaders*.

        Qt: QHttpServerResponse::setHeaders.
        """
        if not isinstance(newHeaders, QHttpHeaders):
            raise TypeError(f"setHeaders() takes a QHttpHeaders, not {type(newHeaders).__name__}")
        self._headers = tuple(pairs(newHeaders))

    def setCookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        http_only: bool = True,
        secure: bool = False,
        same_site: str = "Lax",
    ) -> None:
        """Set a cookie (RFC 6265 4.1), besides those that were set before.

        *max_age* is in seconds: None ends it with the browser, 0 deletes it. *same_site* is "Strict", "Lax" or "None".

        Raises:
            ValueError: the name is no token, or the value, the path or *same_site* cannot be sent.

        Not in Qt.
        """
        self._headers = (*self._headers, set_cookie(name, value, max_age, path, http_only, secure, same_site))

    def swap(self, other: QHttpServerResponse, /) -> None:
        """Exchange contents with *other*; in an after-request handler this replaces the reply.

        Qt: QHttpServerResponse::swap.
        """
        if not isinstance(other, QHttpServerResponse):
            raise TypeError(f"expected a QHttpServerResponse, not {type(other).__name__}")
        self._status, other._status = other._status, self._status
        self._headers, other._headers = other._headers, self._headers
        self._data, other._data = other._data, self._data
        self._file, other._file = other._file, self._file

    def _copy(self) -> QHttpServerResponse:
        """Return another response with the same contents."""
        copy = QHttpServerResponse.__new__(QHttpServerResponse)
        copy._status, copy._headers, copy._data, copy._file = self._status, self._headers, self._data, self._file
        return copy

    def __reduce__(self) -> NoReturn:
        raise TypeError("a QHttpServerResponse can be neither copied nor pickled; swap() it instead")

    def __repr__(self) -> str:
        mime = bytes(self.mimeType().data()).decode("latin-1")
        return f"<QHttpServerResponse {self._status} {mime}, {len(self._data)} bytes>"


def _is_status(value: object) -> bool:
    return isinstance(value, (statuscode.StatusCode, int)) and not isinstance(value, bool)


def _mime_type(value: object) -> bytes:
    mime = (value.encode("latin-1") if isinstance(value, str) else _octets(value)).strip(b" \t")
    check_header(b"content-type", mime)
    if mime and b"/" not in mime:
        log.warning(
            log.SERVER,
            f"QHttpServerResponse(mimeType, data): {mime.decode('latin-1')[:80]!r} is no MIME type, it has no '/'; "
            "the type comes first",
        )
    return mime


def _body(value: object) -> bytes:
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else _octets(value)


def _text(value: str) -> _Content:
    data = value.encode()
    return type_fields(text_type(value, data)), data


def _bytes(value: bytes) -> _Content:
    return type_fields(sniff(value)), value


def _json_text(value: object) -> _Content:
    return type_fields(JSON), dumps(value)


def _typed_body(value: object) -> _Content:
    if isinstance(value, (dict, list, QJsonArray, QJsonDocument, QJsonValue)):
        return _json_text(value)
    return _text(value) if isinstance(value, str) else _bytes(_body(value))


# The short way for the most usual arguments.
_WRITERS: dict[type, Callable[..., _Content]] = {str: _text, bytes: _bytes, dict: _json_text, list: _json_text}


def _octets(value: object) -> bytes:
    if isinstance(value, QByteArray):
        return bytes(value.data())
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    return _misfit((value,))


def _misfit(arguments: tuple[object, ...]) -> NoReturn:
    given = ", ".join(type(argument).__name__ for argument in arguments)
    raise TypeError(f"({given}) fits no form of {_FORMS}")


def _read(name: str) -> tuple[bytes | None, Representation | None]:
    """Return what is in a file, and its validators; None for either that there is not."""
    if name.startswith(":/"):
        return _read_resource(name), None
    path = Path(name)
    try:
        info = path.stat()
        # Reading a pipe or a device could block for ever.
        data = path.read_bytes() if stat.S_ISREG(info.st_mode) else None
    except (OSError, ValueError):
        return None, None
    # Validators belong to exactly this content; another size says that it was changed meanwhile.
    return data, representation_of(info) if data is not None and len(data) == info.st_size else None


def _read_resource(name: str) -> bytes | None:
    file = QFile(name)
    if not file.open(QIODevice.OpenModeFlag.ReadOnly):
        return None
    return bytes(file.readAll().data())
