"""The ASGI specification, spoken by applications of three arguments."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qhttpserver_py import QHttpServer, aio, asgi, security
from qhttpserver_py._transport.connection import Connection

from ..support.h2client import Http2Client
from ..support.rawclient import RawClient, ask, bound, logged, spin

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


def check_failed(server: QHttpServer, begun: bool) -> None:
    """Check that a response that was begun is cut, and that another is 500."""
    client = RawClient(bound(server))
    client.get("/")
    if begun:
        assert client.wait_closed()
    else:
        assert client.reply().status == 500


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def hello(scope, receive, send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    await send(start(200, (b"content-type", b"text/plain"), (b"content-length", b"5")))
    await send(body(b"hello"))


class Recording:
    """Keeps the scopes and events of an application that answers with what it read."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        self.scopes.append(scope)
        data = b""
        while True:
            event = await receive()
            self.events.append(event)
            data += event.get("body", b"")
            if not event.get("more_body"):
                break
        await send(start())
        await send(body(data))


@pytest.mark.parametrize("prefix", ["/", "/api"])
def test_hello(server, prefix) -> None:
    server.route("/own", lambda: "own")
    asgi.mount(server, prefix, hello)
    server.route("/later", lambda: "later")
    port = bound(server)
    path = "/x/y" if prefix == "/" else "/api/x"
    reply = ask(port, path)
    assert (reply.status, reply.body) == (200, b"hello")
    assert [value for name, value in reply.fields if name == "content-length"] == ["5"]
    assert ask(port, "/own").body == b"own"
    assert ask(port, "/later").body == b"later"
    assert ask(port, prefix).body == b"hello"
    assert ask(port, "/apix").status == (200 if prefix == "/" else 404)


def test_the_scope(server) -> None:
    application = Recording()
    asgi.mount(server, "/api", application, state={"x": 1})
    client = RawClient(bound(server))
    client.get("/api/a%20b/%C3%BC?q=1&r=%20", "X-A: 1", "X-A: 2")
    assert client.reply().status == 200
    (scope,) = application.scopes
    assert (scope["type"], scope["http_version"], scope["method"], scope["scheme"]) == ("http", "1.1", "GET", "http")
    assert (scope["path"], scope["root_path"]) == ("/api/a b/ü", "/api")
    assert (scope["raw_path"], scope["query_string"]) == (b"/api/a%20b/%C3%BC", b"q=1&r=%20")
    assert scope["headers"] == [(b"host", b"x"), (b"x-a", b"1"), (b"x-a", b"2")]
    assert scope["client"] == ("127.0.0.1", client.socket.localPort())
    assert scope["server"][1] == server.serverPorts()[0]
    assert scope["state"] == {"x": 1}
    assert scope["asgi"]["version"] == "3.0"


def test_http_1_0_and_2(server) -> None:
    application = Recording()
    asgi.mount(server, "/", application)
    port = bound(server)
    old = RawClient(port)
    old.send(b"GET / HTTP/1.0\r\n\r\n")
    assert old.reply().status == 200
    client = Http2Client(port)
    client.get(1, b"/x")
    client.wait_for(1)
    assert [scope["http_version"] for scope in application.scopes] == ["1.0", "2"]
    assert application.scopes[1]["headers"][0] == (b"host", b"x")


@pytest.mark.parametrize("method", ["GET", "BREW", "OPTIONS"])
def test_any_method_at_the_root(server, method) -> None:
    application = Recording()
    asgi.mount(server, "/", application)
    assert ask(bound(server), "/", method=method).status == 200
    assert application.scopes[0]["method"] == method


def test_a_body_in_pieces(server) -> None:
    application = Recording()
    asgi.mount(server, "/", application)
    client = RawClient(bound(server))
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert spin(lambda: application.events)
    client.send(b"3\r\ndef\r\n0\r\n\r\n")
    assert client.reply().body == b"abcdef"
    assert [event["type"] for event in application.events] == ["http.request"] * len(application.events)
    assert application.events[0]["more_body"] is True


