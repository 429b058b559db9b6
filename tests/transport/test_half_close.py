"""Replies to clients that closed their half: Qt has closed the connection, and the rest is written all the same."""

from __future__ import annotations

import os
import socket
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic

import pytest
from shiboken6 import delete

from qhttpserver_py import QHttpServer
from qhttpserver_py._transport import writer as sending
from qhttpserver_py._transport.half_close import Tail, UnsentBytes

from ..support.descriptors import files
from ..support.rawclient import bound, settle, spin

pytestmark = [
    pytest.mark.usefixtures("qapp"),
    pytest.mark.skipif(os.name != "posix", reason="needs descriptors"),
]

SIZE = 12_000_000


@pytest.mark.parametrize(
    ("added", "count", "expected"),
    [
        ([(b"abc", 3)], 3, b"abc"),
        ([(b"abc", 2)], 2, b"bc"),
        ([(b"abc", 3), (b"def", 6)], 4, b"cdef"),
        ([(b"abc", 3), (b"def", 2)], 2, b"ef"),
        ([(b"abc", 3), (b"def", 3), (b"g", 4)], 4, b"defg"),
        ([(b"abc", 3)], 0, b""),
    ],
)
def test_what_qt_may_still_keep(added: list[tuple[bytes, int]], count: int, expected: bytes) -> None:
    given = UnsentBytes(0)
    for piece, waiting in added:
        given.add(piece, waiting)
    given.close()
    assert b"".join(given.last(count)) == expected


def test_what_has_left_is_forgotten() -> None:
    given = UnsentBytes(0)
    for _ in range(1000):
        given.add(bytes(1000), 1500)
    given.close()
    assert given._size < 4000


def half_closed(port: int, path: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.setblocking(False)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def read_all(client: socket.socket, seconds: float = 10.0) -> bytes:
    """Read to the end while the event loop of this thread runs."""
    received, until = bytearray(), monotonic() + seconds
    while monotonic() < until:
        settle()
        with suppress(BlockingIOError):
            data = client.recv(1 << 20)
            if not data:
                break
            received += data
    return bytes(received)


@pytest.fixture
def server() -> QHttpServer:
    server = QHttpServer()
    server.route("/large", lambda: b"x" * SIZE)
    server.route("/never", Future)
    return server


def test_a_large_reply_after_a_half_close(server: QHttpServer) -> None:
    port, before = bound(server), files()
    with half_closed(port, "/large") as client:
        assert spin(lambda: [c for c in server._core.connections if c.socket.bytesToWrite()])
        client.shutdown(socket.SHUT_WR)
        assert spin(lambda: not server._core.connections)
        assert len(server._core.tails) == 1
        assert len(read_all(client).partition(b"\r\n\r\n")[2]) == SIZE
    assert spin(lambda: not server._core.tails)
    settle()
    assert files() <= before
    assert not server._core.socket_parent.children()


def test_a_reply_that_is_cut_looks_cut(server: QHttpServer) -> None:
    """The second request's reply never comes: nothing may follow the first one as if it were all."""
    port = bound(server)
    with half_closed(port, "/never") as client:
        assert spin(lambda: [c for c in server._core.connections if c.requests.exchanges])
        client.shutdown(socket.SHUT_WR)
        assert spin(lambda: not server._core.connections)
        assert server._core.tails == set()
        assert read_all(client) == b""


@pytest.mark.parametrize("end", ["the peer leaves", "it takes nothing", "the server closes", "the server is deleted"])
def test_the_end_of_a_tail(server: QHttpServer, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "GRACE", 0.3 if end == "it takes nothing" else 60.0)
    port, before = bound(server), files()
    core = server._core
    client = half_closed(port, "/large")
    assert spin(lambda: [c for c in core.connections if c.socket.bytesToWrite()])
    client.shutdown(socket.SHUT_WR)
    assert spin(lambda: core.tails)
    if end == "the peer leaves":
        client.close()
    elif end == "the server closes":
        server.close()
    elif end == "the server is deleted":
        delete(server)
    assert spin(lambda: not core.tails)
    if end != "the peer leaves":
        with pytest.raises(ConnectionResetError):
            read_all(client)
        client.close()
    settle()
    assert files() <= before


def tail_of(server: QHttpServer, client: socket.socket) -> Tail:
    """Have *client* close its half while a large reply waits; return what writes the rest."""
    core = server._core
    assert spin(lambda: [c for c in core.connections if c.socket.bytesToWrite()])
    client.shutdown(socket.SHUT_WR)
    assert spin(lambda: core.tails)
    (tail,) = core.tails
    return tail


def test_the_end_of_a_tail_needs_no_descriptor(server: QHttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to end just where the process has none left."""

    def none_left(_descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    core, port = server._core, bound(server)
    with half_closed(port, "/large") as client:
        tail = tail_of(server, client)
        monkeypatch.setattr("qhttpserver_py._transport.half_close.os.dup", none_left)
        tail.stop()
        assert core.tails == set()
        with pytest.raises(ConnectionResetError):
            read_all(client)


def test_a_slow_reader_has_its_time(server: QHttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system takes more by the megabyte: that it does not for a while is not the peer's standstill."""
    monkeypatch.setattr(sending, "GRACE", 0.2)
    core, port = server._core, bound(server)
    with half_closed(port, "/large") as client:
        tail = tail_of(server, client)
        until = monotonic() + 1.0
        while monotonic() < until:
            spin(lambda: False, 0.05)
            with suppress(BlockingIOError):
                client.recv(40_000)
        assert core.tails == {tail}


def test_a_keep_alive_connection_lets_the_second_descriptor_go(server: QHttpServer) -> None:
    server.route("/small", lambda: "small")
    port = bound(server)
    with half_closed(port, "/large") as client:
        assert spin(lambda: [c for c in server._core.connections if c.writer._unsent is not None])
        (connection,) = server._core.connections
        received = bytearray()

        def read() -> bool:
            with suppress(BlockingIOError):
                received.extend(client.recv(1 << 20))
            return len(received) > SIZE

        assert spin(read)
        client.sendall(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
        assert spin(lambda: read() and received.endswith(b"small"))
        assert connection.writer._unsent is None


def test_where_no_descriptor_is_left_the_reply_goes_on(server: QHttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    port = bound(server)
    with half_closed(port, "/large") as client:
        monkeypatch.setattr("qhttpserver_py._transport.half_close.os.dup", none_left)
        assert spin(lambda: [c for c in server._core.connections if c.socket.bytesToWrite()])
        assert [c.writer._unsent for c in server._core.connections] == [None]
        assert spin(lambda: len(client.recv(1)) == 1)
