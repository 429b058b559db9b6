"""The thread that finds blocking clients: when it looks, what it sees, what it leaves behind."""

from __future__ import annotations

import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from qhttpserver_py.testing.watchdog import PATIENCE, BlockingClientError, Watched


class Loop:
    """An event loop that takes what is posted to it, or does not."""

    def __init__(self, runs: bool) -> None:
        self.runs = runs
        self.errors: list[BlockingClientError] = []

    def post(self, call: Callable[[], None]) -> None:
        if self.runs:
            call()

    def watched(self, address: tuple[str, int]) -> Watched:
        return Watched(address, self.post, self.errors.append)


@pytest.fixture
def blocked() -> Iterator[tuple[int, tuple[str, int], socket.socket]]:
    """A thread that waits for a server that does not answer: its number, the server's address, the client."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        client.settimeout(10)
        started = threading.Event()

        def ask() -> None:
            started.set()
            try:
                client.recv(1)
            except OSError:
                pass

        thread = threading.Thread(target=ask)
        thread.start()
        assert started.wait(5)
        yield thread.ident, server.getsockname(), client
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        client.close()
        assert not thread.is_alive()


def test_a_loop_that_answers_is_not_looked_at() -> None:
    watched = Loop(runs=True).watched(("127.0.0.1", 1))
    assert [watched.is_suspect(now) for now in (0.0, 0.25, 0.5)] == [False, False, False]


def test_a_loop_that_does_not_is() -> None:
    watched = Loop(runs=False).watched(("127.0.0.1", 1))
    assert [watched.is_suspect(now) for now in (0.0, 0.25, 0.5)] == [False, True, True]


def test_a_client_that_waits_for_long_is_freed(blocked: tuple[int, tuple[str, int], socket.socket]) -> None:
    ident, address, client = blocked
    loop = Loop(runs=False)
    watched = loop.watched(address)
    watched.ident = ident
    assert not watched.is_suspect(0.0)
    frames = {}
    for step in range(1, 200):
        now = step * PATIENCE / 4
        assert watched.is_suspect(now)
        frames = sys._current_frames()
        watched.look(frames, now)
        if loop.errors:
            break
    assert "client.recv(1)" in str(loop.errors[0])
    assert frames == {}, "held while the thread goes on, its variables are deleted in this thread"
    assert client.recv(1) == b""


def test_another_servers_client_is_left_alone(blocked: tuple[int, tuple[str, int], socket.socket]) -> None:
    ident, (host, port), _client = blocked
    loop = Loop(runs=False)
    watched = loop.watched((host, port + 1))
    watched.ident = ident
    watched.is_suspect(0.0)
    for now in (1.0, 2.0, 3.0):
        watched.look(sys._current_frames(), now)
    assert loop.errors == []


def test_variables_that_cannot_be_looked_at() -> None:
    class Thing:
        pass

    thing = Thing()
    proxy = weakref.proxy(thing)
    del thing
    loop = Loop(runs=False)
    watched = loop.watched(("127.0.0.1", 1))
    frame = sys._getframe()
    assert "proxy" in frame.f_locals
    watched.look({watched.ident: frame}, 1.0)  # a line that looks as if it waited: recv()
    assert loop.errors == []
    assert proxy is not None