def test_a_large_body_is_held_back_while_the_application_waits(server) -> None:
    go = []

    async def application(scope, receive, send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        while not go:
            await asyncio.sleep(0.01)
        size = 0
        while (event := await receive())["more_body"]:
            size += len(event["body"])
        await send(start())
        await send(body(b"%d" % (size + len(event["body"]))))

    asgi.mount(server, "/", application)
    client = RawClient(bound(server))
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 8000000)
    spin(lambda: False, 0.3)
    assert client.socket.bytesToWrite() > 0
    go.append(1)
    assert client.reply().body == b"8000000"


def test_continue_is_sent_when_the_body_is_asked_for(server) -> None:
    asgi.mount(server, "/", Recording())
    client = RawClient(bound(server))
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert spin(lambda: b"100 Continue" in client.received)
    client.received = b""
    client.send(b"ab")
    assert client.reply().body == b"ab"


@pytest.mark.parametrize("sized", [False, True])
def test_a_response_in_pieces(server, sized) -> None:
    async def application(scope, receive, send) -> None:
        await send(start(200, *([(b"content-length", b"6")] if sized else [])))
        for piece in (b"abc", b"", b"def"):
            await send(body(piece, more=True))
            await asyncio.sleep(0)
        await send(body())

    asgi.mount(server, "/", application, lifespan="off")
    reply = ask(bound(server), "/")
    assert reply.body == b"abcdef"
    assert reply.headers.get("transfer-encoding") == (None if sized else "chunked")


def test_send_waits_for_a_slow_reader(server) -> None:
    sent = []

    async def application(scope, receive, send) -> None:
        await send(start())
        for _ in range(400):
            await send(body(b"x" * 65536, more=True))
            sent.append(1)
        await send(body())

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.socket.setReadBufferSize(4096)
    client.socket.readyRead.disconnect(client._read)
    client.get("/")
    spin(lambda: False, 0.5)
    assert 0 < len(sent) < 400
    client.socket.setReadBufferSize(0)
    client.socket.readyRead.connect(client._read)
    client._read()
    assert spin(lambda: len(sent) == 400, 20)


def test_trailers(server) -> None:
    async def application(scope, receive, send) -> None:
        await send(start(200, trailers=True))
        await send(body(b"abc"))
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-end", b"2")]})

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.get("/")
    assert spin(lambda: b"x-end: 2\r\n\r\n" in client.received)
    assert b"0\r\nx-sum: 1\r\n" in client.received


def test_early_hints_and_pathsend(server, tmp_path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"z" * 300_000)

    async def application(scope, receive, send) -> None:
        assert "http.response.pathsend" in scope["extensions"]
        await send({"type": "http.response.early_hint", "links": [b"</s.css>; rel=preload"]})
        await send(start(200, (b"content-type", b"text/plain")))
        await send({"type": "http.response.pathsend", "path": str(path)})

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.get("/")
    assert client.reply(head_only=True).status == 103
    reply = client.reply()
    assert (reply.status, len(reply.body)) == (200, 300_000)


def test_head_has_the_length_and_no_body(server) -> None:
    async def application(scope, receive, send) -> None:
        await send(start(200, (b"content-length", b"1234")))
        await send(body(b""))

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.get("/", method="HEAD")
    assert client.reply(head_only=True).headers["content-length"] == "1234"


# ---- leaving


@pytest.mark.parametrize("how", ["receive", "send"])
def test_disconnect_is_delivered_at_once_when_the_client_leaves(server, how) -> None:
    seen = []

    async def application(scope, receive, send) -> None:
        await receive()
        if how == "receive":
            seen.append((await receive())["type"])
            return
        await send(start())
        try:
            while True:
                await send(body(b"x", more=True))
                await asyncio.sleep(0.005)
        except OSError as error:
            seen.append(type(error).__name__)
            raise

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.get("/")
    assert spin(lambda: [c for c in server._core.connections if isinstance(c, Connection) and c.requests.exchanges])
    client.close()
    assert spin(lambda: seen, 3)
    assert seen in (["http.disconnect"], ["OSError"])


