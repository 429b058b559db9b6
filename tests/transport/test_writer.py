"""Replies written straight to the system: whole, in part, not at all, behind others."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtNetwork import QAbstractSocket, QLocalServer, QLocalSocket

from qhttpserver_py import QHttpServer, QHttpServerResponder
from qhttpserver_py._transport import writer

from ..support.rawclient import RawClient, bound, spin

pytestmark = [
    pytest.mark.usefixtures("qapp"),
    pytest.mark.skipif(os.name != "posix", reason="elsewhere Qt writes everything"),
]

LARGE = b"0123456789" * 30_000
REQUEST = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"


class System:
    """Stands in for ``os``: takes *room* bytes of each write, fails where that is None, all where negative."""

    def __init__(self, room: int | None = -1) -> None:
        self.room = room
        self.calls: list[int] = []

    def writev(self, descriptor: int, pieces: Sequence[bytes]) -> int:
        return self.write(descriptor, b"".join(pieces))

    def write(self, descriptor: int, data: bytes) -> int:
        self.calls.append(len(data))
        if self.room is None:
            raise BlockingIOError
        return os.write(descriptor, data if self.room < 0 else data[: self.room])


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    taken = System()
    monkeypatch.setattr(writer, "os", taken)
    monkeypatch.setattr(writer.Writer, "_qt_wrote", True)
    return taken


def serving() -> tuple[QHttpServer, int]:
    server = QHttpServer()
    server.route("/small", lambda: "small")
    server.route("/large", lambda: LARGE)
    return server, bound(server)


@pytest.mark.parametrize("path", ["small", "large"])
def test_one_call_for_head_and_body(system: System, path: str) -> None:
    _server, port = serving()
    client = RawClient(port)
    for turn in range(3):
        client.get(f"/{path}")
        assert client.reply().body == {"small": b"small", "large": LARGE}[path]
        assert len(system.calls) == turn + 1


@pytest.mark.parametrize("room", [None, 0, 1, 20, 200, 70_000])
def test_what_the_system_does_not_take_follows_in_order(system: System, room: int | None) -> None:
    system.room = room
    _server, port = serving()
    client = RawClient(port)
    for _ in range(2):
        client.send(REQUEST % b"large" + REQUEST % b"small" + REQUEST % b"large")
        assert [client.reply().body for _ in range(3)] == [LARGE, b"small", LARGE]
    assert system.calls


def test_nothing_overtakes_what_qt_keeps(system: System) -> None:
    server, port = serving()
    with socket.create_connection(("127.0.0.1", port)) as peer:  # reads nothing at first
        peer.sendall((REQUEST % b"large" + REQUEST % b"small") * 20)
        assert spin(lambda: system.calls)
        (connection,) = server._core.connections
        assert spin(connection.socket.bytesToWrite)
        peer.setblocking(False)
        received = bytearray()

        def read() -> bool:
            with suppress(BlockingIOError):
                received.extend(peer.recv(1 << 20))
            return received.count(b"HTTP/1.1 200") == 40 and received.endswith(b"small")

        assert spin(read)
    bodies = [reply.partition(b"\r\n\r\n")[2] for reply in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [LARGE, b"small"] * 20


def test_a_descriptor_that_is_gone_is_not_written_to(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    server, port = serving()
    client = RawClient(port)
    client.get("/small")
    client.reply()
    (connection,) = server._core.connections
    connection.writer._file = -1
    connection.writer._descriptor = lambda: -1
    client.get("/small")
    assert client.reply().body == b"small"


@pytest.mark.parametrize("end", ["the peer", "abort()", "finish()", "Qt"])
def test_the_descriptor_is_known_no_longer_than_its_connection(system: System, end: str) -> None:
    """Its number may be another connection's, or a file's, as soon as it is closed."""
    server, port = serving()
    client = RawClient(port)
    client.get("/small")
    client.reply()
    (connection,) = server._core.connections
    assert connection.writer._file == connection.socket.socketDescriptor()
    acts = {"the peer": client.close, "Qt": connection.socket.abort}
    acts.get(end, getattr(connection, end[:-2], lambda: None))()
    assert spin(lambda: connection.socket is None)
    connection.engine._out.append(b"late")
    calls = len(system.calls)
    connection.flush()
    assert len(system.calls) == calls


def test_the_first_bytes_of_the_process_go_through_qt(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer.Writer, "_qt_wrote", False)
    _server, port = serving()
    client = RawClient(port)
    for _ in range(2):
        client.get("/small")
        assert client.reply().body == b"small"
    assert len(system.calls) == 1


def test_pieces_of_an_exchange_go_through_qt(system: System) -> None:
    """A producer that waits for bytesWritten() is called for every byte."""
    server, port = serving()

    def paced(responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked("text/plain")
        responder.writeChunk(b"one")
        QTimer.singleShot(0, lambda: responder.writeEndChunked(b"two"))

    server.route("/paced", paced)
    client = RawClient(port)
    client.get("/paced")
    assert client.reply().body == b"onetwo"
    assert len(system.calls) <= 1  # the last piece may: nobody waits behind it


def test_small_writes_leave_at_once() -> None:
    server, port = serving()
    client = RawClient(port)
    client.get("/small")
    client.reply()
    (connection,) = server._core.connections
    assert connection.socket.socketOption(QAbstractSocket.SocketOption.LowDelayOption) == 1


def test_local_sockets(system: System, tmp_path: Path) -> None:
    server, _port = serving()
    local = QLocalServer()
    assert local.listen(str(tmp_path / "s"))
    assert server.bind(local)
    client = QLocalSocket()
    client.connectToServer(local.fullServerName())
    client.write(REQUEST % b"large")
    received = bytearray()
    assert spin(lambda: received.extend(client.readAll().data()) or received.endswith(LARGE))
    assert len(system.calls) == 1


BROKEN_PIPE = """
import signal, socket, struct, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
from PySide6.QtCore import QCoreApplication, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer
from qhttpserver_py import QHttpServer

app = QCoreApplication([])
server, tcp = QHttpServer(), QTcpServer()
assert tcp.listen(QHostAddress("127.0.0.1"), 0) and server.bind(tcp)
peers = []

def reset_first():
    peer = peers[-1]
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    return b"x" * 100_000

server.route("/", reset_first)
left = 5

def ask():
    global left
    left -= 1
    if left < 0:
        app.quit()
        return
    peers.append(socket.create_connection(("127.0.0.1", tcp.serverPort())))
    peers[-1].sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")

timer = QTimer()
timer.timeout.connect(ask)
timer.start(50)
QTimer.singleShot(20_000, lambda: sys.exit(3))
app.exec()
print("alive")
"""


def test_a_broken_pipe_does_not_end_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", BROKEN_PIPE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
