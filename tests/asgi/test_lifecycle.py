"""Receiving, leaving and closing: what an application is told, in which order, and what is left of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from qhttpserver_py import aio, asgi

from ..support.rawclient import RawClient, ask, bound, logged, wait_until
from ..support.wsclient import frames, handshake, switched

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")

START = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body", "body": b"done"}
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def without_lifespan(scope: dict[str, Any]) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError


# ---- receiving


def test_a_receive_that_is_given_up_loses_nothing(server) -> None:
    seen: list[Any] = []

    async def application(scope, receive, send) -> None:
        for _ in range(3):
            try:
                await asyncio.wait_for(receive(), 0.02)
            except TimeoutError:
                seen.append("timeout")
        data = b""
        while (event := await receive())["more_body"]:
            data += event["body"]
        await send(START)
        await send({**BODY, "body": data + event["body"]})

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.send(CHUNKED)
    wait_until(lambda: len(seen) == 3)
    client.send(b"3\r\nabc\r\n")
    client.send(b"3\r\ndef\r\n0\r\n\r\n")
    assert client.reply().body == b"abcdef"


def test_two_tasks_may_receive(server) -> None:
    tasks: list[Any] = []

    async def application(scope, receive, send) -> None:
        tasks.extend(asyncio.ensure_future(receive()) for _ in range(2))
        await asyncio.sleep(0)
        tasks.append(None)
        first, second = await asyncio.gather(*tasks[:2])
        await send(START)
        await send({**BODY, "body": b"-".join(sorted([first["body"], second["body"]]))})

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.send(CHUNKED)
    wait_until(lambda: len(tasks) == 3)
    client.send(b"3\r\nabc\r\n")
    wait_until(lambda: any(task.done() for task in tasks[:2]))
    client.send(b"3\r\ndef\r\n0\r\n\r\n")
    assert sorted(client.reply().body.replace(b"-", b"")) == sorted(b"abcdef")


def test_continue_waits_for_the_first_receive(server) -> None:
    go = asyncio.Event()

    async def application(scope, receive, send) -> None:
        await go.wait()
        event = await receive()
        await send(START)
        await send({**BODY, "body": event["body"]})

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert not client.wait_closed(0.05)
    assert client.received == b""
    go.set()
    assert client.reply(head_only=True).status == 100
    client.send(b"ab")
    assert client.reply().body == b"ab"


def test_an_answer_instead_of_100_continue(server) -> None:
    async def application(scope, receive, send) -> None:
        await send({**START, "status": 413})
        await send(BODY)

    asgi.mount(server, "/", application, lifespan="off")
    client = RawClient(bound(server))
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert client.reply().status == 413


def test_contextvars_and_the_current_task(server) -> None:
    import contextvars

    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    seen: list[Any] = []

    async def application(scope, receive, send) -> None:
        before = asyncio.current_task()
        variable.set(variable.get() + 1)
        await asyncio.sleep(0.01)
        seen.append((variable.get(), before is asyncio.current_task(), before is not None))
        await send(START)
        await send(BODY)

    asgi.mount(server, "/", application, lifespan="off")
    port = bound(server)
    assert [ask(port, "/").body, ask(port, "/").body] == [b"done", b"done"]
    assert seen == [(1, True, True)] * 2


# ---- files


@pytest.mark.parametrize("name", ["none.txt", "relative.txt", "."])
def test_a_path_that_is_no_file_raises_before_anything_is_sent(server, tmp_path, monkeypatch, name) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "relative.txt").write_text("x")
    path = name if name == "relative.txt" else str(tmp_path / name)

    async def application(scope, receive, send) -> None:
        await send(START)
        try:
            await send({"type": "http.response.pathsend", "path": path})
        except FileNotFoundError as error:
            await send({**BODY, "body": type(error).__name__.encode()})

    asgi.mount(server, "/", application, lifespan="off")
    assert ask(bound(server), "/").body == b"FileNotFoundError"


# ---- closing


class Room:
    """Accepts, and takes its time once it is told that the client is gone."""

    def __init__(self, seconds: float = 0.0, *, swallows: bool = False) -> None:
        self.log: list[Any] = []
        self.seconds = seconds
        self.swallows = swallows

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            self.log.append((await receive())["type"])
            await send({"type": "lifespan.startup.complete"})
            self.log.append((await receive())["type"])
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] == "http":
            await asyncio.sleep(self.seconds)
            await send(START)
            await send(BODY)
            return
        await receive()
        await send({"type": "websocket.accept"})
        event = await receive()
        self.log.append((event["type"], event["code"]))
        try:
            await asyncio.sleep(self.seconds)
            self.log.append("cleaned up")
        except asyncio.CancelledError:
            self.log.append("cancelled")
            if not self.swallows:
                raise
            await asyncio.sleep(0.3)


def opened(port: int) -> RawClient:
    client = RawClient(port)
    client.send(handshake())
    switched(client)
    return client


@pytest.mark.parametrize("how", ["server", "mounted", "program"])
def test_open_websockets_get_1001_before_the_shutdown(server, how) -> None:
    room = Room(0.05)
    mounted = asgi.mount(server, "/", room)
    client = opened(bound(server))
    {"server": server.close, "mounted": mounted.close, "program": aio.close}[how]()
    wait_until(lambda: len(room.log) == 4)
    assert room.log == ["lifespan.startup", ("websocket.disconnect", 1001), "cleaned up", "lifespan.shutdown"]
    assert not mounted._tasks
    if how != "program":
        wait_until(lambda: frames(client.received))
        assert frames(client.received)[0][2][:2] == (1001).to_bytes(2)


@pytest.mark.parametrize("how", ["timer", "coroutine", "request"])
def test_the_shutdown_runs_when_a_program_quits(how) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(QUITTING), how],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "up\ndown\n", "")


QUITTING = r"""
    import socket, sys
    from PySide6.QtCore import QCoreApplication, QTimer
    from qhttpserver_py import QHttpServer, aio, asgi
    from tests.support.rawclient import bound

    app = QCoreApplication([])

    async def application(scope, receive, send):
        if scope["type"] == "http":
            app.quit()
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body"})
            return
        await receive()
        print("up")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("down")
        await send({"type": "lifespan.shutdown.complete"})

    async def quit():
        app.quit()

    server = QHttpServer()
    asgi.mount(server, "/", application)
    port = bound(server)
    if sys.argv[1] == "timer":
        QTimer.singleShot(0, app.quit)
    elif sys.argv[1] == "coroutine":
        QTimer.singleShot(0, lambda: aio.start(quit()))
    else:
        client = socket.create_connection(("127.0.0.1", port))
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    app.exec()
"""


def test_what_does_not_end_is_cancelled_after_the_grace(server, monkeypatch) -> None:
    monkeypatch.setattr("qhttpserver_py.asgi.CLOSE_GRACE", 0.1)
    room = Room(3600)
    mounted = asgi.mount(server, "/", room)
    opened(bound(server))
    with logged() as lines:
        server.close()
        wait_until(lambda: "lifespan.shutdown" in room.log and "cancelled" in room.log)
        wait_until(lambda: not mounted._tasks)
    assert sum("did not end" in text for _, _, text in lines) == 1


def test_an_application_that_ignores_its_cancellation_does_not_block_others(server, monkeypatch) -> None:
    monkeypatch.setattr("qhttpserver_py.asgi.CLOSE_GRACE", 0.05)
    room = Room(3600, swallows=True)
    mounted = asgi.mount(server, "/", room)
    port = bound(server)
    opened(port)
    server.route("/own", lambda: "own")
    with logged():
        mounted.close()
        wait_until(lambda: "cancelled" in room.log)
        assert ask(port, "/own").body == b"own"
        wait_until(lambda: "lifespan.shutdown" in room.log)
        wait_until(lambda: not mounted._tasks)


def test_replies_in_flight_are_finished_within_the_timeout_of_close(server) -> None:
    room = Room(0.15)
    mounted = asgi.mount(server, "/", room)
    client = RawClient(bound(server))
    client.get("/")
    wait_until(lambda: mounted._tasks)
    server.close(5000)
    assert client.reply().body == b"done"
    wait_until(lambda: room.log[-1] == "lifespan.shutdown")


def test_without_a_timeout_they_are_cut(server) -> None:
    room = Room(3600)
    mounted = asgi.mount(server, "/", room)
    client = RawClient(bound(server))
    client.get("/")
    wait_until(lambda: mounted._tasks)
    server.close()
    assert client.wait_closed()
    wait_until(lambda: not mounted._tasks)
    wait_until(lambda: room.log[-1] == "lifespan.shutdown")


def test_a_wsgi_request_in_flight_is_finished_too(server) -> None:
    pytest.importorskip("a2wsgi")
    import threading

    from qhttpserver_py import wsgi

    began, go = threading.Event(), threading.Event()

    def application(environ, start_response):
        began.set()
        assert go.wait(10)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    wsgi.mount(server, "/", application)
    client = RawClient(bound(server))
    client.get("/")
    wait_until(began.is_set)
    server.close(5000)
    go.set()
    assert client.reply().body == b"done"


@pytest.mark.parametrize(
    "event",
    [{}, {"text": None}, {"text": None, "bytes": None}, {"text": b"x"}, {"bytes": "x"}, {"bytes": 5}],
)
def test_messages_of_no_type_raise(server, reported, event) -> None:
    async def application(scope, receive, send) -> None:
        await without_lifespan(scope)
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", **event})

    asgi.mount(server, "/", application)
    client = opened(bound(server))
    wait_until(lambda: frames(client.received))
    assert frames(client.received)[0][2][:2] == (1011).to_bytes(2)
    assert [type(error) for error in reported] == [TypeError]
