"""One accepted connection: a reader, the requests, a writer, a closer and the deadlines, composed.

The slot reads once, lets the engine parse, then dispatches the events with no parser on the stack, and writes once. A
part changes only its own state; what they share is here. For each reply the connection sets some fields of its parts
itself, where a method would be one more call.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from qhttpserver_py._protocol.engine import Headers, Message, Refusal
from qhttpserver_py._transport import sockets
from qhttpserver_py._transport.closer import Closer
from qhttpserver_py._transport.deadlines import Deadlines
from qhttpserver_py._transport.reader import HELD_BY_BODY, HELD_BY_PEER, HELD_BY_UPGRADE, READ_BUFFER, Reader
from qhttpserver_py._transport.requests import Requests
from qhttpserver_py._transport.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtNetwork import QLocalSocket, QTcpSocket

    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._protocol.engine import Engine
    from qhttpserver_py._qt.peer import Peer
    from qhttpserver_py._transport.core import ServerCore

SILENT = 1.0
"""Seconds of silence after which a connection may be parked."""

MAXIMUM_NESTED = 20
"""Slots of connections that may be on the stack, each in an event loop of the other's handler; beyond, requests
wait.
"""

_LOOP_NOTICED = 0.00002  # in a turn longer than this (seconds) a handler may have spun an event loop


class Connection:
    """A peer's connection, from accept to close. It belongs to the server's thread."""

    __slots__ = (
        "__weakref__",
        "active_at",
        "closer",
        "core",
        "counted",
        "deadlines",
        "engine",
        "host",
        "peer",
        "reader",
        "requests",
        "slots",
        "socket",
        "writer",
    )

    engine: Engine

    def __init__(self, core: ServerCore, socket: QTcpSocket | QLocalSocket, host: str | None, peer: Peer) -> None:
        self.core = core
        self.counted = True  # whether it counts against the limits of connections; a refused one does not
        self.socket: Any = socket  # None once it has disconnected
        self.host = host
        self.peer = peer
        self.active_at = monotonic()  # when the peer last sent or took bytes
        self.slots = 0  # slots of the socket that are on the stack
        self.reader = Reader(socket)
        self.requests = Requests()
        self.writer = Writer(socket, self.requests.exchanges)
        self.closer = Closer()
        self.deadlines = Deadlines()

    def start(self, engine: Engine | None) -> None:
        """Start serving; *engine* is None where the first bytes decide the protocol."""
        socket = self.socket
        if engine is not None:
            self.reader.use(self, engine)
            if engine.interleaves:
                sockets.interleave(socket)
        socket.setReadBufferSize(READ_BUFFER)
        socket.readyRead.connect(self.on_ready_read)
        if not self.writer.writes_to_system:
            self.watch_end()
        if socket.bytesAvailable():  # TLS: decrypted before we were connected
            self.on_ready_read()

    def refuse(self, engine: Engine, refusal: Refusal) -> None:
        """Answer with *refusal* whatever the peer sends, and close."""
        self.reader.use(self, engine)
        self.reader.drop_input()
        self.socket.readyRead.connect(self.on_ready_read)
        self.watch_end()
        refusal.fields = self.core.refusal_fields(self, refusal.message)
        if engine.interleaves:  # HTTP/2: GOAWAY says it before any stream exists
            engine.close()
        else:
            engine.refuse(refusal)
        self.flush()

    # ---- the peer is silent

    def is_silent(self, now: float) -> bool:
        """Return whether the peer has been silent for a while although it is read from."""
        socket = self.socket
        if socket is None or self.closer.closing or self.reader.held or self.slots:
            return False
        return now - self.active_at >= SILENT and not socket.bytesAvailable()

    def rest(self) -> bool:
        """Keep nothing for a next request; return whether only octets or the idle timeout can follow."""
        reader, requests = self.reader, self.requests
        if reader.first is not None:
            return not reader.first
        engine = self.engine
        engine.rest()
        waits = requests.exchanges or requests.busy or requests.queue or engine.state.partial or engine.interleaves
        return not (waits or self.deadlines.waits)

    # ---- the peer sent bytes

    def on_ready_read(self) -> None:
        """Serve what the socket has: one read, the parser, the handlers, one write."""
        core = self.core
        if core.nested >= MAXIMUM_NESTED:
            core.defer(self.on_ready_read)
            return
        core.nested += 1
        self.slots += 1
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - a fault of ours: it costs this connection, and no other
            core.report(error)
            self.abort()
        finally:
            self.slots -= 1
            core.nested -= 1
            if core.deferred:
                core.resume_deferred()
            if self.socket is None:
                self.closer.delete_disconnected(self)
            elif not self.writer.watches_end:
                self.writer.watch_end(self)

    def _serve(self) -> None:
        """Take the steps that docs/explanation/architecture counts."""
        began = monotonic()
        events = self.reader.receive(self, began)  # 1 and 2: read, and parse
        if events is None:
            return
        self.active_at = began
        requests, writer, core = self.requests, self.writer, self.core
        turns = core.turns = core.turns + 1
        single: Message | None = None
        if len(events) == 1 and not (requests.queue or requests.busy or writer.windowed):
            event = events[0]
            if type(event) is Message and event.complete and not event.streaming:
                single = event
        if single is None:
            requests.enqueue(self, events)  # 3: each in its turn
            requests.advance(self)  # 4 to 6: the server answers
        else:
            requests.dispatch(self, single)  # the same, where no other request waits
            if requests.queue:  # over TLS, a handler that writes in pieces makes Qt read more
                requests.advance(self)
        writer.flush(self)  # 7: one write
        if writer.windowed:
            writer.look_at_windows(self)
        elapsed = monotonic() - began
        # Qt does not emit readyRead again while its slot runs, so bytes that arrived while a handler spun an event loop
        # are read here.
        socket = self.socket
        if elapsed >= _LOOP_NOTICED and socket is not None and not self.reader.held and socket.bytesAvailable():
            core.post(self.on_ready_read)
        if single is not None and elapsed > core.slow_after and turns == core.turns:
            core.slow(single, elapsed)

    def catch_up(self) -> None:
        """Read what came while a handler of this connection spins an event loop."""
        if not self.reader.held and self.socket is not None and self.socket.bytesAvailable():
            self.on_ready_read()

    def resume(self) -> None:
        """Go on with requests that waited."""
        core = self.core
        if core.nested >= MAXIMUM_NESTED:
            core.defer(self.resume)
            return
        if self.socket is None:
            return
        core.nested += 1
        try:
            self.requests.advance(self)
            self.flush()
        finally:
            core.nested -= 1
            if core.deferred:
                core.resume_deferred()

    def take_turn(self) -> None:
        """Write replies that are complete, and go on, though a handler of this connection spins an event loop."""
        self.requests.take_turn(self)

    # ---- the server answers

    def reply(self, message: Message, status: int, headers: Headers, body: bytes) -> None:
        """Queue the whole reply to a message that has no exchange."""
        if self.socket is None:
            return
        requests = self.requests
        requests.busy = False
        requests.last_answered = message.stream_id
        self.writer.unchecked += len(body) + 256
        self.engine.send_response(message.stream_id, status, headers, body)

    def refuse_now(self, refusal: Refusal) -> None:
        """Answer a fault of the peer, and cancel what was in flight on that stream."""
        self.requests.refuse(self, refusal)

    def open_exchange(self, message: Message, label: str) -> Exchange:
        """Register a request whose reply comes through a responder, or later."""
        if not self.writer.watches_end:
            self.writer.watch_end(self)
        return self.requests.open_exchange(self, message, label)

    def exchange_done(self, exchange: Exchange, size: int) -> None:
        """Note that the reply of *exchange* is complete, with *size* bytes of body."""
        self.requests.exchange_done(self, exchange, size)

    def abort_exchange(self, exchange: Exchange) -> None:
        """Cut the reply of *exchange*, which was begun and cannot be completed, so that the peer notices."""
        if not self.engine.interleaves:
            self.abort()
            return
        self.engine.abort(exchange.stream_id)
        self.requests.cancel(exchange.stream_id)
        self.flush()

    def hold_body(self, on: bool) -> None:
        """Stop reading (*on*) because the consumer of a streamed request body is behind, or go on."""
        self.reader.hold(self, HELD_BY_BODY, on)

    def hold_upgrade(self, on: bool) -> None:
        """Stop reading until the upgrade is decided, because what comes may not be HTTP."""
        self.reader.hold(self, HELD_BY_UPGRADE, on)

    def post(self, call: Callable[[], Any]) -> None:
        """Run *call* in the server's thread."""
        self.core.post(call)

    # ---- bytes for the peer

    def flush(self) -> None:
        """Write what the engine has queued; close if it says so."""
        self.writer.flush(self)

    def flush_unless_dispatching(self, stream_id: int) -> None:
        """Flush, unless the handler of *stream_id* is on the stack: a flush follows it."""
        if self.requests.dispatching != stream_id:
            self.writer.flush(self)

    def write_last(self, reply: bytes) -> None:
        """Write a reply of our own making, and close lingering."""
        self.writer.write_raw(self, reply)
        if self.socket is not None and not self.closer.closing:
            self.engine.state.linger = True
            self.requests.forget_exchanges()  # the exchange that wrote this is answered, not cancelled
            self.finish()

    def backlog(self, stream_id: int) -> int:
        """Return the bytes queued for this stream, or in the socket, that are not written yet."""
        return self.writer.backlog(self, stream_id)

    def watch_drain(self) -> None:
        """Connect to the signal that the peer took bytes."""
        self.writer.watch_drain(self)

    def on_bytes_written(self, count: int = 0) -> None:
        """Read sources on, go on with requests that waited, or finish closing: the peer took bytes."""
        self.slots += 1
        try:
            if self.socket is not None:
                self.active_at = monotonic()
                self.deadlines.count(self, count)
                self._feed_peer()
        except Exception as error:  # noqa: BLE001 - a fault of ours: it costs this connection, and no other
            self.core.report(error)
            self.abort()
        finally:
            self.slots -= 1
            self.closer.delete_disconnected(self)

    def _feed_peer(self) -> None:
        if self.closer.closing:
            self.closer.written_while_closing(self)
            return
        self.writer.go_on(self)
        for exchange in tuple(self.requests.exchanges.values()):
            exchange.drained()
        if self.reader.held & HELD_BY_PEER and self.socket is not None:
            self.writer.release_reader(self)

    # ---- the end

    def watch_end(self) -> None:
        """Connect to the signal that the socket disconnected; if it is disconnected already, act as on the signal."""
        self.writer.watch_end(self)

    def on_disconnected(self) -> None:
        """The socket is gone: cancel what was in flight and forget the connection."""
        self.closer.disconnected(self)

    def finish(self) -> None:
        """Close once everything queued has left."""
        self.closer.finish(self)

    def close(self) -> None:
        """Take no new request; close when the replies in flight are done."""
        self.closer.close(self)

    def drop(self) -> None:
        """Time is up: cut replies in flight."""
        self.closer.drop(self)

    def abort(self) -> None:
        """Close at once; the peer sees that the reply was cut."""
        self.closer.abort(self)

    def abandon_socket(self) -> None:
        """The server is being deleted: close, and dispatch no more."""
        self.closer.abandon_socket(self)

    def take_socket(self) -> Any:
        """Release the socket, and return it; None where it has disconnected."""
        socket, self.socket = self.socket, None
        return socket

    def release(self) -> Any:
        """Release the socket for another protocol; none of our slots stays connected."""
        self.flush()  # replies to requests before
        socket = self.take_socket()
        if socket is None:
            return None
        sockets.keep_alive(socket)
        socket.readyRead.disconnect(self.on_ready_read)
        self.writer.unwatch(self, socket)
        self.requests.drop_queue()
        self.core.forget(self)
        return socket

    # ---- time

    def sweep(self, now: float, timeout: float) -> None:
        """Enforce the deadlines; *timeout* is the keep-alive timeout in seconds."""
        self.deadlines.sweep(self, now, timeout)

    def postpone_deadlines(self, seconds: float) -> None:
        """Extend the deadlines by time in which the event loop did not run, which is not the peer's fault."""
        self.active_at += seconds
        self.reader.postpone(seconds)
        self.closer.postpone(seconds)
        self.deadlines.postpone(seconds)
