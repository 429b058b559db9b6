"""The end of a server: of its bound servers, its WebSockets, its connections and what is mounted on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qhttpserver_py._serving.bound_servers import BoundServers
from qhttpserver_py._serving.upgrades import Upgrades

if TYPE_CHECKING:
    from qhttpserver_py._transport.core import ServerCore

GRACE_MS = 2000
"""How long replies in flight may take at the end of ``async with``, in milliseconds."""


class Lifetime:
    """Closes the parts of one server in their order, and waits for the last of them."""

    def __init__(self, core: ServerCore, bound: BoundServers, upgrades: Upgrades) -> None:
        self.close_hooks: list[Callable[[], None]] = []
        self._core = core
        self._bound = bound
        self._upgrades = upgrades

    def close(self, timeout: int) -> None:
        """See ``QAbstractHttpServer.close``."""
        self._bound.close()
        self._upgrades.close(timeout)
        self._core.close(timeout)
        if timeout > 0 and self._core.connections:
            self._core.when_idle(self._end_mounted)
        else:
            self._end_mounted()

    def _end_mounted(self) -> None:
        """No reply is in flight: end what is mounted."""
        for hook in tuple(self.close_hooks):
            hook()

    async def wait_closed(self) -> None:
        """See ``QAbstractHttpServer.wait_closed``."""
        import asyncio  # servers without coroutines do not load it

        core = self._core
        while core.connections:
            idle = asyncio.get_running_loop().create_future()

            def tell(idle: asyncio.Future[None] = idle) -> None:
                if not idle.done():
                    idle.set_result(None)

            core.when_idle(tell)
            await idle
        await self._upgrades.wait_closed()
