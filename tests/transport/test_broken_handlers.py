"""Whatever user code raises, wherever it runs: the peer has its answer, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from qhttpserver_py import (
    QHttpServer,
    QHttpServerRequest,
    QHttpServerResponder,
    QHttpServerRouterRule,
    aio,
    security,
)

from ..support.h2client import Http2Client
from ..support.rawclient import RawClient, bound, spin

pytestmark = pytest.mark.usefixtures("qapp")

Method = QHttpServerRequest.Method


class Broken(BaseException):
    """What is no Exception, and none that Python knows."""


ERRORS = [Broken, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, pytest.fail.Exception, ZeroDivisionError]


@pytest.fixture(autouse=True)
def raised(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    seen: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: seen.append(error))
    return seen


@pytest.fixture
def server() -> Iterator[QHttpServer]:
    made = QHttpServer()
    yield made
    made.close()


class Place:
    """Sets a server up so that a request for / meets user code that raises."""

    error: type[BaseException]

    def __init__(self, server: QHttpServer, error: type[BaseException]) -> None:
        self.server = server
        self.error = error
        self.ran = False

    def fails(self, *_: object) -> object:
        self.ran = True
        raise self.error("x")

    async def fails_later(self) -> object:
        await asyncio.sleep(0)
        return self.fails()

    def handler(self) -> None:
        self.server.route("/", self.fails)

    def coroutine(self) -> None:
        self.server.route("/", self.fails_later)

    def coroutine_at_once(self) -> None:
        async def handler() -> object:
            return self.fails()

        self.server.route("/", handler)

    def threaded(self) -> None:
        self.server.route("/", aio.threaded(self.fails))

    def future(self) -> None:
        def handler() -> Future[str]:
            future: Future[str] = Future()
            future.set_exception(self.error("x"))
            self.ran = True
            return future

        self.server.route("/", handler)

    def awaitable(self) -> None:
        place = self

        class Awaits:
            def __await__(self) -> object:
                return place.fails()

        self.server.route("/", Awaits)

    def converter(self) -> None:
        self.server.router().addConverter(Converted, "[^/]*")
        Converted.place = self

        def handler(value: Converted) -> str:
            return "never"

        self.server.route("/<arg>", handler)

    def before(self) -> None:
        self.server.addBeforeRequestHandler(self.server, lambda request: self.fails())

    def before_later(self) -> None:
        async def guard(request: QHttpServerRequest) -> None:
            await self.fails_later()

        self.server.addBeforeRequestHandler(self.server, guard)

    def after(self) -> None:
        self.server.route("/", lambda: "ok")
        self.server.addAfterRequestHandler(self.server, lambda request, response: self.fails())

    def missing(self) -> None:
        self.server.setMissingHandler(self.server, lambda request, responder: self.fails())

    def rule(self) -> None:
        place = self

        class Rule(QHttpServerRouterRule):
            def matches(self, request: object, match: object) -> bool:
                return bool(place.fails())

        self.server.router().addRule(Rule("/", lambda request, responder: None))

    def token(self) -> None:
        security.require_bearer(self.server, lambda given: bool(self.fails()))
        self.server.route("/", lambda: "ok")

    def verifier(self) -> None:
        self.server.addWebSocketUpgradeVerifier(self.server, lambda request: self.fails())

    def body(self) -> None:
        def handler(request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
            request.stream().on_data(self.fails)

        self.server.route("/", Method.Post, handler, stream=True)

    def body_end(self) -> None:
        def handler(request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
            request.stream().on_data(lambda piece: None, end=self.fails)

        self.server.route("/", Method.Post, handler, stream=True)

    def body_progress(self) -> None:
        def handler(request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
            request.stream().on_progress(self.fails)
            request.stream().on_data(lambda piece: None)

        self.server.route("/", Method.Post, handler, stream=True)


class Converted:
    place: Place

    def __init__(self, _text: str) -> None:
        self.place.fails()


PLACES = [name for name, found in vars(Place).items() if not name.startswith("_") and callable(found)]
PLACES = [name for name in PLACES if name not in ("fails", "fails_later")]


def ask(port: int, place: str) -> RawClient:
    client = RawClient(port)
    if place.startswith("body"):
        client.get("/", "Content-Length: 3", method="POST")
        client.send(b"abc")
    elif place == "verifier":
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        client.get("/", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", key)
    elif place == "token":
        client.get("/", "Authorization: Bearer abc")
    else:
        client.get("/")
    return client


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("place", PLACES)
def test_the_peer_hears_of_it_and_the_connection_ends(server: QHttpServer, place: str, error) -> None:
    made = Place(server, error)
    getattr(made, place)()
    client = ask(bound(server), place)
    assert spin(lambda: client.received or client.closed, 3), "the peer waits"
    assert made.ran
    client.close()
    assert spin(lambda: not server._core.connections, 3), "the connection stays"


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    "place", [name for name in PLACES if name != "verifier" and not name.startswith(("body", "token"))]
)
def test_over_http2_too(server: QHttpServer, place: str, error) -> None:
    made = Place(server, error)
    getattr(made, place)()
    client = Http2Client(bound(server))
    client.get(1, b"/")
    client.wait_for(1)
    assert made.ran


@pytest.mark.parametrize("error", ERRORS)
def test_all_hear_that_a_body_will_not_come_whatever_one_of_them_raises(server: QHttpServer, error) -> None:
    heard: list[object] = []

    def fails(reason: object) -> None:
        heard.append("first")
        raise error("x")

    def handler(request: QHttpServerRequest) -> Future[str]:
        stream = request.stream()
        stream.on_data(lambda piece: None, aborted=fails)
        stream.on_data(lambda piece: heard.append("data"), aborted=lambda reason: heard.append("second"))
        return Future()

    server.route("/", Method.Post, handler, stream=True)
    client = RawClient(bound(server))
    client.get("/", "Content-Length: 9", method="POST")
    client.send(b"abc")
    assert spin(lambda: "data" in heard, 3)
    client.close()
    assert spin(lambda: "second" in heard, 3)
    assert spin(lambda: not server._core.connections, 3)
