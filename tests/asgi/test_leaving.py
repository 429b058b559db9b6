"""Clients that leave in the middle, by the hundred for each way of leaving: what is left of them is counted."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path
from typing import Any

import pytest

from qhttpserver_py import asgi
from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._loop import eventloop
from qhttpserver_py.asgi.cycle import HttpCycle
from qhttpserver_py.asgi.websocket import WebSocketCycle

from ..support.h2client import Http2Client
from ..support.rawclient import RawClient, bound, settle, spin, wait_until
from ..support.wsclient import TEXT, frame, handshake

pytestmark = [
    pytest.mark.usefixtures("qapp", "own_loop"),
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc"),
]
CLIENTS = 200
AT_A_TIME = 50


class Busy:
    """Is in the middle of something for each client, as its path says."""

    def __init__(self) -> None:
        self.began = self.ended = 0

    async def __call__(self, scope, receive, send) -> None:
        self.began += 1
        try:
            if scope["type"] == "websocket":
                await self.talk(receive, send)
            else:
                await getattr(self, scope["path"][1:])(receive, send)
        finally:
            self.ended += 1

    async def talk(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": "x"})

    async def upload(self, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def wait(self, receive: Any, send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"

    async def pour(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(70_000), "more_body": True})
            await asyncio.sleep(0)

    async def tasks(self, receive: Any, send: Any) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                waiting = group.create_task(asyncio.sleep(3600))
                group.create_task(self.when_left(receive, waiting))

    async def when_left(self, receive: Any, waiting: asyncio.Task[None]) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        waiting.cancel()


def http1(method: str, path: str, rest: str = "") -> bytes:
    return f"{method} /{path} HTTP/1.1\r\nHost: x\r\n{rest}\r\n".encode()


WAYS: dict[str, bytes] = {
    "wait": http1("GET", "wait"),
    "pour": http1("GET", "pour"),
    "upload": http1("POST", "upload", "Content-Length: 100000\r\n") + b"x" * 5000,
    "chunked": http1("POST", "upload", "Transfer-Encoding: chunked\r\n") + b"5\r\nab",
    "tasks": http1("GET", "tasks"),
    "websocket": handshake() + frame(TEXT, b"x"),
}


class Counted:
    """What there is now, of all that a client can leave behind."""

    def __init__(self) -> None:
        settle()
        gc.collect()
        kinds = (HttpCycle, WebSocketCycle, Exchange, asyncio.Task)
        self.objects = {kind.__name__: sum(isinstance(one, kind) for one in gc.get_objects()) for kind in kinds}
        self.tasks = len(asyncio.all_tasks(eventloop.own_loop()))
        self.descriptors = len(list(Path("/proc/self/fd").iterdir()))


def leaves_nothing(server: Any, application: Busy, mounted: asgi.Mounted, round_: Any) -> None:
    round_()  # what is made once
    wait_until(lambda: not mounted._tasks and not server._core.connections)
    before = Counted()
    for _ in range(CLIENTS // AT_A_TIME):
        round_()
    wait_until(lambda: not mounted._tasks and not server._core.connections)
    assert application.began == application.ended == CLIENTS + AT_A_TIME
    left: list[Counted] = []
    spin(lambda: left.append(Counted()) or vars(left[-1]) == vars(before), 5)
    assert vars(left[-1]) == vars(before)


@pytest.mark.parametrize("way", WAYS)
def test_connections_that_break(server, reported, way) -> None:
    application = Busy()
    mounted = asgi.mount(server, "/", application, lifespan="off")
    port = bound(server)

    def break_some() -> None:
        before = application.began
        clients = [RawClient(port) for _ in range(AT_A_TIME)]
        for client in clients:
            client.send(WAYS[way])
        wait_until(lambda: application.began == before + AT_A_TIME)
        for client in clients:
            client.close()
        wait_until(lambda: application.ended == before + AT_A_TIME)

    leaves_nothing(server, application, mounted, break_some)
    assert reported == []


@pytest.mark.parametrize("path", ["wait", "pour", "tasks"])
def test_streams_of_http_2_that_are_reset(server, reported, path) -> None:
    application = Busy()
    mounted = asgi.mount(server, "/", application, lifespan="off")
    port = bound(server)

    def reset_some() -> None:
        before = application.began
        client = Http2Client(port)
        for number in range(AT_A_TIME):
            client.get(2 * number + 1, b"/" + path.encode())
        wait_until(lambda: application.began == before + AT_A_TIME)
        for number in range(AT_A_TIME):
            client.h2.reset_stream(2 * number + 1, 8)
        client.flush()
        wait_until(lambda: application.ended == before + AT_A_TIME)
        client.raw.close()

    leaves_nothing(server, application, mounted, reset_some)
    assert reported == []
