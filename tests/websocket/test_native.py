"""WebSockets of our own: the class beside QWebSocket, routes, compression, limits, and ends."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QByteArray, QObject, QUrl, Signal
from PySide6.QtWebSockets import QWebSocket
from websockets.sync.client import connect as connect_sync

from qhttpserver_py import QHttpServerWebSocketUpgradeResponse as Verdict
from qhttpserver_py._serving import backends
from qhttpserver_py.websocket import CloseCode, WebSocket

from ..support.rawclient import RawClient, bound, spin
from ..support.threads import in_thread
from ..support.wsclient import UPGRADE_FIELDS

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


# ---- routes


def test_a_coroutine_takes_the_messages(server) -> None:
    @server.websocket("/room/<arg>")
    async def chat(socket: WebSocket, room: str) -> None:
        async for message in socket:
            await socket.send(f"{room}: {message}" if isinstance(message, str) else message[::-1])

    port = bound(server)

    def client() -> list[Any]:
        with connect_sync(f"ws://127.0.0.1:{port}/room/a%20b") as peer:
            peer.send("hi")
            peer.send(b"abc")
            return [peer.recv(5), peer.recv(5), peer.response.headers.get("Sec-WebSocket-Extensions", "")]

    text, octets, extensions = in_thread(client)
    assert (text, octets) == ("a b: hi", b"cba")
    assert "permessage-deflate" in extensions


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1_000_000])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_of_all_sizes(server, size, compression) -> None:
    @server.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)

    port = bound(server)

    def client() -> tuple[Any, Any]:
        with connect_sync(f"ws://127.0.0.1:{port}/echo", compression=compression, max_size=None) as peer:
            peer.send("é" * size)
            peer.send(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
            return peer.recv(10), peer.recv(10)

    text, octets = in_thread(client)
    assert (len(text), len(octets)) == (size, size)


def test_a_function_connects_signals(server) -> None:
    kept = []

    @server.websocket("/live")
    def live(socket: WebSocket) -> None:
        kept.append(socket)
        socket.textMessageReceived.connect(socket.sendTextMessage)

    port = bound(server)

    def client() -> Any:
        with connect_sync(f"ws://127.0.0.1:{port}/live") as peer:
            peer.send("x")
            return peer.recv(5)

    assert in_thread(client) == "x"
    assert spin(lambda: kept[0].closeCode() == 1000)


class Job(QObject):
    progress = Signal(str)


def test_a_signal_is_sent_at_each_emission(server) -> None:
    job, sockets = Job(), []

    @server.websocket("/job")
    def watch(socket: WebSocket) -> None:
        sockets.append(socket)
        socket.connect(job.progress)

    client = QWebSocket()
    received: list[str] = []
    client.textMessageReceived.connect(received.append)
    client.open(QUrl(f"ws://127.0.0.1:{bound(server)}/job"))
    assert spin(lambda: sockets)
    for number in range(3):
        job.progress.emit(str(number))
    assert spin(lambda: received == ["0", "1", "2"])
    client.abort()
    assert spin(lambda: not sockets[0].isValid())
    job.progress.emit("nobody")


@pytest.mark.parametrize(
    ("options", "fields", "status"),
    [
        ({}, [], 101),
        ({}, ["Origin: http://x"], 101),
        ({}, ["Origin: https://evil.test"], 403),
        ({"origins": ["https://good.test"]}, ["Origin: https://GOOD.test"], 101),
        ({"origins": ["*"]}, ["Origin: https://evil.test"], 101),
    ],
)
def test_origins(server, options, fields, status) -> None:
    server.websocket("/ws", lambda socket: None, **options)
    client = RawClient(bound(server))
    client.get("/ws", *UPGRADE_FIELDS, *fields)
    reply = client.reply(head_only=True)
    assert reply.status == status
    if status == 101:
        assert reply.headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_subprotocols_and_missing_routes(server) -> None:
    server.websocket("/ws", lambda socket: None, subprotocols=["b", "c"])
    port = bound(server)

    def client() -> Any:
        with connect_sync(f"ws://127.0.0.1:{port}/ws", subprotocols=["a", "c", "b"]) as peer:
            return peer.subprotocol

    assert in_thread(client) == "c"
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus):
        in_thread(lambda: connect_sync(f"ws://127.0.0.1:{port}/none").close())


# ---- limits and ends


def closed_with(port: int, path: str, *messages: Any, **options: Any) -> tuple[int, str]:
    from websockets.exceptions import ConnectionClosed

    def client() -> tuple[int, str]:
        with connect_sync(f"ws://127.0.0.1:{port}{path}", **options) as peer:
            try:
                for message in messages:
                    peer.send(message)
                while True:
                    peer.recv(5)
            except ConnectionClosed:
                return peer.protocol.close_code, peer.protocol.close_reason

    return in_thread(client)


def test_a_message_that_is_too_large(server) -> None:
    @server.websocket("/ws", max_message_size=1000)
    async def take(socket: WebSocket) -> None:
        async for _ in socket:
            pass

    port = bound(server)
    assert closed_with(port, "/ws", "x" * 1001)[0] == 1009
    assert closed_with(port, "/ws", "\0" * 10_000_000, max_size=None)[0] == 1009  # deflated it is small


def test_a_handler_that_ends_and_one_that_raises(server, reported) -> None:
    @server.websocket("/ends")
    async def ends(socket: WebSocket) -> None:
        await socket.send("bye")

    @server.websocket("/raises")
    async def raises(socket: WebSocket) -> None:
        raise ZeroDivisionError

    @server.websocket("/function")
    def function(socket: WebSocket) -> None:
        raise ZeroDivisionError

    port = bound(server)
    assert closed_with(port, "/ends")[0] == 1000
    assert closed_with(port, "/raises")[0] == 1011
    assert closed_with(port, "/function")[0] == 1011
    assert [type(error) for error in reported] == [ZeroDivisionError] * 2


def test_closing_the_server_says_going_away(server) -> None:
    sockets = []

    @server.websocket("/ws")
    async def hold(socket: WebSocket) -> None:
        sockets.append(socket)
        async for _ in socket:
            pass

    client = QWebSocket()
    client.open(QUrl(f"ws://127.0.0.1:{bound(server)}/ws"))
    assert spin(lambda: sockets)
    server.close(1000)
    assert spin(lambda: int(client.closeCode().value) == 1001)


def test_a_peer_that_vanished_is_found_by_pings(server) -> None:
    ended = []

    @server.websocket("/ws", ping_interval=0.05)
    async def hold(socket: WebSocket) -> None:
        async for _ in socket:
            pass
        ended.append(socket.errorString())

    client = RawClient(bound(server))  # answers no ping
    client.get("/ws", *UPGRADE_FIELDS)
    assert spin(lambda: ended, 5)
    assert "ping" in ended[0]


# ---- frames (RFC 6455 5 and 7, as Autobahn's chapters have them)


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True) -> bytes:
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    size = len(payload)
    bit = 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + size.to_bytes(8, "big")
    return head + (b"\0\0\0\0" if mask else b"") + payload


def text(data: bytes, **options: Any) -> bytes:
    return masked(1, data, **options)


CLOSE = 8
CASES = {
    "1.1.2 text": (text(b"x" * 125), [b"x" * 125], None),
    "1.2.8 binary": (masked(2, b"y" * 65536), [b"y" * 65536], None),
    "2.5 ping too long": (masked(9, b"x" * 126), [], 1002),
    "2.7 unasked pong": (masked(10, b"x") + text(b"a"), [b"a"], None),
    "3.1 reserved bit": (text(b"a", rsv=4), [], 1002),
    "4.1.1 reserved opcode": (masked(3), [], 1002),
    "4.2.1 reserved control": (masked(11), [], 1002),
    "5.1 fragmented ping": (masked(9, b"x", fin=False), [], 1002),
    "5.3 fragments": (text(b"a", fin=False) + masked(0, b"b"), [b"ab"], None),
    "5.6 ping between": (text(b"a", fin=False) + masked(9, b"p") + masked(0, b"b"), [b"ab"], None),
    "5.9 continuation of nothing": (masked(0, b"x"), [], 1002),
    "5.18 text in text": (text(b"a", fin=False) + text(b"b"), [], 1002),
    "6.2.1 utf-8": (text("Hello-µ@ßöäüàá-UTF-8!!".encode()), ["Hello-µ@ßöäüàá-UTF-8!!".encode()], None),
    "6.2.4 cut between octets": (text(b"\xce", fin=False) + masked(0, b"\xba"), ["κ".encode()], None),
    "6.3.1 bad utf-8": (text(b"\xce\xba\xed\xa0\x80edited"), [], 1007),
    "6.4.1 bad utf-8 at once": (text(b"\xce\xba\xf4\x90", fin=False), [], 1007),
    "6.6.2 cut character": (text(b"\xce"), [], 1007),
    "7.1.1 close": (masked(CLOSE, b"\x03\xe8"), [], 1000),
    "7.3.1 empty close": (masked(CLOSE), [], None),
    "7.3.2 one octet": (masked(CLOSE, b"x"), [], 1002),
    "7.5.1 bad reason": (masked(CLOSE, b"\x03\xe8\xce\xba\xed\xa0\x80"), [], 1007),
    "7.7.9 4999": (masked(CLOSE, b"\x13\x87"), [], 4999),
    "7.9.1 code 0": (masked(CLOSE, b"\0\0"), [], 1002),
    "7.9.4 code 1005": (masked(CLOSE, b"\x03\xed"), [], 1002),
    "unmasked": (text(b"a", mask=False), [], 1002),
}


def close_code_in(data: bytes) -> int | None:
    """Return the code of the close frame that *data*, frames of the server, ends with."""
    at = data.rfind(b"\x88")
    return int.from_bytes(data[at + 2 : at + 4], "big") if at >= 0 and data[at + 1] >= 2 else None


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("piece", [None, 1])
def test_frames(server, name, piece) -> None:
    wire, messages, code = CASES[name]
    if piece and len(wire) > 1000:
        pytest.skip("octet by octet for short ones")
    received: list[bytes] = []

    @server.websocket("/ws", compression=False)
    def take(socket: WebSocket) -> None:
        socket.textMessageReceived.connect(lambda message: received.append(message.encode()))
        socket.binaryMessageReceived.connect(lambda data: received.append(data.data()))

    client = RawClient(bound(server))
    client.get("/ws", *UPGRADE_FIELDS)
    assert client.reply(head_only=True).status == 101
    for begin in range(0, len(wire), piece or len(wire)):
        client.send(wire[begin : begin + (piece or len(wire))])
        if piece:
            spin(lambda: False, 0.001)
    if code is not None or wire[0] & 15 == CLOSE:
        assert spin(lambda: client.closed)
        assert close_code_in(client.received) == code
    else:
        assert spin(lambda: len(received) == len(messages))
        assert not client.closed
    assert received == messages


# ---- beside QWebSocket


NAMES = [
    "textMessageReceived",
    "binaryMessageReceived",
    "textFrameReceived",
    "binaryFrameReceived",
    "connected",
    "disconnected",
    "aboutToClose",
    "readChannelFinished",
    "bytesWritten",
    "pong",
    "errorOccurred",
    "stateChanged",
    "request",
    "requestUrl",
    "resourceName",
    "origin",
    "subprotocol",
    "peerAddress",
    "peerPort",
    "peerName",
    "localAddress",
    "localPort",
    "state",
    "isValid",
    "errorString",
    "closeCode",
    "closeReason",
    "bytesToWrite",
    "maxAllowedIncomingMessageSize",
    "setMaxAllowedIncomingMessageSize",
    "sendTextMessage",
    "sendBinaryMessage",
    "ping",
    "flush",
    "close",
    "abort",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_of_qwebsocket(name) -> None:
    assert hasattr(QWebSocket, name)
    assert hasattr(WebSocket, name)


def test_close_codes_are_those_of_qt() -> None:
    from PySide6.QtWebSockets import QWebSocketProtocol

    assert {code.name: code.value for code in CloseCode} == {
        code.name: code.value for code in QWebSocketProtocol.CloseCode
    }


@pytest.mark.parametrize("backend", ["qt", "native"])
def test_the_same_program_on_both(server, backend) -> None:
    facts: dict[str, Any] = {}
    sockets: list[Any] = []

    def connected() -> None:
        socket = server.nextPendingWebSocketConnection()
        sockets.append(socket)
        socket.textMessageReceived.connect(lambda message: socket.sendTextMessage(message.upper()))
        socket.binaryMessageReceived.connect(lambda data: socket.sendBinaryMessage(QByteArray(data)))
        socket.disconnected.connect(lambda: facts.update(ended=True))

    server.setWebSocketBackend(backend)
    server.addWebSocketUpgradeVerifier(server, lambda request: Verdict.accept())
    server.newWebSocketConnection.connect(connected)
    port = bound(server)
    client = QWebSocket(origin="http://here.test")
    received: list[Any] = []
    client.textMessageReceived.connect(received.append)
    client.binaryMessageReceived.connect(lambda data: received.append(data.data()))
    client.open(QUrl(f"ws://127.0.0.1:{port}/chat/a%20b?x=1"))
    assert spin(client.isValid)
    client.sendTextMessage("hello")
    client.sendBinaryMessage(QByteArray(b"\0\1"))
    assert spin(lambda: len(received) == 2)
    assert received == ["HELLO", b"\0\1"]
    (socket,) = sockets
    assert type(socket) is (WebSocket if backend == "native" else QWebSocket)
    assert socket.isValid()
    assert (socket.resourceName(), socket.origin()) == (f"ws://127.0.0.1:{port}/chat/a b?x=1", "http://here.test")
    assert socket.requestUrl().path() == "/chat/a b"
    assert socket.peerAddress().toString() == "127.0.0.1"
    assert socket.peerPort() == client.localPort()
    pongs: list[Any] = []
    client.pong.connect(lambda elapsed, payload: pongs.append(payload.data()))
    client.ping(QByteArray(b"p"))
    assert spin(lambda: pongs == [b"p"])
    client.close()
    assert spin(lambda: facts.get("ended"))
    assert int(getattr(socket.closeCode(), "value", socket.closeCode())) == 1000


def test_without_addons_the_native_one_is_given(server, monkeypatch) -> None:
    monkeypatch.setattr(backends, "has_qt", lambda: False)
    sockets: list[Any] = []
    server.addWebSocketUpgradeVerifier(server, lambda request: Verdict.accept())
    server.newWebSocketConnection.connect(lambda: sockets.append(server.nextPendingWebSocketConnection()))
    client = QWebSocket()
    client.open(QUrl(f"ws://127.0.0.1:{bound(server)}/"))
    assert spin(lambda: sockets)
    assert isinstance(sockets[0], WebSocket)
    with pytest.raises(ImportError, match="qwebsocket"):
        server.setWebSocketBackend("qt")
    client.abort()


def test_a_backend_that_is_none(server) -> None:
    with pytest.raises(ValueError, match="'auto', 'qt' or 'native'"):
        server.setWebSocketBackend("other")


def test_a_hundred_connections_leave_nothing(server) -> None:
    @server.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)

    port = bound(server)
    for _ in range(5):
        clients = []
        for number in range(20):
            client = QWebSocket()
            client.open(QUrl(f"ws://127.0.0.1:{port}/echo"))
            clients.append((client, number))
        assert spin(lambda: all(client.isValid() for client, _ in clients))
        for client, number in clients:
            client.sendTextMessage(str(number))
            if number % 2:
                client.abort()
            else:
                client.close()
        assert spin(lambda: not [one for one in server._upgrades.sockets if one.isValid()])
