"""What an exchange needs of its connection, and of what connections share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qhttpserver_py._protocol.engine import Engine


class Core(Protocol):
    """What the connections of a server share, as far as an exchange needs it."""

    def report(self, error: Exception, label: str = "") -> None:
        """Report an error of user code."""
        ...

    @property
    def post(self) -> Callable[[Callable[[], Any]], None]:
        """Posts a call to the server's thread."""
        ...


class Channel(Protocol):
    """The connection that an exchange is on, as far as the exchange needs it."""

    engine: Engine
    socket: Any
    host: str | None

    @property
    def core(self) -> Core:
        """What the connections of a server share."""
        ...

    def flush(self) -> None:
        """Write what the engine has queued."""
        ...

    def flush_unless_dispatching(self, stream_id: int) -> None:
        """Flush, unless the handler of *stream_id* is on the stack: a flush follows it."""
        ...

    def write_last(self, reply: bytes) -> None:
        """Write a whole reply behind everything, and close."""
        ...

    def backlog(self, stream_id: int) -> int:
        """Return the bytes that wait for the peer."""
        ...

    def watch_drain(self) -> None:
        """Have ``drained()`` called when the peer takes bytes."""
        ...

    def hold_body(self, on: bool) -> None:
        """Stop or go on reading, as the body's consumer needs it."""
        ...

    def hold_upgrade(self, on: bool) -> None:
        """Stop or go on reading, until an upgrade is decided."""
        ...

    def exchange_done(self, exchange: Any, size: int) -> None:
        """Note that the reply is complete, with *size* bytes of body."""
        ...

    def abort_exchange(self, exchange: Any) -> None:
        """Cut a reply that was begun and cannot be completed."""
        ...

    def abort(self) -> None:
        """Close at once; the peer sees that the reply was cut."""
        ...

    def post(self, call: Callable[[], Any]) -> None:
        """Run *call* in the server's thread."""
        ...
