"""The lifespan of an ASGI application: its startup before the first request, its shutdown behind the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from qhttpserver_py._qt import log
from qhttpserver_py.asgi.cycle import Application, Event
from qhttpserver_py.asgi.scope import LIFESPAN

Mode = Literal["auto", "on", "off"]

STARTING, READY, FAILED, ENDING, ENDED = range(5)


class Lifespan:
    """Tells the application of its start and its end. Belongs to the server's thread."""

    def __init__(self, application: Application, mode: Mode, state: dict[str, Any]) -> None:
        self._application = application
        self._mode = mode
        self._shutdown: asyncio.Event | None = None
        self._started = False  # the application took the startup event
        self.state_dict = state
        self.status = READY if mode == "off" else STARTING
        self.error = ""
        self.task: asyncio.Task[None] | None = None
        self.on_settled: Callable[[], None] = _nothing

    async def run(self) -> None:
        """Run the application's lifespan, from startup to shutdown."""
        self._shutdown = asyncio.Event()
        scope = {"type": "lifespan", "asgi": dict(LIFESPAN), "state": self.state_dict}
        try:
            await self._application(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - user code
            self._raised(error)
        finally:
            self._settle(READY if self.status == STARTING and self._mode == "auto" else self.status)
            if self.status in (READY, ENDING) and self._started:
                self.status = ENDED

    def _raised(self, error: Exception) -> None:
        if self.status != STARTING:
            log.warning(log.SERVER, f"the application's lifespan ended: {type(error).__name__}: {error}")
        elif self._mode == "on" or self._started:
            self._fail(f"{type(error).__name__}: {error}")
        # else it has no lifespan, which it shows by raising (ASGI: Lifespan Scope)

    def _fail(self, text: str) -> None:
        self.error = text
        log.critical(log.SERVER, f"the application's startup failed, it answers 503: {text}")
        self._settle(FAILED)

    def _settle(self, status: int) -> None:
        if self.status == STARTING:
            self.status = FAILED if status == STARTING else status
            self.on_settled()

    async def _receive(self) -> Event:
        if not self._started:
            self._started = True
            return {"type": "lifespan.startup"}
        assert self._shutdown is not None
        await self._shutdown.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, event: Event) -> None:
        kind = event["type"]
        if kind == "lifespan.startup.complete":
            self._settle(READY)
        elif kind == "lifespan.startup.failed":
            self._fail(str(event.get("message", "")))
        elif kind == "lifespan.shutdown.failed":
            log.warning(log.SERVER, f"the application's shutdown failed: {event.get('message', '')}")
        elif kind != "lifespan.shutdown.complete":
            raise RuntimeError(f"the application sent {kind!r} in its lifespan")

    def shut_down(self) -> None:
        """Tell the application that the server has closed."""
        if self.status in (READY, STARTING):
            self.status = ENDING
        if self._shutdown is not None:
            self._shutdown.set()


def _nothing() -> None:
    """Do nothing: nothing waits for the startup yet."""
