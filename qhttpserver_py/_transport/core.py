"""What a server's connections share: limits, counters, the sweep, and the reference to the server.

The core outlives the QObject as long as a slot of a connection is on the stack, so a handler may delete the server:
then nothing more is dispatched.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QThread, QTimer
from shiboken6 import isValid

from qhttpserver_py._loop.mailbox import Mailbox
from qhttpserver_py._protocol.engine import Engine, Headers, Limits, Message, Refusal
from qhttpserver_py._protocol.http1.engine import Http1Engine
from qhttpserver_py._qt import log
from qhttpserver_py._qt.first_use import seconds_since
from qhttpserver_py._qt.headers import with_fields
from qhttpserver_py._routing.context import when_destroyed
from qhttpserver_py._transport.admission import LOCAL, Admission, subnets
from qhttpserver_py._transport.interfaces import Application, Counted, HeadVerdict, Remainder, Replying
from qhttpserver_py._transport.parking import PARK_ABOVE, Parking
from qhttpserver_py._transport.ticker import Ticker
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

if TYPE_CHECKING:
    from qhttpserver_py._protocol.select import Kind
    from qhttpserver_py.qhttpserverconfiguration import QHttpServerConfiguration

MAXIMUM_NAMED = 256
"""How many handlers are named in the log for blocking the event loop; a bound, because a label may contain a method
that a peer invented.
"""

SWEEP_MS = 500
"""How often deadlines are checked while there are connections, in milliseconds."""

_SLICE = 0.002  # a sweep that takes longer than this (seconds) returns to Qt, and goes on later
_STALL = 0.25  # where a sweep is later than this (seconds), the event loop was blocked, and nothing was read meanwhile

_serving_cores: set[ServerCore] = set()  # cores with connections, kept until the last of these is closed
_open: dict[int, set[int]] = {}  # by thread: the ids of cores that serve or may serve


class ServerCore:
    """Shared by one server and its connections. It belongs to the server's thread."""

    def __init__(self, server: QObject) -> None:
        self.limits = Limits()
        self.admission = Admission()
        self.connections: set[Counted] = set()
        self.refusing = 0  # how many of these are refused, and get a reply that says why
        self._restricted = False  # whether requests may have to be refused because of their host
        self._banned: set[Counted] = set()  # connections that the lists would not accept any more
        self.traces = False  # whether each request is logged; the categories are asked now and then
        self.slow_after = 0.1  # seconds that a handler may block the event loop before that is logged
        self._swept_at = 0.0
        self._sweeps = False  # a sweep has begun and is not complete
        self.turns = 0  # how many slots have run, by which a handler that blocks differs from one that spins a loop
        self._slow: set[str] = set()
        # whether errors are sent to the peer, with their traces: for a developer on this machine
        self.shows_errors = False
        self.nested = 0  # slots of connections that are on the stack
        self.deferred: set[Callable[[], None]] = set()  # what waits until fewer are
        # The parent of all sockets, which has no parent itself: otherwise Qt would delete them with the listening
        # server or with this one, even while they emit, if a handler deletes it.
        self._socket_parent = QObject()
        self._server: Callable[[], Any] = weakref.ref(server)
        self._mailbox = Mailbox(server)
        self._ticker: Ticker | None = Ticker(server, self.sweep, self._leave_thread)
        self.post: Callable[[Callable[[], Any]], None] = self._mailbox.post
        self._ident = threading.get_ident()
        self._was_open = False  # whether it was open when it left its thread
        self._idle_hooks: list[Callable[[], object]] = []
        self._parking = Parking()
        self.tails: set[Remainder] = set()  # what remains of connections that Qt has closed
        self._ending: list[Any] = []
        self._disconnected = 0  # how many of these had disconnected before the last sweep
        when_destroyed(server, self.shut_down)

    @property
    def socket_parent(self) -> QObject:
        """The parent of the sockets in the server's thread, which is the caller's."""
        if not self._ident:
            self._enter_thread()
        return self._socket_parent

    def server(self) -> Application | None:
        """Return the server, or None once it is deleted."""
        return self._server() if self._ticker is not None else None

    def make_engine(self, kind: Kind, scheme: str = "") -> Engine:
        """Return a new engine for *kind* of protocol; *scheme* is the connection's, empty where it is not known."""
        engine: Engine
        if kind == "http1" or (server := self.server()) is None:
            engine = Http1Engine(self.limits)
        else:
            engine = server._make_http2(scheme.encode())
        engine.body_limit = self.body_limit
        return engine

    def body_limit(self, message: Message) -> int:
        """Return how many bytes of body *message* may have."""
        server = self.server()
        return server._body_limit(message) if server is not None else 0

    # ---- connections

    def adopt(self, connection: Counted) -> None:
        """Count a new connection in and watch its deadlines."""
        if connection.counted:
            self.admission.enter(connection.host)
        else:
            self.refusing += 1
        if not self.connections:
            self._look_at_log()
            _serving_cores.add(self)
            if self._ticker is not None:
                self._swept_at = monotonic()
                self._ticker.start(SWEEP_MS)
        self.connections.add(connection)

    def forget(self, connection: Counted) -> None:
        """Count a closed connection no more."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        self._banned.discard(connection)
        self._parking.leave(connection)
        engine: Engine | None = getattr(connection, "engine", None)  # there is no engine before the first octets
        if engine is not None:
            engine.lost()
        if connection.counted:
            self.admission.leave(connection.host)
        else:
            self.refusing -= 1
        if not self.connections:
            _serving_cores.discard(self)
            self._parking.close()
            if self._ticker is not None:
                self._ticker.stop()
            if self._idle_hooks:
                self._tell_idle()

    def crowded(self, host: str | None) -> bool:
        """Return whether one more connection would exceed a limit, after WebSockets whose peer left were dropped."""
        if not self.admission.crowded(host):
            return False
        server = self.server()
        if server is not None:
            server._make_room()
        return self.admission.crowded(host)

    def keep_until_deleted(self, socket: Any) -> None:
        """Hold the wrapper of a disconnected *socket* until Qt has deleted it: over the next sweep, or shortly if none
        comes.
        """
        self._ending.append(socket)
        if not self.connections:
            self.post(self._release)

    def _release(self) -> None:
        self._ending.clear()
        self._disconnected = 0

    def when_idle(self, hook: Callable[[], object]) -> None:
        """Call *hook* once, when no connection is left."""
        self._idle_hooks.append(hook)

    def _tell_idle(self) -> None:
        hooks, self._idle_hooks = self._idle_hooks, []
        for hook in hooks:
            hook()

    def opened(self) -> None:
        """Note that the server listens."""
        _open.setdefault(self._ident, set()).add(id(self))

    def _closed(self) -> None:
        """Release the asyncio loop of the thread, if no other server is open in it."""
        others = _open.get(self._ident, set())
        others.discard(id(self))
        if not others:
            _open.pop(self._ident, None)
            loaded = sys.modules.get("qhttpserver_py._loop.eventloop")
            if loaded is not None and threading.get_ident() == self._ident:
                loaded.release()

    def close(self, timeout: int) -> None:
        """Close every connection when its replies in flight are done, or after *timeout* ms."""
        for connection in tuple(self.connections):
            connection.close()
        left, tails = tuple(self.connections), tuple(self.tails)
        if timeout > 0 and (left or tails) and self._ticker is not None:
            QTimer.singleShot(timeout, self._ticker, lambda: _drop(left, tails))
        else:
            _drop(left, tails)
        self._closed()

    def shut_down(self) -> None:
        """Stop the timer and close all sockets: the server is being deleted."""
        self._ticker = None
        self._parking.close()
        for connection in tuple(self.connections):
            connection.abandon_socket()
        self.connections.clear()
        for tail in tuple(self.tails):
            tail.stop()
        _serving_cores.discard(self)
        self._tell_idle()
        self._closed()

    def sweep(self) -> None:
        """Enforce every connection's deadlines."""
        if self._sweeps:
            return
        self._look_at_log()
        self.turns += 1
        now, timeout = monotonic(), float(max(self.limits.keep_alive, 0))
        lost, self._swept_at = now - self._swept_at - SWEEP_MS / 1000, now
        del self._ending[: self._disconnected]
        self._disconnected = len(self._ending)
        if lost > _STALL:
            for connection in self.connections:
                connection.postpone_deadlines(lost)
        else:
            self._sweep_on(iter(tuple(self.connections)), now, timeout)

    def _sweep_on(self, connections: Iterator[Counted], now: float, timeout: float) -> None:
        until = monotonic() + _SLICE
        self._sweeps = False
        parking, crowd = self._parking, len(self.connections) > PARK_ABOVE
        for connection in connections:
            if connection in parking.resting and now - connection.active_at < timeout:
                continue
            try:
                connection.sweep(now, timeout)
                if crowd and connection not in parking and connection.is_silent(now):
                    parking.park(connection, connection.socket, rests=connection.rest())
            except Exception as error:  # noqa: BLE001 - one connection's fault is not to cost others their deadlines
                self.report(error)
                connection.abort()
            if monotonic() > until:
                self._sweeps = True
                self.post(lambda: self._sweep_on(connections, now, timeout))
                return

    def check_thread(self, name: str) -> None:
        """Raise RuntimeError in any other thread than the server's."""
        here = threading.get_ident()
        server = self._server()
        home = server.thread() if server is not None and isValid(server) else None
        if home is not None and home is QThread.currentThread() and not self._ident:
            self._enter_thread()
        if here != self._ident:
            raise RuntimeError(
                f"{name}() was called from another thread than the server's; "
                "post it there, for example with QMetaObject.invokeMethod or a queued signal"
            )

    def _leave_thread(self) -> None:
        """Close all sockets, which cannot be moved: the server is about to be moved by QObject.moveToThread()."""
        if self.connections:
            log.warning(log.SERVER, f"The server moves to another thread; connections closed: {len(self.connections)}")
        _drop(tuple(self.connections), tuple(self.tails))
        left, self._ending = [*self._ending, self._socket_parent], []
        QTimer.singleShot(0, self._socket_parent, left.clear)  # deleted in the thread to which they belong
        self._was_open = id(self) in _open.get(self._ident, ())
        self._closed()
        self._ident = 0  # set again by the first call or connection in the other thread

    def _enter_thread(self) -> None:
        self._ident, self._socket_parent = threading.get_ident(), QObject()
        if self._was_open:
            self.opened()

    # ---- nested event loops

    def defer(self, slot: Callable[[], None]) -> None:
        """Have *slot* of a connection called again when fewer handlers spin event loops, one inside the other."""
        self.deferred.add(slot)

    def resume_deferred(self) -> None:
        """Call slots that waited, because one slot less is on the stack."""
        slots, self.deferred = self.deferred, set()
        for slot in slots:
            self.post(slot)

    # ---- settings

    def configure(self, configuration: QHttpServerConfiguration) -> None:
        """Apply new settings to established connections and to new ones."""
        configuration._apply_to(self.limits)
        admission = self.admission
        admission.whitelist = subnets((a.toString(), p) for a, p in configuration.whitelist())
        admission.blacklist = subnets((a.toString(), p) for a, p in configuration.blacklist())
        admission.rate = configuration.rateLimitPerSecond()
        admission.max_connections = configuration.maximumConnections()
        admission.max_per_host = configuration.maximumConnectionsPerHost()
        self._banned = {c for c in self.connections if c.counted and admission.denies(c.host or LOCAL)}
        self._restricted = admission.rate > 0 or bool(self._banned)

    # ---- upward calls

    def dispatch(self, connection: Replying, message: Message) -> None:
        """Dispatch a request to the server."""
        server = self._server() if self._ticker is not None else None
        if server is None:
            return
        if self.traces:
            self._trace(connection, message)
        if not self._restricted or self._lets_through(connection, message):
            server._dispatch(connection, message)

    def _lets_through(self, connection: Replying, message: Message) -> bool:
        if connection in self._banned:
            connection.refuse_now(Refusal(message.stream_id, 403, "address not allowed any more", message))
            return False
        return not self._too_fast(connection, message, monotonic())

    def _too_fast(self, connection: Replying, message: Message, now: float) -> bool:
        """Count a request, and answer it where there were too many."""
        if not self.admission.too_fast(connection.host or LOCAL, now):
            return False
        fields = self.refusal_fields(connection, message)
        connection.reply(message, 429, with_fields((), fields), b"")
        return True

    def _look_at_log(self) -> None:
        self.traces = log.HTTP1.isDebugEnabled() or log.HTTP2.isDebugEnabled()

    def _trace(self, connection: Counted, message: Message) -> None:
        category = log.HTTP2 if connection.engine.interleaves else log.HTTP1
        if category.isDebugEnabled():
            log.debug(category, f"Request: {QHttpServerRequest._make(message, connection.peer)!r}")

    def head(self, connection: Replying, message: Message) -> HeadVerdict:
        """Decide on a message whose body is still to come."""
        if self._restricted:
            if connection in self._banned:
                return "dispatch"
            now = monotonic()
            if self.admission.exhausted(connection.host or LOCAL, now):
                self._too_fast(connection, message, now)
                return "wait"
        server = self.server()
        return server._head(connection, message) if server is not None else "wait"

    def refusal_fields(self, connection: Counted, message: Message | None) -> Headers:
        """Return the fields of a refusal besides its own; *message* is what it refuses, where that is known."""
        server = self.server()
        return server._refusal_fields(connection, message) if server is not None else ()

    def refused(self, connection: Counted, refusal: Refusal) -> None:
        """Log a refusal as a debug message, because scanners cause many."""
        if log.PARSER.isDebugEnabled():
            peer = connection.peer
            log.debug(
                log.PARSER,
                f"{refusal.status or 'reset'}: {refusal.detail} from client "
                f'"{peer.remote_address.toString()}:{peer.remote_port}"',
            )

    def slow(self, message: Message, seconds: float) -> None:
        """Log, once per route, that a handler blocked the event loop."""
        seconds -= seconds_since(monotonic() - seconds)
        if seconds <= self.slow_after:
            return
        server = self.server()
        label = server._label(message) if server is not None else message.method
        if label not in self._slow and len(self._slow) < MAXIMUM_NAMED:
            self._slow.add(label)
            log.warning(
                log.SERVER,
                f"{label} held the event loop for {seconds * 1000:.0f} ms; "
                "return a future, a coroutine or a stream, or mark it with @threaded",
            )

    def log_timeout(self, connection: Counted, detail: str) -> None:
        """Log that a peer was too slow."""
        if log.HTTP1.isDebugEnabled():
            peer = connection.peer
            log.debug(log.HTTP1, f'Timeout: "{peer.remote_address.toString()}:{peer.remote_port}" {detail}')

    def report(self, error: Exception, label: str = "") -> None:
        """Show an exception of user code where tests and applications look for it, and log it."""
        log.report(log.SERVER, error, label)


def _drop(connections: tuple[Counted, ...], tails: tuple[Remainder, ...]) -> None:
    for connection in connections:
        connection.drop()
    for tail in tails:
        tail.stop()
