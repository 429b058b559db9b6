"""Routes of WebSockets: they find the handler of a handshake, call it, and close the socket when it has ended."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from PySide6.QtCore import QObject
from shiboken6 import isValid

from qhttpserver_py._loop import eventloop
from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._serving.handshakes import offered_subprotocols
from qhttpserver_py._websocket.protocol import INTERNAL, NORMAL, WebSocketProtocol
from qhttpserver_py._websocket.socket import ConnectionClosed, WebSocket
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter

LAST_SECONDS = 1.0
"""How long a coroutine may go on after its peer has left."""


class _Handler:
    """A handler without its first parameter, the socket, which is set just before the call."""

    def __init__(self, callback: Callable[..., Any]) -> None:
        self.__wrapped__ = callback  # where its annotations are looked up
        self.__qualname__ = getattr(callback, "__qualname__", type(callback).__qualname__)
        signature = inspect.signature(callback)
        self.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
        self.socket: WebSocket | None = None

    def __call__(self, *arguments: object, **named: object) -> Any:
        socket, self.socket = self.socket, None
        return self.__wrapped__(socket, *arguments, **named)


def admits_origin(message: Message, origins: Sequence[str] | None) -> bool:
    """Return whether the Origin of *message* is admitted: this host, a listed one, or none (RFC 6455 10.2)."""
    origin = next((value for name, value in message.headers if name == b"origin"), None)
    if origin is None or (origins is not None and "*" in origins):
        return True
    host = message.authority
    text = origin.decode("latin-1").lower()
    if text.partition("://")[2] == host.decode("latin-1").lower():
        return True
    return origins is not None and text in [one.lower() for one in origins]


class RouteOptions(NamedTuple):
    """The keywords of ``QAbstractHttpServer.websocket``."""

    subprotocols: Sequence[str]
    origins: Sequence[str] | None
    maximum_size: int
    compression: bool
    ping_interval: float


class Route(NamedTuple):
    """What a WebSocket route was registered with."""

    handler: _Handler
    options: RouteOptions

    def admits(self, message: Message) -> bool:
        """Return whether the Origin of *message* is admitted; see ``admits_origin``."""
        return admits_origin(message, self.options.origins)

    def subprotocol(self, message: Message) -> str:
        """Return the first sub-protocol of the client that the route supports, "" for none."""
        return next((name for name in offered_subprotocols(message) if name in self.options.subprotocols), "")

    def protocol(self) -> WebSocketProtocol:
        """Return a new connection's protocol."""
        return WebSocketProtocol(self.options.maximum_size, compression=self.options.compression)


class WebSocketRoutes:
    """The WebSocket routes of one server."""

    def __init__(self, server: QObject) -> None:
        self._router = QHttpServerRouter(server)
        self._routes: dict[int, Route] = {}

    def add(self, server: QObject, pattern: str, callback: Callable[..., Any], options: RouteOptions) -> bool:
        """Register *callback*; return False where the rule is refused."""
        handler = _Handler(callback)
        rule = self._router._add_view(pattern, QHttpServerRequest.Method.Get, server, handler)
        if rule is None:
            return False
        self._routes[id(rule)] = Route(handler, options)
        return True

    def find(self, message: Message) -> tuple[Route, Any, tuple[object, ...]] | None:
        """Return the route for *message*, its binding, and what its path captures."""
        found = self._router._lookup(message)
        if found is None:
            return None
        rule, captures = found
        return self._routes[id(rule)], rule._binding, captures


def run(core: Any, route: Route, binding: Any, captures: tuple[object, ...], socket: WebSocket, rest: bytes) -> None:
    """Call the handler with *socket*; a coroutine has it until it returns."""
    socket.setPingInterval(route.options.ping_interval)
    route.handler.socket = socket
    label = binding.name
    try:
        result = binding.call(captures, socket._handshake.asked, None)
    except BaseException as error:
        if isValid(socket):
            socket.start(rest, queued=True)
            socket.close(INTERNAL)
        if not isinstance(error, Exception):  # it is raised further, after the peer got a close frame
            raise
        core.report(error, label)
        return
    if not inspect.iscoroutine(result):
        if isValid(socket):
            socket.start(rest)
        return
    if isValid(socket):
        socket.start(rest, queued=True)
    task = eventloop.start(_until_done(core, label, socket, result))

    def cancel_later() -> None:
        if not task.done():
            task.get_loop().call_later(LAST_SECONDS, task.cancel)

    if isValid(socket):
        socket.disconnected.connect(cancel_later)


async def _until_done(core: Any, label: str, socket: WebSocket, result: Coroutine[Any, Any, Any]) -> None:
    """Run the handler, and close the socket with the code of its outcome."""
    code = INTERNAL  # for whatever it raises, CancelledError and KeyboardInterrupt too
    try:
        await result
        code = NORMAL
    except ConnectionClosed:  # the peer left, which is no error
        code = NORMAL
    except Exception as error:  # noqa: BLE001 - user code
        core.report(error, label)
    finally:
        if isValid(socket):
            socket.close(code)
