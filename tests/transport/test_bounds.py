"""Every bound, reached over a real connection: what it answers, and that the server goes on."""

from __future__ import annotations

import gc
import os
import socket
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtNetwork import QTcpSocket

from qhttpserver_py import QHttpServer, QHttpServerConfiguration, QHttpServerRequest, QHttpServerResponder
from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.closer import LINGER
from qhttpserver_py._transport.reader import READ_BUFFER
from qhttpserver_py._transport.writer import WRITE_HIGH

from ..support.h2frames import PREFACE, settings
from ..support.rawclient import RawClient, ask, bound, logged, settle, spin

pytestmark = pytest.mark.usefixtures("qapp")

Post = QHttpServerRequest.Method.Post
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
IDLE = 1
"""The keep-alive timeout of these tests, in seconds."""

LATE = 2.5
"""When a deadline of IDLE must have been noticed: one sweep later, and the machine's own delays."""


def configured(**settings: int) -> tuple[QHttpServer, int]:
    """Return a server with these settings, and its port."""
    server = QHttpServer()
    server.route("/", lambda: "home")
    server.route("/echo", Post, lambda request: request.body())
    configuration = QHttpServerConfiguration()
    for name, value in settings.items():
        getattr(configuration, f"set{name[0].upper()}{name[1:]}")(value)
    server.setConfiguration(configuration)
    return server, bound(server)


def still_serves(port: int) -> bool:
    return ask(port, "/").body == b"home"


# ---- sizes


@pytest.mark.parametrize(
    ("setting", "value", "fits", "exceeds", "status"),
    [
        ("maximumUrlSize", 40, b"GET /?" + b"a" * 38, b"GET /?" + b"a" * 39, 414),
        ("maximumTotalHeaderSize", 40, b"X: " + b"a" * 24, b"X: " + b"a" * 60, 431),
        ("maximumHeaderFieldSize", 20, b"X: " + b"a" * 10, b"X: " + b"a" * 30, 431),
        ("maximumHeaderFieldCount", 3, b"A: b\r\nC: d", b"A: b\r\nC: d\r\nE: f", 431),
    ],
)
def test_heads(setting: str, value: int, fits: bytes, exceeds: bytes, status: int) -> None:
    _server, port = configured(**{setting: value})

    def request(part: bytes) -> bytes:
        if part.startswith(b"GET"):
            return part + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        return b"GET / HTTP/1.1\r\nHost: x\r\n" + part + b"\r\n\r\n"

    for part, expected in ((fits, 200), (exceeds, status)):
        client = RawClient(port)
        client.send(request(part))
        assert client.reply().status == expected
        client.close()
    assert still_serves(port)


@pytest.mark.parametrize(
    ("begin", "status"), [(b"GET /", 414), (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", 431), (b"M", 414)]
)
def test_an_endless_head_is_cut_while_it_arrives(begin: bytes, status: int) -> None:
    server, port = configured()
    client = RawClient(port)
    client.send(begin)
    sent = 0
    while not client.received and sent < 1_000_000:
        client.send(b"a" * 8192)
        sent += 8192
        settle()
    assert client.reply().status == status
    assert sent < 400_000  # the limit, and what was on its way
    del server


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies(chunked: bool) -> None:
    _server, port = configured(maximumBodySize=10)
    field = "Transfer-Encoding: chunked" if chunked else "Content-Length: {}"
    for size, status in ((10, 200), (11, 413)):
        client = RawClient(port)
        client.get("/echo", field.format(size), method="POST")
        client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size) if chunked else b"x" * size)
        assert client.reply().status == status
    assert still_serves(port)


# ---- connections and requests


@pytest.mark.parametrize("setting", ["maximumConnections", "maximumConnectionsPerHost"])
def test_connections(setting: str) -> None:
    _server, port = configured(**{setting: 2})
    kept = [RawClient(port) for _ in range(2)]
    for client in kept:
        client.send(REQUEST)
        assert client.reply().status == 200
    third = RawClient(port)
    third.send(REQUEST)
    assert third.reply().status == 429
    assert third.wait_closed()
    kept[0].close()
    assert spin(lambda: _connections(_server) == 1)
    assert still_serves(port)
    kept[1].close()


def _connections(server: QHttpServer) -> int:
    return len(server._core.connections)


def test_rate() -> None:
    _server, port = configured(rateLimitPerSecond=5)
    client = RawClient(port)
    client.send(REQUEST * 20)
    seen = [client.reply().status for _ in range(20)]
    assert seen[:5] == [200] * 5
    assert 429 in seen  # a second may end in between, but not three times
    assert seen.count(200) <= 10


