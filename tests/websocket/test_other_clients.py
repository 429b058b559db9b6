"""WebSocket clients of other projects against a route: aiohttp, wsproto; and a thousand that come and go."""

from __future__ import annotations

import asyncio
import gc
import random
import socket as sockets
import struct
from typing import Any

import aiohttp
import pytest
from PySide6.QtNetwork import QTcpSocket
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from qhttpserver_py import QHttpServer
from qhttpserver_py._loop.eventloop import own_loop
from qhttpserver_py.testing.tls import TlsAuthority
from qhttpserver_py.websocket import WebSocket

from ..support import threads
from ..support.rawclient import bound, settle, spin
from ..support.wsclient import TEXT, bound_tls, frame, handshake

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")

LONG = "κόσμε " * 20_000


@pytest.fixture
def echoing(server: QHttpServer) -> QHttpServer:
    """A server whose route /ws sends back what comes."""

    @server.websocket("/ws", subprotocols=["chat"])
    async def echo(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)

    return server


# Its TLS transports outlive the session, as its documentation says.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("compress", [0, 12, 15])
def test_aiohttp(echoing: QHttpServer, authority: TlsAuthority, secure: bool, compress: int) -> None:
    port = bound_tls(echoing, authority) if secure else bound(echoing)
    context: Any = authority.ssl_context() if secure else True
    url = f"ws{'s' * secure}://localhost:{port}/ws"

    async def talk() -> list[Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, compress=compress, protocols=["chat"], ssl=context) as client,
        ):
            got: list[Any] = [client.protocol]
            for text in ("hello", "", LONG):
                await client.send_str(text)
                got.append(await client.receive_str())
            await client.send_bytes(b"\0\xff" * 1000)
            got.append(await client.receive_bytes())
            await client.ping(b"there?")
            await client.send_str("last")
            got.append(await client.receive_str())
            await client.close(code=1000, message=b"done")
            return [*got, client.close_code]

    got = threads.in_thread(lambda: asyncio.run(talk()))
    assert got == ["chat", "hello", "", LONG, b"\0\xff" * 1000, "last", 1000]


@pytest.mark.parametrize("compressed", [False, True])
def test_wsproto(echoing: QHttpServer, compressed: bool) -> None:
    port = bound(echoing)

    def talk() -> list[Any]:
        connection = WSConnection(ConnectionType.CLIENT)
        extensions = [PerMessageDeflate(client_max_window_bits=11)] if compressed else []
        got: list[Any] = []
        with sockets.create_connection(("127.0.0.1", port), 10) as peer:

            def until(kind: type) -> Any:
                while True:
                    for event in connection.events():
                        if isinstance(event, Message) and not event.message_finished:
                            got.append(event.data)
                        elif isinstance(event, kind):
                            return event
                    connection.receive_data(peer.recv(65536))

            peer.sendall(connection.send(Request(host="localhost", target="/ws", extensions=extensions)))
            assert len(until(AcceptConnection).extensions) == compressed
            for number in range(3):
                peer.sendall(connection.send(TextMessage(f"{number} " * 500)))
                assert until(TextMessage).data == f"{number} " * 500
            peer.sendall(connection.send(BytesMessage(b"in ", message_finished=False)))
            peer.sendall(connection.send(Ping(b"there?")))
            assert bytes(until(Pong).payload) == b"there?"
            peer.sendall(connection.send(BytesMessage(b"pieces")))
            got.append(bytes(until(BytesMessage).data))
            peer.sendall(connection.send(CloseConnection(1001, "bye")))
            closing = until(CloseConnection)
            return [*got, closing.code, closing.reason]

    assert threads.in_thread(talk) == [b"in pieces", 1001, "bye"]


def count(kind: type) -> int:
    gc.collect()
    return sum(issubclass(type(thing), kind) for thing in gc.get_objects())


@pytest.mark.slow
def test_a_thousand_that_come_and_go_leave_nothing(echoing: QHttpServer) -> None:
    """A hundred messages each; half are cut off in the middle, by a FIN or a reset, some within a frame."""
    port, chance = bound(echoing), random.Random(11)
    message = frame(TEXT, b"x" * 100)
    reply = 102  # octets of an echo

    def wave() -> None:
        peers = [sockets.create_connection(("127.0.0.1", port), 20) for _ in range(100)]
        for peer in peers:
            peer.sendall(handshake("/ws"))
        for peer in peers:
            while not peer.recv(4096).endswith(b"\r\n\r\n"):
                pass
        ends = {peer: chance.randrange(100) for peer in peers[::2]}
        for turn in range(100):
            alive = [peer for peer in peers if turn < ends.get(peer, 100)]
            for peer in alive:
                peer.sendall(message)
            for peer in alive:
                left = reply
                while left:
                    left -= len(peer.recv(left))
            for peer in [peer for peer, end in ends.items() if end == turn]:
                peer.sendall(message[: chance.randrange(len(message))])
                if chance.random() < 0.5:
                    peer.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
                peer.close()
        for peer in peers:
            peer.close()

    def waves(number: int) -> list[int]:
        for _ in range(number):
            threads.in_thread(lambda: wave() or True, timeout=60)
        assert spin(lambda: settle() or not echoing._upgrades.sockets)
        return [count(WebSocket), count(QTcpSocket), len(asyncio.all_tasks(own_loop()))]

    before = waves(1)
    assert waves(10) == before
    assert not echoing._core.connections
