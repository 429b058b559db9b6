"""Every wait ends, whatever a handler raises and however deep event loops are nested."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest
from PySide6.QtCore import QEventLoop, QTimer

from qhttpserver_py import QHttpServer, QHttpServerResponder
from qhttpserver_py._transport.connection import MAXIMUM_NESTED

from ..support.h2client import Http2Client
from ..support.rawclient import RawClient, bound, nested, spin

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def server() -> QHttpServer:
    made = QHttpServer()
    yield made
    made.close()


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What left the slots: pytest-qt and a program's own hook see it."""
    seen: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: seen.append(error))
    return seen


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


ERRORS = [asyncio.CancelledError, GeneratorExit, pytest.fail.Exception, pytest.skip.Exception, Unprintable]


def handlers(error: type[BaseException]):
    def returns() -> str:
        raise error("x")

    def responds(responder: QHttpServerResponder) -> None:
        raise error("x")

    def begins(responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked("text/plain")
        raise error("x")

    return {"returns": returns, "responds": responds, "begins": begins}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("way", ["returns", "responds"])
def test_the_peer_is_answered_whatever_a_handler_raises(server, raised, error, way) -> None:
    server.route("/", handlers(error)[way])
    client = RawClient(bound(server))
    client.get("/")
    assert client.reply().status == 500
    client.get("/missing")
    assert client.reply().status == 404  # the connection goes on


@pytest.mark.parametrize("error", ERRORS)
def test_a_reply_that_was_begun_is_cut_whatever_a_handler_raises(server, raised, error) -> None:
    server.route("/", handlers(error)["begins"])
    client = RawClient(bound(server))
    client.get("/")
    assert spin(lambda: client.closed)


def generators(error: type[BaseException], pieces: int):
    def returned():
        for _ in range(pieces):
            yield b"x" * 100_000
        raise error("x")

    async def asynchronous():
        for _ in range(pieces):
            yield b"x" * 100_000
        raise error("x")

    return {"sync": returned, "async": asynchronous}


@pytest.mark.parametrize("error", [*ERRORS, KeyboardInterrupt])
def test_a_generator_that_raises_before_its_first_piece_is_answered(server, raised, error) -> None:
    server.route("/", generators(error, 0)["sync"])
    client = RawClient(bound(server))
    client.get("/")
    assert client.reply().status == 500
    client.get("/missing")
    assert client.reply().status == 404  # answered once, and the connection goes on


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(("way", "pieces"), [("sync", 1), ("sync", 9), ("async", 0), ("async", 1), ("async", 9)])
def test_a_reply_whose_generator_raises_is_cut(server, raised, error, way: str, pieces: int) -> None:
    server.route("/", generators(error, pieces)[way])
    client = RawClient(bound(server))
    client.get("/")
    assert client.wait_closed()
    assert client.received[:12] in (b"", b"HTTP/1.1 200")
    assert not client.received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("error", ERRORS)
def test_hooks_are_all_called_whatever_one_of_them_raises(server, raised, error) -> None:
    called, held = [], []

    def fails() -> None:
        called.append("fails")
        raise error("x")

    def handler(responder: QHttpServerResponder) -> None:
        held.append(responder)
        responder._exchange.when_canceled(fails)
        responder._exchange.when_canceled(lambda: called.append("second"))

    server.route("/", handler)
    client = RawClient(bound(server))
    client.get("/")
    assert spin(lambda: held)
    client.socket.abort()
    assert spin(lambda: "second" in called)


def test_an_excepthook_that_raises_costs_no_answer(server, monkeypatch) -> None:
    def hook(kind, error, trace):
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "excepthook", hook)
    server.route("/", lambda: 1 / 0)
    client = RawClient(bound(server))
    client.get("/")
    assert client.reply().status == 500


@pytest.mark.parametrize("clients", [3 * MAXIMUM_NESTED])
def test_handlers_that_spin_event_loops_are_all_answered(server, clients: int) -> None:
    deepest = [0]

    def spins() -> str:
        deepest[0] = max(deepest[0], server._core.nested)
        nested(60)
        return "spun"

    server.route("/", spins)
    port = bound(server)
    peers = [RawClient(port) for _ in range(clients)]
    for peer in peers:
        peer.get("/")
    assert [peer.reply().body for peer in peers] == [b"spun"] * clients
    assert deepest[0] <= MAXIMUM_NESTED
    assert (server._core.nested, server._core.deferred) == (0, set())


def test_a_finished_reply_does_not_wait_for_the_handler_behind_it(server) -> None:
    loop = QEventLoop()
    server.route("/ok", lambda: "ok")
    server.route("/spin", lambda: loop.exec() or "spun")
    client = RawClient(bound(server))
    client.send(b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\nGET /spin HTTP/1.1\r\nHost: x\r\n\r\n")
    seen = []

    def look() -> None:
        if b"ok" in client.received:
            seen.append(loop.isRunning())
            loop.quit()

    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(5)
    QTimer.singleShot(5000, loop.quit)
    assert [client.reply().body, client.reply().body] == [b"ok", b"spun"]
    timer.stop()
    assert seen == [True]


def test_streams_whose_handlers_spin_event_loops_do_not_wait_for_each_other(server) -> None:
    waiting: list[QEventLoop] = []

    def meets() -> str:
        loop = QEventLoop()
        waiting.append(loop)
        if len(waiting) == len(streams):
            for one in waiting:
                QTimer.singleShot(0, one.quit)
        QTimer.singleShot(5000, loop.quit)
        loop.exec()
        return "met"

    server.route("/", meets)
    client, streams = Http2Client(bound(server)), (1, 3, 5, 7, 9)
    for stream in streams:
        client.get(stream, b"/")
    began = time.monotonic()
    client.wait_for(*streams)
    assert time.monotonic() - began < 5


def test_a_sweep_goes_on_past_a_connection_that_fails(server, raised, monkeypatch) -> None:
    server.route("/", lambda: "ok")
    port = bound(server)
    clients = [RawClient(port) for _ in range(3)]
    for client in clients:
        client.get("/")
        assert client.reply().status == 200
    swept = []
    kind = type(next(iter(server._core.connections)))
    whole = kind.sweep

    def sweep(self, now, timeout) -> None:
        swept.append(self)
        if len(swept) == 2:
            raise ZeroDivisionError
        whole(self, now, timeout)

    monkeypatch.setattr(kind, "sweep", sweep)
    server._core._swept_at = time.monotonic()
    server._core.sweep()
    assert spin(lambda: len(swept) >= 3)
    assert spin(lambda: sum(client.closed for client in clients) == 1)
