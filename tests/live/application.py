"""The server that real clients are let loose on: TCP, TLS and a local socket at once."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtNetwork import QHostAddress, QLocalServer, QSslServer, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponse
from qhttpserver_py.testing import TlsAuthority

LARGE = bytes(range(256)) * 4096
"""1 MiB, not compressible into a lucky match."""
Method = QHttpServerRequest.Method


@dataclass(frozen=True)
class Site:
    """Where the server listens, and what a client needs to trust it.

    ``tls`` offers HTTP/2 and HTTP/1.1 and the client's order decides; ``h2`` offers HTTP/2 alone.
    """

    server: QHttpServer
    tcp: int
    tls: int
    h2: int
    local: str
    ca_file: Path
    context: ssl.SSLContext

    def base(self, transport: str) -> str:
        """What a URL begins with; over a local socket the host is a mere name."""
        port = {"tcp": self.tcp, "tls": self.tls, "h2": self.h2}.get(transport)
        if port is None:
            return "http://localhost"
        return f"{'http' if transport == 'tcp' else 'https'}://localhost:{port}"


def hello() -> str:
    return "Hello, world!"


def item(number: int) -> str:
    return f"item {number + 1}"


def echo(request: QHttpServerRequest) -> bytes:
    return request.body().data()


def digest(request: QHttpServerRequest) -> dict[str, object]:
    body = request.body().data()
    return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def json_sum(request: QHttpServerRequest) -> dict[str, object]:
    asked = request.json()
    return {"sum": sum(asked["values"]), "name": asked["name"]}


def headers(request: QHttpServerRequest) -> list[list[str]]:
    fields = request.headers()
    return [[str(fields.nameAt(i)), bytes(fields.valueAt(i)).decode("latin-1")] for i in range(fields.size())]


def method(request: QHttpServerRequest) -> str:
    return request.method().name


def pieces() -> Iterator[bytes]:
    for number in range(50):
        yield b"piece %d\n" % number


def moved() -> tuple[str, int, dict[str, str]]:
    return "gone over there", 303, {"location": "/hello"}


def add_routes(server: QHttpServer) -> None:
    server.route("/hello", hello)
    server.route("/item/<arg>", item)
    server.route("/echo", Method.Post | Method.Put | Method.Patch, echo)
    server.route("/digest", Method.Post | Method.Put, digest)
    server.route("/json", Method.Post, json_sum)
    server.route("/headers", headers)
    server.route("/method", method)
    server.route("/large", lambda: LARGE)
    server.route("/pieces", pieces)
    server.route("/moved", moved)
    server.route("/fail", lambda: QHttpServerResponse(b"text/plain", b"kettle", 418))
    server.route("/empty", lambda: 204)
    server.addAfterRequestHandler(server, mark)


def mark(_request: QHttpServerRequest, response: QHttpServerResponse) -> None:
    fields = response.headers()
    fields.append("x-live", "yes")
    response.setHeaders(fields)


def listen_tls(server: QHttpServer, authority: TlsAuthority, *protocols: bytes) -> int:
    listener = QSslServer()
    configuration = authority.server_configuration()
    configuration.setAllowedNextProtocols(list(protocols))
    listener.setSslConfiguration(configuration)
    assert listener.listen(QHostAddress("127.0.0.1"), 0)
    assert server.bind(listener)
    return listener.serverPort()


def listen_tcp(server: QHttpServer) -> int:
    listener = QTcpServer()
    assert listener.listen(QHostAddress("127.0.0.1"), 0)
    assert server.bind(listener)
    return listener.serverPort()


def listen_local(server: QHttpServer, path: Path) -> str:
    listener = QLocalServer()
    assert listener.listen(str(path)), listener.errorString()
    assert server.bind(listener)
    return listener.fullServerName()


def open_site(directory: Path) -> Site:
    """A server on all three kinds of socket, with a certificate made for it."""
    authority = TlsAuthority()
    ca_file = directory / "ca.pem"
    ca_file.write_bytes(authority.ca_pem)
    context = authority.ssl_context()
    server = QHttpServer()
    add_routes(server)
    return Site(
        server,
        listen_tcp(server),
        listen_tls(server, authority, b"h2", b"http/1.1"),
        listen_tls(server, authority, b"h2"),
        listen_local(server, directory / "live.sock"),
        ca_file,
        context,
    )
