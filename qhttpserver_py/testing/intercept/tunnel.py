"""A proxied connection that is not for the test: bytes are carried to where it leads, and back."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtNetwork import QAbstractSocket, QNetworkProxy, QTcpSocket

HELD = 262144
"""Bytes held for one direction; beyond, nothing is read."""

_DROPPED = (b"proxy-connection", b"connection", b"keep-alive", b"proxy-authorization")


class Target(NamedTuple):
    """Where a client wants to go; *scheme* is empty where CONNECT does not tell."""

    scheme: str
    host: str
    port: int
    url: str


class Upstream(NamedTuple):
    """Where a connection that is not for us goes on."""

    proxy: QNetworkProxy | None
    port: int = 0  # of an older proxy of ours


class Tunnel:
    """A client's socket and the one to its destination. It is in *register* until one of them closes."""

    def __init__(
        self, register: set[Tunnel], client: QTcpSocket, target: Target, upstream: Upstream, head: bytes
    ) -> None:
        self._register = register
        self._client = client
        self._connects = head.startswith(b"CONNECT ")
        self._relays = bool(upstream.port)  # to another proxy, which reads the head itself
        self._head_size = len(head)
        self._target = target
        self._open = False
        self._server = QTcpSocket(client.parent())
        self._server.setProxy(upstream.proxy or QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))
        for socket in (client, self._server):
            socket.setReadBufferSize(HELD)
        client.readyRead.connect(self._forward)
        client.disconnected.connect(self._client_gone)
        self._server.connected.connect(self._connected)
        self._server.errorOccurred.connect(self._failed)
        if upstream.port:
            self._server.connectToHost("127.0.0.1", upstream.port)
        else:
            self._server.connectToHost(target.host, target.port)

    def end(self) -> None:
        """Drop both sockets."""
        self._register.discard(self)
        for socket in (self._client, self._server):
            socket.disconnect(socket)
            socket.abort()
            socket.deleteLater()

    def _connected(self) -> None:
        self._open = True
        self._server.readyRead.connect(self._back)
        self._server.bytesWritten.connect(self._forward)
        self._client.bytesWritten.connect(self._back)
        self._server.disconnected.connect(self._server_gone)
        if not self._relays:
            head = bytes(self._client.read(self._head_size).data())
            if self._connects:
                self._client.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                self._server.write(origin_form(head))
        self._forward()

    def _failed(self, _error: object) -> None:
        if self._open:
            return
        reply = f"HTTP/1.1 502 {self._server.errorString()}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        self._client.write(reply.encode("latin-1", "replace"))
        self._server_gone()

    def _forward(self, *_: object) -> None:
        if self._open and self._server.bytesToWrite() < HELD:
            _carry(self._client, self._server)

    def _back(self, *_: object) -> None:
        if self._client.bytesToWrite() < HELD:
            _carry(self._server, self._client)

    def _client_gone(self) -> None:
        if self._open:
            _carry(self._client, self._server)
        self._close(self._server)

    def _server_gone(self) -> None:
        if self._open:
            _carry(self._server, self._client)
        self._close(self._client)

    def _close(self, last: QTcpSocket) -> None:
        """Close one side after the other has closed, when what is left for it is written."""
        last.disconnectFromHost()
        if last.state() == QAbstractSocket.SocketState.UnconnectedState:
            self.end()


def _carry(source: QTcpSocket, sink: QTcpSocket) -> None:
    data = source.readAll()
    if data.size():
        sink.write(data)


def origin_form(head: bytes) -> bytes:
    """Return the head of a request to a proxy as the server itself gets it, for one request (RFC 9112 3.2.1)."""
    line, *fields = head[:-4].split(b"\r\n")
    method, _, rest = line.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    path = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    kept = [field for field in fields if field.partition(b":")[0].strip().lower() not in _DROPPED]
    return b"\r\n".join([b" ".join([method, path, version]), *kept, b"connection: close", b"", b""])
