"""Moves a source into a reply, no faster than the peer takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from qhttpserver_py._content.mime import sniff
from qhttpserver_py._protocol.engine import Header, Headers
from qhttpserver_py._qt.hooks import call_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from qhttpserver_py._exchange.channel import Core
    from qhttpserver_py._exchange.streams import Source

HIGH_WATER = 262144
"""A source is read only while fewer bytes than this wait for the peer."""

PIECE = 65536
"""How much is read from a source at a time, in bytes."""

_OCTETS = b"application/octet-stream"


class Reply(Protocol):
    """The reply that a source is moved into."""

    @property
    def sent(self) -> int:
        """Bytes of body that were given to the connection."""
        ...

    def backlog(self) -> int:
        """Return the bytes that wait for the peer."""
        ...

    def begin_source(self, status: int, headers: Headers, length: int | None) -> None:
        """Send the head."""
        ...

    def put(self, data: bytes) -> None:
        """Queue a piece."""
        ...

    def flush(self) -> None:
        """Write what was queued."""
        ...

    def post(self, call: Callable[[], None]) -> None:
        """Have *call* run when other connections had their turn."""
        ...

    def source_ended(self) -> None:
        """End the reply."""
        ...

    def source_failed(self, error: BaseException, *, begun: bool) -> None:
        """Answer 500, or cut a reply that was begun."""
        ...


class Pump:
    """Moves one source to the peer. It belongs to the server's thread.

    The head of the reply is sent with the first piece: a source that fails before it has given
    anything can still be answered with 500, and its first bytes tell the content type.
    """

    __slots__ = ("_again", "_due", "_exchange", "_head", "_running", "_source", "_typed", "status")

    def __init__(self, exchange: Reply, status: int, headers: Headers, source: Source, typed: bool) -> None:
        self._exchange = exchange
        self._source: Source | None = source
        self._head: Headers | None = headers
        self._typed = typed
        self._running = False
        self._again = False
        self._due = False  # a call of run() is posted
        self.status = status

    def start(self) -> None:
        """Start reading."""
        source = self._source
        if source is not None:
            source.start(self.run)
            self.run()

    def stop(self) -> None:
        """Close the source at once: the peer left."""
        source, self._source = self._source, None
        if source is not None and not self._running:  # else run() closes it, when its own code has returned
            source.close()

    def drained(self) -> None:
        """Read on, because the peer took bytes; while ``_move()`` runs, it checks that itself."""
        if not self._running:
            self.run()

    def run(self) -> None:
        """Queue what the source has, while less than HIGH_WATER waits for the peer."""
        source = self._source
        if source is None:
            return
        if self._running:  # the source called back inside of its own read(); its pieces must stay in order
            self._again = True
            return
        self._running = self._again = True
        try:
            while self._again:
                self._again = False
                self._move(source)
        except BaseException as error:  # whatever the source raised, the reply is broken
            self._source = None
            source.close()
            self._exchange.source_failed(error, begun=self._head is None)
            if not isinstance(error, Exception):  # Ctrl-C or pytest.fail() is raised to the caller
                raise
        finally:
            self._running = False
            if self._source is not source:
                source.close()

    def _move(self, source: Source) -> None:
        exchange = self._exchange
        room = HIGH_WATER - exchange.backlog()
        while room > 0 and self._source is source:
            data = source.read(min(room, PIECE))
            if self._source is not source:  # the source's own code closed the connection
                return
            if self._head is not None:
                self._begin(source, data or b"")
            if data is None:
                break
            if not data:
                self._source = None
                source.close()
                exchange.source_ended()
                return
            exchange.put(data)
            room -= len(data)
        spoke_up, self._again = self._again, False
        exchange.flush()
        woken, self._again = self._again, spoke_up  # by a slot of the application that bytesWritten() called
        if (woken or room <= 0) and not self._due and self._source is source and exchange.backlog() < HIGH_WATER:
            # All of it was written already. Qt signals that inside of flush(), or not at all in a slot of
            # bytesWritten(). A loop here would never return with a fast peer.
            self._due = True
            exchange.post(self._go_on)

    def _go_on(self) -> None:
        self._due = False
        self.run()

    def _begin(self, source: Source, first: bytes) -> None:
        headers = with_source_fields(self._head or (), source)
        self._head = None
        if not self._typed and not any(name == b"content-type" for name, _ in headers):
            headers = [(b"content-type", sniff(first) if first else _OCTETS), *headers]
        self._exchange.begin_source(self.status, headers, source.size)


class Drain:
    """Calls the hooks of producers when the peer has taken bytes of their reply. It belongs to the server's thread."""

    __slots__ = ("_calling", "_core", "_due", "_exchange", "_missed", "_report", "hooks")

    def __init__(self, exchange: Reply, core: Core, report: Callable[[Exception], None]) -> None:
        self._exchange = exchange
        self._core = core
        self._report = report
        self._calling = False
        self._missed = False  # the peer took more while the hooks ran
        self._due = False  # a call of _tell_again() is posted
        self.hooks: list[Callable[[], None]] = []

    def tell(self) -> None:
        """Call the hooks, but none of them inside of its own write."""
        if self._calling:
            self._missed = True
            return
        exchange = self._exchange
        before = exchange.sent
        self._calling, self._missed = True, False
        call_each(tuple(self.hooks), self._report, self._core.post)
        self._calling = False
        if (self._missed or exchange.sent != before) and not self._due and not exchange.backlog():
            self._due = True  # all of it was written already, and nothing else calls them; see Pump._move()
            exchange.post(self._tell_again)

    def _tell_again(self) -> None:
        self._due = False
        self.tell()


def with_source_fields(headers: Headers, source: Source) -> list[Header]:
    """Return *headers* with those of the source, unless the handler gave them itself."""
    given = {name for name, _ in headers}
    return [*(field for field in source.headers if field[0] not in given), *headers]
