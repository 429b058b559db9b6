"""The servers bound to an HTTP server: QTcpServer, QSslServer and QLocalServer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject
from PySide6.QtNetwork import QLocalServer, QTcpServer
from shiboken6 import getCppPointer, isValid

from qhttpserver_py._qt import log
from qhttpserver_py._transport.listener import Listener

if TYPE_CHECKING:
    from qhttpserver_py._transport.core import ServerCore


class BoundServers:
    """Listens to the new connections of bound servers, which are children of the HTTP server."""

    def __init__(self, core: ServerCore) -> None:
        self.listeners: dict[int, Listener] = {}  # by the id() of the bound server
        self._core = core

    def add(self, server: QTcpServer | QLocalServer, parent: QObject) -> bool:
        """Make *server* a child of *parent* and listen to it; return False where it is not listening."""
        if not isinstance(server, (QTcpServer, QLocalServer)):
            raise TypeError(f"bind() takes a QTcpServer, QSslServer or QLocalServer, not {type(server).__name__}")
        if not server.isListening():
            kind = "local" if isinstance(server, QLocalServer) else "TCP"
            log.warning(log.SERVER, f"The {kind} server {_described(server)} is not listening.")
            if server.errorString():
                log.warning(log.SERVER, f"Its listen() failed: {server.errorString()}")
            return False
        former = getattr(server.parent(), "_bound", None)
        if isinstance(former, BoundServers):
            former.forget(server)
        server.setParent(parent)
        self._core.opened()
        listener = Listener(self._core, server, self.listeners)
        self.listeners[id(server)] = listener
        listener.accept()
        return True

    def remove(self, server: QTcpServer | QLocalServer) -> bool:
        """Take no more connections of *server*, which has no parent then; return False where it is not bound."""
        if not self.forget(server):
            return False
        server.setParent(None)
        return True

    def forget(self, server: QTcpServer | QLocalServer) -> bool:
        """Take no more connections of *server*; return False where it is not bound."""
        listener = self.listeners.pop(id(server), None)
        if listener is not None:
            listener.stop()
        return listener is not None

    def close(self) -> None:
        """Close and delete all bound servers."""
        for listener in tuple(self.listeners.values()):
            listener.stop()
            server = listener.server
            if isValid(server):
                server.close()
                server.setParent(None)
                server.deleteLater()
        self.listeners.clear()


def _described(server: Any) -> str:
    """Return what QDebug would print of *server*."""
    name = f', name = "{server.objectName()}"' if server.objectName() else ""
    return f"{server.metaObject().className()}(0x{getCppPointer(server)[0]:x}{name})"
