"""QHttpServerResponse: a complete reply held in memory."""

from __future__ import annotations

from ._protocol.engine import Header
from ._statuscode import StatusCode


class QHttpServerResponse:
    """A complete reply.

    Qt: QHttpServerResponse.
    """

    __slots__ = ("__weakref__", "_data", "_headers", "_status")

    StatusCode = StatusCode

    def __init__(self, *args: object, status: StatusCode | int = StatusCode.Ok) -> None:
        self._status: int = status.value if isinstance(status, StatusCode) else status
        self._headers: list[Header] = []
        self._data: bytes = b""
