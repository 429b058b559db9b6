"""Which class of WebSocket is used, and what has to be installed for it."""

from __future__ import annotations

from typing import Literal

from qhttpserver_py._websocket.protocol import WebSocketProtocol
from qhttpserver_py._websocket.socket import MAXIMUM_MESSAGE

Backend = Literal["auto", "qt", "native"]


def uses_qt(backend: Backend) -> bool:
    """Return whether *backend* gives QWebSockets."""
    if backend == "auto":
        return has_qt()
    return backend == "qt"


def has_qt() -> bool:
    """Return whether QWebSocket is installed."""
    try:
        import PySide6.QtWebSockets  # noqa: F401
    except ImportError:
        return False
    return True


def require(backend: Backend) -> None:
    """Raise ImportError where what *backend* needs is not installed."""
    if not uses_qt(backend):
        WebSocketProtocol(MAXIMUM_MESSAGE, compression=False)  # raises where its package is missing
    elif not has_qt():
        raise ImportError("QWebSocket needs PySide6-Addons: pip install 'qhttpserver-py[qwebsocket]'")
