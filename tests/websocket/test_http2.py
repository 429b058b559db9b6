"""WebSockets over HTTP/2 (RFC 8441): tunnels of an h2 client, with flow control both ways."""

from __future__ import annotations

import pytest

from qhttpserver_py import QHttpServerWebSocketUpgradeResponse as Verdict
from qhttpserver_py._websocket import session
from qhttpserver_py.websocket import WebSocket

from ..support.h2websocket import Http2WebSockets
from ..support.rawclient import bound, reported, spin
from ..support.wsclient import BINARY, CLOSE, PING, PONG, TEXT, frame

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


@pytest.fixture
def ended(server) -> list[int]:
    """Close codes of the route /ws, an echo."""
    codes: list[int] = []

    @server.websocket("/ws", subprotocols=["chat"])
    async def echo(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)
        await socket.wait_closed()
        codes.append(int(socket.closeCode()))

    return codes


def test_a_tunnel_echoes(server, ended) -> None:
    client = Http2WebSockets(bound(server))
    one, two = client.open(sec_websocket_protocol="other, chat"), client.open()
    assert client.heads[one]["sec-websocket-protocol"] == "chat"
    assert not {"upgrade", "connection", "sec-websocket-accept"} & set(client.heads[one])
    client.send(one, frame(TEXT, b"a"))
    client.send(two, frame(BINARY, b"b") + frame(PING, b"p"))
    assert client.frames(one, 1) == [(TEXT, True, b"a")]
    assert sorted(client.frames(two, 2)) == [(BINARY, True, b"b"), (PONG, True, b"p")]
    client.send(one, frame(CLOSE, b"\x03\xe8"))
    assert client.frames(one, 2)[1] == (CLOSE, True, b"\x03\xe8")
    assert client.wait(lambda: one in client.ended and ended == [1000])
    client.send(two, frame(TEXT, b"still here"))
    assert client.frames(two, 3)[2] == (TEXT, True, b"still here")


def test_compression_is_agreed_on(server, ended) -> None:
    client = Http2WebSockets(bound(server))
    stream = client.open(sec_websocket_extensions="permessage-deflate")
    assert "permessage-deflate" in client.heads[stream]["sec-websocket-extensions"]
    client.send(stream, frame(TEXT, b"x" * 5000))
    assert len(client.frames(stream, 1)[0][2]) < 100


def test_a_large_message_passes_small_windows(server, ended) -> None:
    client = Http2WebSockets(bound(server))
    stream = client.open()
    wire = frame(BINARY, bytes(range(256)) * 4096)
    while wire:
        size = min(len(wire), client.h2.local_flow_control_window(stream), 16384)
        if size:
            client.send(stream, wire[:size])
            wire = wire[size:]
        spin(client.step, 0.002)
    assert client.frames(stream, 1) == [(BINARY, True, bytes(range(256)) * 4096)]


def test_the_peers_window_holds_the_sender(server) -> None:
    sent: list[int] = []
    most = [0]

    @server.websocket("/ws", compression=False)
    async def pour(socket: WebSocket) -> None:
        for number in range(100):
            await socket.send(b"x" * 65536)
            sent.append(number)
            most[0] = max(most[0], socket.bytesToWrite())

    client = Http2WebSockets(bound(server), credit=False)
    stream = client.open()
    client.wait(lambda: sent)
    spin(client.step, 0.2)
    assert 0 < len(sent) < 10
    assert len(client.data[stream]) == 65535  # the window
    assert most[0] <= session.HIGH_WATER + 65550
    client.credit = True
    assert client.wait(lambda: len(client.data[stream]) >= 100 * 65536)
    assert client.wait(lambda: len(sent) == 100)


def test_what_nobody_takes_closes_the_window(server) -> None:
    sockets: list[WebSocket] = []

    @server.websocket("/ws")
    async def hold(socket: WebSocket) -> None:
        sockets.append(socket)
        await socket.wait_closed()

    client = Http2WebSockets(bound(server))
    stream = client.open()
    wire = frame(BINARY, b"x" * 4000)
    for _ in range(1000):
        if client.h2.local_flow_control_window(stream) < len(wire):
            spin(client.step, 0.05)
        if client.h2.local_flow_control_window(stream) < len(wire):
            break
        client.send(stream, wire)
    else:
        pytest.fail("the server went on taking")
    assert len(sockets[0]._session.queue or ()) <= session.MAXIMUM_QUEUE


