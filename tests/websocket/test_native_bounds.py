"""WebSockets of our own: every wait ends, every octet is bounded, whatever a peer or a handler does."""

from __future__ import annotations

import asyncio
import weakref

import pytest
from PySide6.QtCore import QEventLoop, QObject, QTimer, Signal
from shiboken6 import isValid

from qhttpserver_py import QHttpServer
from qhttpserver_py._websocket import protocol, session
from qhttpserver_py.websocket import ConnectionClosed, WebSocket

from ..support.rawclient import bound, logged, reported, settle, spin
from ..support.wsclient import BINARY, CLOSE, PING, PONG, TEXT, frame
from ..support.wsraw import WsClient

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


@pytest.fixture
def sockets(server) -> list[WebSocket]:
    """Sockets of the route /ws, whose coroutine waits and takes nothing."""
    kept: list[WebSocket] = []

    @server.websocket("/ws", compression=False)
    async def hold(socket: WebSocket) -> None:
        kept.append(socket)
        await socket.wait_closed()

    return kept


def test_two_coroutines_may_wait_for_messages(server) -> None:
    taken: list[object] = []

    @server.websocket("/ws")
    async def both(socket: WebSocket) -> None:
        async def one() -> None:
            try:
                taken.append(await socket.recv())
            except ConnectionClosed:
                taken.append("closed")

        await asyncio.gather(one(), one())
        await asyncio.gather(one(), one())

    client = WsClient(bound(server))
    client.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
    assert spin(lambda: sorted(taken) == ["a", "b"])
    client.close()
    assert spin(lambda: taken.count("closed") == 2)


def test_two_coroutines_may_wait_for_room(server) -> None:
    done: list[int] = []

    @server.websocket("/ws", compression=False)
    async def pour(socket: WebSocket) -> None:
        async def one(number: int) -> None:
            for _ in range(150):
                await socket.send(b"x" * 65536)
            done.append(number)

        await asyncio.gather(one(1), one(2))

    client = WsClient(bound(server))
    client.stop_reading()
    spin(lambda: False, 0.2)
    assert not done
    client.read_on()
    assert spin(lambda: len(done) == 2)


def test_a_cancelled_wait_costs_the_others_nothing(server) -> None:
    taken: list[object] = []

    @server.websocket("/ws")
    async def both(socket: WebSocket) -> None:
        given_up = asyncio.ensure_future(socket.recv())
        other = asyncio.ensure_future(socket.recv())
        await asyncio.sleep(0)
        given_up.cancel()
        taken.append(await other)

    client = WsClient(bound(server))
    client.send(frame(TEXT, b"a"))
    assert spin(lambda: taken == ["a"])


def test_a_slow_reader_holds_its_sender_and_gets_everything(server) -> None:
    sent: list[int] = []
    most: list[int] = [0]

    @server.websocket("/ws", compression=False)
    async def pour(socket: WebSocket) -> None:
        for number in range(400):
            await socket.send(number.to_bytes(4, "big") * 16384)
            sent.append(number)
            most[0] = max(most[0], socket.bytesToWrite())

    client = WsClient(bound(server))
    client.stop_reading()
    assert spin(lambda: sent)
    before = -1
    while before != len(sent):  # until the system's buffers are full, and the sender waits
        before = len(sent)
        spin(lambda: False, 0.15)
    assert before < 400
    assert most[0] <= session.HIGH_WATER + 65536 + 14
    client.read_on()
    assert spin(lambda: client.received.endswith(b"\x88\x02\x03\xe8"))
    payloads = client.payloads(BINARY)
    assert [payload[:4] for payload in payloads] == [number.to_bytes(4, "big") for number in range(400)]
    assert client.close_code() == 1000