def test_pipelined_requests_wait_in_the_socket() -> None:
    """Behind a reply that is not there yet nothing is parsed without end: TCP holds the peer back."""
    server, port = configured()
    later: Future[str] = Future()
    server.route("/later", lambda: later)
    client = RawClient(port)
    client.get("/later")
    client.send(REQUEST * 200_000)  # 5 MB
    connection = _only(server)
    assert spin(lambda: connection.socket.bytesAvailable() >= READ_BUFFER / 2 or client.socket.bytesToWrite() > 0)
    settle()
    assert len(connection.requests.queue) <= READ_BUFFER // len(REQUEST) + 1
    assert connection.socket.bytesAvailable() <= READ_BUFFER
    assert connection.engine._receiver._unread == b"" or len(connection.engine._receiver._unread) <= READ_BUFFER
    later.set_result("now")
    assert client.reply().body == b"now"
    assert client.reply().body == b"home"
    client.close()


def _only(server: QHttpServer):  # type: ignore[no-untyped-def]
    assert spin(lambda: _connections(server) == 1)
    settle()
    return next(iter(server._core.connections))


def test_unread_replies_hold_further_requests_back() -> None:
    server, port = configured()
    server.route("/big", lambda: b"x" * 100_000)
    client = RawClient(port)
    client.socket.setReadBufferSize(1)
    client.socket.setSocketOption(QTcpSocket.SocketOption.ReceiveBufferSizeSocketOption, 4096)
    client.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
    connection = _only(server)
    assert spin(lambda: connection.socket.bytesToWrite() >= WRITE_HIGH)
    for _ in range(20):
        settle()
    assert connection.socket.bytesToWrite() < 2 * WRITE_HIGH + 100_300
    client.close()


def test_a_process_without_descriptors_accepts_again() -> None:
    """Qt pauses a server whose accept() failed, for good."""
    server, port = configured()
    tcp = server.servers()[0]
    tcp.pauseAccepting()
    with logged() as lines:
        tcp.acceptError.emit(QTcpSocket.SocketError.SocketResourceError)
        tcp.acceptError.emit(QTcpSocket.SocketError.SocketResourceError)
        assert still_serves(port)
    assert [text for _, _, text in lines if "Cannot accept" in text] == [lines[0][2]]


# ---- deadlines


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (b"GET / HT", 408),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: y", 408),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", 408),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 408),
    ],
    ids=["request-line", "fields", "body", "chunk"],
)
def test_what_stalls_is_answered_408(begin: bytes, status: int) -> None:
    _server, port = configured(keepAliveTimeout=IDLE)
    client = RawClient(port)
    began = monotonic()
    client.send(begin)
    assert client.reply().status == status
    assert client.wait_closed()
    assert IDLE - 0.1 <= monotonic() - began < LATE + 2


def test_a_head_that_trickles_is_answered_408() -> None:
    """Slowloris: each byte comes in time, the head does not."""
    _server, port = configured(keepAliveTimeout=IDLE)
    client = RawClient(port)
    began = monotonic()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
    while not client.received and monotonic() - began < 5:
        client.send(b"X")
        spin(lambda: client.received, 0.1)
    assert client.reply().status == 408
    assert monotonic() - began < LATE


def test_a_body_that_trickles_is_let_in() -> None:
    """A slow upload makes progress; only one that stalls is cut."""
    _server, port = configured(keepAliveTimeout=IDLE)
    client = RawClient(port)
    client.get("/echo", "Content-Length: 8", method="POST")
    for _ in range(8):
        client.send(b"x")
        spin(lambda: client.received, 0.3)
    assert client.reply().body == b"x" * 8


def test_idle_connections_close() -> None:
    _server, port = configured(keepAliveTimeout=IDLE)
    fresh, used = RawClient(port), RawClient(port)
    used.send(REQUEST)
    assert used.reply().status == 200
    began = monotonic()
    assert fresh.wait_closed()
    assert used.wait_closed()
    assert monotonic() - began < LATE
    assert fresh.received == used.received == b""


