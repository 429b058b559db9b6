"""ASGI applications in the Qt event loop, beside the routes of the same server. Not in Qt.

``mount()`` gives every request below a prefix to an application: FastAPI, Starlette, the MCP SDK, or a coroutine of
three arguments. It runs on the asyncio loop of the server's thread, ours or that of qasync, so its handlers may touch
widgets; under PySide6.QtAsyncio on a loop of ours beside it; the protections of ``security`` and the limits of the
server apply before it. A request enters in ``Mounted.serve`` with its exchange, becomes a scope (``scope.py``), and
is answered by ``send`` (``cycle.py``); a handshake enters in ``Mounted.serve_websocket`` (``websocket.py``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._loop import eventloop
from qhttpserver_py._protocol.engine import Headers
from qhttpserver_py._qt import log
from qhttpserver_py._serving.handshakes import handshake_fault, offered_subprotocols
from qhttpserver_py._serving.upgrades import Upgrades
from qhttpserver_py._serving.websocket_routes import admits_origin
from qhttpserver_py._websocket.protocol import WebSocketProtocol
from qhttpserver_py._websocket.socket import MAXIMUM_MESSAGE, WebSocket
from qhttpserver_py.asgi.cycle import Application, HttpCycle
from qhttpserver_py.asgi.lifespan import FAILED, READY, STARTING, Lifespan, Mode
from qhttpserver_py.asgi.scope import http_scope, websocket_scope
from qhttpserver_py.asgi.websocket import CLOSE_GRACE, WebSocketCycle
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

if TYPE_CHECKING:
    from qhttpserver_py.qhttpserver import QHttpServer

__all__ = ["Application", "Mounted", "mount"]

MAXIMUM_WAITING = 1000
"""Requests that may wait for the application's startup; the next gets 503."""


