"""A client without a network: it passes requests to a server through a fake socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

import httptools
from PySide6.QtCore import QByteArray, QObject, QUrl
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py._qt.peer import Peer
from qhttpserver_py._transport.connection import Connection
from qhttpserver_py.testing.client import UNSET, ClientResponse, Content, encode_body, target_url
from qhttpserver_py.testing.loop import Milliseconds, Waiters, milliseconds, timeout_error

if TYPE_CHECKING:
    from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer

_BASE = "http://testserver/"


class FakeClock:
    """A clock that only ``advance()`` changes; call it for the time in seconds. Not in Qt."""

    __slots__ = ("now",)

    def __init__(self, now: float | None = None) -> None:
        self.now = monotonic() if now is None else now

    def __call__(self) -> float:
        """Return the time in seconds. Not in Qt."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass. Not in Qt."""
        self.now += seconds


class FakeSignal:
    """Calls what is connected, in order, at once."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: list[Callable[..., object]] = []

    def connect(self, slot: Callable[..., object], *_: object) -> None:
        """Call *slot* at each emission."""
        self._slots.append(slot)

    def disconnect(self, slot: Callable[..., object] | None = None) -> None:
        """Call *slot*, or nothing, any more."""
        self._slots = [kept for kept in self._slots if slot is not None and kept != slot]

    def emit(self, *args: object) -> None:
        """Call what is connected."""
        for slot in tuple(self._slots):
            slot(*args)


class FakeSocket(QObject):
    """Replaces a QTcpSocket: bytes come from ``receive``, and what is written can be read.

    ``written`` is all that was written; ``reads`` and ``writes`` count the calls that cross into Qt with a real
    socket. While ``stalled`` the peer takes nothing, until ``take`` is called. ``on_written``, if set, is told of
    each write. Its signals are Python objects: what a slot raises is raised in the test.

    Not in Qt.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readyRead = FakeSignal()
        self.bytesWritten = FakeSignal()
        self.disconnected = FakeSignal()
        self.written = bytearray()
        self.reads = 0
        self.writes = 0
        self.stalled = False
        self.on_written: Callable[[bytes], object] | None = None
        self.closed = False
        self.aborted = False
        self._unread = bytearray()
        self._unsent = 0
        self._read_limit = 0

    # ---- the peer's side

    def receive(self, data: bytes) -> None:
        """The peer sends *data*. Not in Qt."""
        self._unread += data
        self.readyRead.emit()

    def take(self, count: int | None = None) -> None:
        """The peer takes *count* of the bytes that wait for it, or all. Not in Qt."""
        taken = self._unsent if count is None else min(count, self._unsent)
        self._unsent -= taken
        if taken:
            self.bytesWritten.emit(taken)

    def peer_closes(self) -> None:
        """The peer closes the connection. Not in Qt."""
        self.disconnectFromHost()

    # ---- what a connection uses of QTcpSocket

    def read(self, size: int) -> QByteArray:
        """Return the next *size* bytes of what the peer sent, or as many as there are."""
        self.reads += 1
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return QByteArray(data)

    def readAll(self) -> QByteArray:
        """Return what the peer sent."""
        return self.read(len(self._unread))

    def write(self, data: bytes) -> int:
        """Take *data* for the peer."""
        self.writes += 1
        self.written += data
        if self.stalled:
            self._unsent += len(data)
        if self.on_written is not None:
            self.on_written(bytes(data))
        return len(data)

    def bytesAvailable(self) -> int:
        """Return how much is unread."""
        return len(self._unread)

    def bytesToWrite(self) -> int:
        """Return how much waits for the peer."""
        return self._unsent

    def setReadBufferSize(self, size: int) -> None:
        """Note the limit; nothing is held back."""
        self._read_limit = size

    def socketDescriptor(self) -> int:
        """There is none."""
        return -1

    def flush(self) -> bool:
        """Nothing is buffered."""
        return False

    def disconnectFromHost(self) -> None:
        """Close."""
        if not self.closed:
            self.closed = True
            self.disconnected.emit()

    def abort(self) -> None:
        """Close at once."""
        self.aborted = True
        self.disconnectFromHost()