@pytest.mark.parametrize("how", ["reset", "half-close", "connection"])
def test_a_peer_that_leaves_without_a_close(server, ended, how) -> None:
    client = Http2WebSockets(bound(server))
    stream = client.open()
    if how == "reset":
        client.h2.reset_stream(stream)
        client.flush()
    elif how == "half-close":
        client.send(stream, b"", end=True)
    else:
        client.raw.close()
    assert spin(lambda: ended)
    assert ended == [1006]
    if how == "half-close":
        assert client.wait(lambda: stream in client.ended)


def test_a_handler_that_raises(server) -> None:
    @server.websocket("/ws")
    async def raises(socket: WebSocket) -> None:
        raise ZeroDivisionError

    client = Http2WebSockets(bound(server))
    with reported():
        stream = client.open()
        assert client.frames(stream, 1) == [(CLOSE, True, b"\x03\xf3")]


def test_a_peer_that_breaks_a_rule_is_told(server, ended) -> None:
    client = Http2WebSockets(bound(server))
    stream = client.open()
    client.send(stream, frame(3))
    assert client.frames(stream, 1)[0][2][:2] == b"\x03\xea"
    assert client.wait(lambda: stream in client.ended)
    assert client.wait(lambda: stream in client.resets)  # it keeps its half open


def test_a_peer_that_does_not_agree_is_reset(server, monkeypatch) -> None:
    from qhttpserver_py._websocket import socket as module

    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.1)

    @server.websocket("/ws")
    def ends(socket: WebSocket) -> None:
        socket.close(4000)

    client = Http2WebSockets(bound(server))
    stream = client.open()
    assert client.frames(stream, 1) == [(CLOSE, True, (4000).to_bytes(2, "big"))]
    assert client.wait(lambda: stream in client.resets)


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/none", {}, "404"),
        ("/ws", {"origin": "https://evil.test"}, "403"),
        ("/ws", {"origin": "http://localhost"}, "200"),
        ("/ws", {"sec_websocket_version": "12"}, "426"),
        ("/ws", {"sec_websocket_extensions": ";;"}, "400"),
    ],
)
def test_who_is_refused(server, ended, path, fields, status) -> None:
    client = Http2WebSockets(bound(server))
    assert client.offered()
    if "sec_websocket_version" in fields:
        client.h2.config.validate_outbound_headers = False
    assert client.status(client.connect(path, **fields)) == status
    assert client.status(client.connect()) == "200"  # the connection goes on


def test_closing_the_server_says_going_away(server, ended) -> None:
    client = Http2WebSockets(bound(server))
    stream = client.open()
    server.close(2000)
    assert client.frames(stream, 1) == [(CLOSE, True, b"\x03\xe9")]
    client.send(stream, frame(CLOSE, b"\x03\xe9"), end=True)
    assert spin(lambda: client.raw.closed)


@pytest.mark.parametrize(
    ("backend", "routes", "verifier", "offered"),
    [
        ("auto", False, True, False),
        ("native", False, True, True),
        ("native", False, False, False),
        ("auto", True, False, True),
        ("qt", True, True, False),
    ],
)
def test_when_tunnels_are_offered(server, backend, routes, verifier, offered) -> None:
    server.setWebSocketBackend(backend)
    if routes:
        server.websocket("/ws", lambda socket: None)
    if verifier:
        server.addWebSocketUpgradeVerifier(server, lambda request: Verdict.accept())
    assert Http2WebSockets(bound(server)).offered() is offered


def test_by_qts_own_interface(server) -> None:
    sockets: list[WebSocket] = []

    def connected() -> None:
        socket = server.nextPendingWebSocketConnection()
        sockets.append(socket)
        socket.textMessageReceived.connect(lambda text: socket.sendTextMessage(text.upper()))

    server.setWebSocketBackend("native")
    server.addWebSocketUpgradeVerifier(server, lambda request: Verdict.accept())
    server.newWebSocketConnection.connect(connected)
    client = Http2WebSockets(bound(server))
    stream = client.open("/chat?x=1", origin="http://here.test")
    client.send(stream, frame(TEXT, b"hello"))
    assert client.frames(stream, 1) == [(TEXT, True, b"HELLO")]
    assert sockets[0].requestUrl().path() == "/chat"
    assert (sockets[0].origin(), sockets[0].peerAddress().toString()) == ("http://here.test", "127.0.0.1")
    sockets[0].abort()
    assert client.wait(lambda: stream in client.resets)
