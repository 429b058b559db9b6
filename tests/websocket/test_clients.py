"""WebSocket clients of others: the websockets package and Qt's, over TCP and TLS, and leaving in every state."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websockets.asyncio.client as websockets_client
from PySide6.QtNetwork import QTcpSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from qhttpserver_py import security
from qhttpserver_py.testing.tls import TlsAuthority

from ..support import threads
from ..support.rawclient import RawClient, settle, spin
from ..support.wsclient import TEXT, Upgrading, Verdict, accept, bound_tls, frame, handshake, open_qt, switched

pytestmark = pytest.mark.usefixtures("qapp", "either_backend")

State = QTcpSocket.SocketState


@pytest.fixture
def echo() -> Iterator[Upgrading]:
    """An echo in the sub-protocol "chat" where that is offered."""

    def verify(request: Any) -> Verdict:
        offered = bytes(request.value("Sec-WebSocket-Protocol").data())
        return Verdict.accept(subprotocol="chat" if b"chat" in offered else "")

    made = Upgrading(verify=verify)

    def answer() -> None:
        socket = made.sockets[-1]
        socket.textMessageReceived.connect(socket.sendTextMessage)
        socket.binaryMessageReceived.connect(socket.sendBinaryMessage)

    made.server.newWebSocketConnection.connect(answer)
    yield made
    made.close()


def in_thread(work: Callable[[], Any]) -> Any:
    """Run the coroutine function *work* in a thread with a loop of its own, serving meanwhile."""
    return threads.in_thread(lambda: asyncio.run(work()))


# ---- the websockets package


@pytest.mark.parametrize("secure", [False, True])
def test_websockets(echo: Upgrading, authority: TlsAuthority, secure: bool) -> None:
    port = bound_tls(echo.server, authority) if secure else echo.port
    url = f"ws{'s' * secure}://localhost:{port}/chat"

    async def talk() -> Any:
        options = {"ssl": authority.ssl_context()} if secure else {}
        async with websockets_client.connect(url, subprotocols=["soap", "chat"], proxy=None, **options) as client:
            heard = []
            for message in ("text", b"binary", "", "x" * 100_000, b"\x00" * 1_000_000, "κόσμε"):
                await client.send(message)
                heard.append(await client.recv() == message)
            await client.send(["in ", "pieces"])
            heard.append(await client.recv() == "in pieces")
            await (await client.ping(b"ping"))
            return heard, client.subprotocol, client.response.headers["Upgrade"].lower()

    heard, subprotocol, upgrade = in_thread(talk)
    assert heard == [True] * 7
    assert (subprotocol, upgrade) == ("chat", "websocket")
    assert spin(lambda: echo.heard[-1] == "gone")
    assert echo.sockets[0].closeCode().value == 1000


def test_websockets_is_refused(echo: Upgrading) -> None:
    echo.server.addBeforeRequestHandler(echo.server, lambda _request: None)
    echo.server._upgrades.verifiers.items = []
    echo.server.addWebSocketUpgradeVerifier(echo.server, lambda _request: Verdict.deny(401, b"who?"))

    async def talk() -> Any:
        with pytest.raises(InvalidStatus) as raised:
            await websockets_client.connect(f"ws://localhost:{echo.port}/", proxy=None)
        return raised.value.response

    response = in_thread(talk)
    assert (response.status_code, response.reason_phrase, response.body) == (401, "who?", b"who?")


def test_the_server_closes(echo: Upgrading) -> None:
    from PySide6.QtWebSockets import QWebSocketProtocol

    code = QWebSocketProtocol.CloseCode.CloseCodeGoingAway
    echo.server.newWebSocketConnection.connect(lambda: echo.sockets[-1].close(code, "lunch"))

    async def talk() -> Any:
        async with websockets_client.connect(f"ws://localhost:{echo.port}/", proxy=None) as client:
            with pytest.raises(ConnectionClosed) as raised:
                await client.recv()
            return raised.value.rcvd.code, raised.value.rcvd.reason

    assert in_thread(talk) == (1001, "lunch")


def test_twenty_at_once(echo: Upgrading) -> None:
    async def one(number: int) -> Any:
        async with websockets_client.connect(f"ws://localhost:{echo.port}/{number}", proxy=None) as client:
            await client.send(str(number))
            return await client.recv()

    async def talk() -> Any:
        return await asyncio.gather(*(one(number) for number in range(20)))

    assert in_thread(talk) == [str(number) for number in range(20)]


# ---- Qt's client


@pytest.mark.parametrize("secure", [False, True])
def test_qt(echo: Upgrading, authority: TlsAuthority, secure: bool) -> None:
    port = bound_tls(echo.server, authority) if secure else echo.port
    client = open_qt(f"ws{'s' * secure}://localhost:{port}/", authority if secure else None)
    heard: list[str] = []
    pongs: list[bytes] = []
    client.textMessageReceived.connect(heard.append)
    client.pong.connect(lambda _time, payload: pongs.append(bytes(payload.data())))
    client.connected.connect(lambda: client.sendTextMessage("hello"))
    assert spin(lambda: heard == ["hello"])
    client.ping(b"ping")
    assert spin(lambda: pongs == [b"ping"])
    echo.server.close()  # what is fetched is the application's
    client.sendTextMessage("still")
    assert spin(lambda: heard == ["hello", "still"])
    client.close()
    assert spin(lambda: client.state() == State.UnconnectedState)
    assert client.closeCode().value == 1000


@pytest.mark.parametrize(
    ("origin", "verifier", "allowed"),
    [
        ("", security.same_origin_verifier, True),
        ("http://localhost:{port}", security.same_origin_verifier, True),
        ("http://evil.example", security.same_origin_verifier, False),
        ("http://localhost:1", security.same_origin_verifier, False),
        ("https://app.example", security.allow_origins_verifier("https://app.example"), True),
        ("https://app.example.evil", security.allow_origins_verifier("https://app.example"), False),
        ("null", security.allow_origins_verifier("https://app.example"), False),
    ],
)
def test_origins(origin: str, verifier: Any, allowed: bool) -> None:
    made = Upgrading(verify=verifier)
    client = open_qt(f"ws://localhost:{made.port}/", origin=origin.format(port=made.port))
    ended: list[Any] = []
    client.connected.connect(lambda: ended.append(True))
    client.errorOccurred.connect(lambda _error: ended.append(False))
    assert spin(lambda: ended)
    assert ended[0] is allowed
    client.abort()
    made.close()


# ---- leaving


WHOLE = handshake() + frame(TEXT, b"hello")


@pytest.mark.parametrize("sent", [1, 20, len(handshake()) - 1, len(handshake()), len(handshake()) + 3, len(WHOLE)])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_the_client_leaves_after_so_many_octets(sent: int, how: str) -> None:
    made = Upgrading(verify=accept)
    client = RawClient(made.port)
    client.send(WHOLE[:sent])
    if sent >= len(handshake()):
        switched(client)
    if how == "reset":
        client.close()
    else:
        client.socket.disconnectFromHost()
    assert spin(lambda: not made.server._core.connections)
    assert spin(lambda: all(socket.state() == State.UnconnectedState for socket in made.sockets))
    made.sockets.clear()
    settle()
    gc.collect()
    assert len(made.server.children()) <= 4
    made.close()


def test_the_client_leaves_while_it_is_sent_much() -> None:
    made = Upgrading(verify=accept)
    made.server.newWebSocketConnection.connect(lambda: made.sockets[-1].sendBinaryMessage(bytes(8 << 20)))
    client = made.client()
    assert spin(lambda: len(client.received) > 100_000)
    client.close()
    assert spin(lambda: made.heard == ["gone"])
    made.close()