class ResponseReader:
    """Puts a response together from the bytes of an HTTP/1 connection."""

    def __init__(self, method: str) -> None:
        self._head_only = method == "HEAD"
        self._parser: Any = httptools.HttpResponseParser(self)
        self._reason = ""
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self.complete = False

    def feed(self, data: bytes) -> None:
        """Take bytes of the reply."""
        if data and not self.complete:
            self._parser.feed_data(data)

    def response(self, url: str) -> ClientResponse:
        """Return what came."""
        status = self._parser.get_status_code()
        return ClientResponse(status, self._headers, bytes(self._body), reason=self._reason, url=url)

    # ---- called by the parser

    def on_status(self, reason: bytes) -> None:
        """A status line came: of the response, or of an interim one before it."""
        self._reason, self._headers = reason.decode("latin-1"), []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field came."""
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """RFC 9110 9.3.2: the reply to HEAD ends with its head."""
        self.complete = self._head_only and self._parser.get_status_code() >= 200

    def on_body(self, data: bytes) -> None:
        """A piece of body came."""
        self._body += data

    def on_message_complete(self) -> None:
        """A response ended; RFC 9110 15.2: after a 1xx another one follows."""
        self.complete = self._parser.get_status_code() >= 200


class InMemoryClient:
    """Asks a server without any network: for fast unit tests of routes.

    One HTTP/1.1 connection, kept between requests and opened anew when the server closed it. Handlers that
    answer at once need no event loop; for the others it runs until they did.

    Parameters:
        server: any server of this package; it need not be bound to anything.
        headers: sent with every request.
        raise_errors: raise the exception of a handler here, instead of returning the 500 it leads to.
        timeout: for one request, in milliseconds.

    Not in Qt.
    """

    def __init__(
        self,
        server: QAbstractHttpServer,
        *,
        headers: Mapping[str, str] | None = None,
        raise_errors: bool = True,
        timeout: Milliseconds = 5000,
    ) -> None:
        self.server = server
        self.socket = FakeSocket()
        self.connection: Connection | None = None
        self.clock = FakeClock()
        self._headers = dict(headers or {})
        self._raise = raise_errors
        self._timeout = timeout

    def request(
        self,
        method: str,
        url: str | QUrl = "/",
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Content = None,
        json: Any = UNSET,
    ) -> ClientResponse:
        """Send a request and return the answer; the parameters are those of ``Client.request``.

        Redirects are returned, not followed.

        Raises:
            TimeoutError: no complete answer came in time (pytest-qt's TimeoutError where that is loaded).
            ConnectionError: the server closed before its answer was complete.
            Exception: what a handler raised, with ``raise_errors``.

        Not in Qt.
        """
        target = target_url(QUrl(_BASE), url, params)
        raw = self._serialised(method, target, {**self._headers, **(headers or {})}, encode_body(data, json))
        reader = ResponseReader(method)
        errors: list[BaseException] = []
        core: Any = self.server._core
        before = core.report
        if self._raise:
            core.report = lambda error, *_: errors.append(error)
        try:
            self._exchange(raw, reader)
        finally:
            core.report = before
        if errors:
            raise errors[0]
        where = f"{method} {target.toString()}"
        if not reader.complete:
            if self.socket.closed:
                raise ConnectionError(f"{where}: the server closed before its answer was complete")
            raise timeout_error(f"{where}: no complete answer within {milliseconds(self._timeout)} ms")
        return reader.response(target.toString())

    def get(self, url: str | QUrl = "/", **options: Any) -> ClientResponse:
        """GET; the options are those of ``request``. Not in Qt."""
        return self.request("GET", url, **options)

    def head(self, url: str | QUrl = "/", **options: Any) -> ClientResponse:
        """HEAD; the options are those of ``request``. Not in Qt."""
        return self.request("HEAD", url, **options)

    def post(self, url: str | QUrl = "/", **options: Any) -> ClientResponse:
        """POST; the options are those of ``request``. Not in Qt."""
        return self.request("POST", url, **options)

    def put(self, url: str | QUrl = "/", **options: Any) -> ClientResponse:
        """PUT; the options are those of ``request``. Not in Qt."""
        return self.request("PUT", url, **options)

    def patch(self, url: str | QUrl = "/", **options: Any) -> ClientResponse:
        """PATCH; the options are those of ``request``. Not in Qt."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str | QUrl = "/", **options: Any) -> ClientResponse:
        """DELETE; the options are those of ``request``. Not in Qt."""
        return self.request("DELETE", url, **options)

    def options(self, url: str | QUrl = "/", **options: Any) -> ClientResponse:
        """OPTIONS; the options are those of ``request``. Not in Qt."""
        return self.request("OPTIONS", url, **options)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass for the server's deadlines, such as the keep-alive timeout. Not in Qt."""
        self.clock.advance(seconds)
        if self.connection is not None:
            self.connection.sweep(self.clock(), float(max(self.server._core.limits.keep_alive, 0)))

    def close(self) -> None:
        """Close the connection. Not in Qt."""
        self.socket.peer_closes()

    def _exchange(self, raw: bytes, reader: ResponseReader) -> None:
        if self.connection is None or self.socket.closed:
            self._connect()
        waiters, socket = Waiters(), self.socket

        def on_written(data: bytes) -> None:
            reader.feed(data)
            waiters.notify()

        socket.on_written = on_written
        socket.disconnected.connect(waiters.notify)
        socket.receive(raw)
        waiters.wait(lambda: reader.complete or socket.closed, self._timeout)

    def _connect(self) -> None:
        self.socket = FakeSocket()
        loopback = QHostAddress("127.0.0.1")
        core: Any = self.server._core
        socket: Any = self.socket
        self.connection = Connection(core, socket, "127.0.0.1", Peer(loopback, 50000, loopback, 80))
        core.adopt(self.connection)
        self.connection.start(None)

    def _serialised(self, method: str, target: QUrl, headers: Mapping[str, str], content: tuple[bytes, bytes]) -> bytes:
        body, content_type = content
        full = QUrl.ComponentFormattingOption.FullyEncoded
        path = target.path(full) or "/"
        query = f"?{target.query(full)}" if target.hasQuery() else ""
        fields = {"host": target.authority(full)}
        if content_type:
            fields["content-type"] = content_type.decode()
        if body or method in ("POST", "PUT", "PATCH"):
            fields["content-length"] = str(len(body))
        fields.update({name.lower(): value for name, value in headers.items()})
        lines = [f"{method} {path}{query} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
