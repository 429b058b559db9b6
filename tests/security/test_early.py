"""Uploads that are refused by their head are not read; and the fields of every refusal."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from hpack import Decoder

from qhttpserver_py import QHttpServer, QHttpServerConfiguration, QHttpServerRequest, QHttpServerResponder, security

from ..support.h2frames import HEADERS, OPEN, PREFACE, data, headers, parse, settings
from ..support.rawclient import RawClient, Reply, bound, logged, nested, reported, settle, wait_until

pytestmark = pytest.mark.usefixtures("qapp")

Post = QHttpServerRequest.Method.Post
APP = "https://app.example"
SIZED = "Content-Length: 1000000"
CHUNKED = "Transfer-Encoding: chunked"
STARTS = {SIZED: b"abc", CHUNKED: b"3\r\nabc\r\n"}


class Served:
    """A server with one route that takes bodies, and what reached it."""

    def __init__(self, server: QHttpServer | None = None) -> None:
        self.bodies: list[bytes] = []
        self.server = server or QHttpServer()
        self.server.route("/", lambda: "home")
        self.server.route("/echo", Post, self.echo)
        self.port = bound(self.server)

    def echo(self, request: QHttpServerRequest) -> bytes:
        self.bodies.append(bytes(request.body().data()))
        return self.bodies[-1]

    def configure(self, **settings: int) -> None:
        configuration = QHttpServerConfiguration()
        for name, value in settings.items():
            getattr(configuration, f"set{name[0].upper()}{name[1:]}")(value)
        self.server.setConfiguration(configuration)

    def post(self, *fields: str, start: bytes = b"") -> RawClient:
        client = RawClient(self.port)
        client.get("/echo", *fields, method="POST")
        client.send(start)
        return client


@pytest.fixture
def served() -> Served:
    return Served()


def foreign_page(server: QHttpServer) -> None:
    security.check_origin(server)


def foreign_host(server: QHttpServer) -> None:
    security.allow_hosts(server, ["only.example"], local=False)


def no_token(server: QHttpServer) -> None:
    security.require_bearer(server, "secret")


def fails(server: QHttpServer) -> None:
    security.require_bearer(server, lambda _token: bool(1 // 0))


class Virtual(QHttpServer):
    """A subclass that answers by itself is protected as well."""

    def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
        responder.write(b"reached")
        return True


# ---- before the body


@pytest.mark.parametrize("virtual", [False, True])
@pytest.mark.parametrize("framing", [SIZED, CHUNKED])
@pytest.mark.parametrize(
    ("protect", "status"), [(foreign_page, 403), (foreign_host, 421), (no_token, 401), (fails, 500)]
)
def test_an_upload_is_refused_before_its_body(protect: Any, status: int, framing: str, virtual: bool) -> None:
    served = Served(Virtual() if virtual else None)
    protect(served.server)
    with logged() as lines, reported():
        client = served.post("Origin: http://evil.example", "Authorization: Bearer x", framing, start=STARTS[framing])
        assert client.reply().status == status
        assert client.wait_closed()
    assert client.received == b""  # one reply, whatever comes
    assert not served.bodies
    assert len([text for _, category, text in lines if category == "qt.httpserver.security"]) == (status != 500)


def test_what_comes_behind_is_no_request(served: Served) -> None:
    foreign_page(served.server)
    client = served.post("Origin: http://evil.example", SIZED, start=b"abc")
    client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ny")
    assert client.reply().status == 403
    client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ny")
    assert client.wait_closed()
    assert (client.received, served.bodies) == (b"", [])


def test_no_continue_is_sent_for_a_body_that_is_refused(served: Served) -> None:
    no_token(served.server)
    client = served.post(SIZED, "Expect: 100-continue")
    assert client.reply().status == 401


@pytest.mark.parametrize("framing", ["Content-Length: 6", CHUNKED])
def test_who_is_let_in_is_asked_once(served: Served, framing: str) -> None:
    """A token may be good for one request only."""
    given: list[str] = []
    security.require_bearer(served.server, lambda token: not given.append(token))
    security.cors(served.server, APP)
    client = served.post("Authorization: Bearer x", f"Origin: {APP}", framing, start=STARTS.get(framing, b"abc"))
    wait_until(lambda: given)
    client.send(b"3\r\ndef\r\n0\r\n\r\n" if framing == CHUNKED else b"def")
    reply = client.reply()
    assert (reply.status, reply.body, given) == (200, b"abcdef", ["x"])
    assert reply.headers["access-control-allow-origin"] == APP
    client.get("/", "Authorization: Bearer y")
    assert client.reply().body == b"home"
    assert given == ["x", "y"]


def test_handlers_of_the_application_see_the_body(served: Served) -> None:
    """They may want to check its signature."""
    seen: list[bytes] = []
    served.server.addBeforeRequestHandler(served.server, lambda request: seen.append(bytes(request.body().data())))
    security.check_origin(served.server)
    client = served.post("Content-Length: 6", start=b"abc")
    settle()
    client.send(b"def")
    assert client.reply().body == b"abcdef"
    assert seen == [b"abcdef"]


@pytest.mark.parametrize("opens", [True, False])
def test_a_check_that_runs_an_event_loop(served: Served, opens: bool) -> None:
    """The rest of the body arrives meanwhile, and the next request with it."""

    def check(_token: str) -> bool:
        client.send(b"def" + b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer y\r\n\r\n")
        nested(50)
        return opens

    security.require_bearer(served.server, check, "/echo")
    client = served.post("Authorization: Bearer x", "Content-Length: 6", start=b"abc")
    assert client.reply().status == (200 if opens else 401)
    if opens:
        assert client.reply().body == b"home"
    else:
        assert client.wait_closed()
    assert (client.received, served.bodies) == (b"", [b"abcdef"] if opens else [])
    client.close()


def test_a_peer_that_leaves_while_it_is_checked(served: Served) -> None:
    def check(_token: str) -> bool:
        client.close()
        nested(50)
        return True

    security.require_bearer(served.server, check)
    client = served.post("Authorization: Bearer x", "Content-Length: 6", start=b"abc")
    wait_until(lambda: not served.server._core.connections)
    assert not served.bodies


def test_the_rate_counts_at_the_head(served: Served) -> None:
    served.configure(rateLimitPerSecond=1)
    first, second = RawClient(served.port), RawClient(served.port)
    for _ in range(3):  # a second may end in between, but not three times
        first.get("/")
        first.reply()
    second.get("/echo", SIZED, "Expect: 100-continue", method="POST")
    assert second.reply().status == 429
    assert second.wait_closed()


def post_over_http2(served: Served, *fields: tuple[bytes, bytes], body: bytes = b"") -> dict[str, str]:
    client = RawClient(served.port)
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/echo"), (b":authority", b"x"), *fields]
    client.send(PREFACE + settings() + headers(1, head, flags=OPEN) + (data(1, body, 0) if body else b""))
    wait_until(lambda: any(one.kind == HEADERS for one in parse(client.received)))
    found = next(one for one in parse(client.received) if one.kind == HEADERS)
    client.close()
    return dict(Decoder().decode(found.payload))


def test_over_http2(served: Served) -> None:
    no_token(served.server)
    assert post_over_http2(served)[":status"] == "401"
    assert not served.bodies


# ---- what pages are told


def refused(served: Served, kind: str, *fields: str) -> Reply:
    """Have the server refuse a request by itself; return the reply."""
    if kind == "413 sized":
        served.configure(maximumBodySize=10)
        return served.post(*fields, SIZED).reply()
    if kind == "413 chunked":
        served.configure(maximumBodySize=10)
        client = served.post(*fields, CHUNKED, start=b"3\r\nabc\r\n")
        settle()
        client.send(b"9\r\n")
        return client.reply()
    if kind == "429 rate":
        served.configure(rateLimitPerSecond=1)
        client = RawClient(served.port)
        for _ in range(4):
            client.get("/", *fields)
        return max((client.reply() for _ in range(4)), key=lambda reply: reply.status)
    if kind == "429 upload":
        served.configure(rateLimitPerSecond=1)
        client = RawClient(served.port)
        for _ in range(3):
            client.get("/", *fields)
            client.reply()
        return served.post(*fields, SIZED).reply()
    if kind == "408":
        served.configure(keepAliveTimeout=0)
        return served.post(*fields, SIZED, start=b"abc").reply()
    if kind == "408 head":
        served.configure(keepAliveTimeout=0)
        client = RawClient(served.port)
        client.send(b"GET / HTTP/1.1\r\n")
        return client.reply()
    if kind == "429 connections":
        served.configure(maximumConnections=1)
        kept = RawClient(served.port)
        reply = served.post(*fields).reply()
        kept.close()
        return reply
    assert kind == "431"
    served.configure(maximumTotalHeaderSize=20)
    return served.post(*fields, "X: " + "x" * 30).reply()


KNOWN = ("413 sized", "413 chunked", "429 rate", "429 upload", "408")
UNREAD = ("408 head", "429 connections", "431")


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("origin", [APP, "https://evil.example", ""])
def test_pages_may_read_why_they_were_refused(served: Served, kind: str, origin: str) -> None:
    """Fetch 4.10: without the field a page sees a network error, and no status."""
    security.cors(served.server, APP, credentials=True)
    security.add_headers(served.server, {"x-added": "1", "content-length": "77", "connection": "x-y"})
    reply = refused(served, kind, *([f"Origin: {origin}"] if origin else []))
    assert str(reply.status) == kind[:3]
    assert reply.headers.get("access-control-allow-origin") == (APP if origin == APP else None)
    assert reply.headers.get("access-control-allow-credentials") == ("true" if origin == APP else None)
    assert (reply.headers["vary"], reply.headers["x-added"]) == ("origin", "1")
    assert [value for name, value in reply.fields if name == "content-length"] == ["0"]


@pytest.mark.parametrize("kind", [*KNOWN, *UNREAD])
def test_the_whole_web_may_read_every_refusal(served: Served, kind: str) -> None:
    security.cors(served.server, "*")
    reply = refused(served, kind)
    assert str(reply.status) == kind[:3]
    assert reply.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("kind", KNOWN)
def test_a_rule_that_fails_reveals_nothing(served: Served, kind: str) -> None:
    security.cors(served.server, lambda _origin: bool(1 // 0))
    with reported() as errors:
        reply = refused(served, kind, f"Origin: {APP}")
    assert reply.status >= 400
    assert "access-control-allow-origin" not in reply.headers
    assert isinstance(errors[0], ZeroDivisionError)


def test_refusals_over_http2(served: Served) -> None:
    security.cors(served.server, APP)
    served.configure(maximumBodySize=10)
    origin = (b"origin", APP.encode())
    for body, fields in ((b"", [origin, (b"content-length", b"11")]), (b"x" * 11, [origin])):
        reply = post_over_http2(served, *fields, body=body)
        assert (reply[":status"], reply["access-control-allow-origin"]) == ("413", APP)


# ---- rules that are functions


async def promises(_unsent: str) -> bool:
    return False


@pytest.mark.parametrize(
    "protect",
    [
        lambda server: security.require_bearer(server, promises),
        lambda server: security.cors(server, promises),
        lambda server: security.check_origin(server, ["https://a.example", promises]),
        lambda server: security.allow_origins_verifier(promises),
    ],
    ids=["token", "cors", "origin", "verifier"],
)
def test_a_coroutine_is_no_rule(served: Served, protect: Any) -> None:
    """Any coroutine counts as true: it would open the door to everybody."""
    with pytest.raises(TypeError, match="cannot be a coroutine"):
        protect(served.server)


@pytest.mark.parametrize("kind", ["token", "origin"])
def test_an_awaitable_result_admits_nothing(served: Served, kind: str) -> None:
    later: Future[bool] = Future()
    if kind == "token":
        security.require_bearer(served.server, lambda _token: later)  # type: ignore[arg-type, return-value]
    else:
        security.check_origin(served.server, lambda _origin: later)  # type: ignore[arg-type, return-value]
    with reported() as errors:
        client = served.post("Authorization: Bearer x", f"Origin: {APP}", "Content-Length: 1", start=b"x")
        assert client.reply().status == 500
    assert "at once" in str(errors[0])
    assert not served.bodies
