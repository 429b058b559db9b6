"""WebSockets without PySide6-Addons: the class, its close codes, and what it raises. Not in Qt.

A server gives these where QtWebSockets is not installed, or after ``setWebSocketBackend("native")``, and always to the
handlers of ``QHttpServer.websocket()``. They need the package ``websockets``, the extra of that name.
"""

from __future__ import annotations

from qhttpserver_py._websocket.closecode import CloseCode
from qhttpserver_py._websocket.socket import ConnectionClosed, WebSocket

__all__ = ["CloseCode", "ConnectionClosed", "WebSocket"]
