"""What the core of the transport needs of the server above it, and of the connections that it counts."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from qhttpserver_py._protocol.engine import Engine, Headers, Message, Refusal
from qhttpserver_py._qt.peer import Peer

HeadVerdict = Literal["dispatch", "continue", "wait"]
"""What to do with a message whose body is still to come: serve it now, ask for the body, or wait for it."""


class Counted(Protocol):
    """A connection, as the core sees it."""

    counted: bool
    host: str | None
    peer: Peer
    engine: Engine
    socket: Any
    active_at: float
    """When the peer last sent or took bytes, as ``time.monotonic()``."""

    def refuse_now(self, refusal: Refusal) -> None:
        """Answer a fault of the peer."""
        ...

    def close(self) -> None:
        """Take no new request; close when the replies in flight are done."""
        ...

    def drop(self) -> None:
        """Cut the replies in flight."""
        ...

    def abort(self) -> None:
        """Close at once; the peer sees that the reply was cut."""
        ...

    def abandon_socket(self) -> None:
        """Close, and dispatch no more: the server is being deleted."""
        ...

    def sweep(self, now: float, timeout: float) -> None:
        """Enforce the deadlines; *timeout* is the keep-alive timeout in seconds."""
        ...

    def postpone_deadlines(self, seconds: float) -> None:
        """Extend the deadlines by time in which the event loop did not run, which is not the peer's fault."""
        ...

    def is_silent(self, now: float) -> bool:
        """Return whether the peer has been silent for a while although it is read from."""
        ...

    def rest(self) -> bool:
        """Keep nothing for a next request; return whether only octets or the idle timeout can follow."""
        ...


class Replying(Counted, Protocol):
    """A connection whose requests the core hands to the server, or answers itself."""

    def reply(self, message: Message, status: int, headers: Headers, body: bytes) -> None:
        """Queue the whole reply to a message that has no exchange."""
        ...


class Remainder(Protocol):
    """What remains of a connection that Qt has closed."""

    def stop(self) -> None:
        """End it now."""
        ...


class Application(Protocol):
    """The server, as the transport sees it."""

    def _dispatch(self, connection: Any, message: Message) -> None: ...
    def _head(self, connection: Any, message: Message) -> HeadVerdict: ...
    def _refusal_fields(self, connection: Any, message: Message | None) -> Headers: ...
    def _body_limit(self, message: Message) -> int: ...
    def _label(self, message: Message) -> str: ...
    def _make_http2(self, scheme: bytes) -> Engine: ...
    def _make_room(self) -> None: ...
