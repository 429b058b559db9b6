"""The addresses and ports at the two ends of a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtNetwork import QHostAddress, QSslConfiguration


class Peer:
    """The two ends of a connection, shared by all its requests and never changed."""

    __slots__ = ("described", "local_address", "local_port", "remote_address", "remote_port", "scheme", "ssl")

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
        self.scheme = scheme  # "http" or "https"
        self.ssl = ssl  # None without TLS
        self.described: Any = None  # what an application is told of it, made once for all requests (asgi/scope.py)
