"""uvicorn in a thread of its own, to compare with."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .rawclient import wait_until


@contextmanager
def uvicorn_serving(application: Any, **options: Any) -> Iterator[int]:
    """Serve *application* by uvicorn; gives its port."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    settings = {"log_config": None, "lifespan": "off", "http": "httptools", "loop": "asyncio", **options}
    server = uvicorn.Server(uvicorn.Config(application, **settings))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
