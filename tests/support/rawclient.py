"""A client that sends bytes and reads bytes, in the test's own event loop; and a loop that ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PySide6.QtCore import (
    QCoreApplication,
    QDeadlineTimer,
    QEvent,
    QEventLoop,
    QTimer,
    QtMsgType,
    qInstallMessageHandler,
)
from PySide6.QtNetwork import QHostAddress, QTcpServer, QTcpSocket

SECONDS = 10
"""The bound on every wait."""


def spin(until: Callable[[], Any], seconds: float = SECONDS) -> bool:
    """Run the event loop until *until* gives something true; return whether it did in time."""
    deadline = QDeadlineTimer(int(seconds * 1000))
    app = QCoreApplication.instance()
    assert app is not None
    while not until():
        if deadline.hasExpired():
            return False
        app.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
    return True


def wait_until(until: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Run the event loop until *until* gives something true; fail if it does not in time."""
    assert spin(until, seconds), f"not within {seconds} s"


def nested(milliseconds: int) -> None:
    """Open a nested event loop, as a modal dialog does."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def settle() -> None:
    """Let posted events and deferred deletions happen."""
    for _ in range(3):
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def listening() -> QTcpServer:
    """Return a QTcpServer on a free loopback port."""
    server = QTcpServer()
    assert server.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    return server


def bound(server: Any) -> int:
    """Bind a new listening server to *server*; return its port."""
    tcp = listening()
    assert server.bind(tcp)
    return tcp.serverPort()


class Reply:
    """One parsed reply."""

    def __init__(self, head: bytes, body: bytes) -> None:
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split(" ", 2)[1])
        self.status_line = status
        self.fields = [tuple(line.split(": ", 1)) for line in lines if line]
        self.headers = dict(self.fields)
        self.body = body


class RawClient:
    """A TCP connection of the test's own."""

    def __init__(self, port: int) -> None:
        self.socket = QTcpSocket()
        self.received = b""
        self.closed = False
        self.socket.readyRead.connect(self._read)
        self.socket.disconnected.connect(self._gone)
        self.socket.connectToHost(QHostAddress(QHostAddress.SpecialAddress.LocalHost), port)
        assert spin(lambda: self.closed or self.socket.state() == QTcpSocket.SocketState.ConnectedState)

    def _read(self) -> None:
        self.received += bytes(self.socket.readAll().data())

    def _gone(self) -> None:
        if self.socket.isOpen():
            self._read()
        self.closed = True

    def send(self, data: bytes) -> None:
        self.socket.write(data)
        self.socket.flush()

    def get(self, target: str, *fields: str, method: str = "GET") -> None:
        lines = "".join(f"{field}\r\n" for field in fields)
        self.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())

    def reply(self, *, head_only: bool = False) -> Reply:
        """Wait for one whole reply and take it."""
        assert spin(lambda: b"\r\n\r\n" in self.received or self.closed), "no reply in time"
        head, found, rest = self.received.partition(b"\r\n\r\n")
        assert found, f"closed without a reply: {self.received!r}"
        self.received = rest
        reply = Reply(head, b"")
        if not head_only and reply.status not in (204, 304):
            reply.body = self._body(reply)
        return reply

    def _body(self, reply: Reply) -> bytes:
        if "content-length" in reply.headers:
            size = int(reply.headers["content-length"])
            assert spin(lambda: len(self.received) >= size or self.closed), "the body did not come in time"
            body, self.received = self.received[:size], self.received[size:]
            return body
        if reply.headers.get("transfer-encoding") == "chunked":
            return self._chunked()
        assert self.wait_closed()
        body, self.received = self.received, b""
        return body

    def _chunked(self) -> bytes:
        body = b""
        while True:
            assert spin(lambda: b"\r\n" in self.received or self.closed)
            line, found, rest = self.received.partition(b"\r\n")
            if not found:
                raise EOFError(body)
            size = int(line, 16)
            if size == 0:
                assert spin(lambda: b"\r\n" in rest or b"\r\n" in self.received.partition(b"\r\n")[2])
                trailers, _, self.received = (b"\r\n" + self.received.partition(b"\r\n")[2]).partition(b"\r\n\r\n")
                self.trailers = [tuple(t.split(b": ")) for t in trailers.split(b"\r\n") if t]
                return body
            if not spin(lambda size=size, line=line: len(self.received) >= len(line) + 4 + size or self.closed):
                raise AssertionError("a chunk did not come in time")
            if len(self.received) < len(line) + 4 + size:
                raise EOFError(body)
            start = len(line) + 2
            body += self.received[start : start + size]
            self.received = self.received[start + size + 2 :]

    def wait_closed(self, seconds: float = SECONDS) -> bool:
        return spin(lambda: self.closed, seconds)

    def close(self) -> None:
        self.socket.abort()


def ask(port: int, target: str, *fields: str, method: str = "GET", body: bytes | None = None) -> Reply:
    """Send one request on a connection of its own and return the reply."""
    client = RawClient(port)
    try:
        if body is None:
            client.get(target, *fields, method=method)
        else:
            client.get(target, *fields, f"Content-Length: {len(body)}", method=method)
            client.send(body)
        return client.reply(head_only=method == "HEAD")
    finally:
        client.close()


@contextmanager
def logged() -> Iterator[list[tuple[str, str, str]]]:
    """Collect what Qt logs as (level, category, text)."""
    lines: list[tuple[str, str, str]] = []

    def handler(kind: QtMsgType, context: Any, text: str) -> None:
        lines.append((kind.name.removeprefix("Qt").removesuffix("Msg").lower(), str(context.category), text))

    before = qInstallMessageHandler(handler)
    try:
        yield lines
    finally:
        qInstallMessageHandler(before)


@contextmanager
def reported() -> Iterator[list[BaseException]]:
    """Collect what is reported through sys.excepthook."""
    import sys

    errors: list[BaseException] = []
    before = sys.excepthook
    sys.excepthook = lambda _kind, error, _trace: errors.append(error)
    try:
        yield errors
    finally:
        sys.excepthook = before
