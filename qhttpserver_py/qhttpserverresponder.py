"""QHttpServerResponder: writes the reply to one request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, overload

from PySide6.QtCore import QByteArray, QIODevice, QJsonDocument
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py._content import json as qtjson
from qhttpserver_py._content import status as statuscode
from qhttpserver_py._content.status import StatusCode
from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._protocol.reply import CANCELED, DONE
from qhttpserver_py._protocol.wire import check_header, check_trailer
from qhttpserver_py._qt import log
from qhttpserver_py._qt.former_names import missing_attribute
from qhttpserver_py._qt.headers import pairs
from qhttpserver_py._qt.snake_case import with_snake_case
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange

Status = StatusCode | HTTPStatus | int
Bytes = QByteArray | bytes | bytearray | memoryview
Content = Bytes | str | QIODevice
TrailerName = QHttpHeaders.WellKnownHeader | str | bytes

_EMPTY_TYPE = (b"content-type", b"application/x-empty")
_JSON_TYPE = (b"content-type", b"application/json")

_WRITE_FORMS = (
    "write(status), write(headers[, status]), write(document[, headers][, status]), "
    "write(data, mimeType or headers[, status]) or write(device, mimeType or headers[, status])"
)


class DrainSignal:
    """Calls slots when the peer took bytes; connect it like a Signal. Not in Qt."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def connect(self, slot: Callable[[], object]) -> None:
        """Call *slot* (no arguments, in the server's thread) whenever the peer took bytes of this reply."""
        self._exchange.when_drained(lambda: _call(slot))


def _call(slot: Callable[[], object]) -> None:
    slot()