def test_nothing_is_read_from_a_peer_that_pings_and_never_reads(server, sockets) -> None:
    client = WsClient(bound(server))
    assert spin(lambda: sockets)
    client.stop_reading()
    pings = frame(PING, b"x" * 125) * 2000
    most = 0
    for _ in range(100):  # 26 MB of them
        client.send(pings)
        spin(lambda: False, 0.005)
        most = max(most, sockets[0].bytesToWrite())
    assert client.socket.bytesToWrite() > 0  # TCP holds it back
    assert most <= session.HIGH_WATER + 2 * 262144
    client.read_on()
    assert spin(lambda: not client.socket.bytesToWrite() and len(client.received) > 20_000_000, 30)


class Job(QObject):
    progress = Signal(bytes)


def test_what_is_sent_to_a_peer_that_never_reads_has_a_bound(server) -> None:
    job, sockets = Job(), []

    @server.websocket("/ws", compression=False)
    def watch(socket: WebSocket) -> None:
        socket.setMaximumBytesToWrite(1 << 20)
        socket.connect(job.progress)
        sockets.append(socket)

    client = WsClient(bound(server))
    client.stop_reading()
    assert spin(lambda: sockets)
    most = 0
    with logged() as lines:
        for _ in range(200):
            job.progress.emit(b"x" * 65536)
            if isValid(sockets[0]):
                most = max(most, sockets[0].bytesToWrite())
    assert most <= (1 << 20) + 65536 + 14
    assert not isValid(sockets[0]) or not sockets[0].isValid()
    assert [text for _, _, text in lines if "does not read" in text]


def test_no_more_messages_are_decoded_than_somebody_has_room_for(server, sockets, monkeypatch) -> None:
    decoded: list[int] = []
    inner = protocol.WebSocketProtocol.next_message

    def counting(self: protocol.WebSocketProtocol, **options: bool):
        message = inner(self, **options)
        decoded.extend([1] if message is not None else [])
        return message

    monkeypatch.setattr(protocol.WebSocketProtocol, "next_message", counting)
    client = WsClient(bound(server))
    assert spin(lambda: sockets)
    client.send(frame(TEXT, b"m" * 20) * 5000)
    spin(lambda: False, 0.1)
    assert len(decoded) == session.MAXIMUM_QUEUE
    assert len(sockets[0]._session.queue or ()) == session.MAXIMUM_QUEUE


def test_a_queue_that_was_full_is_filled_again_and_in_order(server) -> None:
    taken: list[object] = []

    @server.websocket("/ws", compression=False)
    async def slow(socket: WebSocket) -> None:
        await asyncio.sleep(0.05)
        async for message in socket:
            taken.append(message)

    client = WsClient(bound(server))
    client.send(b"".join(frame(TEXT, b"%d" % number) for number in range(3000)))
    assert spin(lambda: len(taken) == 3000)
    assert taken == [str(number) for number in range(3000)]


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_the_fragments_of_a_message_are_counted(server, sockets, monkeypatch, payload) -> None:
    monkeypatch.setattr(protocol, "MAXIMUM_FRAGMENTS", 100)
    client = WsClient(bound(server))
    client.send(frame(TEXT, payload, fin=False) + frame(0, payload, fin=False) * 99)
    client.send(frame(PING))
    assert client.wait_frames(1) == [(PONG, True, b"")]
    client.send(frame(0, payload, fin=False))
    assert spin(lambda: client.closed)
    assert client.close_code() == 1009


class Fatal(BaseException):
    pass


ERRORS = [ZeroDivisionError, Fatal, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]


@pytest.mark.parametrize("error", [*ERRORS, pytest.fail.Exception, ConnectionRefusedError])
def test_a_function_that_raises_closes_with_1011(server, error) -> None:
    @server.websocket("/ws")
    def handler(socket: WebSocket) -> None:
        raise error

    with reported() as seen:
        client = WsClient(bound(server))
        assert spin(lambda: client.closed or client.close_code() is not None)
    assert client.close_code() == 1011
    assert len(seen) <= 1


