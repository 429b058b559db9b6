"""QHttpServerRequest: what the peer asked for."""

from __future__ import annotations

from collections.abc import Callable
from enum import Flag

from PySide6.QtCore import QByteArray
from PySide6.QtNetwork import QHostAddress, QSslConfiguration

from ._protocol.engine import Message


class Peer:
    """The two ends of a connection, shared by all its requests."""

    __slots__ = ("local_address", "local_port", "remote_address", "remote_port", "scheme", "ssl")

    def __init__(
        self,
        remote_address: QHostAddress,
        remote_port: int,
        local_address: QHostAddress,
        local_port: int,
        scheme: str = "http",
        ssl: Callable[[], QSslConfiguration] | None = None,
    ) -> None:
        self.remote_address = remote_address
        self.remote_port = remote_port
        self.local_address = local_address
        self.local_port = local_port
        self.scheme = scheme
        self.ssl = ssl


class Method(Flag):
    """Request methods, combinable with ``|``.

    Qt: QHttpServerRequest::Method.
    """

    Unknown = 0x0
    Get = 0x1
    Put = 0x2
    Delete = 0x4
    Post = 0x8
    Head = 0x10
    Options = 0x20
    Patch = 0x40
    Connect = 0x80
    Trace = 0x100
    AnyKnown = 0x1FF


class QHttpServerRequest:
    """A received request.

    Qt: QHttpServerRequest.
    """

    __slots__ = ("__weakref__", "_attributes", "_cache", "_message", "_peer", "_stream")

    Method = Method
    Methods = Method

    @classmethod
    def _make(cls, message: Message, peer: Peer) -> QHttpServerRequest:
        request = cls.__new__(cls)
        request._message = message
        request._peer = peer
        return request

    def body(self) -> QByteArray:
        """Return the whole body."""
        return QByteArray(self._message.body)
