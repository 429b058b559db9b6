"""Coroutines that wait for something that happens repeatedly: a message, or room to write."""

from __future__ import annotations

import asyncio

from qhttpserver_py._loop.qteventloop import QtEventLoop


class Waiters:
    """Any number of waiting coroutines; each checks its condition again when it is woken."""

    __slots__ = ("_futures",)

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Wait for the next ``wake()`` (coroutine)."""
        future = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        try:
            await future
        finally:
            if future in self._futures:  # cancelled
                self._futures.remove(future)

    def wake(self) -> None:
        """Wake all that wait now, in the order in which they came."""
        futures, self._futures = self._futures, []
        for future in futures:
            loop = future.get_loop()
            if future.done() or loop.is_closed():
                continue
            if isinstance(loop, QtEventLoop) and asyncio._get_running_loop() is None:
                loop.resolve_now(future)  # a step of the loop, and a turn of Qt's before it, cost more than an echo
            else:
                future.set_result(None)
