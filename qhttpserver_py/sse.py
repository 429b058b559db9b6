"""Server-sent events (the HTML standard's ``text/event-stream``). Not in Qt.

A handler returns an ``EventStream``, one per client; the application feeds it by calls or from signals::

    @server.route("/progress")
    def progress(request: QHttpServerRequest) -> EventStream:
        stream = EventStream(request)
        stream.connect(job.progressChanged, event="progress")
        return stream
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QMetaObject, QObject, QTimer, SignalInstance

from qhttpserver_py._loop.mailbox import Mailbox
from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._qt import log
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

__all__ = ["EventStream", "format_event"]

Overflow = Literal["close", "drop-oldest", "drop-newest"]

_LINE_END = re.compile(r"\r\n|\r|\n")
_FORBIDDEN = re.compile(r"[\r\n\0]")
_PING = b":\n\n"

PING = 15.0
"""Seconds between the comments of an idle stream, by which a client that vanished without a FIN is noticed."""


def format_event(
    data: object = "",
    event: str | None = None,
    id: str | int | None = None,  # noqa: A002 - the name of the field
    retry: int | None = None,
) -> bytes:
    """Return an event as it goes over the wire.

    Args:
        data: text, bytes of UTF-8, or anything JSON can express.
        event: its type; clients take "message" where it is left out.
        id: what a client that connects again will send as ``Last-Event-ID``.
        retry: how long clients are to wait before they come back, in milliseconds.

    Raises:
        ValueError: *event* or *id* holds a line break or NUL.
        TypeError: *data* cannot be expressed.

    Not in Qt.
    """
    lines = []
    for name, value in (("event", event), ("id", id)):
        if value is not None:
            if _FORBIDDEN.search(str(value)):
                raise ValueError(f"the {name} of a server-sent event must not hold line breaks or NUL: {value!r}")
            lines.append(f"{name}: {value}\n")
    if retry is not None:
        lines.append(f"retry: {int(retry)}\n")
    lines += [f"data: {line}\n" for line in _LINE_END.split(_text(data))]
    return "".join((*lines, "\n")).encode()


def _text(data: object) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, bytes):
        return data.decode()
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _data_of(*args: object) -> object:
    """Return the data of a signal's arguments."""
    if not args:
        return ""
    return args[0] if len(args) == 1 else list(args)