class Mounted:
    """An application that is served below a prefix; ``mount()`` makes it. Belongs to the server's thread. Not in Qt."""

    def __init__(
        self,
        prefix: str,
        application: Application,
        lifespan: Mode,
        state: dict[str, Any],
        origins: Sequence[str] | None = None,
        maximum_message: int = MAXIMUM_MESSAGE,
    ) -> None:
        self.prefix = prefix
        """The path that the application is served below, "" for all paths. Not in Qt."""
        self._application = application
        self._origins = origins
        self._maximum_message = maximum_message
        self._lifespan = Lifespan(application, lifespan, state)
        self._lifespan.on_settled = self._serve_waiting
        self._waiting: deque[tuple[Exchange, Callable[[], None], Callable[[], None]]] = deque()
        self._tasks: dict[asyncio.Task[Any], WebSocketCycle | None] = {}
        self._ending: asyncio.TimerHandle | None = None
        if lifespan != "off":
            self._lifespan.task = eventloop.start_asyncio_task(self._lifespan.run())
            eventloop.before_close(self._end_with_program)

    @property
    def is_ready(self) -> bool:
        """Whether the application has started, or has no lifespan. Not in Qt."""
        return self._lifespan.status == READY

    @property
    def error(self) -> str:
        """Why the startup failed; "" if it did not. Requests are answered by 503 then. Not in Qt."""
        return self._lifespan.error

    @property
    def state(self) -> dict[str, Any]:
        """What the lifespan shares with the requests, each of which gets a shallow copy. Not in Qt."""
        return self._lifespan.state_dict

    def serve(self, exchange: Exchange, request: QHttpServerRequest) -> None:
        """Have the application answer; called by the server."""
        if self._lifespan.status == READY:
            self._run(exchange, request)
        else:
            refuse = partial(exchange.send, 503, (), b"")
            self._wait_for_startup(exchange, partial(self._run, exchange, request), refuse)

    def serve_websocket(self, upgrades: Upgrades, exchange: Exchange, request: QHttpServerRequest) -> None:
        """Have the application decide on a WebSocket handshake; called by the server's *upgrades*."""
        if (fault := handshake_fault(exchange.message)) is not None:
            upgrades.refuse(exchange, fault[0], fault[1].encode())
        elif not admits_origin(exchange.message, self._origins):
            upgrades.refuse(exchange, 403, b"pages of this origin may not connect")
        elif self._lifespan.status == READY:
            self._run_websocket(upgrades, exchange, request)
        else:
            run = partial(self._run_websocket, upgrades, exchange, request)
            self._wait_for_startup(exchange, run, partial(upgrades.refuse, exchange, 503, b""))

    def _wait_for_startup(self, exchange: Exchange, run: Callable[[], None], refuse: Callable[[], None]) -> None:
        if self._lifespan.status == STARTING and len(self._waiting) < MAXIMUM_WAITING:
            exchange.wait()
            self._waiting.append((exchange, run, refuse))
        else:
            refuse()

    def _run(self, exchange: Exchange, request: QHttpServerRequest) -> None:
        scope = http_scope(request._message, request._peer, self.prefix, self._lifespan.state_dict)
        cycle = HttpCycle(exchange, exchange.body)
        task = cycle.task = eventloop.start_asyncio_task(cycle.run(self._application, scope))
        if not task.done():
            self._keep(task)
            if exchange.connection is not None:
                exchange.connection.watch_drain()

    def _run_websocket(self, upgrades: Upgrades, exchange: Exchange, request: QHttpServerRequest) -> None:
        try:
            protocol = WebSocketProtocol(self._maximum_message, compression=True)
        except ImportError as error:
            log.warning(log.HTTP1, f"the application at {self.prefix or '/'} gets no WebSockets: {error}")
            upgrades.refuse(exchange, 501, b"WebSockets are not installed")
            return
        offered = offered_subprotocols(exchange.message)

        def take(subprotocol: str, fields: Headers) -> tuple[WebSocket, bytes] | None:
            if subprotocol and subprotocol not in offered:
                raise ValueError(f"the client did not offer the sub-protocol {subprotocol!r}")
            return upgrades.take_socket(exchange, request, protocol, subprotocol, fields)

        scope = websocket_scope(request._message, request._peer, self.prefix, self._lifespan.state_dict)
        cycle = WebSocketCycle(exchange, take)
        task = cycle.task = eventloop.start_asyncio_task(cycle.run(self._application, scope))
        if not task.done():
            self._keep(task, cycle)

    def _keep(self, task: asyncio.Task[Any], cycle: WebSocketCycle | None = None) -> None:
        self._tasks[task] = cycle
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if self._ending is not None and not self._tasks:
            self._shut_down()

    def _serve_waiting(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for exchange, run, refuse in waiting:
            if self._lifespan.status == FAILED:
                refuse()
            elif not exchange.state:
                run()
            exchange.waited()

    def close(self) -> None:
        """End the application; idempotent.

        Its WebSockets get ``websocket.disconnect`` with 1001, and two seconds until their tasks are cancelled; tasks
        of HTTP requests are cancelled at once. When all have ended, its lifespan is told.

        The server's ``close()`` calls it once the replies in flight are done. Not in Qt.
        """
        if self._ending is not None:
            return
        for task, cycle in tuple(self._tasks.items()):
            if cycle is None:
                task.cancel()
            else:
                cycle.go_away()
        if not self._tasks:
            self._lifespan.shut_down()
            return
        loop = next(iter(self._tasks)).get_loop()
        self._ending = loop.call_later(CLOSE_GRACE, self._give_up)

    def _give_up(self) -> None:
        """Cancel what still runs, and stop waiting for it."""
        for task in tuple(self._tasks):
            log.warning(log.SERVER, f"an ASGI application at {self.prefix or '/'} did not end; its task is cancelled")
            task.cancel()
        self._shut_down()

    def _shut_down(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        self._lifespan.shut_down()

    def _end_with_program(self) -> asyncio.Task[None] | None:
        self.close()
        return self._lifespan.task

    async def wait_closed(self) -> None:
        """Wait until the application's lifespan has ended (coroutine). Not in Qt."""
        task = self._lifespan.task
        if task is None or task.done():
            return
        done: Future[None] = Future()  # of another loop's task, perhaps
        task.add_done_callback(lambda _: done.set_result(None))
        await asyncio.wrap_future(done)


def mount(
    server: QHttpServer,
    prefix: str,
    application: Application,
    *,
    lifespan: Mode = "auto",
    state: dict[str, Any] | None = None,
    origins: Sequence[str] | None = None,
    max_message_size: int = MAXIMUM_MESSAGE,
) -> Mounted:
    """Serve every path below *prefix*, and *prefix* itself, by an ASGI 3 *application*.

    Args:
        server: the server; its own routes go first where the prefix is "/", in their order otherwise.
        prefix: "/" for all paths that no route of the server has, or a path such as "/api".
        application: ``async def application(scope, receive, send)``.
        lifespan: with "auto", an application that raises in its lifespan has none; with "on", it has failed to start;
        with "off", it gets no lifespan.
        state: what ``scope["state"]`` begins with.
        origins: pages of these origins may open WebSockets besides those of this host; "*" is any.
        max_message_size: octets of the largest WebSocket message, inflated; a larger one closes with 1009.

    Returns:
        What is mounted; it ends with the server.

    Raises:
        TypeError: *application* cannot be called.
        ValueError: *prefix* does not begin with "/", ends with one, or is percent-encoded.
        RuntimeError: called from another thread than the server's, or before there is a QCoreApplication.

    Not in Qt.
    """
    if not callable(application):
        raise TypeError(f"mount(): an ASGI application is callable; {type(application).__name__} is not")
    if prefix != "/" and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"mount(): a prefix is '/' or begins with '/' and does not end with it: {prefix!r}")
    if (decoded := unquote(prefix)) != prefix:
        raise ValueError(f"mount(): a prefix is compared with decoded paths: write {decoded!r} for {prefix!r}")
    server._check_thread("asgi.mount")
    path = "" if prefix == "/" else prefix
    mounted = Mounted(path, application, lifespan, dict(state or {}), origins, max_message_size)

    def handler(request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        mounted.serve(responder._exchange, request)

    if not server._mount(mounted.prefix, handler, mounted.serve, mounted.close):
        log.warning(log.SERVER, f"mount(): {prefix!r} was refused")
        return mounted
    server._upgrades.mounts = [*server._upgrades.mounts, (path, mounted.serve_websocket)]
    return mounted
