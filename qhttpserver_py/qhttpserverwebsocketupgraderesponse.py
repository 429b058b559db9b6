"""QHttpServerWebSocketUpgradeResponse: the verdict of a verifier on a WebSocket handshake."""

from __future__ import annotations

from enum import Enum
from operator import index
from typing import SupportsIndex, overload

from PySide6.QtCore import QByteArray

from qhttpserver_py._content.status import StatusCode
from qhttpserver_py._protocol.wire import TOKEN
from qhttpserver_py._qt.snake_case import with_snake_case

BytesLike = QByteArray | bytes | bytearray | memoryview

_INT32_MAX = 2**31 - 1


@with_snake_case
class QHttpServerWebSocketUpgradeResponse:
    """The verdict of a verifier; made by ``accept()``, ``deny()`` and ``passToNext()``, or as a copy.

    A value: not bound to a thread.

    Qt: QHttpServerWebSocketUpgradeResponse.
    """

    __slots__ = ("_message", "_status", "_subprotocol", "_type")

    class ResponseType(Enum):
        """The three verdicts.

        Qt: QHttpServerWebSocketUpgradeResponse::ResponseType.
        """

        Accept = 0
        Deny = 1
        PassToNext = 2

    _type: ResponseType
    _status: int
    _message: bytes
    _subprotocol: str

    def __init__(self, other: QHttpServerWebSocketUpgradeResponse, /) -> None:
        """Make a copy of *other*."""
        _check(other)
        self._type, self._status, self._message = other._type, other._status, other._message
        self._subprotocol = other._subprotocol

    @classmethod
    def _make(
        cls, verdict: ResponseType, status: int = 403, message: bytes = b"Forbidden", subprotocol: str = ""
    ) -> QHttpServerWebSocketUpgradeResponse:
        response = cls.__new__(cls)
        response._type, response._status, response._message = verdict, status, message
        response._subprotocol = subprotocol
        return response

    @staticmethod
    def accept(*, subprotocol: str = "") -> QHttpServerWebSocketUpgradeResponse:
        """Let the handshake go on, in the *subprotocol* chosen from those the client offered.

        Without one the answer names none, and none is used. One that the client did not offer is an error of the
        verifier: the client gets 500. Raises TypeError for another type than
        str, ValueError for what is no token (RFC 9110 5.6.2).

        Qt: QHttpServerWebSocketUpgradeResponse::accept; *subprotocol* is not in Qt.
        """
        if not isinstance(subprotocol, str):
            raise TypeError(f"accept(): the sub-protocol is a str, not {type(subprotocol).__name__}")
        if subprotocol and not TOKEN.fullmatch(subprotocol.encode()):
            raise ValueError(f"accept(): {subprotocol!r} is no name of a sub-protocol")
        return QHttpServerWebSocketUpgradeResponse._make(_Type.Accept, subprotocol=subprotocol)

    @overload
    @staticmethod
    def deny() -> QHttpServerWebSocketUpgradeResponse: ...
    @overload
    @staticmethod
    def deny(
        status: SupportsIndex | StatusCode, message: BytesLike | str, /
    ) -> QHttpServerWebSocketUpgradeResponse: ...
    @staticmethod
    def deny(
        status: SupportsIndex | StatusCode | None = None, message: BytesLike | str | None = None, /
    ) -> QHttpServerWebSocketUpgradeResponse:
        """Refuse the handshake with an HTTP *status* and a *message* for the client.

        Without arguments 403 and ``Forbidden``. Give both or none; *status* may be a StatusCode. Raises
        TypeError for other types, OverflowError for a status beyond 32 bits.

        Qt: QHttpServerWebSocketUpgradeResponse::deny; a str message and a StatusCode are not in Qt.
        """
        if status is None and message is None:
            return QHttpServerWebSocketUpgradeResponse._make(_Type.Deny)
        if status is None or message is None:
            raise TypeError("deny() takes no argument or two: a status and a message")
        number = index(status.value if isinstance(status, StatusCode) else status)
        if not -_INT32_MAX - 1 <= number <= _INT32_MAX:
            raise OverflowError(f"status {number} does not fit into 32 bits")
        return QHttpServerWebSocketUpgradeResponse._make(_Type.Deny, number, _to_bytes(message))

    @staticmethod
    def passToNext() -> QHttpServerWebSocketUpgradeResponse:
        """Leave the verdict to the next verifier; where there is none the missing handler answers.

        Qt: QHttpServerWebSocketUpgradeResponse::passToNext.
        """
        return QHttpServerWebSocketUpgradeResponse._make(_Type.PassToNext)

    def type(self) -> ResponseType:
        """Return the verdict.

        Qt: QHttpServerWebSocketUpgradeResponse::type.
        """
        return self._type

    def denyStatus(self) -> int:
        """Return the HTTP status of a refusal; 403, and of no meaning, for other verdicts.

        Qt: QHttpServerWebSocketUpgradeResponse::denyStatus.
        """
        return self._status

    def denyMessage(self) -> QByteArray:
        """Return the message of a refusal; ``Forbidden``, and of no meaning, for other verdicts.

        Qt: QHttpServerWebSocketUpgradeResponse::denyMessage.
        """
        return QByteArray(self._message)

    def swap(self, other: QHttpServerWebSocketUpgradeResponse, /) -> None:
        """Exchange contents with *other*.

        Qt: QHttpServerWebSocketUpgradeResponse::swap.
        """
        _check(other)
        self._type, other._type = other._type, self._type
        self._status, other._status = other._status, self._status
        self._message, other._message = other._message, self._message
        self._subprotocol, other._subprotocol = other._subprotocol, self._subprotocol

    def __copy__(self) -> QHttpServerWebSocketUpgradeResponse:
        return QHttpServerWebSocketUpgradeResponse(self)

    def __repr__(self) -> str:
        if self._type is _Type.Deny:
            return f"QHttpServerWebSocketUpgradeResponse.deny({self._status}, {self._message!r})"
        if self._subprotocol:
            return f"QHttpServerWebSocketUpgradeResponse.accept(subprotocol={self._subprotocol!r})"
        name = "accept" if self._type is _Type.Accept else "passToNext"
        return f"QHttpServerWebSocketUpgradeResponse.{name}()"


_Type = QHttpServerWebSocketUpgradeResponse.ResponseType


def _check(other: object) -> None:
    if not isinstance(other, QHttpServerWebSocketUpgradeResponse):
        raise TypeError(f"expected a QHttpServerWebSocketUpgradeResponse, not {type(other).__name__}")


def _to_bytes(message: object) -> bytes:
    if isinstance(message, str):
        return message.encode()
    if isinstance(message, QByteArray):
        return bytes(message.data())
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    raise TypeError(f"expected bytes, QByteArray or str as message, not {type(message).__name__}")