class EventStream:
    """The events that one client gets; a handler returns it as its result.

    Events wait here while the client is slow, up to a limit. All methods may be called from any thread.

    Args:
        request: the client's request, for ``last_event_id``.
        ping: seconds between comments while nothing else is sent: they keep proxies from closing an idle
            stream, and a client that vanished is noticed by what it does not acknowledge. None sends none.
        limit: how many events may wait for the client.
        overflow: what happens to an event beyond the limit. "close" ends the stream: the client connects again by
        itself and sends the last id it got. The others drop an event.
        retry: as in ``event()``, sent first.

    Not in Qt.
    """

    def __init__(
        self,
        request: QHttpServerRequest | None = None,
        *,
        ping: float | None = PING,
        limit: int = 1000,
        overflow: Overflow = "close",
        retry: int | None = None,
    ) -> None:
        if limit < 1 or overflow not in ("close", "drop-oldest", "drop-newest"):
            raise ValueError("limit must be positive and overflow 'close', 'drop-oldest' or 'drop-newest'")
        self._last_id = (
            "" if request is None else bytes(request.value(b"last-event-id").data()).decode("utf-8", "replace")
        )
        self._ping = ping
        self._limit = limit
        self._overflow = overflow
        self._queue: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._open = True
        self._source: _EventSource | None = None
        self._connections: list[QMetaObject.Connection] = []
        self._hooks: list[Callable[[], object]] = []
        if retry is not None:
            self._queue.append(f"retry: {int(retry)}\n\n".encode())

    @property
    def last_event_id(self) -> str:
        """The id of the last event that the client got before it connected again; "" for a new client. Not in Qt."""
        return self._last_id

    @property
    def is_open(self) -> bool:
        """Whether events still reach the client, as far as is known. Not in Qt."""
        return self._open

    @property
    def waiting(self) -> int:
        """How many events wait for the client. Not in Qt."""
        return len(self._queue)

    def event(
        self,
        data: object = "",
        event: str | None = None,
        id: str | int | None = None,  # noqa: A002 - the name of the field
        retry: int | None = None,
    ) -> bool:
        """Send an event.

        Args:
            data: text (of any number of lines), bytes of UTF-8, or anything JSON can express.
            event: its type; clients take "message" where it is left out.
            id: what the client will send as ``Last-Event-ID`` if it connects again.
            retry: how long the client is to wait before it comes back, in milliseconds.

        Returns:
            False if it was not sent: the stream is closed, or too much waits.

        Raises:
            ValueError: *event* or *id* holds a line break or NUL.
            TypeError: *data* cannot be expressed.

        Not in Qt.
        """
        return self._put(format_event(data, event, id, retry))

    def comment(self, text: str = "") -> bool:
        """Send a comment, which clients ignore; return False if it was not sent. Not in Qt."""
        lines = "".join(f": {line}\n" for line in _LINE_END.split(text))
        return self._put(f"{lines}\n".encode())

    def connect(
        self, signal: SignalInstance, *, event: str | None = None, convert: Callable[..., object] | None = None
    ) -> None:
        """Send an event at each emission of *signal*, until the client leaves.

        Args:
            signal: a bound signal. Its argument is the data; several become a JSON array.
            event: the type of the events.
            convert: called with the arguments of the signal, returns the data instead.

        Not in Qt.
        """

        def forward(*args: object) -> None:
            self.event((convert or _data_of)(*args), event)

        connection = signal.connect(forward)
        with self._lock:
            if self._open:
                self._connections.append(connection)
                return
        QObject.disconnect(connection)

    def when_closed(self, hook: Callable[[], object]) -> None:
        """Call *hook* once when the client has left or the stream was closed; now, if it is.

        It runs in the server's thread when the client leaves, else in the thread that calls ``close()``.

        Not in Qt.
        """
        with self._lock:
            if self._open:
                self._hooks.append(hook)
                return
        hook()

    def close(self) -> None:
        """End the stream once the client has got what waits. Idempotent. Not in Qt."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            connections, self._connections = self._connections, []
            hooks, self._hooks = self._hooks, []
        for connection in connections:
            QObject.disconnect(connection)
        for hook in hooks:
            try:
                hook()
            except Exception as error:  # noqa: BLE001 - user code
                sys.excepthook(type(error), error, error.__traceback__)
        self._wake()

    def _put(self, data: bytes) -> bool:
        with self._lock:
            if not self._open:
                return False
            full = len(self._queue) >= self._limit
            if not full or self._overflow == "drop-oldest":
                if full:
                    self._queue.popleft()
                self._queue.append(data)
        if full and self._overflow == "close":
            log.warning(
                log.SERVER, f"a client of server-sent events is {self._limit} events behind; closing its stream"
            )
            self._queue.clear()
            self.close()
            return False
        if not full:
            self._wake()
        return not full or self._overflow == "drop-oldest"

    def _wake(self) -> None:
        source = self._source
        if source is not None:
            source.wake()

    def _make_source(self) -> _EventSource:
        if self._source is not None:
            raise RuntimeError("an EventStream serves one client: make one for each request")
        self._source = source = _EventSource(self)
        return source


class _EventSource:
    """The source that the server reads; see ``_exchange.streams.Source``."""

    def __init__(self, stream: EventStream) -> None:
        self.size: int | None = None
        self.headers: tuple[Header, ...] = (
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
        )
        self._stream: EventStream | None = stream
        self._rest = b""
        self._on_ready: Callable[[], None] | None = None
        self._mailbox: Mailbox | None = None
        self._timer: QTimer | None = None
        self._thread = 0

    def start(self, on_ready: Callable[[], None]) -> None:
        self._on_ready = on_ready
        self._thread = threading.get_ident()
        self._mailbox = Mailbox()
        stream = self._stream
        if stream is not None and stream._ping:
            self._timer = QTimer()
            self._timer.timeout.connect(self._keep_alive)
            self._timer.start(round(stream._ping * 1000))

    def wake(self) -> None:
        mailbox = self._mailbox
        if mailbox is None:
            return
        if threading.get_ident() == self._thread:
            self._tell()
        else:
            mailbox.post(self._tell)

    def _tell(self) -> None:
        if self._on_ready is not None:
            self._on_ready()

    def _keep_alive(self) -> None:
        stream = self._stream
        if stream is not None and not stream._queue and not self._rest:
            self._rest = _PING
            self._tell()

    def read(self, limit: int) -> bytes | None:
        stream = self._stream
        if stream is None:
            return b""
        is_open = stream._open  # before the queue is read: nothing is put after it was closed
        data = self._rest or self._gather(stream._queue, limit)
        self._rest = data[limit:]
        if data:
            return data[:limit]
        return None if is_open else b""

    def _gather(self, queue: deque[bytes], limit: int) -> bytes:
        parts, size = [], 0
        while queue and size < limit:
            try:
                part = queue.popleft()
            except IndexError:  # another thread dropped the oldest
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def close(self) -> None:
        stream, self._stream = self._stream, None
        self._on_ready = None
        mailbox, self._mailbox = self._mailbox, None
        if self._timer is not None:
            self._timer.stop()
        if mailbox is not None:
            mailbox.deleteLater()
        if stream is not None:
            stream._queue.clear()
            stream.close()
