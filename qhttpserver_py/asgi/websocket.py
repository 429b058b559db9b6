"""One WebSocket of an ASGI application: its ``receive`` and ``send``, from the handshake on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._protocol.engine import Header, Headers
from qhttpserver_py._protocol.wire import check_header
from qhttpserver_py._qt import log
from qhttpserver_py._serving.handshakes import log_refused, stay_http
from qhttpserver_py._serving.pending_sockets import going_away
from qhttpserver_py._websocket.protocol import ABNORMAL, GOING_AWAY, INTERNAL, NORMAL
from qhttpserver_py._websocket.socket import ConnectionClosed, WebSocket
from qhttpserver_py.asgi.cycle import Application, Event, HttpCycle, cancel_late, octets, resolved

Take = Callable[[str, Headers], tuple[WebSocket, bytes] | None]
"""Answers the handshake with a sub-protocol and fields; gives the socket and what came behind the handshake."""

CLOSE_GRACE = 2.0
"""Seconds that the applications of open WebSockets have when the server closes, before their tasks are cancelled."""

CONNECTING, OPEN, DENYING, CLOSED = range(4)
_EXPECTED = {
    CONNECTING: "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'",
    OPEN: "'websocket.send' or 'websocket.close'",
    DENYING: "'websocket.http.response.body'",
    CLOSED: "nothing: the WebSocket is closed",
}


class WebSocketCycle:
    """Runs the application once. Belongs to the server's thread."""

    __slots__ = (
        "__weakref__",
        "_code",
        "_denial",
        "_exchange",
        "_left",
        "_path",
        "_socket",
        "_take",
        "_told",
        "_waiters",
        "state",
        "task",
    )

    def __init__(self, exchange: Exchange, take: Take) -> None:
        self._exchange = exchange
        self._take = take
        self._path = exchange.message.path
        self._socket: WebSocket | None = None
        self._denial: HttpCycle | None = None
        self._left = False  # the client has
        self._code = ABNORMAL  # of a handshake that is given up
        self._told = False  # the application took the connect event
        self._waiters: list[asyncio.Future[None]] = []
        self.state = CONNECTING
        self.task: asyncio.Task[None] | None = None
        exchange.wait()  # the responder may be dropped: the application answers
        exchange.when_canceled(self._gone)

    # ---- running

    async def run(self, application: Application, scope: dict[str, Any]) -> None:
        """Run *application*, and end the connection where it has not."""
        code = INTERNAL  # of whatever it raises, CancelledError and KeyboardInterrupt too
        try:
            await application(scope, self.receive, self.send)
            code = NORMAL
            if self.state in (CONNECTING, DENYING) and not self._left:
                self._fail(RuntimeError(f"the application returned before {_EXPECTED[self.state]}"))
        except Exception as error:  # noqa: BLE001 - user code
            if not (self._left and isinstance(error, OSError)):
                self._fail(error)
        finally:
            self._end(code)

    def _fail(self, error: Exception) -> None:
        exchange = self._exchange
        if self._socket is not None:  # closed with 1011
            exchange._core.report(error, exchange.label)
            return
        if self.state == CONNECTING and exchange.connection is not None:
            stay_http(exchange.connection)
        exchange.fail_with(error)  # reported, and answered by 500 before the handshake is

    def _end(self, code: int) -> None:
        exchange, socket = self._exchange, self._socket
        if socket is not None:
            if self.state == OPEN:
                socket.close(code)
        elif exchange.connection is not None:  # it was cancelled before it answered, or in its answer
            if self.state == CONNECTING:
                stay_http(exchange.connection)
            exchange.fail()
        self.state = CLOSED
        self._wake()
        exchange.waited()

    # ---- what the application calls

    async def receive(self) -> Event:
        """Return the next event: connect, the messages, and disconnect from then on."""
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        while self._socket is None and self.state != CLOSED and not self._left:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        socket = self._socket
        if socket is None:
            return {"type": "websocket.disconnect", "code": self._code, "reason": ""}
        try:
            message = await socket.recv()
        except ConnectionClosed:
            self.state, self._left = CLOSED, True
            return {"type": "websocket.disconnect", "code": int(socket.closeCode()), "reason": socket.closeReason()}
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def send(self, event: Event) -> None:
        """Accept, refuse, send a message, or close.

        Raises:
            OSError: the client has left.
            RuntimeError: the event is not one whose turn it is.
            TypeError: a message or a field is not of the type that it must have.
            ValueError: a status, a field, a sub-protocol or a close code cannot be sent.
        """
        if self._left or (self.state == OPEN and self._socket is not None and not self._socket.isValid()):
            self._left = True
            raise ConnectionClosed("the client has left")
        kind, state = event["type"], self.state
        if kind == "websocket.send" and state == OPEN:
            assert self._socket is not None
            await self._socket.send(_message(event))
        elif kind == "websocket.accept" and state == CONNECTING:
            self._accept(event)
        elif kind == "websocket.close" and state in (CONNECTING, OPEN):
            self._close(event)
        elif kind.startswith("websocket.http.response.") and state in (CONNECTING, DENYING):
            await self._deny({**event, "type": kind.removeprefix("websocket.")})
        else:
            raise RuntimeError(f"the application sent {kind!r}; expected is {_EXPECTED[state]}")

    # ---- the handshake

    def _accept(self, event: Event) -> None:
        subprotocol = event.get("subprotocol") or ""
        fields = _fields(event.get("headers", ()))
        taken = self._take(subprotocol, fields)
        if taken is None:
            self._gone()
            raise ConnectionClosed("the client has left")
        self._socket, rest = taken
        self.state = OPEN
        self._socket.disconnected.connect(self._gone)
        self._socket.start(rest, queued=True)
        self._wake()

    def _close(self, event: Event) -> None:
        if self.state == OPEN:
            assert self._socket is not None
            code, reason = event.get("code") or NORMAL, event.get("reason") or ""
            if not (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) and not 3000 <= code <= 4999:
                raise ValueError(f"close code {code!r} cannot be sent (RFC 6455 7.4); use 1000 or 3000 to 4999")
            if len(reason.encode()) > 123:
                raise ValueError("the reason of a close has at most 123 octets (RFC 6455 5.5)")
            self._socket.close(code, reason)
        elif (connection := self._exchange.connection) is not None:  # ASGI: Close - before it is accepted, 403
            log_refused(403, f"the application at {self._path} closed it")
            stay_http(connection)
            self._exchange.send(403, (), b"")
        self.state = CLOSED
        self._wake()

    async def _deny(self, event: Event) -> None:
        """Answer the handshake by a response of the application's (ASGI: WebSocket Denial Response)."""
        if self._denial is None:
            if event["type"] != "http.response.start":
                raise RuntimeError(f"the application sent {event['type']!r} before 'websocket.http.response.start'")
            self._denial = HttpCycle(self._exchange, None)
        denial = self._denial
        await denial.send(event)
        if self.state == CONNECTING:
            log_refused(event["status"], f"the application at {self._path} denied it")
            if self._exchange.connection is not None:
                stay_http(self._exchange.connection)
            self.state = DENYING
        elif denial.is_complete:
            self._exchange.waited()  # what the denial waited for
            self.state = CLOSED
            self._wake()

    # ---- the end

    def go_away(self) -> None:
        """The server closes: ``websocket.disconnect`` is the next event, with 1001; the handshake is not answered."""
        if self._socket is not None:
            going_away(self._socket, CLOSE_GRACE)
        self._left, self._code = True, GOING_AWAY
        self._wake()

    def _gone(self) -> None:
        """The client has left, or the connection was closed."""
        self._left = True
        self._wake()
        cancel_late(self.task)

    def _wake(self) -> None:
        self._waiters = resolved(self._waiters)


def _message(event: Event) -> str | bytes:
    data, text = event.get("bytes"), event.get("text")
    if data is not None:
        return octets(data)
    if isinstance(text, str):
        return text
    raise TypeError(f"'websocket.send' has bytes as 'bytes' or a str as 'text', not {type(text).__name__}")


def _fields(given: Any) -> list[Header]:
    fields = []
    for name, value in given:
        name, value = octets(name).lower(), octets(value)  # noqa: PLW2901 - what is given may be any octets
        check_header(name, value)
        if name == b"sec-websocket-protocol":
            raise ValueError("the sub-protocol is 'subprotocol' of 'websocket.accept', not a header field")
        if name in _HANDSHAKE:
            log.warning(log.HTTP1, f"an application cannot set {name.decode()} of a WebSocket; left out")
            continue
        fields.append((name, value))
    return fields


_HANDSHAKE = frozenset(
    {b"connection", b"content-length", b"sec-websocket-accept", b"sec-websocket-extensions", b"transfer-encoding"}
    | {b"upgrade"}
)
