"""Finds the mounted application that takes a WebSocket handshake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._routing.table import path_of
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

ServeWebSocket = Callable[[Any, Exchange, QHttpServerRequest], None]
"""Called with the server's ``Upgrades``, the exchange of the handshake, and the request."""


def mount_for(mounts: Sequence[tuple[str, ServeWebSocket]], message: Message) -> ServeWebSocket | None:
    """Return what serves WebSockets at the path of *message*: the first that was mounted, but what is mounted at "/"
    last.
    """
    path = path_of(message)
    for prefix, serve in sorted(mounts, key=lambda mount: not mount[0]):
        if not prefix or path == prefix or path.startswith(f"{prefix}/"):
            return serve
    return None