def test_disconnect_follows_a_complete_response(server) -> None:
    seen = []

    async def application(scope, receive, send) -> None:
        await receive()
        await send(start())
        await send(body(b"x"))
        seen.append((await receive())["type"])

    asgi.mount(server, "/", application, lifespan="off")
    assert ask(bound(server), "/").body == b"x"
    assert spin(lambda: seen == ["http.disconnect"])


def test_a_hundred_that_leave_in_the_middle_leave_nothing(server, monkeypatch) -> None:
    monkeypatch.setattr("qhttpserver_py.asgi.cycle.GRACE", 0.05)

    async def application(scope, receive, send) -> None:
        await send(start())
        await send(body(b"x", more=True))
        await asyncio.sleep(3600)

    mounted = asgi.mount(server, "/", application, lifespan="off")
    port = bound(server)
    with logged():
        for _ in range(10):
            clients = [RawClient(port) for _ in range(10)]
            for client in clients:
                client.get("/")
            assert spin(lambda: all(client.received for client in clients))
            for client in clients:
                client.close()
        assert spin(lambda: not mounted._tasks, 5)
    assert not server._core.connections


# ---- faults


@pytest.mark.parametrize("begun", [False, True])
def test_an_application_that_raises(server, reported, begun) -> None:
    async def application(scope, receive, send) -> None:
        if begun:
            await send(start())
            await send(body(b"x", more=True))
        raise ZeroDivisionError

    asgi.mount(server, "/", application, lifespan="off")
    check_failed(server, begun)
    assert [type(error) for error in reported] == [ZeroDivisionError]


@pytest.mark.parametrize(
    "events",
    [
        [],
        [start()],
        [body(b"x")],
        [start(), start()],
        [start(), body(b"x"), body(b"y")],
        [start(), body(b"x", more=True), start()],
        [start(99)],
        [start(101)],
        [start("200")],
        [start(200, (b"a b", b"x"))],
        [start(200, (b"x", b"a\r\nb: c"))],
        [{"type": "no.such"}],
        [start(), {"type": "http.response.trailers", "headers": []}],
    ],
)
def test_misuse_raises_in_the_application(server, reported, events) -> None:
    async def application(scope, receive, send) -> None:
        for event in events:
            await send(event)

    asgi.mount(server, "/", application, lifespan="off")
    server.route("/own", lambda: "own")
    port = bound(server)
    client = RawClient(port)
    client.get("/")
    assert spin(lambda: reported)
    assert spin(lambda: client.closed or client.received)
    assert ask(port, "/own").body == b"own"


def test_an_application_that_never_answers_does_not_block_others(server) -> None:
    async def application(scope, receive, send) -> None:
        if scope["path"] == "/never":
            await asyncio.sleep(3600)
        await hello(scope, receive, send)

    mounted = asgi.mount(server, "/", application, lifespan="off")
    port = bound(server)
    stuck = RawClient(port)
    stuck.get("/never")
    assert ask(port, "/").body == b"hello"
    server.close()
    assert spin(lambda: not mounted._tasks)


@pytest.mark.parametrize("begun", [False, True])
def test_an_application_whose_task_is_cancelled_ends_its_response(server, begun) -> None:
    async def application(scope, receive, send) -> None:
        if begun:
            await send(start())
            await send(body(b"some", more=True))
        raise asyncio.CancelledError

    asgi.mount(server, "/", application, lifespan="off")
    check_failed(server, begun)


def test_two_tasks_that_send_both_go_on(server) -> None:
    ended: list[int] = []

    async def application(scope, receive, send) -> None:
        await send(start())

        async def pour(number: int) -> None:
            for _ in range(8):
                await send(body(bytes(1_000_000), more=True))
            ended.append(number)

        await asyncio.gather(pour(1), pour(2))
        await send(body())

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.get("/")
    assert spin(lambda: len(ended) == 2)
    assert len(client.reply().body) == 16_000_000


# ---- lifespan