@pytest.mark.parametrize(
    "error", [ZeroDivisionError, Fatal, asyncio.CancelledError, GeneratorExit, ConnectionRefusedError]
)
def test_a_coroutine_that_raises_closes_with_1011(server, error) -> None:
    @server.websocket("/ws")
    async def handler(socket: WebSocket) -> None:
        await asyncio.sleep(0)
        raise error

    with reported() as seen:
        client = WsClient(bound(server))
        assert spin(lambda: client.closed or client.close_code() is not None)
    assert client.close_code() == 1011
    if issubclass(error, Exception):  # one of a database, say, is not that of the peer who left
        assert [type(one) for one in seen] == [error]


def test_messages_stay_in_order_where_a_handler_spins_an_event_loop(server) -> None:
    heard: list[str] = []

    @server.websocket("/ws")
    def handler(socket: WebSocket) -> None:
        def take(text: str) -> None:
            heard.append(f"<{text}")
            if text == "a":
                client.send(frame(TEXT, b"c"))
                loop = QEventLoop()
                QTimer.singleShot(60, loop.quit)
                loop.exec()
            socket.sendTextMessage(text)
            heard.append(f"{text}>")

        socket.textMessageReceived.connect(take)

    client = WsClient(bound(server))
    client.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
    assert spin(lambda: len(heard) == 6)
    assert heard == ["<a", "a>", "<b", "b>", "<c", "c>"]
    assert [payload for _, _, payload in client.wait_frames(3)] == [b"a", b"b", b"c"]


def test_what_was_sent_leaves_though_the_handler_spins_an_event_loop(server) -> None:
    @server.websocket("/ws", compression=False)
    def handler(socket: WebSocket) -> None:
        def take(text: str) -> None:
            socket.sendTextMessage(text)
            if text == "a":
                assert spin(lambda: client.received, 5)

        socket.textMessageReceived.connect(take)

    client = WsClient(bound(server))
    client.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
    assert [payload for _, _, payload in client.wait_frames(2)] == [b"a", b"b"]


@pytest.mark.parametrize("how", ["delete", "abort", "close"])
def test_a_handler_may_end_its_socket_inside_an_event_loop(server, how) -> None:
    heard: list[str] = []

    @server.websocket("/ws")
    def handler(socket: WebSocket) -> None:
        def take(text: str) -> None:
            heard.append(text)
            {"delete": socket.deleteLater, "abort": socket.abort, "close": socket.close}[how]()
            spin(lambda: False, 0.05)

        socket.textMessageReceived.connect(take)

    client = WsClient(bound(server))
    with reported() as seen:
        client.send(frame(TEXT, b"a") * 3)
        assert spin(lambda: settle() or client.closed or client.close_code() is not None)
        spin(lambda: False, 0.02)
    assert seen == []
    assert set(heard) == {"a"}


@pytest.mark.parametrize("how", ["slot", "inside"])
def test_the_last_reference_to_the_server_may_go_with_a_socket(qapp, how) -> None:
    box = [QHttpServer()]
    gone = weakref.ref(box[0])

    def handler(socket: WebSocket) -> None:
        held = [box.pop()]
        if how == "slot":
            socket.destroyed.connect(lambda *_: held.clear())
        else:
            socket.textMessageReceived.connect(lambda _text: held.clear())

    box[0].websocket("/ws", handler)
    client = WsClient(bound(box[0]))
    assert spin(lambda: not box)
    client.send(frame(TEXT, b"a") * 3)
    if how == "slot":
        client.socket.disconnectFromHost()
    assert spin(lambda: settle() or gone() is None)
    assert spin(lambda: client.closed)


def test_a_peer_that_is_not_listened_to_is_not_taken_for_dead(server) -> None:
    ended: list[str] = []

    @server.websocket("/ws", ping_interval=0.03)
    async def busy(socket: WebSocket) -> None:
        await asyncio.sleep(0.3)  # the queue is full meanwhile, and pongs behind it are not read
        ended.append("open" if socket.isValid() else socket.errorString())

    client = WsClient(bound(server))
    client.send(frame(TEXT, b"x") * 100)
    assert spin(lambda: ended)
    assert ended == ["open"]


