"""WebSocket verdicts that take a while, and verifiers and slots that spin event loops or delete things."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from PySide6.QtCore import QEventLoop, QTimer
from shiboken6 import Shiboken

from ..support.rawclient import reported, settle, spin
from ..support.wsclient import TEXT, Verdict, accept, frame, frames, handshake, refusal, switched, upgrading_servers

pytestmark = pytest.mark.usefixtures("qapp", "either_backend")


@pytest.fixture
def made():
    with upgrading_servers() as make:
        yield make


# ---- verdicts that take a while


def test_a_future_from_a_thread(made):
    with ThreadPoolExecutor(1) as pool:
        upgrading = made(lambda _request: pool.submit(accept))
        client = upgrading.client()
        switched(client)
        client.send(frame(TEXT, b"x"))
        assert spin(lambda: upgrading.heard == ["x"])


def test_a_coroutine(made):
    async def verify(_request):
        await asyncio.sleep(0)
        return Verdict.deny(401, "later")

    reply = refusal(made(verify))
    assert (reply.status, reply.body) == (401, b"later")


def test_a_late_pass_asks_the_next(made):
    future = Future()
    upgrading = made(lambda _request: future)
    upgrading.server.addWebSocketUpgradeVerifier(upgrading.server, lambda _request: Verdict.deny(410, "gone"))
    client = upgrading.client()
    spin(lambda: False, 0.05)
    assert client.received == b""
    future.set_result(Verdict.passToNext())
    assert client.reply().status == 410


@pytest.mark.parametrize("outcome", [ValueError("late"), 7])
def test_a_late_failure(made, outcome):
    future = Future()
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
    with reported() as errors:
        assert refusal(made(lambda _request: future)).status == 500
    assert len(errors) == 1


def test_a_canceled_verdict(made):
    future = Future()
    upgrading = made(lambda _request: future)
    client = upgrading.client()
    assert spin(lambda: upgrading.server._core.connections)
    spin(lambda: False, 0.05)
    with reported():
        future.cancel()
        assert client.reply().status == 500


def undecided(made):
    """Return the future of a verdict that a verifier has promised, its server and the client that waits for it."""
    future = Future()
    asked = []
    upgrading = made(lambda _request: asked.append(1) or future)
    client = upgrading.client()
    assert spin(lambda: asked)
    return future, upgrading, client


def test_the_peer_leaves_while_the_verdict_is_pending(made):
    future, upgrading, client = undecided(made)
    client.close()
    assert spin(lambda: not upgrading.server._core.connections)
    assert future.cancelled()
    assert upgrading.sockets == []


def test_a_verdict_that_comes_while_the_server_closes(made):
    future, upgrading, client = undecided(made)
    upgrading.server.close(5000)
    future.set_result(Verdict.accept())
    assert client.reply().status == 503
    assert client.wait_closed()


def test_frames_sent_while_the_verdict_is_pending(made):
    future, upgrading, client = undecided(made)
    for number in range(3):
        client.send(frame(TEXT, b"early%d" % number))
        spin(lambda: False, 0.02)
    future.set_result(Verdict.accept())
    switched(client)
    assert spin(lambda: len(upgrading.heard) == 3)
    assert upgrading.heard == ["early0", "early1", "early2"]


def test_http_sent_while_the_verdict_is_pending_is_not_interpreted(made):
    future, called = Future(), []
    upgrading = made(lambda _request: future)
    upgrading.server.route("/x", lambda: called.append(1) or "x")
    client = upgrading.client()
    spin(lambda: False, 0.02)
    client.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
    spin(lambda: False, 0.02)
    future.set_result(Verdict.deny())
    assert client.reply().status == 403
    assert client.wait_closed() and client.received == b""
    assert called == []


# ---- re-entrancy


def test_a_verifier_that_spins_a_loop(made):
    def verify(_request):
        loop = QEventLoop()
        QTimer.singleShot(30, loop.quit)
        loop.exec()
        return Verdict.accept()

    upgrading = made(verify)
    clients = [upgrading.client(handshake() + frame(TEXT, b"%d" % n)) for n in range(3)]
    for client in clients:
        switched(client)
    assert spin(lambda: len(upgrading.heard) == 3)


def test_the_peer_leaves_while_a_verifier_spins_a_loop(made):
    clients = []

    def verify(_request):
        clients[0].close()
        spin(lambda: not upgrading.server._core.connections)
        return Verdict.accept()

    upgrading = made(verify)
    clients.append(upgrading.client())
    assert spin(lambda: clients[0].closed and not upgrading.server._core.connections)
    assert upgrading.sockets == []


@pytest.mark.parametrize("late", [False, True])
def test_a_verifier_that_deletes_the_server(made, late):
    future = Future()

    def verify(_request):
        Shiboken.delete(upgrading.server)
        return future if late else Verdict.accept()

    upgrading = made(verify)
    client = upgrading.client()
    assert client.wait_closed()
    future.cancel()
    settle()
    assert client.received == b""


def test_a_verifier_that_closes_the_server(made):
    def verify(_request):
        upgrading.server.close()
        return Verdict.accept()

    upgrading = made(verify)
    client = upgrading.client()
    assert client.wait_closed()


@pytest.mark.parametrize("fetch", [True, False])
def test_the_slot_deletes_the_server(made, fetch):
    upgrading = made(accept, listen=False)
    kept = []

    def slot():
        if fetch:
            kept.append(upgrading.server.nextPendingWebSocketConnection())
        Shiboken.delete(upgrading.server)

    upgrading.server.newWebSocketConnection.connect(slot)
    client = upgrading.client()
    switched(client)
    if not fetch:
        assert client.wait_closed()
        return
    kept[0].sendTextMessage("alive")
    assert spin(lambda: frames(client.received) == [(TEXT, True, b"alive")])


def test_the_slot_spins_a_loop(made):
    upgrading = made(accept, listen=False)
    heard = []

    def slot():
        socket = upgrading.server.nextPendingWebSocketConnection()
        socket.textMessageReceived.connect(heard.append)
        spin(lambda: heard)
        socket.sendTextMessage("after")
        upgrading.sockets.append(socket)

    upgrading.server.newWebSocketConnection.connect(slot)
    client = upgrading.client(handshake() + frame(TEXT, b"early"))
    switched(client)
    assert spin(lambda: frames(client.received) == [(TEXT, True, b"after")])
    assert heard == ["early"]
