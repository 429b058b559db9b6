"""What a peer sent and got is nowhere in the process once its connection is closed."""

from __future__ import annotations

import gc
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponder, QHttpServerResponse
from tests.support.rawclient import RawClient, bound, settle, wait_until

pytestmark = pytest.mark.usefixtures("qapp")

PLACES = ("target", "cookie", "authorization", "host", "body", "reply", "reply-field", "reply-type")


class Marks:
    """A text for each place that nothing else contains, kept reversed so that this object holds none of them."""

    def __init__(self) -> None:
        self._reversed = {place: secrets.token_hex(12)[::-1] for place in PLACES}

    def __getitem__(self, place: str) -> str:
        return self._reversed[place][::-1]

    def found(self) -> list[str]:
        """Return the places whose text some object of this process holds."""
        needles = {place: (self[place].encode(), self[place]) for place in PLACES}
        ours = {id(texts) for texts in needles.values()} | {id(text) for texts in needles.values() for text in texts}
        seen: set[str] = set()
        gc.collect()
        holders: list[Any] = gc.get_objects()
        looked = ours | set(map(id, holders))
        while holders:  # tuples and dictionaries of texts alone are not among the collector's objects
            for held in gc.get_referents(holders.pop()):
                if isinstance(held, (bytes, bytearray, str)) and id(held) not in ours:
                    seen |= {place for place, (octets, text) in needles.items() if _holds(held, octets, text)}
                elif isinstance(held, (tuple, dict)) and id(held) not in looked:
                    looked.add(id(held))
                    holders.append(held)
        return sorted(seen)


def _holds(held: bytes | bytearray | str, octets: bytes, text: str) -> bool:
    return text in held if isinstance(held, str) else octets in held


class Server:
    """A server with one handler of each kind of answer, which return what they get."""

    def __init__(self, marks: Marks) -> None:
        self.server = QHttpServer()
        self.marks = marks
        self.server.route("/text/.*", self.text)
        self.server.route("/response/.*", self.response)
        self.server.route("/responder/.*", self.responder)
        self.server.route("/json/.*", self.json)
        self.port = bound(self.server)

    def text(self, request: QHttpServerRequest) -> str:
        assert request.query().isEmpty()
        assert request.headers().size() > 2
        return self.marks["reply"]

    def response(self, _request: QHttpServerRequest) -> QHttpServerResponse:
        response = QHttpServerResponse(f"application/{self.marks['reply-type']}".encode(), self.marks["reply"].encode())
        headers = response.headers()
        headers.append("x-token", self.marks["reply-field"])
        response.setHeaders(headers)
        return response

    def json(self, _request: QHttpServerRequest) -> dict[str, Any]:
        return {self.marks["reply"]: [self.marks["reply-field"]]}

    def responder(self, _request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        responder.write(self.marks["reply"].encode(), b"text/" + self.marks["reply-type"].encode())


def request(marks: Marks, route: str, method: str, *fields: str) -> bytes:
    body = marks["body"] if method == "POST" else ""
    lines = [
        f"{method} /{route}/{marks['target']} HTTP/1.1",
        f"Host: {marks['host']}.example",
        f"Cookie: session={marks['cookie']}",
        f"Authorization: Bearer {marks['authorization']}",
        *fields,
        *([f"Content-Length: {len(body)}"] if body else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@pytest.fixture
def marks() -> Marks:
    return Marks()


def closed_by_us(client: RawClient) -> None:
    client.close()


def closed_by_server(client: RawClient) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert client.wait_closed()


@pytest.mark.parametrize(
    ("route", "method", "close"),
    [
        ("text", "GET", closed_by_us),
        ("text", "HEAD", closed_by_server),
        ("response", "GET", closed_by_server),
        ("response", "POST", closed_by_us),
        ("responder", "POST", closed_by_server),
        ("responder", "GET", closed_by_us),
        ("json", "POST", closed_by_us),
        ("missing", "GET", closed_by_us),
    ],
)
def test_nothing_is_left(marks: Marks, route: str, method: str, close: Callable[[RawClient], None]) -> None:
    served = Server(marks)
    client = RawClient(served.port)
    for fields in ((), (), ("X-Other: 1",)):
        client.send(request(marks, route, method, *fields))
        client.reply(head_only=method == "HEAD")
    close(client)
    wait_until(lambda: not served.server._core.connections)
    del client
    settle()
    assert marks.found() == []


@pytest.mark.parametrize(
    "line", ["Broken : x", "Content-Length: x", "Transfer-Encoding: gzip", "X-A: b \t", "Upgrade: h2c"]
)
def test_nothing_is_left_of_what_is_refused_or_unusual(marks: Marks, line: str) -> None:
    served = Server(marks)
    client = RawClient(served.port)
    client.send(request(marks, "text", "GET", line))
    client.reply()
    client.close()
    wait_until(lambda: not served.server._core.connections)
    del client
    settle()
    assert marks.found() == []


def test_the_search_finds_what_is_there(marks: Marks) -> None:
    kept = [f"<{marks['cookie']}>".encode(), {"a": f"/{marks['target']}"}]
    assert marks.found() == ["cookie", "target"]
    del kept


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_connection_is_told_nothing(marks: Marks, method: str, qapp: QCoreApplication) -> None:
    """Its own request is what it sent, whatever was said before on others."""
    seen: list[tuple[str, str]] = []
    server = QHttpServer()

    def note(request: QHttpServerRequest) -> str:
        seen.append((request.url().path(), request.value(b"cookie").data().decode()))
        return "noted"

    server.route("/.*", note)
    port = bound(server)
    one, two = RawClient(port), RawClient(port)
    one.send(request(marks, "mine", method))
    one.reply()
    two.get("/theirs")
    two.reply()
    assert seen == [(f"/mine/{marks['target']}", f"session={marks['cookie']}"), ("/theirs", "")]
