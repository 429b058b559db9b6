"""The server under load, in a process of its own; what it holds can be asked for at ``/stats``."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import random
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEventLoop, QObject, QTimer
from PySide6.QtNetwork import QHostAddress, QSslConfiguration, QSslServer, QTcpServer

from qhttpserver_py import (
    QHttpServer,
    QHttpServerConfiguration,
    QHttpServerRequest,
    QHttpServerResponder,
    QHttpServerWebSocketUpgradeResponse,
)
from qhttpserver_py._protocol import wire
from qhttpserver_py.testing import TlsAuthority

Post = QHttpServerRequest.Method.Post
WATCHED = (
    "Connection",
    "Exchange",
    "Http1Engine",
    "Http2Engine",
    "Pump",
    "BodyStream",
    "Tail",
    "Drain",
    "WebSocket",
    "AsyncSource",
    "IteratorSource",
    "QTcpSocket",
    "QSslSocket",
)
"""Classes whose live objects are counted."""


LARGE = bytes(5_000_000)
"""More than the system takes at once."""


class Injected(Exception):
    """What a handler raises on purpose."""


class Broken(BaseException):
    """What is no Exception, and raised on purpose."""


BREAKS = (Broken, asyncio.CancelledError, GeneratorExit)


def spun(milliseconds: int) -> None:
    """Open a nested event loop, as a dialog does."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


class Server(QHttpServer):
    """Every kind of handler once."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: set[Any] = set()
        self.random = random.Random(1)
        self.route("/", lambda: "home")
        self.route("/json/<arg>", self.json)
        self.route("/echo", Post, lambda request: request.body())
        self.route("/stream", lambda: (b"x" * 5000 for _ in range(20)))
        self.route("/big", lambda: (b"x" * 65536 for _ in range(500)))
        self.route("/large", lambda: LARGE)
        self.route("/later", self.later)
        self.route("/kept", self.kept)
        self.route("/fails", self.fails)
        self.route("/spins", self.spins)
        self.route("/breaks/<arg>/<arg>", self.breaks)
        self.route("/upload", Post, self.upload, stream=True)
        self.route("/full", Post, self.full_disk, stream=True)
        self.route("/clock", self.jump)
        self.route("/stats", self.stats)
        if self._can_upgrade():
            self.newWebSocketConnection.connect(self.talk)
        if importlib.util.find_spec("websockets") is not None:
            self.websocket("/live")(self.echo)

    def _can_upgrade(self) -> bool:
        try:
            accept = QHttpServerWebSocketUpgradeResponse.accept
            self.addWebSocketUpgradeVerifier(self, lambda request: accept())
        except ImportError:
            return False
        return True

    def json(self, number: int) -> dict[str, int]:
        return {"number": number}

    def later(self) -> Future[str]:
        future: Future[str] = Future()
        QTimer.singleShot(self.random.randrange(20), self, lambda: future.cancelled() or future.set_result("later"))
        return future

    def kept(self, responder: QHttpServerResponder) -> None:
        QTimer.singleShot(self.random.randrange(20), self, lambda: responder.write(b"kept", "text/plain"))

    def fails(self) -> str:
        if self.random.random() < 0.5:
            raise Injected
        return "well"

    def spins(self) -> str:
        spun(self.random.randrange(30))
        return "spun"

    def breaks(self, way: str, pieces: int) -> Any:
        """Raise a BaseException: at once, or in a coroutine or a generator, behind some pieces."""
        error = self.random.choice(BREAKS)

        async def coroutine() -> str:
            await asyncio.sleep(0)
            raise error

        def generator() -> Iterator[bytes]:
            yield from (b"x" * 5000 for _ in range(pieces))
            raise error

        async def generated() -> AsyncIterator[bytes]:
            for _ in range(pieces):
                yield b"x" * 5000
            raise error

        made = {"later": coroutine, "generator": generator, "generated": generated}
        if way in made:
            return made[way]()
        raise error

    async def echo(self, socket: Any) -> None:
        async for message in socket:
            await socket.send(message)

    def upload(self, request: QHttpServerRequest) -> Any:
        return self.spool(request, None)

    def full_disk(self, request: QHttpServerRequest) -> Any:
        return self.spool(request, "/dev/full")

    async def spool(self, request: QHttpServerRequest, path: str | None) -> str:
        size = 0
        with open(path, "wb", 0) if path else tempfile.TemporaryFile() as file:
            async for piece in request.stream():
                file.write(piece)
                size += len(piece)
        return str(size)

    def jump(self) -> str:
        """Set the wall clock back or forth, as far as the package looks at it."""
        offset = self.random.choice((-86400, 3600, 0))
        wire._date._clock = lambda: __import__("time").time() + offset
        return "jumped"

    def talk(self) -> None:
        while self.hasPendingWebSocketConnections():
            socket = self.nextPendingWebSocketConnection()
            if socket is None:
                return
            self.sockets.add(socket)
            socket.textMessageReceived.connect(lambda text, socket=socket: socket.sendTextMessage(text))
            socket.disconnected.connect(lambda socket=socket: (self.sockets.discard(socket), socket.deleteLater()))

    def stats(self) -> dict[str, Any]:
        forget_last_error()
        gc.collect()
        found = Counter(type(thing).__name__ for thing in gc.get_objects())
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {
            "rss": pages * resource.getpagesize(),
            "fds": len(os.listdir("/proc/self/fd")),
            "connections": len(self._core.connections),
            "children": len(self.findChildren(QObject)),
            "websockets": len(self.sockets),
            **{name: found[name] for name in WATCHED},
        }


def report(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Show what was not raised on purpose."""
    if not (kind in (Injected, OSError, *BREAKS) or isinstance(error.__cause__, BREAKS)):
        sys.__excepthook__(kind, error, trace)


def forget_last_error() -> None:
    """Let go of what Python keeps for a debugger: the frames of the last exception that left a slot."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)


def tls() -> QSslConfiguration | None:
    """Return a configuration with a certificate made now; None without trustme."""
    try:
        return TlsAuthority().server_configuration("localhost", h2=True)
    except ImportError:
        return None


def main() -> None:
    """Listen, print the two ports, and serve until the parent closes our input."""
    app = QCoreApplication([])
    sys.excepthook = report
    server = Server()
    configuration = QHttpServerConfiguration()
    configuration.setKeepAliveTimeout(2)
    server.setConfiguration(configuration)
    secure = QSslServer()
    if (made := tls()) is not None:
        secure.setSslConfiguration(made)
    ports = []
    for tcp in (QTcpServer(), secure):
        tcp.setListenBacklogSize(512)
        assert tcp.listen(QHostAddress("127.0.0.1"), 0)
        assert server.bind(tcp)
        ports.append(tcp.serverPort())
    descriptors = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    print(*ports, flush=True)
    app.exec()


if __name__ == "__main__":
    main()