@pytest.mark.parametrize(("path", "sip"), [("/big", 0), ("/big", 20), ("/stream", 20), ("/events", 0)])
def test_a_reader_that_takes_next_to_nothing_is_cut(path: str, sip: int) -> None:
    """Slow read: bytes wait for the peer, whether more are added to them or not."""
    server, port = configured(keepAliveTimeout=IDLE)
    server.route("/big", lambda: b"x" * 8_000_000)
    server.route("/stream", lambda: (b"x" * 10_000 for _ in range(1000)))
    server.route("/events", events)
    with reader(port, path) as peer:
        assert spin(lambda: _connections(server) == 1)
        began = monotonic()
        while _connections(server) and monotonic() - began < 8:
            spin(lambda: not _connections(server), 0.2)
            with suppress(OSError):
                peer.recv(sip) if sip else None
        assert not _connections(server)
        assert monotonic() - began < 2 * LATE


def events(responder: QHttpServerResponder) -> None:
    """Send without asking whether anybody takes it, as an event stream does."""
    responder.writeBeginChunked("text/plain")
    timer = QTimer()
    timer.timeout.connect(
        lambda: timer.stop() if responder.isResponseCanceled() else responder.writeChunk(b"x" * 20_000)
    )
    timer.start(10)


def reader(port: int, path: str) -> socket.socket:
    """Return a connection that asked for *path* and reads nothing by itself."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(5)
    peer.connect(("127.0.0.1", port))
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    peer.setblocking(False)
    return peer


def test_a_reader_that_is_slow_is_served() -> None:
    server, port = configured(keepAliveTimeout=IDLE)
    server.route("/big", lambda: b"x" * 4_000_000)
    client = RawClient(port)
    client.socket.setReadBufferSize(100_000)
    client.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    began = monotonic()
    taken = 0
    client.socket.readyRead.disconnect()
    while taken < 4_000_000 and monotonic() - began < 8:
        taken += len(client.socket.read(150_000).data())
        spin(lambda: False, 0.05)
    assert taken >= 4_000_000
    client.close()


def test_a_held_reply_is_not_cut() -> None:
    server, port = configured(keepAliveTimeout=IDLE)
    later: Future[str] = Future()
    server.route("/later", lambda: later)
    client = RawClient(port)
    client.get("/later")
    assert not spin(lambda: client.closed, LATE)
    later.set_result("now")
    assert client.reply().body == b"now"


# ---- memory

PER_CONNECTION = 24_000
"""Bytes that Python holds for an idle connection at most. Qt's buffers are not in it."""


@pytest.mark.parametrize(
    "begin", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: y", REQUEST], ids=["silent", "half-a-head", "idle"]
)
def test_memory_of_a_connection(begin: bytes) -> None:
    server, port = configured()
    ask(port, "/")
    assert spin(lambda: _connections(server) == 0)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    clients = [QTcpSocket() for _ in range(100)]
    for client in clients:
        client.connectToHost("127.0.0.1", port)
    ready: Callable[[], bool] = lambda: _connections(server) == 100
    assert spin(ready)
    for client in clients:
        client.write(begin)
    for _ in range(5):
        settle()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held / 100 < PER_CONNECTION
    for client in clients:
        client.abort()
    assert spin(lambda: _connections(server) == 0)


def test_memory_of_a_refused_peer_does_not_grow() -> None:
    """What comes behind a refusal is thrown away, not kept, and the peer can read why."""
    server, port = configured()
    with reader(port, "/ HTTP/1.1 HTTP/1.1") as peer:
        connection = _only(server)
        assert spin(lambda: connection.reader.drops_input)
        for _ in range(50):
            with suppress(OSError):
                peer.send(b"x" * 65536)
            settle()
            assert connection.socket is None or connection.socket.bytesAvailable() == 0
        assert peer.recv(100).startswith(b"HTTP/1.1 400 ")
        assert spin(lambda: not _connections(server), LINGER + 2)


