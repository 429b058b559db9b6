"""A connection whose peer leaves while one of its handlers sits in a nested event loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEventLoop, QTimer
from shiboken6 import Shiboken

from qhttpserver_py import QHttpServer, QHttpServerResponder

from ..support.rawclient import RawClient, bound, settle, spin

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def server() -> Iterator[QHttpServer]:
    server = QHttpServer()
    yield server
    if Shiboken.isValid(server):
        server.close()


class Watched:
    """A client, and what becomes of the socket that serves it."""

    def __init__(self, server: QHttpServer) -> None:
        self.server = server
        self.client = RawClient(bound(server))
        self.deleted = False

    def leave(self) -> None:
        """Close from within the handler, and stay in an event loop until the server knows, and longer."""
        connection = next(iter(self.server._core.connections))
        connection.socket.destroyed.connect(self.note)
        self.client.close()
        loop = QEventLoop()
        poll = QTimer()
        poll.timeout.connect(lambda: None if self.server._core.connections else loop.quit())
        poll.start(1)
        loop.exec()
        assert not self.server._core.connections
        spin(lambda: self.deleted, 0.1)
        assert not self.deleted

    def note(self) -> None:
        self.deleted = True


def test_its_socket_outlives_the_handler(server: QHttpServer) -> None:
    watched = Watched(server)
    ended = []
    server.route("/", lambda: watched.leave() or ended.append(1) or "x")
    watched.client.get("/")
    assert spin(lambda: ended and watched.deleted)


def test_in_the_slot_that_hears_of_bytes_taken(server: QHttpServer) -> None:
    watched = Watched(server)
    ended = []

    def pieces():
        yield b"x" * (4 << 20)
        if not ended:
            ended.append(0)
            watched.leave()
            ended.append(1)
        yield b"y"

    server.route("/", pieces)
    watched.client.get("/")
    assert spin(lambda: ended and watched.deleted)


def test_the_listening_server_goes_meanwhile(server: QHttpServer) -> None:
    watched = Watched(server)
    ended = []

    def handler() -> str:
        watched.leave()
        Shiboken.delete(server.servers()[0])
        settle()
        assert not watched.deleted
        ended.append(1)
        return "x"

    server.route("/", handler)
    watched.client.get("/")
    assert spin(lambda: ended and watched.deleted)


@pytest.mark.parametrize("nested", [False, True])
def test_the_server_is_deleted_by_its_handler(server: QHttpServer, nested: bool) -> None:
    watched = Watched(server)
    ended = []

    def handler(responder: QHttpServerResponder) -> None:
        next(iter(server._core.connections)).socket.destroyed.connect(watched.note)
        Shiboken.delete(server)
        if nested:
            spin(lambda: watched.deleted, 0.1)
        assert not watched.deleted
        ended.append(1)

    server.route("/", handler)
    watched.client.get("/")
    assert spin(lambda: ended and watched.deleted)
    assert watched.client.wait_closed()
