"""Whatever a peer has begun and whatever the handlers do, something ends every connection: the table of waits.

A walk through the states of a connection, over HTTP/1 and HTTP/2, with a clock of our own. In the end the peer falls
silent, or sends an octet a second. A connection may then wait for the program alone: for what a handler owes. Once
that is given, and its time has passed, nothing may be left.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from types import ModuleType
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponder
from qhttpserver_py._protocol.http2 import engine as http2_engine
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py._serving import answers
from qhttpserver_py._transport import closer, connection, core, requests
from qhttpserver_py.testing import FakeSocket

from ..support.h2frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    frame,
)
from ..support.stalling import StallingPeer

pytestmark = pytest.mark.usefixtures("qapp")

TIMEOUT = 15  # seconds, the keep-alive timeout
LONG = 90.0
"""Seconds after which no wait on a silent peer may be left: a timeout, a grace and a linger, one behind the other."""
LARGE = 3_000_000
TIMED: tuple[ModuleType, ...] = (connection, core, closer, requests, answers, http2_engine)

PATHS = ["/now", "/later", "/kept", "/begun", "/large", "/pieces", "/upload", "/piecewise", "/fails", "/none"]
PARTS = ["whole", "head", "line", "some", "chunk", "expects"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class WaitsMachine(StallingPeer, RuleBasedStateMachine):
    http2 = False

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.patches = ExitStack()
        for module in TIMED:
            self.patches.enter_context(patch.object(module, "monotonic", self.clock))
        self.server = QHttpServer()
        settings_of = self.server.configuration()
        settings_of.setKeepAliveTimeout(TIMEOUT)
        self.server.setConfiguration(settings_of)
        self.server._core.report = lambda *_: None  # type: ignore[method-assign]
        self.futures: list[Future[str]] = []
        self.responders: list[QHttpServerResponder] = []
        self.begun: list[QHttpServerResponder] = []
        self._routes()
        self.socket = FakeSocket()
        nobody = QHostAddress("127.0.0.1")
        peer = Peer(nobody, 1, nobody, 2)
        self.connection = connection.Connection(self.server._core, self.socket, "127.0.0.1", peer)  # type: ignore[arg-type]
        self.server._core.adopt(self.connection)
        self.connection.start(None)
        self.stream_id = -1
        self.drips = False  # the peer sends an octet each second, for ever
        if self.http2:
            self.socket.receive(PREFACE + frame(SETTINGS, 0, 0))

    def _routes(self) -> None:
        route, post = self.server.route, QHttpServerRequest.Method.Post
        for path in ("/now", "/none"):
            route(path, post, lambda: "posted")
        route("/now", lambda: "now")
        route("/later", self._later)
        route("/kept", self._keep)
        route("/begun", self._begin)
        route("/large", lambda: "x" * LARGE)
        route("/pieces", self._pieces)
        route("/fails", self._fail)
        route("/upload", post, lambda request: str(request.body().size()))
        route("/piecewise", post, self._piecewise, stream=True)

    def _later(self) -> Future[str]:
        self.futures.append(Future())
        return self.futures[-1]

    def _keep(self, responder: QHttpServerResponder) -> None:
        self.responders.append(responder)

    def _begin(self, responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked("text/plain")
        responder.writeChunk(b"begun")
        self.begun.append(responder)

    def _pieces(self) -> Iterator[bytes]:
        return iter([b"x" * 100_000] * 30)

    def _fail(self) -> str:
        raise LookupError

    async def _piecewise(self, request: QHttpServerRequest) -> str:
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return str(size)

    # ---- what the peer does

    @rule(path=st.sampled_from(PATHS), part=st.sampled_from(PARTS))
    def ask(self, path: str, part: str) -> None:
        self._receive(self._frames(path, part) if self.http2 else self._octets(path, part))

    def _octets(self, path: str, part: str) -> bytes:
        head = f"{path} HTTP/1.1\r\nHost: h\r\n".encode()
        return {
            "whole": b"GET " + head + b"\r\n",
            "head": b"GET " + head,
            "line": b"GE",
            "some": b"POST " + head + b"Content-Length: 100\r\n\r\nsome",
            "chunk": b"POST " + head + b"Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
            "expects": b"POST " + head + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
        }[part]

    def _frames(self, path: str, part: str) -> bytes:
        self.stream_id += 2
        method = b"GET" if part in ("whole", "head", "line") else b"POST"
        expects = [(b"expect", b"100-continue")] if part == "expects" else []
        fields = block(
            [(b":method", method), (b":scheme", b"http"), (b":path", path.encode()), (b":authority", b"h"), *expects]
        )
        some = frame(DATA, 0, self.stream_id, b"some")
        return {
            "whole": frame(HEADERS, END_HEADERS | END_STREAM, self.stream_id, fields),
            "head": frame(HEADERS, END_STREAM, self.stream_id, fields),  # a CONTINUATION is to follow
            "line": frame(HEADERS, END_HEADERS, self.stream_id, fields)[:12],
            "some": frame(HEADERS, END_HEADERS, self.stream_id, fields) + some,
            "chunk": frame(HEADERS, END_HEADERS, self.stream_id, fields) + some + some,
            "expects": frame(HEADERS, END_HEADERS, self.stream_id, fields),
        }[part]

    @rule(data=st.sampled_from([b"x", b"0\r\n\r\n", b"y" * 96, b"\r\n", b"\r\n\r\n", b"junk\r\n\r\n"]))
    def send(self, data: bytes) -> None:
        self._receive(data if not self.http2 else frame(DATA, 0, max(self.stream_id, 1), data))

    @precondition(lambda self: self.http2)
    @rule(kind=st.sampled_from(["ping", "close windows", "open windows", "a little", "reset", "goes on"]))
    def control(self, kind: str) -> None:
        stream = max(self.stream_id, 1)
        self._receive(
            {
                "ping": frame(PING, 0, 0, b"12345678"),
                "close windows": frame(SETTINGS, 0, 0, INITIAL_WINDOW_SIZE.to_bytes(2, "big") + bytes(4)),
                "open windows": frame(WINDOW_UPDATE, 0, 0, (1 << 20).to_bytes(4, "big")),
                "a little": frame(WINDOW_UPDATE, 0, stream, (1).to_bytes(4, "big")),
                "reset": frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")),
                "goes on": frame(DATA, END_STREAM, stream, b"rest"),
            }[kind]
        )

    @precondition(lambda self: not self.http2)
    @rule()
    def drip(self) -> None:
        self.drips = True

    @rule(count=st.sampled_from([1, 1000, 200_000]))
    def take(self, count: int) -> None:
        self.socket.take(count)
        self._turn()

    @rule()
    def leave(self) -> None:
        self.socket.peer_closes()
        self._turn()

    # ---- what the program does, and the clock

    @precondition(lambda self: self._owed)
    @rule()
    def answer(self) -> None:
        self._answer_all()

    @precondition(lambda self: self.responders)
    @rule()
    def drop_responder(self) -> None:
        self.responders.pop()
        self._turn()

    @rule()
    def close_server(self) -> None:
        self.server._core.close(0)
        self._turn()

    @rule(seconds=st.sampled_from([1.0, 6.0, 14.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self._pass(seconds)

    def _receive(self, data: bytes) -> None:
        if not self.socket.closed:
            self.socket.receive(data)
            self._turn()

    @property
    def _owed(self) -> bool:
        return bool(self.futures or self.responders or self.begun)

    def _answer_all(self) -> None:
        futures, self.futures = self.futures, []
        for future in futures:
            if not future.done():
                future.set_result("late")
        for responder in self.responders:
            responder.write(b"kept", b"text/plain")
        for responder in self.begun:
            responder.writeEndChunked(b"")
        self.responders, self.begun = [], []
        self._turn()

    def _pass(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            self.clock.now += 0.5
            if self.drips and self.clock.now % 1 == 0:
                self._receive(b"x")
            self.server._core.sweep()
            self._turn()

    def _turn(self) -> None:
        for _ in range(3):
            QCoreApplication.processEvents()

    # ---- what holds in the end

    @property
    def is_there(self) -> bool:
        return self.connection in self.server._core.connections

    def teardown(self) -> None:
        try:
            self._pass(LONG)
            assert not self.is_there or self._owed, "a silent peer, and nothing ends it"
            self._answer_all()
            self._pass(LONG)
            assert not self.is_there, "everything is answered, and nothing ends it"
            assert not self.connection.requests.exchanges
        finally:
            self.server._core.close(0)
            self.patches.close()


class Http2WaitsMachine(WaitsMachine):
    http2 = True


BUDGET = settings(max_examples=60, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))

TestHttp1 = WaitsMachine.TestCase
TestHttp1.settings = BUDGET
TestHttp2 = Http2WaitsMachine.TestCase
TestHttp2.settings = BUDGET
