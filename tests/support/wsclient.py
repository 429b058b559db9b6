"""WebSocket handshakes and frames as bytes (RFC 6455), and a server that keeps what it upgrades."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from PySide6.QtCore import QByteArray, QUrl
from PySide6.QtNetwork import QHostAddress, QSslServer
from PySide6.QtWebSockets import QWebSocket
from shiboken6 import Shiboken

from qhttpserver_py import QHttpServer, QHttpServerWebSocketUpgradeResponse
from qhttpserver_py.testing.tls import TlsAuthority

from .rawclient import RawClient, Reply, bound

Verdict = QHttpServerWebSocketUpgradeResponse
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 1.3
UPGRADE = {
    "Host": "localhost",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


UPGRADE_FIELDS = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
"""What ``RawClient.get`` is given to ask for a WebSocket."""


def handshake(target: str = "/", line: str = "GET {} HTTP/1.1", **fields: str | None) -> bytes:
    """Return an opening handshake; *fields* change the usual ones, underscores for hyphens, None leaves out."""
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    kept = {name: given.pop(name, value) for name, value in UPGRADE.items()}
    lines = [f"{name}: {value}" for name, value in {**kept, **given}.items() if value is not None]
    return "\r\n".join([line.format(target), *lines, "", ""]).encode("latin-1")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """Return one frame as a client sends it."""
    size, mask = len(payload), 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if size < 126:
        head += bytes([mask | size])
    elif size < 1 << 16:
        head += struct.pack("!BH", mask | 126, size)
    else:
        head += struct.pack("!BQ", mask | 127, size)
    if not masked:
        return head + payload
    key = b"\x11\x22\x33\x44"
    stream = key * (size // 4 + 1)
    return head + key + (int.from_bytes(payload) ^ int.from_bytes(stream[:size])).to_bytes(size)


def frames(data: bytes) -> list[tuple[int, bool, bytes]]:
    """Return opcode, FIN and payload of each whole frame from a server in *data*."""
    found, pos = [], 0
    while len(data) - pos >= 2:
        size, start = data[pos + 1], pos + 2
        if size == 126:
            size, start = int.from_bytes(data[pos + 2 : pos + 4]), pos + 4
        elif size == 127:
            size, start = int.from_bytes(data[pos + 2 : pos + 10]), pos + 10
        if len(data) < start + size:
            break
        found.append((data[pos] & 15, bool(data[pos] & 128), data[start : start + size]))
        pos = start + size
    return found


class Upgrading:
    """A server that accepts every upgrade, unless told otherwise, and keeps the sockets of its *backend*."""

    backend = "auto"

    def __init__(self, *, listen: bool = True, verify: Callable[..., Any] | None = None) -> None:
        self.server = QHttpServer()
        self.server.setWebSocketBackend(self.backend)
        self.sockets: list[QWebSocket] = []
        self.heard: list[Any] = []
        self.port = bound(self.server)
        if verify is not None:
            self.server.addWebSocketUpgradeVerifier(self.server, verify)
        if listen:
            self.server.newWebSocketConnection.connect(self.fetch)

    def fetch(self) -> None:
        socket = self.server.nextPendingWebSocketConnection()
        assert socket is not None
        self.sockets.append(socket)
        socket.textMessageReceived.connect(self.heard.append)
        socket.binaryMessageReceived.connect(lambda data: self.heard.append(bytes(data.data())))
        socket.disconnected.connect(lambda: self.heard.append("gone"))

    def client(self, data: bytes = b"") -> RawClient:
        client = RawClient(self.port)
        client.send(data or handshake())
        return client

    def close(self) -> None:
        for socket in self.sockets:
            socket.abort()
        self.sockets.clear()
        self.server.close()


def accept(_request: Any = None) -> QHttpServerWebSocketUpgradeResponse:
    return Verdict.accept()


def switched(client: RawClient) -> dict[str, str]:
    """Wait for 101 and return its fields, names in lower case."""
    reply = client.reply(head_only=True)
    assert reply.status_line == "HTTP/1.1 101 Switching Protocols", reply.status_line
    return {name.lower(): value for name, value in reply.fields}


def open_qt(url: str, authority: TlsAuthority | None = None, origin: str = "") -> QWebSocket:
    """Return a Qt client that is connecting."""
    client = QWebSocket(origin)
    if authority is not None:
        client.setSslConfiguration(authority.client_configuration())
    client.open(QUrl(url))
    return client


def bound_tls(server: QHttpServer, authority: TlsAuthority) -> int:
    """Bind a new TLS server that speaks HTTP/2 and HTTP/1.1; return its port."""
    listener = QSslServer()
    configuration = authority.server_configuration()
    configuration.setAllowedNextProtocols([QByteArray(b"h2"), QByteArray(b"http/1.1")])
    listener.setSslConfiguration(configuration)
    assert listener.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    assert server.bind(listener)
    return listener.serverPort()


@contextmanager
def upgrading_servers() -> Iterator[Callable[..., Upgrading]]:
    """Give what makes an Upgrading; those that are left are closed in the end."""
    servers: list[Upgrading] = []

    def make(verify: Any = None, *, listen: bool = True) -> Upgrading:
        servers.append(Upgrading(verify=verify, listen=listen))
        return servers[-1]

    yield make
    for server in servers:
        if Shiboken.isValid(server.server):
            server.close()


@contextmanager
def waiting_server() -> Iterator[Upgrading]:
    """A server whose application gets the signal, and fetches when the test says so."""
    with upgrading_servers() as make:
        waiting: Any = make(accept, listen=False)
        waiting.told = []
        waiting.server.newWebSocketConnection.connect(lambda: waiting.told.append(1))
        yield waiting


def fixtures():
    """Return the fixtures *upgrading*, a server that accepts upgrades, and *waiting*: nobody fetches its sockets."""

    @pytest.fixture
    def upgrading():
        with upgrading_servers() as make:
            yield make(accept)

    @pytest.fixture
    def waiting():
        with waiting_server() as made:
            yield made

    return upgrading, waiting


def refusal(upgrading: Upgrading, data: bytes = b"") -> Reply:
    """The reply to a handshake, after which the server has closed."""
    client = upgrading.client(data)
    reply = client.reply()
    assert client.wait_closed()
    assert client.received == b""
    assert "close" in reply.headers["connection"]
    assert upgrading.sockets == []
    return reply