@with_snake_case
class QHttpServerResponder:
    """Writes the reply to one request.

    Objects are passed to handlers, never made by the application. One responder answers once:
    with one ``write`` or ``sendResponse``, or with ``writeBeginChunked``, any number of
    ``writeChunk`` and one ``writeEndChunked``. Anything else raises ``RuntimeError`` at the
    faulty call. It may be kept and used later, from any thread; once the peer has left, calls do nothing. When the last
    reference is dropped without a reply, the peer gets 500.

    Qt: QHttpServerResponder.
    """

    __slots__ = ("__weakref__", "_exchange")

    _exchange: Exchange

    StatusCode: TypeAlias = statuscode.StatusCode

    def __init__(self, *_args: object) -> None:
        raise NotImplementedError(
            "Class 'QHttpServerResponder' cannot be instantiated: the server hands one to each handler that asks"
        )

    @classmethod
    def _make(cls, exchange: Exchange) -> QHttpServerResponder:
        responder = cls.__new__(cls)
        responder._exchange = exchange
        return responder

    def __del__(self) -> None:
        exchange = getattr(self, "_exchange", None)
        if exchange is not None and exchange.state < DONE:
            exchange.drop()

    def __getattr__(self, name: str) -> NoReturn:
        missing_attribute(self, name)

    # ---- whole replies

    @overload
    def write(self, /, status: Status = ...) -> None: ...
    @overload
    def write(self, body: QHttpHeaders | QJsonDocument, /, status: Status = ...) -> None: ...
    @overload
    def write(self, document: QJsonDocument, headers: QHttpHeaders, /, status: Status = ...) -> None: ...
    @overload
    def write(self, data: Content, mimeType: Bytes | str | QHttpHeaders, /, status: Status = ...) -> None: ...

    def write(  # pyright: ignore[reportInconsistentOverload] - a status is in args or named
        self, *args: Any, status: Status | None = None
    ) -> None:
        """Send a whole reply.

        Forms: ``write(status)``, ``write(headers, status)``, ``write(document, status)``, where a dict
        or list may stand for the document (not in Qt; written in compact form),
        ``write(document, headers, status)``, ``write(data, mimeType, status)``,
        ``write(data, headers, status)``, ``write(device, mimeType, status)`` and
        ``write(device, headers, status)``; the status is Ok where it is left out. A device is
        owned by the reply from here on: a random-access one is sent from its position with a
        Content-Length, a sequential one as it delivers, without one. Nothing is read faster than
        the peer takes it. A device that cannot be read gives the peer status 500. ``write(status)`` and
        ``write(headers, status)`` with an interim status, 102 or 103, go before the reply.

        Raises:
            RuntimeError: the reply was sent or begun already.
            TypeError: the arguments fit no form.
            ValueError: a header name or value has CR, LF or NUL, or content is given with an interim status.

        Qt: QHttpServerResponder::write.
        """
        if args and args[0] is None:
            raise _misfit(args)
        rest = list(args)
        body = rest.pop(0) if rest and not _is_status(rest[0]) else None
        fields = rest.pop(0) if rest and not _is_status(rest[0]) else None
        if rest:
            status = _last(rest, status, args)
        if (interim := _interim(status)) is not None:
            if fields is not None or not (body is None or isinstance(body, QHttpHeaders)):
                raise ValueError(f"status {interim} is interim (RFC 9110 15.2): it has fields, and no content")
            self._exchange.interim(interim, () if body is None else pairs(body))
            return
        code = _final(status)
        if body is None:
            self._exchange.send(code, (_EMPTY_TYPE,), b"")
        elif isinstance(body, QHttpHeaders):
            if fields is not None:
                raise _misfit(args)
            self._exchange.send(code, pairs(body), b"")
        elif isinstance(body, QJsonDocument):
            self._write_document(body, fields, code, args)
        elif isinstance(body, (dict, list)):
            self._write_json(body, fields, code, args)
        elif isinstance(body, QIODevice):
            self._write_device(body, _fields(fields, args), code)
        else:
            self._exchange.send(code, _fields(fields, args), _data(body, args))

    def sendResponse(self, response: QHttpServerResponse, /) -> None:
        """Send a prepared response. After-request handlers do not run for it.

        One with an interim status, such as 103 Early Hints with its ``link`` fields, goes before the reply, which
        is still to be written; any number of them may. An HTTP/1.0 peer is sent none (RFC 9110 15.2).

        Raises:
            RuntimeError: the reply was sent or begun already.
            TypeError: *response* is no QHttpServerResponse.
            ValueError: its status is 101, or a header has CR, LF or NUL; nothing was sent.

        Qt: QHttpServerResponder::sendResponse.
        """
        if not isinstance(response, QHttpServerResponse):
            raise TypeError(f"sendResponse() takes a QHttpServerResponse, not {type(response).__name__}")
        if _interim(response._status) is not None:
            self._exchange.interim(response._status, response._headers)
        else:
            self._exchange.send(response._status, response._headers, response._data)

    def _write_json(self, value: object, fields: Any, code: int, args: Sequence[Any]) -> None:
        if fields is not None and not isinstance(fields, QHttpHeaders):
            raise _misfit(args)
        headers = [field for field in pairs(fields) if field[0] != b"content-type"] if fields is not None else []
        self._exchange.send(code, [*headers, _JSON_TYPE], qtjson.dumps(value))

    def _write_document(self, document: QJsonDocument, fields: Any, code: int, args: Sequence[Any]) -> None:
        if fields is not None and not isinstance(fields, QHttpHeaders):
            raise _misfit(args)
        headers = [] if fields is None else pairs(fields)
        headers = [field for field in headers if field[0] != b"content-type"]
        self._exchange.send(code, [*headers, _JSON_TYPE], qtjson.indented(document))

    def _write_device(self, device: QIODevice, headers: list[Header], code: int) -> None:
        from qhttpserver_py._exchange import streams  # sockets' layer: only replies from devices need it

        try:
            source = streams.make_source(device)
        except streams.DeviceNotReadable as error:
            log.warning(log.SERVER, f"500: {error}")
            self._exchange.send(500, (), b"")
            return
        if source is None:
            raise TypeError(f"a QIODevice is expected, not {type(device).__name__}")
        self._exchange.stream(code, headers, source, typed=True)

    # ---- replies in pieces

    @overload
    def writeBeginChunked(self, mimeType: Bytes | str | QHttpHeaders, /, status: Status = ...) -> None: ...
    @overload
    def writeBeginChunked(
        self, headers: Bytes | str | QHttpHeaders, trailerNames: Iterable[TrailerName], /, status: Status = ...
    ) -> None: ...

    def writeBeginChunked(  # pyright: ignore[reportInconsistentOverload] - a status is in args or named
        self, *args: Any, status: Status | None = None
    ) -> None:
        """Begin a reply in pieces.

        Forms: ``writeBeginChunked(mimeType, status)``, ``writeBeginChunked(headers, status)`` and
        ``writeBeginChunked(headers, trailerNames, status)``, where *trailerNames* announces the
        trailers that ``writeEndChunked`` will deliver; the status is Ok where it is left out.

        Raises:
            RuntimeError: the reply was sent or begun already.
            TypeError: the arguments fit no form.
            ValueError: a name cannot be a trailer, or a value has CR, LF or NUL.

        Qt: QHttpServerResponder::writeBeginChunked.
        """
        rest = list(args)
        if not rest or _is_status(rest[0]):
            raise TypeError("writeBeginChunked(mimeType or headers[, trailerNames][, status])")
        headers = _fields(rest.pop(0), args)
        names = rest.pop(0) if rest and not _is_status(rest[0]) else None
        if rest:
            status = _last(rest, status, args)
        announced = [_trailer_name(name) for name in names or ()]
        if names is not None:
            headers.append((b"trailer", b", ".join(announced)))
        self._exchange.begin(_final(status), headers)
        self._exchange.announced = frozenset(announced)

    def writeChunk(self, data: Bytes | str, /) -> None:
        """Send one piece of a reply begun by ``writeBeginChunked``; never blocks, queues.

        A producer that must not be faster than the peer checks ``bytesToWrite()``.

        Raises:
            RuntimeError: no reply was begun, or it was ended.

        Qt: QHttpServerResponder::writeChunk.
        """
        self._exchange.chunk(_data(data, (data,)))

    def writeEndChunked(self, data: Bytes | str, trailers: QHttpHeaders | None = None, /) -> None:
        """Send the last piece, which may be empty, and the announced *trailers*.

        Raises:
            RuntimeError: no reply was begun, or it was ended.
            ValueError: a trailer was not announced.

        Qt: QHttpServerResponder::writeEndChunked.
        """
        last = _data(data, (data,))
        fields = pairs(trailers) if trailers is not None else []
        exchange = self._exchange
        if exchange.state is not CANCELED:
            for name, _ in fields:
                if name not in exchange.announced:
                    raise ValueError(
                        f"trailer {name.decode()!r} was not announced; "
                        "name it in writeBeginChunked(headers, trailerNames)"
                    )
        if not last and not fields:
            log.warning(log.SERVER, "Chunk must have length > 0")
        exchange.end(last, fields)

    # ---- state

    def isResponseCanceled(self) -> bool:
        """Return whether the peer gave this reply up: its connection or stream is closed.

        Qt: QHttpServerResponder::isResponseCanceled.
        """
        return self._exchange.state is CANCELED

    def bytesToWrite(self) -> int:
        """Return how many bytes of this reply, and of others on its socket, wait for the peer. Not in Qt."""
        return self._exchange.backlog()

    @property
    def bytesWritten(self) -> DrainSignal:
        """Like a signal: ``connect()`` a slot that is called each time the peer has taken bytes. Not in Qt."""
        return DrainSignal(self._exchange)

    def swap(self, other: QHttpServerResponder, /) -> None:
        """Exchange the requests that this and *other* answer; never fails.

        Qt: QHttpServerResponder::swap.
        """
        self._exchange, other._exchange = other._exchange, self._exchange

    def __reduce__(self) -> NoReturn:
        raise TypeError("a QHttpServerResponder can be neither copied nor pickled; keep a reference to it")


