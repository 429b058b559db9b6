"""Any order of what a peer, the handlers and the clock can do to a connection, against a short model.

The model: requests are answered in the order they were sent, each once, with its own number; a
malformed one is answered 400 and is the last; a peer that left gets nothing more.
"""

from __future__ import annotations

from concurrent.futures import Future

import httptools
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py._transport.connection import Connection
from qhttpserver_py._transport.writer import WRITE_HIGH
from qhttpserver_py.testing import FakeSocket

from ..support.stalling import StallingPeer

pytestmark = pytest.mark.usefixtures("qapp")

KINDS = st.sampled_from(["now", "later", "stream", "large", "fails", "body", "chunks", "none"])
TIMEOUT = 15.0
LARGE = 50_000


class Replies:
    """The answers in what was written: (status, body)."""

    def __init__(self) -> None:
        self.found: list[tuple[int, bytes]] = []
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
        self._read = 0

    def feed(self, written: bytearray) -> None:
        new, self._read = bytes(written[self._read :]), len(written)
        if new:
            self._parser.feed_data(new)

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        self.found.append((self._parser.get_status_code(), self._body))
        self._body = b""


class ConnectionMachine(StallingPeer, RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.server = QHttpServer()
        self.later: dict[int, Future[str]] = {}
        self.errors: list[BaseException] = []
        self.server._core.report = lambda error, *_: self.errors.append(error)  # type: ignore[method-assign]
        self._routes()
        self.socket = FakeSocket()
        nobody = QHostAddress("127.0.0.1")
        peer = Peer(nobody, 1, nobody, 2)
        self.connection = Connection(self.server._core, self.socket, "127.0.0.1", peer)  # type: ignore[arg-type]
        self.server._core.adopt(self.connection)
        self.connection.start(None)
        self.now = self.connection.active_at
        self.expected: list[tuple[int, bytes]] = []
        self.raised = 0
        self.refused = self.gone = False
        self.replies = Replies()

    def _routes(self) -> None:
        route = self.server.route
        route("/now/<arg>", lambda number: number)
        route("/later/<arg>", self._later)
        route("/stream/<arg>", lambda number: iter([number.encode()] * 3))
        route("/large/<arg>", lambda number: number * (LARGE // len(number)))
        route("/fails/<arg>", self._fails)
        for name in ("body", "chunks"):
            route(
                f"/{name}/<arg>", QHttpServerRequest.Method.Post, lambda number, request: bytes(request.body().data())
            )

    def _later(self, number: int) -> Future[str]:
        return self.later.setdefault(number, Future())

    def _fails(self, number: int) -> str:
        raise LookupError(number)

    # ---- what happens

    @precondition(lambda self: not self.gone)
    @rule(kinds=st.lists(KINDS, min_size=1, max_size=5), cut=st.integers(1, 400))
    def ask(self, kinds: list[str], cut: int) -> None:
        octets = b"".join(self._request(kind) for kind in kinds)
        for start in range(0, len(octets), cut):
            self.socket.receive(octets[start : start + cut])
            self._turn()

    def _request(self, kind: str) -> bytes:
        number = len(self.expected)
        text = str(number).encode()
        if self.refused or self.gone:
            return b"GET /now/never HTTP/1.1\r\nHost: h\r\n\r\n"
        wanted = {
            "now": (200, text),
            "later": (200, text),
            "stream": (200, text * 3),
            "large": (200, text * (LARGE // len(text))),
            "fails": (500, b""),
            "body": (200, text),
            "chunks": (200, text * 2),
            "none": (404, b""),
        }
        self.expected.append(wanted[kind])
        self.raised += kind == "fails"
        head = b"/%b/%b HTTP/1.1\r\nHost: h\r\n" % (kind.encode(), text)
        if kind == "body":
            return b"POST " + head + b"Content-Length: %d\r\n\r\n%b" % (len(text), text)
        if kind == "chunks":
            chunk = b"%x\r\n%b\r\n" % (len(text), text)
            return b"POST " + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 2 + b"0\r\n\r\n"
        return b"GET " + head + b"\r\n"

    @precondition(lambda self: not self.gone)
    @rule(
        junk=st.sampled_from([b"junk\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\nHost: h\r\n\r\n", b"\n"])
    )
    def break_rules(self, junk: bytes) -> None:
        if not self.refused:
            self.refused = True
            self.expected.append((505 if b"9.9" in junk else 400, b""))
        self.socket.receive(junk)
        self._turn()

    @precondition(lambda self: self.later)
    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.later)))
        future = self.later.pop(number)
        if not future.done():
            future.set_result(str(number))
        self._turn()

    @rule(count=st.integers(1, 200_000))
    def take(self, count: int) -> None:
        self.socket.take(count)
        self._turn()

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, though never enough for a deadline."""
        self.connection.active_at = max(self.connection.active_at, self.now)
        self.connection.sweep(self.connection.active_at + seconds, TIMEOUT)

    @precondition(lambda self: not self.gone)
    @rule()
    def leave(self) -> None:
        self.gone = True
        self.socket.peer_closes()
        self._turn()

    def _turn(self) -> None:
        for _ in range(4):
            QCoreApplication.processEvents()

    # ---- what holds

    @invariant()
    def answers_are_in_order_and_whole(self) -> None:
        self.replies.feed(self.socket.written)
        found = self.replies.found
        assert found == self.expected[: len(found)]

    @invariant()
    def only_the_handlers_own_errors_are_reported(self) -> None:
        assert {type(error) for error in self.errors} <= {LookupError}
        assert len(self.errors) <= self.raised

    @invariant()
    def unread_replies_are_bounded(self) -> None:
        assert self.socket.bytesToWrite() <= 2 * WRITE_HIGH + LARGE + 1000

    @invariant()
    def who_left_is_forgotten(self) -> None:
        if self.gone:
            assert self.connection not in self.server._core.connections
            assert not self.connection.requests.exchanges

    def teardown(self) -> None:
        """In the end all that could be answered is."""
        for number, future in self.later.items():
            if not future.done():
                future.set_result(str(number))
        self.socket.stalled = False
        for _ in range(40):
            self._turn()
            self.socket.take()
            for number in tuple(self.later):
                if not self.later[number].done():
                    self.later[number].set_result(str(number))
        self.answers_are_in_order_and_whole()
        if not self.gone:
            assert len(self.replies.found) == len(self.expected), (self.replies.found, self.expected)
        self.socket.peer_closes()
        assert not self.server._core.connections


TestConnection = ConnectionMachine.TestCase
TestConnection.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
