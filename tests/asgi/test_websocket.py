"""The websocket scope of the ASGI specification, from the handshake to the close."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from qhttpserver_py import QHttpServerWebSocketUpgradeResponse as Verdict
from qhttpserver_py import asgi, security
from qhttpserver_py._loop import eventloop

from ..support.h2websocket import Http2WebSockets
from ..support.rawclient import RawClient, ask, bound, spin
from ..support.threads import in_thread
from ..support.wsclient import CLOSE, TEXT, frame, frames, handshake, switched

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


class Echo:
    """Accepts, sends every message back, and keeps scope and events."""

    def __init__(self, **accept: Any) -> None:
        self.accept = {"type": "websocket.accept", **accept}
        self.scope: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError
        self.scope = scope
        self.events.append(await receive())
        await send(self.accept)
        while self.events[-1]["type"] != "websocket.disconnect":
            event = await receive()
            self.events.append(event)
            if event["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


def sending(*events: dict[str, Any]):
    """Return an application that takes the connect event and sends *events*."""

    async def application(scope, receive, send) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError
        await receive()
        for event in events:
            await send(event)

    return application


ACCEPT = {"type": "websocket.accept"}


@pytest.mark.parametrize("prefix", ["/", "/api"])
def test_messages_and_the_scope(server, prefix) -> None:
    echo = Echo(subprotocol="chat", headers=[(b"X-A", b"1"), (b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")])
    asgi.mount(server, prefix, echo, state={"n": 1})
    port = bound(server)
    path = f"{'' if prefix == '/' else prefix}/a%20b?q=1"

    def client() -> list[Any]:
        with connect(f"ws://127.0.0.1:{port}{path}", subprotocols=["other", "chat"]) as peer:
            peer.send("é")
            peer.send(b"\0\1")
            headers = peer.response.headers
            return [peer.subprotocol, headers["x-a"], headers.get_all("set-cookie"), peer.recv(5), peer.recv(5)]

    assert in_thread(client) == ["chat", "1", ["a=b", "c=d"], "é", b"\0\1"]
    assert spin(lambda: echo.events[-1]["type"] == "websocket.disconnect")
    assert echo.events[0] == {"type": "websocket.connect"}
    assert echo.events[1:3] == [
        {"type": "websocket.receive", "text": "é"},
        {"type": "websocket.receive", "bytes": b"\0\1"},
    ]
    assert echo.events[-1] == {"type": "websocket.disconnect", "code": 1000, "reason": ""}
    scope = echo.scope
    assert (scope["scheme"], scope["http_version"], scope["subprotocols"]) == ("ws", "1.1", ["other", "chat"])
    assert (scope["path"], scope["raw_path"]) == (path.partition("?")[0].replace("%20", " "), path.encode()[:-4])
    assert (scope["root_path"], scope["query_string"]) == ("" if prefix == "/" else prefix, b"q=1")
    assert (scope["state"], scope["extensions"]) == ({"n": 1}, {"websocket.http.response": {}})
    assert "method" not in scope


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [(1000, "", (1000, "")), (4001, "bye", (4001, "bye")), (None, None, (1005, ""))],
)
def test_the_close_of_the_client_is_delivered(server, code, reason, expected) -> None:
    echo = Echo()
    asgi.mount(server, "/", echo)
    client = RawClient(bound(server))
    client.send(handshake())
    switched(client)
    client.send(frame(CLOSE, b"" if code is None else code.to_bytes(2) + reason.encode()))
    assert spin(lambda: echo.events[-1]["type"] == "websocket.disconnect")
    assert (echo.events[-1]["code"], echo.events[-1]["reason"]) == expected


def test_disconnect_is_delivered_at_once_when_the_client_vanishes(server) -> None:
    echo = Echo()
    asgi.mount(server, "/", echo)
    client = RawClient(bound(server))
    client.send(handshake())
    switched(client)
    client.socket.abort()
    assert spin(lambda: echo.events[-1]["type"] == "websocket.disconnect", 2)
    assert echo.events[-1]["code"] == 1006


@pytest.mark.parametrize(
    ("event", "expected"),
    [({}, (1000, "")), ({"code": 3000, "reason": "why"}, (3000, "why")), ({"code": 1012}, (1012, ""))],
)
def test_the_close_of_the_application(server, event, expected) -> None:
    asgi.mount(
        server, "/", sending(ACCEPT, {"type": "websocket.send", "text": "x"}, {"type": "websocket.close", **event})
    )
    port = bound(server)

    def client() -> Any:
        with connect(f"ws://127.0.0.1:{port}/") as peer:
            assert peer.recv(5) == "x"
            with pytest.raises(ConnectionClosed) as closed:
                peer.recv(5)
            assert closed.value.rcvd is not None
            return closed.value.rcvd.code, closed.value.rcvd.reason

    assert in_thread(client) == expected


def test_an_application_that_returns_closes_normally(server, reported) -> None:
    asgi.mount(server, "/", sending(ACCEPT))
    client = RawClient(bound(server))
    client.send(handshake())
    switched(client)
    assert spin(lambda: frames(client.received))
    assert frames(client.received)[0] == (CLOSE, True, (1000).to_bytes(2))
    assert reported == []


def test_a_close_before_accept_is_403(server) -> None:
    asgi.mount(server, "/", sending({"type": "websocket.close"}))
    assert ask_upgrade(server).status == 403


def ask_upgrade(server, **fields):
    client = RawClient(bound(server))
    client.send(handshake(**fields))
    return client.reply()


def denial(*pieces: bytes, status: int = 401, headers: Any = ()) -> list[dict[str, Any]]:
    start = {"type": "websocket.http.response.start", "status": status, "headers": list(headers)}
    last = len(pieces) - 1
    body = [
        {"type": "websocket.http.response.body", "body": piece, "more_body": number < last}
        for number, piece in enumerate(pieces)
    ]
    return [start, *body]


@pytest.mark.parametrize("pieces", [(b"",), (b"who?",), (b"a", b"b", b"c")])
def test_a_denial_response(server, reported, pieces) -> None:
    asgi.mount(server, "/", sending(*denial(*pieces, headers=[(b"www-authenticate", b"Bearer")])))
    reply = ask_upgrade(server)
    assert (reply.status, reply.body, reply.headers["www-authenticate"]) == (401, b"".join(pieces), "Bearer")
    assert reported == []


async def fails_first(scope, receive, send) -> None:
    raise ZeroDivisionError


async def fails_later(scope, receive, send) -> None:
    if scope["type"] == "websocket":
        await send(ACCEPT)
    raise ZeroDivisionError


def test_an_error_before_accept_is_500(server, reported) -> None:
    asgi.mount(server, "/", fails_first)
    assert ask_upgrade(server).status == 500
    assert [type(error) for error in reported] == [ZeroDivisionError]


def test_an_error_after_accept_closes_with_1011(server, reported) -> None:
    asgi.mount(server, "/", fails_later)
    client = RawClient(bound(server))
    client.send(handshake())
    switched(client)
    assert spin(lambda: frames(client.received))
    assert frames(client.received)[0] == (CLOSE, True, (1011).to_bytes(2))
    assert [type(error) for error in reported] == [ZeroDivisionError]


@pytest.mark.parametrize(
    ("events", "error", "status"),
    [
        ([], RuntimeError, 500),
        ([{"type": "websocket.send", "text": "x"}], RuntimeError, 500),
        ([{"type": "http.response.start", "status": 200}], RuntimeError, 500),
        ([denial(b"")[1]], RuntimeError, 500),
        ([denial(b"")[0]], RuntimeError, 500),
        (denial(b"", status=99), ValueError, 500),
        ([{**ACCEPT, "subprotocol": "x"}], ValueError, 500),
        ([{**ACCEPT, "headers": [(b"a", b"b\r\nc")]}], ValueError, 500),
        ([{**ACCEPT, "headers": [(b"sec-websocket-protocol", b"x")]}], ValueError, 500),
        ([{"type": "websocket.close"}, {"type": "websocket.close"}], RuntimeError, 403),
        ([{"type": "websocket.close"}, ACCEPT], RuntimeError, 403),
        ([*denial(b"x"), ACCEPT], RuntimeError, 401),
        ([ACCEPT, ACCEPT], RuntimeError, 101),
        ([ACCEPT, *denial(b"")], RuntimeError, 101),
        ([ACCEPT, {"type": "websocket.close", "code": 1005}], ValueError, 101),
        ([ACCEPT, {"type": "websocket.close", "code": 1000, "reason": "x" * 124}], ValueError, 101),
    ],
)
def test_misuse_raises_in_the_application(server, reported, events, error, status) -> None:
    asgi.mount(server, "/", sending(*events))
    client = RawClient(bound(server))
    client.send(handshake())
    assert client.reply(head_only=status == 101).status == status
    assert spin(lambda: reported)
    assert [type(one) for one in reported] == [error]
    if status == 101:
        assert spin(lambda: frames(client.received))
        assert frames(client.received)[0][2][:2] == (1011).to_bytes(2)
    assert ask(server.serverPorts()[0], "/").status == 500  # others are served


def test_send_after_the_client_left_is_an_oserror(server, reported) -> None:
    seen: list[Any] = []

    async def application(scope, receive, send) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError
        await send(ACCEPT)
        await receive()
        while (await receive())["type"] != "websocket.disconnect":
            pass
        seen.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "x"})
        except OSError as error:
            seen.append(error)
            raise

    asgi.mount(server, "/", application)
    client = RawClient(bound(server))
    client.send(handshake())
    switched(client)
    client.socket.abort()
    assert spin(lambda: len(seen) == 2)
    assert seen[0]["type"] == "websocket.disconnect"
    assert reported == []


def test_send_waits_for_a_slow_reader(server) -> None:
    sent: list[int] = []

    async def application(scope, receive, send) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError
        await send(ACCEPT)
        for number in range(400):
            await send({"type": "websocket.send", "bytes": bytes(65536)})
            sent.append(number)

    asgi.mount(server, "/", application)
    client = RawClient(bound(server))
    client.socket.setReadBufferSize(1024)
    client.socket.readyRead.disconnect()
    client.send(handshake())
    assert spin(lambda: sent)
    before = -1
    while before != len(sent):
        before = len(sent)
        spin(lambda: False, 0.2)
    assert len(sent) < 300


def test_a_client_that_leaves_before_accept(server) -> None:
    seen: list[Any] = []

    async def application(scope, receive, send) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError
        seen.append(await receive())
        seen.append(await receive())
        try:
            await send(ACCEPT)
        except OSError as error:
            seen.append(error)

    asgi.mount(server, "/", application)
    client = RawClient(bound(server))
    client.send(handshake())
    assert spin(lambda: seen)
    client.socket.abort()
    assert spin(lambda: len(seen) == 3, 2)
    assert seen[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert isinstance(seen[2], OSError)


def test_frames_behind_the_handshake_are_kept_while_the_application_decides(server) -> None:
    go = asyncio.Event()

    async def application(scope, receive, send) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError
        await receive()
        await go.wait()
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": (await receive())["text"][::-1]})

    asgi.mount(server, "/", application)
    client = RawClient(bound(server))
    client.send(handshake() + frame(TEXT, b"abc"))
    spin(lambda: False, 0.05)
    go.set()
    switched(client)
    assert spin(lambda: frames(client.received))
    assert frames(client.received)[0] == (TEXT, True, b"cba")


def test_a_message_that_is_too_large(server) -> None:
    echo = Echo()
    asgi.mount(server, "/", echo, max_message_size=1000)
    client = RawClient(bound(server))
    client.send(handshake())
    switched(client)
    client.send(frame(TEXT, b"x" * 1001))
    assert spin(lambda: echo.events[-1]["type"] == "websocket.disconnect")
    assert echo.events[-1]["code"] == 1009


@pytest.mark.parametrize(
    ("origin", "origins", "status"),
    [
        (None, None, 101),
        ("http://localhost", None, 101),
        ("http://evil.example", None, 403),
        ("http://app.example", ["http://app.example"], 101),
        ("http://evil.example", ["http://app.example"], 403),
        ("http://evil.example", ["*"], 101),
    ],
)
def test_pages_of_other_origins(server, origin, origins, status) -> None:
    asgi.mount(server, "/", Echo(), origins=origins)
    client = RawClient(bound(server))
    client.send(handshake(Origin=origin))
    assert client.reply(head_only=status == 101).status == status


@pytest.mark.parametrize("backing", ["verifier", "policy"])
def test_protections_come_first(server, backing) -> None:
    echo = Echo()
    asgi.mount(server, "/", echo)
    if backing == "verifier":
        server.addWebSocketUpgradeVerifier(server, lambda _: Verdict.deny())
    else:
        security.require_bearer(server, "secret")
    assert ask_upgrade(server).status in (401, 403)
    assert echo.events == []


@pytest.mark.parametrize("verdict", [Verdict.accept, Verdict.passToNext])
def test_a_verifier_that_agrees_leaves_it_to_the_application(server, verdict) -> None:
    asgi.mount(server, "/", Echo())
    server.addWebSocketUpgradeVerifier(server, lambda _: verdict())
    client = RawClient(bound(server))
    client.send(handshake())
    switched(client)


def test_routes_come_first_and_prefixes_are_kept_apart(server) -> None:
    one, two, rest = Echo(), Echo(), Echo()
    asgi.mount(server, "/", rest)
    asgi.mount(server, "/one", one)
    asgi.mount(server, "/two", two)
    heard = []
    server.websocket("/one/own", heard.append)
    port = bound(server)
    for path in ("/one", "/one/own", "/two/x", "/onemore"):
        client = RawClient(port)
        client.send(handshake(path))
        switched(client)
    assert [echo.scope.get("path") for echo in (one, two, rest)] == ["/one", "/two/x", "/onemore"]
    assert len(heard) == 1


def test_a_handshake_that_is_none_does_not_reach_the_application(server) -> None:
    echo = Echo()
    asgi.mount(server, "/", echo)
    assert ask_upgrade(server, Sec_WebSocket_Version="12").status == 426
    assert ask_upgrade(server, Sec_WebSocket_Key="x").status == 400
    assert echo.events == []


@pytest.mark.parametrize("fails", [False, True])
def test_handshakes_wait_for_the_startup(server, fails) -> None:
    go = asyncio.Event()
    echo = Echo()

    async def application(scope, receive, send) -> None:
        if scope["type"] != "lifespan":
            await echo(scope, receive, send)
            return
        await receive()
        await go.wait()
        await send({"type": "lifespan.startup.failed" if fails else "lifespan.startup.complete", "message": "no"})
        await receive()

    asgi.mount(server, "/", application)
    client = RawClient(bound(server))
    client.send(handshake())
    spin(lambda: False, 0.05)
    assert client.received == b""
    go.set()
    assert client.reply(head_only=not fails).status == (503 if fails else 101)


def test_close_of_the_server_leaves_no_task(server) -> None:
    echo = Echo()
    mounted = asgi.mount(server, "/", echo)
    clients = [RawClient(bound(server))]
    clients += [RawClient(server.serverPorts()[0]) for _ in range(9)]
    for client in clients:
        client.send(handshake())
        switched(client)
    assert len(mounted._tasks) == 10
    server.close()
    assert spin(lambda: not mounted._tasks)
    assert spin(lambda: all(frames(client.received) for client in clients))
    assert {frames(client.received)[0][2][:2] for client in clients} == {(1001).to_bytes(2)}
    assert not [task for task in asyncio.all_tasks(eventloop.own_loop()) if "Cycle" in repr(task)]


def test_a_hundred_that_vanish_leave_nothing(server, reported) -> None:
    mounted = asgi.mount(server, "/", Echo())
    port = bound(server)
    for number in range(100):
        client = RawClient(port)
        client.send(handshake())
        if number % 2:
            switched(client)
        client.socket.abort()
    assert spin(lambda: not mounted._tasks, 10)
    assert spin(lambda: not list(server._upgrades.sockets), 10)
    assert reported == []


def test_over_http_2(server, reported) -> None:
    one, two = Echo(subprotocol="chat", headers=[(b"x-a", b"1")]), sending(*denial(b"no"))
    asgi.mount(server, "/one", one)
    asgi.mount(server, "/two", two)
    asgi.mount(server, "/three", fails_later)
    client = Http2WebSockets(bound(server))
    stream = client.open("/one?q=1", sec_websocket_protocol="chat")
    assert (client.heads[stream]["sec-websocket-protocol"], client.heads[stream]["x-a"]) == ("chat", "1")
    assert (one.scope["http_version"], one.scope["scheme"], one.scope["path"]) == ("2", "ws", "/one")
    client.send(stream, frame(TEXT, b"abc"))
    assert client.frames(stream, 1) == [(TEXT, True, b"abc")]
    client.send(stream, frame(CLOSE, (1000).to_bytes(2)))
    assert client.wait(lambda: one.events[-1] == {"type": "websocket.disconnect", "code": 1000, "reason": ""})
    assert client.status(client.connect("/two")) == "401"
    failing = client.open("/three")
    assert client.frames(failing, 1)[0][2][:2] == (1011).to_bytes(2)
    assert [type(error) for error in reported] == [ZeroDivisionError]
