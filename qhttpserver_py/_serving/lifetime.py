"""Servers as context managers, and waiting for the last connection. Not in Qt."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Self

from qhttpserver_py._qt.snake_case import with_snake_case

if TYPE_CHECKING:
    from qhttpserver_py._transport.core import ServerCore
    from qhttpserver_py._websocket.socket import WebSocket

GRACE_MS = 2000
"""How long replies in flight may take at the end of ``async with``, in milliseconds."""


@with_snake_case
class Lifetime:
    """The part of a server that ends with a block of code."""

    _core: ServerCore
    _route_sockets: weakref.WeakSet[WebSocket] | None = None

    if TYPE_CHECKING:  # of QAbstractHttpServer

        def close(self, timeout: int = 0) -> None: ...

    def __enter__(self) -> Self:
        """Return the server; the end of the block closes it, at once. Not in Qt."""
        return self

    def __exit__(self, _kind: type[BaseException] | None, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        """Return the server; the end of the block closes it and waits for replies in flight, 2 s at most. Not in Qt."""
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close(GRACE_MS)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until no connection is left, nor a WebSocket of a route (coroutine), as after ``close(timeout)``.

        Raises:
            RuntimeError: called from another thread than the server's.

        Not in Qt.
        """
        import asyncio

        core = self._core
        core.check_thread("wait_closed")
        while core.connections:
            idle = asyncio.get_running_loop().create_future()

            def tell(idle: asyncio.Future[None] = idle) -> None:
                if not idle.done():
                    idle.set_result(None)

            core.when_idle(tell)
            await idle
        for socket in tuple(self._route_sockets or ()):
            await socket.wait_closed()
