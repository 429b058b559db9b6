"""Responders that a route keeps."""

from __future__ import annotations

from qhttpserver_py import QHttpServer, QHttpServerResponder

from .rawclient import RawClient, bound, spin


def kept_responder() -> tuple[QHttpServer, RawClient, QHttpServerResponder]:
    """Return a server, a client that waits for its reply, and the responder of that."""
    kept: list[QHttpServerResponder] = []
    server = QHttpServer()
    server.route("/", lambda _request, responder: kept.append(responder))
    client = RawClient(bound(server))
    client.get("/")
    assert spin(lambda: kept)
    return server, client, kept[0]


class Kept:
    """A route that keeps its responders."""

    def __init__(self, server, path="/"):
        self.responders = []
        server.route(path, lambda request, responder: self.responders.append(responder))

    def one(self, wire):
        count = len(self.responders)
        upload = ask_over(wire)
        assert spin(lambda: len(self.responders) > count)
        return upload, self.responders[-1]


def ask_over(wire, path="/", method="GET", client=None):
    """Send a request without a body; return it."""
    upload = wire.upload(path, 0, method=method, client=client)
    upload.send(b"", last=True)
    return upload
