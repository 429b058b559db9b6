"""An application whose URLs are fixed and foreign: it shows the items of a service, and watches them by a WebSocket.

Run it, or its tests beside it: those need no network.
"""

from __future__ import annotations

import json
import sys

from PySide6.QtCore import QUrl, Signal
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkReply, QNetworkRequest
from PySide6.QtWebSockets import QWebSocket
from PySide6.QtWidgets import QApplication, QListWidget, QPushButton, QVBoxLayout, QWidget

ITEMS = QUrl("https://api.example.com/v1/items")
CHANGES = QUrl("wss://live.example.com/v1/changes")


class Window(QWidget):
    """A list, and a button to refresh it."""

    loaded = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.items = QListWidget()
        self.refresh = QPushButton("Refresh")
        layout = QVBoxLayout(self)
        layout.addWidget(self.items)
        layout.addWidget(self.refresh)
        self.refresh.clicked.connect(self.load)
        self.manager = QNetworkAccessManager(self)
        self.changes = QWebSocket(parent=self)
        self.changes.textMessageReceived.connect(self.items.addItem)

    def load(self) -> None:
        """Ask for the items."""
        reply = self.manager.get(QNetworkRequest(ITEMS))
        reply.finished.connect(lambda: self._show(reply))

    def watch(self) -> None:
        """Add items as they are made."""
        self.changes.open(CHANGES)

    def _show(self, reply: QNetworkReply) -> None:
        reply.deleteLater()
        self.items.clear()
        if reply.error() is QNetworkReply.NetworkError.NoError:
            self.items.addItems(json.loads(reply.readAll().data())["items"])
        self.loaded.emit()


def main() -> int:
    """Show the window."""
    application = QApplication(sys.argv)
    window = Window()
    window.show()
    window.load()
    window.watch()
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