# ---- the end of each wait


def test_the_peer_is_waited_for_when_we_close(server) -> None:
    @server.websocket("/ws")
    async def ends(socket: WebSocket) -> None:
        pass

    client = WsClient(bound(server))
    assert spin(lambda: client.close_code() == 1000)
    spin(lambda: False, 0.05)
    assert not client.closed  # RFC 6455 7.1.1: after both have sent a close frame
    client.send(frame(CLOSE, b"\x03\xe8"))
    assert spin(lambda: client.closed)


@pytest.mark.parametrize("talks", [False, True])
def test_a_peer_that_does_not_agree_to_a_close_is_ended(server, monkeypatch, talks) -> None:
    from qhttpserver_py._websocket import socket as module

    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.1)

    @server.websocket("/ws")
    def ends(socket: WebSocket) -> None:
        socket.close(4001, "enough")

    client = WsClient(bound(server))
    if talks:
        timer = QTimer()
        timer.timeout.connect(lambda: client.send(frame(TEXT, b"x")))
        timer.start(5)
    assert spin(lambda: client.closed, 5)
    assert client.payloads(CLOSE) == [(4001).to_bytes(2, "big") + b"enough"]


def test_a_peer_that_broke_a_rule_and_goes_on_is_ended(server, sockets, monkeypatch) -> None:
    monkeypatch.setattr(session, "LINGER_SECONDS", 0.1)
    client = WsClient(bound(server))
    client.stop_reading()
    client.send(frame(3))
    assert spin(lambda: sockets)
    timer = QTimer()
    timer.timeout.connect(lambda: client.send(frame(TEXT, b"x" * 1000)))
    timer.start(5)
    assert spin(lambda: not isValid(sockets[0]) or not sockets[0]._session.state.value, 5)


@pytest.mark.parametrize("milliseconds", [0, 100, 1500])
def test_the_close_of_the_server_ends_silent_peers_within_its_grace(server, sockets, milliseconds) -> None:
    client = WsClient(bound(server))
    assert spin(lambda: sockets)
    server.close(milliseconds)
    assert spin(lambda: client.close_code() == 1001, 1)
    assert spin(lambda: client.closed, max(1.0, milliseconds / 1000) + 1)


def test_the_end_of_the_server_is_waited_for(server, sockets) -> None:
    done: list[bool] = []
    client = WsClient(bound(server))
    assert spin(lambda: sockets)

    async def end() -> None:
        server.close(5000)
        await server.wait_closed()
        done.append(client.closed)

    from qhttpserver_py import aio

    aio.start(end())
    assert spin(lambda: client.close_code() == 1001)
    assert not done
    client.send(frame(CLOSE, b"\x03\xe9"))
    assert spin(lambda: done)


def test_messages_are_answered_before_the_close_behind_them(server) -> None:
    @server.websocket("/ws", compression=False)
    async def echo(socket: WebSocket) -> None:
        async for message in socket:
            await asyncio.sleep(0.01)
            await socket.send(message)

    client = WsClient(bound(server))
    client.send(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(CLOSE, b"\x03\xe8"))
    assert spin(lambda: client.closed)
    assert [payload for _, _, payload in client.frames] == [b"a", b"b", b"\x03\xe8"]


def test_a_coroutine_that_takes_no_more_messages_does_not_keep_the_peer(server) -> None:
    ended: list[str] = []

    @server.websocket("/ws", compression=False)
    async def push(socket: WebSocket) -> None:
        await socket.recv()
        try:
            while True:
                await socket.send("tick")
                await asyncio.sleep(0.02)
        except ConnectionClosed:
            ended.append("closed")

    client = WsClient(bound(server))
    client.send(frame(TEXT, b"a"))
    client.wait_frames(2)
    client.send(frame(CLOSE, b"\x03\xe8"))
    assert spin(lambda: client.closed and ended, session.ANSWER_SECONDS + 2)
    assert client.close_code() == 1000
