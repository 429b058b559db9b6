"""The demonstration that ``python -m qhttpserver_py`` serves: a program as a user would write it."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque

from PySide6.QtCore import QObject

from qhttpserver_py._serving.access_log import printable
from qhttpserver_py.cli.demo_live import ECHO, RATE, Live
from qhttpserver_py.cli.demo_page import PAGE
from qhttpserver_py.qhttpserver import QHttpServer
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse

Method = QHttpServerRequest.Method
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
)


def make_server(parent: QObject | None = None) -> QHttpServer:
    """Return a server with the routes of the demonstration, not listening yet."""
    server = QHttpServer(parent)
    server.route("/", Method.Get, page)
    server.route("/square/<arg>", Method.Get, square)
    server.route("/half/<arg>", Method.Get, half)
    server.route("/hello/<arg>", Method.Get, hello)
    server.route("/statistics", Method.Post, statistics)
    server.route("/upload", Method.Post, upload)
    log = RequestLog()
    server._answers.observers.append(log.add)
    server.route("/log", Method.Get, log.since)
    add_websockets(server)
    server.addAfterRequestHandler(server, Counter().mark)
    return server


def add_websockets(server: QHttpServer) -> None:
    """Add the WebSockets; where they are missing, the page is told why by an ordinary request to the same path."""
    try:
        live = Live(server)
    except ImportError as error:
        answer = str(error), 501
    else:
        server._answers.observers.append(live.count)
        answer = "Open a WebSocket here.", 426
    for path in (ECHO, RATE):
        server.route(path, Method.Get, lambda: answer)


def page() -> QHttpServerResponse:
    """Answer with the page itself."""
    response = QHttpServerResponse(b"text/html; charset=utf-8", PAGE.encode())
    headers = response.headers()
    headers.append("content-security-policy", _POLICY)
    response.setHeaders(headers)
    return response


def square(number: int) -> dict[str, object]:
    """Take an int; a dictionary is answered as JSON."""
    return {"number": number, "square": number * number}


def half(number: float) -> dict[str, object]:
    """Take a float."""
    return {"number": number, "half": number / 2}


def hello(name: str) -> str:
    """Take text; a str is answered as text."""
    return f"Hello, {name}!"


def statistics(request: QHttpServerRequest) -> dict[str, object] | tuple[dict[str, object], int]:
    """Take JSON; a tuple is a result and its status."""
    try:
        numbers = [float(number) for number in json.loads(bytes(request.body().data()))["numbers"]]
        return {"count": len(numbers), "sum": sum(numbers), "mean": sum(numbers) / len(numbers)}
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, ZeroDivisionError):
        return {"error": 'send {"numbers": [...]} with at least one number'}, 400


def upload(request: QHttpServerRequest) -> dict[str, object]:
    """Take any body."""
    body = request.body().data()
    return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


class Counter:
    """An after-request handler that counts."""

    def __init__(self) -> None:
        self._count = 0

    def mark(self, _request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        """Number the response."""
        self._count += 1
        headers = response.headers()
        headers.append("x-demo-reply", f"number {self._count}")
        response.setHeaders(headers)


class RequestLog:
    """The last requests, numbered, for the page to ask for."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, object]] = deque(maxlen=200)
        self._next = 1

    def add(self, request: QHttpServerRequest, status: int, size: int, seconds: float) -> None:
        """Note one reply, unless it was the page asking for this very log."""
        message = request._message
        if message.target.startswith(b"/log?"):
            return
        self._entries.append(
            {
                "id": self._next,
                "time": time.strftime("%H:%M:%S"),
                "method": message.method,
                "target": printable(message.target[:200]),
                "status": status,
                "size": size,
                "ms": f"{seconds * 1000:.1f}",
            }
        )
        self._next += 1

    def since(self, request: QHttpServerRequest) -> dict[str, object]:
        """Answer the entries from number ``since`` of the query on."""
        text = request.query().queryItemValue("since")
        first = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
        if first > self._next:  # a page that was loaded from a server before this one
            first = 0
        return {"next": self._next, "entries": [e for e in self._entries if int(str(e["id"])) >= first]}
