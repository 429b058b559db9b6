"""HTTP/1 has no flow control of its own: what waits for the peer waits in the socket."""

from __future__ import annotations

from qhttpserver_py._protocol.engine import Message


class NothingWaits:
    """Fills ``Waits`` for HTTP/1."""

    __slots__ = ()
    withheld = False

    def uploads(self) -> list[tuple[Message, int]]:
        """See ``Waits``."""
        return []

    def starved(self) -> list[tuple[int, int]]:
        """See ``Waits``."""
        return []

    def behind(self, stream_id: int) -> list[int]:  # noqa: ARG002
        """See ``Waits``."""
        return []

    def queued(self) -> int:
        """See ``Waits``. Replies are handed out at once."""
        return 0
