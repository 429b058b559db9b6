"""One HTTP request of an ASGI application: its ``receive`` and ``send``, on an exchange."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from PySide6.QtCore import QFile

from qhttpserver_py._content.body import BodyAborted, BodyStream
from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._exchange.streams import make_source
from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._protocol.wire import check_header
from qhttpserver_py._qt import log

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
"""An ASGI 3 application: called with scope, receive and send. Not in Qt."""

HIGH_WATER = 262144
"""With more bytes of its reply than this unread by the peer, the application's ``send`` waits."""

GRACE = 10.0
"""Seconds that an application may go on after its client has left, before its task is cancelled."""

START, BODY, TRAILERS, DONE = range(4)
_EXPECTED = {
    START: "http.response.start",
    BODY: "http.response.body",
    TRAILERS: "http.response.trailers",
    DONE: "nothing: the response is complete",
}


class HttpCycle:
    """Runs the application once. Belongs to the server's thread."""

    __slots__ = (
        "_begun",
        "_bodiless",
        "_body",
        "_disconnected",
        "_drain_waiters",
        "_exchange",
        "_fields",
        "_length",
        "_more",
        "_sent",
        "_status",
        "_stream",
        "_trailers",
        "_trailing",
        "_waiters",
        "state",
        "task",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, stream: BodyStream | None) -> None:
        self._exchange = exchange
        self._stream = stream
        self._body = exchange.message.body if stream is None else b""
        self._more = True  # of the request's body
        self._status = 0
        self._fields: list[Header] = []
        self._length: int | None = None  # as the application has it
        self._sent = 0  # octets of the body
        self._bodiless = False  # nothing of the body is sent, whatever its length
        self._trailing = False  # trailers were announced
        self._trailers: list[Header] = []
        self._begun = False  # a head was sent to the peer
        self._disconnected = False
        self._drain_waiters: list[asyncio.Future[None]] | None = None  # of the tasks whose send waits
        self._waiters: list[asyncio.Future[None]] = []
        self.state = START
        self.task: asyncio.Task[None] | None = None
        exchange.wait()  # the responder may be dropped: the application answers
        exchange.when_canceled(self._left)

    @property
    def is_complete(self) -> bool:
        """Whether the whole response was sent."""
        return self.state == DONE

    # ---- running

    async def run(self, application: Application, scope: dict[str, Any]) -> None:
        """Run *application*, and answer where it has not."""
        try:
            await application(scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 - user code
            if not (self._disconnected and isinstance(error, OSError)):
                self._exchange.fail_with(error)
        else:
            if self.state != DONE and not self._disconnected:
                self._exchange.fail_with(RuntimeError(f"the application returned before {_EXPECTED[self.state]!r}"))
        finally:
            self._end()

    def _end(self) -> None:
        self._disconnected = True
        self._wake()
        cut = self._begun and self.state != DONE  # a reply that an error handler began is not cut here
        if (cut or self._exchange.state == 0) and self._exchange.connection is not None:  # it was cancelled
            self._exchange.fail()
        self._exchange.waited()

    # ---- what the application calls

    async def receive(self) -> Event:
        """Return the next piece of the body, or the end of the connection once there is none."""
        if self._more:
            return await self._next_piece()
        while not self._disconnected and self.state != DONE:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return {"type": "http.disconnect"}

    async def _next_piece(self) -> Event:
        if self._stream is None:
            self._more = False
            body, self._body = self._body, b""
            return {"type": "http.request", "body": body, "more_body": False}
        try:
            piece = await self._stream._next_piece()
        except BodyAborted:
            self._more = False
            self._disconnected = self.state != DONE
            return {"type": "http.disconnect"}
        self._more = not self._stream.atEnd()
        return {"type": "http.request", "body": piece or b"", "more_body": self._more}

    async def send(self, event: Event) -> None:
        """Send a part of the response.

        Raises:
            OSError: the client has left.
            RuntimeError: the event is not the one whose turn it is, or the body is not as long as was said.
            TypeError: a field or the body is not of bytes.
            ValueError: a status or a field cannot be sent.
        """
        if self._disconnected:
            raise OSError("the client has left")
        kind = event["type"]
        if kind == "http.response.body" and self.state == BODY:
            if (room := self._send_body(event.get("body", b""), event.get("more_body", False))) is not None:
                await room
        elif kind == "http.response.start" and self.state == START:
            self._start(event)
        elif kind == "http.response.early_hint" and self.state == START:
            self._exchange.interim(103, [(b"link", octets(link)) for link in event["links"]])
        elif kind == "http.response.pathsend" and self.state == BODY and not self._begun:
            self._send_file(event["path"])
        elif kind == "http.response.trailers" and self.state == TRAILERS:
            self._send_trailers(event)
        else:
            raise RuntimeError(f"the application sent {kind!r}; expected is {_EXPECTED[self.state]!r}")

    # ---- the response

    def _start(self, event: Event) -> None:
        status = event["status"]
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"status {status!r} cannot answer a request; use 200 to 599")
        fields = []
        length = None
        for given, value in event.get("headers", ()):
            if type(given) is not bytes or type(value) is not bytes:
                given, value = octets(given), octets(value)  # noqa: PLW2901 - what is given may be any octets
            name = given.lower()
            check_header(name, value)
            if name == b"transfer-encoding":  # framing is the server's (ASGI: Response Start)
                continue
            if name == b"content-length":
                if not value.isdigit() or length not in (None, int(value)):
                    raise ValueError(f"content-length {value!r} is no length, or not the one that was given before")
                length = int(value)
                continue
            fields.append((name, value))
        self._status, self._fields, self._length = status, fields, length
        self._bodiless = status in (204, 304) or self._exchange.message.method == "HEAD"
        self._trailing = bool(event.get("trailers", False))
        self.state = BODY

    def _send_body(self, body: Any, more: bool) -> asyncio.Future[None] | None:
        """Send a piece; return what to wait for where too much of the reply waits for the peer."""
        exchange = self._exchange
        data = body if type(body) is bytes else octets(body)
        if self._length is not None and not self._bodiless:
            self._count(len(data), self._length, more)
        if not self._begun:
            if not more and not self._trailing:
                self._send_whole(data)
                return None
            self._begin()
        if not more:
            self.state = TRAILERS if self._trailing else DONE
            if self._trailing:
                if data:
                    exchange.chunk(data)
            else:
                exchange.end(data)
                self._wake()
            return None
        if data:
            exchange.chunk(data)
        return self._wait_for_room() if exchange.backlog() > HIGH_WATER else None

    def _count(self, size: int, length: int, more: bool) -> None:
        """Raise RuntimeError where the body does not become as long as its content-length says."""
        sent = self._sent = self._sent + size
        if sent > length:
            self._sent -= size  # nothing of it is sent
            raise RuntimeError(f"the body is longer than its content-length {length}, by {sent - length} octets")
        if sent < length and not more:
            raise RuntimeError(f"the body ends {length - sent} octets before its content-length {length}")

    def _begin(self) -> None:
        self._begun = True
        self._exchange.begin(self._status, self._fields, self._length)

    def _send_whole(self, data: bytes) -> None:
        self._begun = True
        self.state = DONE
        if self._bodiless and self._length is not None:  # that of what is not sent (RFC 9110 8.6)
            self._exchange.send(self._status, [*self._fields, (b"content-length", b"%d" % self._length)], b"")
        elif self._bodiless and (not data or self._status == 304):  # its length is not known
            self._exchange.begin(self._status, self._fields, None)
            self._exchange.end(b"")
        else:
            self._exchange.send(self._status, self._fields, data)
        self._wake()

    def _send_file(self, path: Any) -> None:
        name = os.fspath(path)
        if not os.path.isabs(name) or not os.path.isfile(name):  # noqa: PTH117, PTH113 - neither touched otherwise
            raise FileNotFoundError(f"http.response.pathsend: {name!r} is not the absolute path of a file")
        source = make_source(QFile(os.fsdecode(name)))
        assert source is not None
        self._begun = True
        self.state = DONE
        self._exchange.stream(self._status, self._fields, source, typed=True)
        self._wake()

    def _send_trailers(self, event: Event) -> None:
        fields = [(octets(name).lower(), octets(value)) for name, value in event.get("headers", ())]
        for field in fields:
            check_header(*field)
        self._trailers += fields
        if not event.get("more_trailers", False):
            self.state = DONE
            self._exchange.end(b"", self._trailers)
            self._wake()

    # ---- waiting

    def _wait_for_room(self) -> asyncio.Future[None]:
        if self._drain_waiters is None:
            self._drain_waiters = []
            self._exchange.when_drained(self._drained)
        room = asyncio.get_running_loop().create_future()  # one for each task: one that is cancelled ends only its own
        self._drain_waiters.append(room)
        return room

    def _drained(self) -> None:
        if self._drain_waiters and self._exchange.backlog() <= HIGH_WATER // 2:
            self._drain_waiters = resolved(self._drain_waiters)

    def _wake(self) -> None:
        if self._waiters:
            self._waiters = resolved(self._waiters)
        if self._drain_waiters:
            self._drain_waiters = resolved(self._drain_waiters)

    def _left(self) -> None:
        """The client has left before the response was complete."""
        self._disconnected = True
        self._wake()
        cancel_late(self.task)


def octets(given: Any) -> bytes:
    """Return *given* as bytes.

    Raises:
        TypeError: it is not of octets: a str, or a number, of which ``bytes()`` would make zeros.
    """
    if type(given) is bytes:
        return given
    if isinstance(given, bytes | bytearray | memoryview):
        return bytes(given)
    raise TypeError(f"ASGI has names, values and bodies in bytes; {given!r:.80} is {type(given).__name__}")


def resolved(waiters: list[asyncio.Future[None]]) -> list[asyncio.Future[None]]:
    """Resolve all *waiters*; return a new list."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    return []


def cancel_late(task: asyncio.Task[None] | None) -> None:
    """Cancel the *task* of a client that has left, if it goes on for long."""
    if task is not None and not task.done():
        timer = task.get_loop().call_later(GRACE, _cancel, task)
        task.add_done_callback(lambda _: timer.cancel())  # it would keep the task until then


def _cancel(task: asyncio.Task[None]) -> None:
    if not task.done():
        log.warning(log.SERVER, "an ASGI application went on after its client had left; its task is cancelled")
        task.cancel()
