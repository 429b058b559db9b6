"""Listening on what the command line asks for: a TCP port, a TLS port, a local socket.

What fails, fails with one sentence that says what to do about it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path

from PySide6.QtNetwork import (
    QAbstractSocket,
    QHostAddress,
    QLocalServer,
    QLocalSocket,
    QSslConfiguration,
    QSslServer,
    QTcpServer,
)

from qhttpserver_py.tls import server_configuration

_BACKLOG = 512  # connections the system may hold for us; Qt's 50 is soon full after a pause


class CannotServeError(Exception):
    """Something the user asked for is not possible; the text is one sentence for them."""


def resolve(host: str) -> QHostAddress:
    """Return the address *host* stands for: an address, or a name the system can resolve."""
    if host == "localhost":
        return QHostAddress(QHostAddress.SpecialAddress.LocalHost)
    address = QHostAddress(host)
    if not address.isNull():
        return address
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CannotServeError(f"{host!r} is no address of this computer.") from None
    return QHostAddress(str(found[0][4][0]))


def tls_configuration(certificate: str, key: str) -> QSslConfiguration:
    """Return a configuration with this certificate chain and key, for HTTP/2 and HTTP/1.1."""
    for path in (certificate, key):
        if not Path(path).is_file():
            raise CannotServeError(f"There is no file {path!r}.")
    try:
        return server_configuration(certificate, key)
    except OSError as error:
        raise CannotServeError(f"{error.filename!r} cannot be read: {error.strerror}.") from None
    except (ValueError, RuntimeError) as error:
        text = str(error)
        raise CannotServeError(f"{text[0].upper()}{text[1:]}.") from None


def listen_tcp(address: QHostAddress, ports: Iterable[int], tls: QSslConfiguration | None) -> QTcpServer:
    """Return a server that listens on the first free one of *ports*."""
    server = QTcpServer() if tls is None else QSslServer()
    if tls is not None and isinstance(server, QSslServer):
        server.setSslConfiguration(tls)
    server.setListenBacklogSize(_BACKLOG)
    tried = []
    for port in ports:
        if server.listen(address, port):
            return server
        if server.serverError() != QAbstractSocket.SocketError.AddressInUseError:
            raise CannotServeError(f"Cannot listen on {address.toString()} port {port}: {server.errorString()}.")
        tried.append(port)
    if len(tried) == 1:
        raise CannotServeError(f"Port {tried[0]} on {address.toString()} is in use.")
    raise CannotServeError(f"Ports {tried[0]} to {tried[-1]} on {address.toString()} are all in use.")


def listen_local(name: str) -> QLocalServer:
    """Return a server that listens on the local socket *name*, for this user alone."""
    # Asked first: with an access option Qt puts its socket in the place of one that is in use.
    if _is_in_use(name):
        raise CannotServeError(f"The local socket {name!r} is in use.")
    QLocalServer.removeServer(name)  # left behind by a process that was killed
    server = QLocalServer()
    server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
    if server.listen(name):
        return server
    raise CannotServeError(f"Cannot listen on the local socket {name!r}: {server.errorString()}.")


def _is_in_use(name: str) -> bool:
    probe = QLocalSocket()
    probe.connectToServer(name)
    answered = probe.waitForConnected(500)
    probe.abort()
    return answered


def url_of(server: QTcpServer) -> str:
    """Return the URL that reaches *server* from this computer."""
    address = server.serverAddress()
    if address in {QHostAddress(QHostAddress.SpecialAddress.Any), QHostAddress("0.0.0.0")}:  # noqa: S104
        host = "127.0.0.1"
    elif address == QHostAddress(QHostAddress.SpecialAddress.AnyIPv6):
        host = "[::1]"
    else:
        host = f"[{address.toString()}]" if ":" in address.toString() else address.toString()
    scheme = "https" if isinstance(server, QSslServer) else "http"
    return f"{scheme}://{host}:{server.serverPort()}/"