def _is_status(value: object) -> bool:
    return isinstance(value, (StatusCode, int))  # HTTPStatus is an int


def _last(rest: Sequence[Any], status: Status | None, args: Sequence[Any]) -> Status:
    """Return the status that is all of *rest*; TypeError if there is more, or a *status* by name too."""
    if status is not None or len(rest) > 1:
        raise _misfit(args)
    found: Status = rest[0]
    return found


def _interim(status: StatusCode | HTTPStatus | int | None) -> int | None:
    """Return the number of an interim status; None for another. 101 is refused, because it changes the protocol."""
    code = status.value if isinstance(status, StatusCode) else 200 if status is None else int(status)
    return code if 100 <= code <= 199 and code != 101 else None


def _final(status: StatusCode | HTTPStatus | int | None) -> int:
    """Return the number of a status a reply can end with (RFC 9110 15.2: 1xx cannot)."""
    if status is None:
        return 200
    code = status.value if isinstance(status, StatusCode) else int(status)
    if not 200 <= code <= 599:
        raise ValueError(f"status {code} cannot answer a request; use 200 to 599")
    return code


def _fields(value: object, args: Sequence[Any]) -> list[Header]:
    """Return the header fields that a mimeType or headers argument stands for."""
    if isinstance(value, QHttpHeaders):
        return pairs(value)
    mime = value.encode("latin-1") if isinstance(value, str) else _data(value, args)
    check_header(b"content-type", mime)
    return [(b"content-type", mime)]


def _data(value: object, args: Sequence[Any]) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, QByteArray):
        return bytes(value.data())
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    raise _misfit(args)


def _trailer_name(name: TrailerName) -> bytes:
    if isinstance(name, QHttpHeaders.WellKnownHeader):
        known: Any = QHttpHeaders.wellKnownHeaderName(name)  # bytes or QByteArray, by release
        raw = bytes(known)
    else:
        raw = name.encode("latin-1") if isinstance(name, str) else bytes(name)
    raw = raw.lower()
    check_trailer(raw, b"")
    return raw


def _misfit(args: Sequence[Any]) -> TypeError:
    given = ", ".join(type(value).__name__ for value in args)
    return TypeError(f"({given}) fits no form of {_WRITE_FORMS}")
