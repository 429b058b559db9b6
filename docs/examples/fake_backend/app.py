"""A small application that shows the items of a web service: what the tests beside it test.

Run it with the base URL of a service that answers ``/items`` with ``{"items": ["…"]}``.
"""

from __future__ import annotations

import json
import sys

from PySide6.QtCore import QTimer, QUrl, Signal
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkReply, QNetworkRequest
from PySide6.QtWidgets import QApplication, QLabel, QListWidget, QProgressBar, QPushButton, QVBoxLayout, QWidget


class Window(QWidget):
    """A list, a button to refresh it, a progress bar, and a line that says what went wrong."""

    loaded = Signal()
    failed = Signal(str)

    retries = 2
    retry_ms = 50
    timeout_ms = 2000

    def __init__(self, base_url: str, token: str = "") -> None:
        super().__init__()
        self.setWindowTitle("Items")
        self.base_url = base_url
        self.token = token
        self.items = QListWidget()
        self.refresh = QPushButton("Refresh")
        self.cancel = QPushButton("Cancel")
        self.cancel.setEnabled(False)
        self.progress = QProgressBar()
        self.progress.hide()
        self.message = QLabel()
        layout = QVBoxLayout(self)
        for widget in (self.items, self.progress, self.message, self.refresh, self.cancel):
            layout.addWidget(widget)
        self.refresh.clicked.connect(self.load)
        self.manager = QNetworkAccessManager(self)
        self.reply: QNetworkReply | None = None
        self._tries_left = 0
        self._canceled = False
        self.cancel.clicked.connect(self.stop)

    def load(self) -> None:
        """Ask for the items."""
        self._tries_left = self.retries
        self._canceled = False
        self.refresh.setEnabled(False)
        self.cancel.setEnabled(True)
        self.message.clear()
        self.progress.setRange(0, 0)
        self.progress.show()
        self._ask()

    def stop(self) -> None:
        """Give up the request that is under way."""
        self._canceled = True
        if self.reply is not None:
            self.reply.abort()

    def _ask(self) -> None:
        request = QNetworkRequest(QUrl(f"{self.base_url}/items"))
        request.setTransferTimeout(self.timeout_ms)
        if self.token:
            request.setRawHeader(b"authorization", f"Bearer {self.token}".encode())
        self.reply = self.manager.get(request)
        self.reply.downloadProgress.connect(self._show_progress)
        self.reply.finished.connect(self._finish)

    def _show_progress(self, received: int, total: int) -> None:
        if total > 0:
            self.progress.setRange(0, total)
            self.progress.setValue(received)

    def _finish(self) -> None:
        reply, self.reply = self.reply, None
        if reply is None:
            return
        reply.deleteLater()
        status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
        if status == 503 and self._tries_left:
            self._tries_left -= 1
            QTimer.singleShot(self.retry_ms, self._ask)
            return
        self.progress.hide()
        self.refresh.setEnabled(True)
        self.cancel.setEnabled(False)
        problem = self._problem(reply, status)
        if problem:
            self.message.setText(problem)
            self.failed.emit(problem)
        else:
            self.loaded.emit()

    def _problem(self, reply: QNetworkReply, status: int | None) -> str:
        """Fill the list; return what prevented it."""
        code = QNetworkReply.NetworkError
        if status == 401:
            return "Your session has expired. Please sign in again."
        if status == 503:
            return "The service is busy. Try again later."
        if reply.error() == code.SslHandshakeFailedError:
            return "The identity of the server cannot be verified."
        if self._canceled:
            return "Canceled."
        if reply.error() in (code.OperationCanceledError, code.TimeoutError):
            return "The server does not answer."
        if reply.error() in (code.RemoteHostClosedError, code.ProtocolFailure):
            return "The connection was lost."
        if reply.error() != code.NoError:
            return "The server cannot be reached."
        try:
            names = json.loads(bytes(reply.readAll().data()))["items"]
        except (ValueError, LookupError, TypeError):
            return "The server sent something that is no list of items."
        self.items.clear()
        self.items.addItems(names)
        return ""


def main() -> int:
    """Show the window."""
    application = QApplication(sys.argv)
    window = Window(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
    window.show()
    window.load()
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