class WithLifespan:
    def __init__(self, fail: str = "", slow: float = 0.0) -> None:
        self.seen: list[str] = []
        self.fail, self.slow = fail, slow

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            await send(start())
            await send(body(repr(sorted(scope["state"])).encode()))
            return
        while True:
            event = await receive()
            self.seen.append(event["type"])
            if event["type"] == "lifespan.startup":
                await asyncio.sleep(self.slow)
                if self.fail:
                    await send({"type": "lifespan.startup.failed", "message": self.fail})
                    return
                scope["state"]["db"] = 1
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return


def test_requests_wait_for_the_startup(server) -> None:
    application = WithLifespan(slow=0.2)
    mounted = asgi.mount(server, "/", application, state={"a": 1})
    assert not mounted.is_ready
    assert ask(bound(server), "/").body == b"['a', 'db']"
    assert mounted.is_ready
    server.close()
    assert spin(lambda: application.seen == ["lifespan.startup", "lifespan.shutdown"])
    assert spin(mounted._lifespan.task.done)


def test_the_end_of_the_program_shuts_the_application_down_without_close(server) -> None:
    application = WithLifespan()
    asgi.mount(server, "/", application)
    assert ask(bound(server), "/").status == 200
    aio.close()
    assert application.seen == ["lifespan.startup", "lifespan.shutdown"]


def test_a_startup_that_fails(server) -> None:
    with logged() as lines:
        mounted = asgi.mount(server, "/", WithLifespan(fail="no database"), lifespan="on")
        assert ask(bound(server), "/").status == 503
    assert mounted.error == "no database"
    assert any("no database" in text for _, _, text in lines)


def test_an_application_without_a_lifespan(server) -> None:
    mounted = asgi.mount(server, "/", hello)
    assert ask(bound(server), "/").body == b"hello"
    assert mounted.error == ""


def test_protections_come_first(server) -> None:
    application = Recording()
    asgi.mount(server, "/", application)
    security.allow_hosts(server, ["good.test"])
    port = bound(server)
    assert ask(port, "/").status in (400, 403, 421)
    assert application.scopes == []


class Overriding(QHttpServer):
    def handleRequest(self, request, responder) -> bool:
        return super().handleRequest(request, responder)


@pytest.mark.parametrize("prefix", ["/", "/api"])
@pytest.mark.parametrize("way", ["policy", "bearer", "before", "after", "overridden", "missing", "405"])
def test_what_else_a_server_has_leaves_the_application_its_requests(qapp, prefix, way) -> None:
    server = Overriding() if way == "overridden" else QHttpServer()
    if way == "policy":
        security.allow_hosts(server, ["x"])
    elif way == "bearer":
        security.require_bearer(server, "secret")
    elif way == "before":
        server.addBeforeRequestHandler(server, lambda request: None)
    elif way == "after":
        server.addAfterRequestHandler(server, lambda request, response: None)
    elif way == "missing":
        server.setMissingHandler(server, lambda request, responder: responder.write(204))
    elif way == "405":
        server.setMethodNotAllowed(True)
    application = Recording()
    server.route("/own", lambda: "own")
    asgi.mount(server, prefix, application)
    port = bound(server)
    target = f"{prefix.rstrip('/')}/x"
    client = RawClient(port)
    client.get("/own", "Authorization: Bearer secret")
    assert client.reply().body == b"own"
    client.get(target, "Authorization: Bearer secret")
    assert client.reply().status == 200
    fields = "Host: x\r\nAuthorization: Bearer secret\r\n"
    client.send(f"POST {target} HTTP/1.1\r\n{fields}Content-Length: 500000\r\n\r\n".encode() + b"z" * 500_000)
    assert client.reply().body == b"z" * 500_000
    assert len(application.scopes) == 2
    server.close()


@pytest.mark.parametrize("prefix", ["", "api", "/api/"])
def test_prefixes_that_cannot_be(server, prefix) -> None:
    with pytest.raises(ValueError, match="prefix"):
        asgi.mount(server, prefix, hello)


def test_what_is_no_application(server) -> None:
    with pytest.raises(TypeError, match="callable"):
        asgi.mount(server, "/", "app")  # type: ignore[arg-type]
