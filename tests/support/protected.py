"""A server with a route of each kind, whose requests tests let pass or refuse."""

from __future__ import annotations

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponder


def kept(responder: QHttpServerResponder) -> None:
    responder.write(b"kept", "text/plain")


def served() -> QHttpServer:
    """Return a server whose handlers return a value, have the responder, and take the body as it arrives."""
    made = QHttpServer()
    made.route("/", lambda: "home")
    made.route("/kept", kept)
    made.route("/up", QHttpServerRequest.Method.Post, lambda request: b"upload", stream=True)
    return made
