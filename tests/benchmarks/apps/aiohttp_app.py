"""The work on aiohttp's own server, asyncio's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import bench_content as content
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.Response]]


def constant(text: str) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(text=text)

    return handler


def new(text: Callable[[], str]) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(text=text())

    return handler


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), content_type="text/plain")


async def json_work(request: web.Request) -> web.Response:
    return web.Response(text=content.reply_to_json(await request.read()))


async def upload(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def item(request: web.Request) -> web.Response:
    return web.Response(text=f"item {int(request.match_info['number'])}")


def application() -> web.Application:
    result = web.Application(client_max_size=64 << 20)
    constants = {"/hello": content.HELLO, "/100k": content.KILOBYTES_100, "/1m": content.MEGABYTE}
    constants |= {f"/route/{n}": f"route {n}" for n in range(1, content.ROUTES + 1)}
    result.add_routes([web.get(path, constant(text)) for path, text in constants.items()])
    fresh = {"/fresh": content.fresh, "/fresh-100k": content.fresh_100k, "/table": content.table}
    result.add_routes([web.get(path, new(text)) for path, text in fresh.items()])
    result.add_routes([web.post("/echo", echo), web.post("/json", json_work), web.post("/upload", upload)])
    result.add_routes([web.get("/item/{number:\\d+}", item)])
    return result


async def main() -> None:
    options = content.arguments()
    listener = content.listening_socket()
    runner = web.AppRunner(application(), access_log=None, keepalive_timeout=75)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=content.tls_context(options)).start()
    content.announce(listener.getsockname()[1])
    await asyncio.Event().wait()


asyncio.run(main())
