"""What the command line tells of a server: its routes, and where others reach it."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtNetwork import QAbstractSocket, QNetworkInterface, QSslServer

from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer
from qhttpserver_py.qhttpserver import QHttpServer


def describe_routes(server: QAbstractHttpServer) -> Iterator[str]:
    """Return a line for each rule of *server*, in the order in which they are asked."""
    if not isinstance(server, QHttpServer):
        yield f"{type(server).__name__} has no routes: it overrides handleRequest()."
        return
    rules = server._router._table.targets()
    if not rules:
        yield "There are no routes."
    for rule in rules:
        methods = ", ".join(sorted(str(token) for token in rule._tokens))
        yield f"{rule._pattern or '(empty path)'}  {methods}  {rule.label}"


def lan_urls(server: QAbstractHttpServer) -> Iterator[str]:
    """Return the addresses at which other computers of the network reach *server*."""
    protocol = QAbstractSocket.NetworkLayerProtocol.IPv4Protocol
    addresses = [one for one in QNetworkInterface.allAddresses() if one.protocol() == protocol and not one.isLoopback()]
    for listener in server.servers():
        scheme = "https" if isinstance(listener, QSslServer) else "http"
        if not listener.serverAddress().isLoopback():
            for address in addresses:
                yield f"{scheme}://{address.toString()}:{listener.serverPort()}/"