def test_a_download_that_ends_the_connection_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left to send when the connection closes is not cut while the peer takes it."""
    for module in ("closer", "deadlines"):
        monkeypatch.setattr(f"qhttpserver_py._transport.{module}.GRACE", 0.5)
    server, port = configured(keepAliveTimeout=IDLE)
    server.route("/big", lambda: b"x" * 3_000_000)
    client = RawClient(port)
    client.socket.readyRead.disconnect()
    client.socket.disconnected.disconnect()
    client.socket.setReadBufferSize(50_000)
    client.get("/big", "Connection: close")
    taken, began = 0, monotonic()
    while taken < 3_000_000 and monotonic() - began < 8:
        taken += len(client.socket.read(100_000).data())
        spin(lambda: False, 0.06)
    assert taken >= 3_000_000
    assert monotonic() - began > 1.5
    client.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such option")
def test_the_system_holds_least_of_http2() -> None:
    """What it holds of a large reply, no small one can overtake."""
    server, port = configured()
    clients = RawClient(port), RawClient(port)
    clients[0].send(PREFACE + settings())
    clients[1].get("/")
    clients[1].reply()
    assert spin(lambda: all(connection.reader.first is None for connection in server._core.connections))
    held = {}
    for connection in server._core.connections:
        with socket.socket(fileno=os.dup(connection.socket.socketDescriptor())) as raw:
            held[connection.engine.interleaves] = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
    assert held == {True: sockets.INTERLEAVED_UNSENT_BYTES, False: sockets.UNSENT_BYTES}


def test_a_sweep_of_a_thousand_connections_yields_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a thousand connections must not keep anybody's answer waiting."""
    server, _ = configured()
    core, swept, posted = server._core, [], []
    clock = [100.0]

    class Slow:
        def __init__(self, number: int) -> None:
            self.number = number

        def sweep(self, now: float, timeout: float) -> None:
            swept.append(self.number)
            clock[0] += 0.0008

    monkeypatch.setattr("qhttpserver_py._transport.core.monotonic", lambda: clock[0])
    monkeypatch.setattr(core, "post", posted.append)
    monkeypatch.setattr(core, "connections", {Slow(number) for number in range(30)})
    core._swept_at = clock[0]
    core.sweep()
    assert len(swept) == 3
    core.sweep()  # the timer came again before that was through
    assert len(swept) == 3
    turns = 1
    while posted:
        posted.pop()()
        turns += 1
    assert (turns, sorted(swept)) == (11, list(range(30)))
    assert not core._sweeps
    core.connections = set()


def test_what_the_system_holds_is_not_cut_by_the_lingering_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last byte left us at once; a reset now would drop those the peer has still to take."""
    monkeypatch.setattr("qhttpserver_py._transport.closer.LINGER", 0.3)
    server, port = configured()
    size = 400_000

    def last() -> bytes:
        server.close(30_000)
        return b"x" * size

    server.route("/last", last)
    with reader(port, "/last") as peer:
        connection = _only(server)
        assert spin(lambda: connection.closer.closing and not sockets.bytes_to_write(connection.socket))
        taken, began = b"", monotonic()
        while monotonic() - began < 10:
            with suppress(BlockingIOError):
                if not (data := peer.recv(60_000)):
                    break
                taken += data
            spin(lambda: False, 0.05)
    assert len(taken.partition(b"\r\n\r\n")[2]) == size
    assert monotonic() - began > 0.5


def test_time_in_which_the_loop_was_blocked_does_not_count() -> None:
    """After a blocking handler, or a sleep of the machine, what peers sent meanwhile is read first."""
    server, port = configured(keepAliveTimeout=IDLE)
    half, idle = RawClient(port), RawClient(port)
    half.send(b"GET / HTTP/1.1\r\n")
    assert spin(lambda: _connections(server) == 2)
    settle()
    core = server._core
    for connection in core.connections:
        connection.active_at -= 30
        connection.reader.head_since = connection.reader.head_since and connection.reader.head_since - 30
    core._swept_at = monotonic() - 30
    half.send(b"Host: x\r\n\r\n")
    core.sweep()
    assert half.reply().body == b"home"
    assert idle.wait_closed(LATE)


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such option")
@pytest.mark.parametrize(("others", "held"), [(0, 3_000_000), (260, 1_000_000)])
def test_the_system_holds_little_for_who_reads_nothing(others: int, held: int) -> None:
    """Of few connections it takes large replies at once; of each in a crowd less."""
    server, port = configured()
    size = 8_000_000
    server.route("/big", lambda: b"x" * size)
    crowd = [RawClient(port) for _ in range(others)]
    assert spin(lambda: _connections(server) == others)
    before = set(server._core.connections)
    with reader(port, "/big"):
        assert spin(lambda: len(server._core.connections - before) == 1)
        (connection,) = server._core.connections - before
        assert spin(connection.socket.bytesToWrite)
        for _ in range(20):
            settle()
        assert connection.socket.bytesToWrite() > size - held
    for client in crowd:
        client.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such option")
def test_the_share_of_the_system_follows_the_crowd_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(sockets, "share_unsent", lambda _server, connections: told.append(connections))
    server, port = configured()
    crowd = [RawClient(port) for _ in range(40)]
    assert spin(lambda: _connections(server) == 40)
    assert told == [0, 1, 3, 7, 15, 31, 63]
    for client in crowd:
        client.close()
    assert spin(lambda: _connections(server) == 0)
    RawClient(port)
    assert spin(lambda: _connections(server) == 1)
    assert told[7:] == [0]
