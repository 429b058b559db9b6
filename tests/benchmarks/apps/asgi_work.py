"""The work as a bare ASGI application, for uvicorn and hypercorn: no framework between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import bench_content as content

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PLAIN = (b"content-type", b"text/plain")
CONSTANTS = {
    "/hello": content.HELLO.encode(),
    "/100k": content.KILOBYTES_100.encode(),
    "/1m": content.MEGABYTE.encode(),
    **{f"/route/{n}": b"route %d" % n for n in range(1, content.ROUTES + 1)},
}


NEW = {
    "/fresh": content.fresh,
    "/fresh-100k": content.fresh_100k,
    "/table": content.table,
}


async def read_body(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


async def answer(path: str, receive: Receive) -> bytes:
    new = NEW.get(path)
    if new is not None:
        return new().encode()
    if path == "/echo":
        return await read_body(receive)
    if path == "/json":
        return content.reply_to_json(await read_body(receive)).encode()
    if path == "/upload":
        return str(len(await read_body(receive))).encode()
    return b"item %d" % int(path.rpartition("/")[2])


crowd: set[Send] = set()


async def websocket(path: str, receive: Receive, send: Send) -> None:
    """The WebSocket work: an echo, or what one says to all."""
    await receive()
    await send({"type": "websocket.accept"})
    crowd.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            said = {"type": "websocket.send", "text": message["text"]}
            for other in list(crowd) if path == "/fan" else (send,):
                await other(said)
    finally:
        crowd.discard(send)


async def application(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await websocket(scope["path"], receive, send)
    if scope["type"] != "http":
        return
    path = scope["path"]
    body = CONSTANTS.get(path)
    if body is None:
        body = await answer(path, receive)
    headers = [PLAIN, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
