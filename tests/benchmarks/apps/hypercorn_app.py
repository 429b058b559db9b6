"""The work on hypercorn, HTTP/2 over TLS, with uvloop."""

from __future__ import annotations

import asyncio

import bench_content as content
import uvloop
from asgi_work import application
from hypercorn.asyncio import serve
from hypercorn.config import Config

options = content.arguments()
listener = content.listening_socket()
config = Config()
config.bind = [f"fd://{listener.fileno()}"]
config.alpn_protocols = ["h2"]
config.accesslog = None
config.errorlog = None
if options.kind != "http":
    config.certfile, config.keyfile = options.certificate, options.key


async def never() -> None:
    await asyncio.Event().wait()


content.announce(listener.getsockname()[1])
uvloop.run(serve(application, config, shutdown_trigger=never))  # type: ignore[arg-type]
