"""What crosses an upgraded connection is what crosses a bare QWebSocketServer, octet by octet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtNetwork import QHostAddress
from PySide6.QtWebSockets import QWebSocket, QWebSocketServer

from ..support.rawclient import RawClient, spin
from ..support.wsclient import BINARY, CLOSE, PING, PONG, TEXT, Upgrading, accept, frame, frames, handshake, switched

pytestmark = pytest.mark.usefixtures("qapp")

UTF8 = "κόσμε \U0001f40d".encode()
MEBIBYTES = 1 << 20


class Echo:
    """Sends back what a QWebSocket hears, and notes what it says of its end."""

    def __init__(self) -> None:
        self.sockets: list[QWebSocket] = []
        self.ends: list[Any] = []

    def take(self, socket: QWebSocket) -> None:
        self.sockets.append(socket)
        socket.textMessageReceived.connect(socket.sendTextMessage)
        socket.binaryMessageReceived.connect(socket.sendBinaryMessage)
        socket.disconnected.connect(lambda: self.ends.append((socket.closeCode().value, socket.closeReason())))


@pytest.fixture
def pair() -> Iterator[list[tuple[Echo, int]]]:
    """The echo behind our server, and the echo behind Qt's."""
    ours, theirs = Echo(), Echo()
    made = Upgrading(verify=accept, listen=False)
    made.server.newWebSocketConnection.connect(lambda: ours.take(made.server.nextPendingWebSocketConnection()))
    bare = QWebSocketServer("bare", QWebSocketServer.SslMode.NonSecureMode)
    assert bare.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    bare.newConnection.connect(lambda: theirs.take(bare.nextPendingConnection()))
    yield [(ours, made.port), (theirs, bare.serverPort())]
    for socket in ours.sockets + theirs.sockets:
        socket.abort()
    made.close()
    bare.close()


def played(echo: Echo, port: int, packets: list[bytes], answers: int) -> tuple[Any, ...]:
    """Send *packets*; return the frames that come back, whether the server closed, and how it saw the end."""
    client = RawClient(port)
    client.send(handshake())
    switched(client)
    assert spin(lambda: echo.sockets)
    for packet in packets:
        client.send(packet)
        assert spin(lambda: client.closed or not client.socket.bytesToWrite())
        spin(lambda: False, 0.005)
    assert spin(lambda: client.closed or len(frames(client.received)) >= answers), (packets[:1], client.received[:80])
    spin(lambda: False, 0.05)
    result = frames(client.received), client.closed, list(echo.ends)
    client.close()
    return result


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2) + reason)


CASES: dict[str, tuple[list[bytes], int]] = {
    **{f"text of {size}": ([frame(TEXT, b"*" * size)], 1) for size in (0, 1, 125, 126, 127, 128, 65535, 65536)},
    **{f"binary of {size}": ([frame(BINARY, b"\xfe" * size)], 1) for size in (0, 125, 126, 65535, 65536)},
    "utf-8": ([frame(TEXT, UTF8)], 1),
    "utf-8 in pieces, cut in a character": (
        [frame(TEXT, UTF8[:4], fin=False), frame(0, UTF8[4:13], fin=False), frame(0, UTF8[13:])],
        1,
    ),
    "many in one packet": ([b"".join(frame(TEXT, b"%d" % n) for n in range(50))], 50),
    "octet by octet": ([bytes([octet]) for octet in frame(TEXT, b"slow")], 1),
    "fragments": ([frame(TEXT, b"a", fin=False), frame(0, b"b", fin=False), frame(0, b"c")], 1),
    "empty fragments": ([frame(BINARY, b"", fin=False), frame(0, b"", fin=False), frame(0, b"")], 1),
    "a ping between fragments": ([frame(TEXT, b"a", fin=False), frame(PING, b"p"), frame(0, b"b")], 2),
    "ping": ([frame(PING, b"")], 1),
    "ping of 125": ([frame(PING, b"\x00" * 125)], 1),
    "ten pings": ([frame(PING, b"%d" % n) for n in range(10)], 10),
    "pong unasked, ping": ([frame(PONG, b"x"), frame(PING, b"y")], 1),
    # what the protocol forbids
    "ping of 126": ([frame(PING, b"\x00" * 126)], 1),
    "ping in pieces": ([frame(PING, b"x", fin=False)], 1),
    "reserved bits": ([frame(TEXT, b"x", reserved=4)], 1),
    "reserved opcode": ([frame(3, b"x")], 1),
    "reserved control": ([frame(11, b"x")], 1),
    "continuation of nothing": ([frame(0, b"x")], 1),
    "text inside fragments": ([frame(TEXT, b"x", fin=False), frame(TEXT, b"y")], 1),
    "invalid utf-8": ([frame(TEXT, b"\xce\xba\xed\xa0\x80")], 1),
    "utf-8 cut off": ([frame(TEXT, UTF8[:-1])], 1),
    "invalid utf-8 in a later fragment": ([frame(TEXT, b"a", fin=False), frame(0, b"\xff")], 1),
    "not masked": ([frame(TEXT, b"x", masked=False)], 1),
    # closing
    "close": ([frame(CLOSE)], 1),
    **{
        f"close {code}": ([closing(code, b"why")], 1)
        for code in (999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1009, 1011, 1015, 1016, 2999, 3000, 4999)
    },
    "close of one octet": ([frame(CLOSE, b"\x03")], 1),
    "close with invalid utf-8": ([closing(1000, b"\xff")], 1),
    "close with 123 of reason": ([closing(1000, b"r" * 123)], 1),
    "close, then text": ([closing(1000) + frame(TEXT, b"late")], 1),
    "text, then close": ([frame(TEXT, b"x") + closing(1000)], 2),
}


@pytest.mark.parametrize("name", list(CASES))
def test_as_a_bare_server(pair: list[tuple[Echo, int]], name: str) -> None:
    packets, answers = CASES[name]
    ours, theirs = (played(echo, port, packets, answers) for echo, port in pair)
    assert ours == theirs


def test_the_echo_itself(pair: list[tuple[Echo, int]]) -> None:
    """What is compared above is not silence."""
    echo, port = pair[0]
    assert played(echo, port, [frame(TEXT, UTF8)], 1)[0] == [(TEXT, True, UTF8)]


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, 16 << 20])
@pytest.mark.parametrize("pieces", [1, 64])
def test_large_messages(pair: list[tuple[Echo, int]], size: int, pieces: int) -> None:
    data = os.urandom(size)
    step = size // pieces
    parts = [data[start : start + step] for start in range(0, size, step)]
    packets = [
        b"".join(
            frame(BINARY if not number else 0, part, fin=number == len(parts) - 1) for number, part in enumerate(parts)
        )
    ]
    heads = []
    for echo, port in pair:
        came, closed, _ = played(echo, port, packets, max(1, -(-size // (512 << 10))))
        assert b"".join(payload for _, _, payload in came) == data
        assert not closed
        heads.append([(opcode, fin, len(payload)) for opcode, fin, payload in came])
    assert heads[0] == heads[1]
