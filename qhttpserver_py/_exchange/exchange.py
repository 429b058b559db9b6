"""One request whose handler holds a responder, or whose answer comes later.

The exchange checks the order of operations (``_protocol/reply.py``), posts calls from other threads to the server's,
and sends a stream no faster than the peer takes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from qhttpserver_py._exchange.channel import Channel
from qhttpserver_py._exchange.pump import Drain, Pump, with_source_fields
from qhttpserver_py._protocol.engine import Headers, Message
from qhttpserver_py._protocol.http1.response import check_status
from qhttpserver_py._protocol.reply import CANCELED, DONE, STREAMING, WAITING, ReplyState, advance
from qhttpserver_py._qt import log
from qhttpserver_py._qt.headers import with_fields
from qhttpserver_py._qt.hooks import call_each

if TYPE_CHECKING:
    from qhttpserver_py._content.body import BodyStream
    from qhttpserver_py._exchange.streams import Source

CLIENT_GONE = 499  # the status that observers get for a reply whose peer left before it was complete


class Exchange:
    """A request in flight. Created by the connection; its calls are safe from any thread."""

    __slots__ = (
        "__weakref__", "_cancel_hooks", "_core", "_drain", "_dropped", "_ident", "_pump", "_sent", "_status",
        "_waits", "announced", "body", "connection", "fields", "label", "message", "on_error", "on_reply", "state",
        "stream_id",
    )  # fmt: skip

    def __init__(self, connection: Channel, message: Message, label: str) -> None:
        self.connection: Channel | None = connection
        self._core = connection.core
        self.message = message
        self.stream_id = message.stream_id
        self.label = label
        self.state: ReplyState = WAITING
        self.announced: frozenset[bytes] = frozenset()
        self.fields: Headers = ()  # added to whatever reply is sent
        self.on_reply: Callable[[int, int], None] | None = None
        self.on_error: Callable[[Exception], None] | None = None  # answers for user code that raised
        self.body: BodyStream | None = None
        self._pump: Pump | None = None
        self._cancel_hooks: list[Callable[[], None]] = []
        self._drain: Drain | None = None
        self._ident = threading.get_ident()
        self._status = 0
        self._sent = 0
        self._waits = 0  # how many awaited results may still answer
        self._dropped = False  # the last responder was dropped meanwhile

    # ---- what a handler may do; order checked in the caller's thread, bytes moved in the server's

    def send(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with a whole reply; raise ValueError, and answer nothing, where it must not be sent."""
        self._open("send", status, lambda: self._send(status, headers, body))

    def interim(self, status: int, headers: Headers) -> None:
        """Send an interim response (RFC 9110 15.2); the reply is still to come."""
        if self.state is CANCELED:
            return
        if self.state is not WAITING:
            raise RuntimeError("an interim response goes before the reply, which was sent or begun already")
        self._run(lambda: self._interim(status, headers))

    def begin(self, status: int, headers: Headers, length: int | None = None) -> None:
        """Begin a streamed reply; raise ValueError, and begin none, where its head must not be sent."""
        self._open("begin", status, lambda: self.begin_source(status, headers, length))

    def chunk(self, data: bytes) -> None:
        """Send a piece of a streamed reply."""
        self.state = state = advance(self.state, "chunk")
        if state is CANCELED:
            return
        if not data:
            log.warning(log.SERVER, "Chunk must have length > 0")
            return
        self._run(lambda: self._chunk(data))

    def end(self, data: bytes, trailers: Headers = ()) -> None:
        """End a streamed reply with its last piece and its trailers."""
        self.state = state = advance(self.state, "end")
        if state is not CANCELED:
            self._run(lambda: self._end(data, trailers))

    def stream(self, status: int, headers: Headers, source: Source, *, typed: bool = False) -> None:
        """Answer with what *source* gives, as fast as the peer takes it; *typed*: add no content type."""
        try:
            self.state = state = advance(self.state, "send")
        except Exception:
            source.close()
            raise
        if state is CANCELED:
            source.close()
            return
        self._run(lambda: self._stream(status, headers, source, typed))

    def drop(self) -> None:
        """Answer 500 if nothing has answered: the last responder was dropped."""
        state = self.state
        if state is WAITING or state is STREAMING:
            self._run(self._drop)

    def wait(self) -> None:
        """Note that a result is awaited: the last responder may be dropped without an answer."""
        self._waits += 1

    def waited(self) -> None:
        """Note that an awaited result was dealt with."""
        self._waits -= 1
        if self._dropped and self.state <= STREAMING:
            self._drop()

    def send_raw(self, status: int, reply: bytes, size: int) -> None:
        """Answer with bytes that are a whole reply, and close (server's thread only)."""
        self.state = state = advance(self.state, "send")
        connection = self.connection
        if state is not CANCELED and connection is not None:
            connection.write_last(reply)
            self._complete(status, size)

    def upgraded(self) -> None:
        """End the exchange: the socket speaks another protocol from here on."""
        self.state = DONE
        self._complete(101, 0)

    def fail_with(self, error: Exception) -> None:
        """Answer for user code that raised *error*, or cut a reply that was begun."""
        if self.on_error is not None and self.state is WAITING:
            self.on_error(error)
        else:
            self._core.report(error, self.label)
            self.fail()

    def fail(self) -> None:
        """Answer 500, or cut a reply that was begun."""
        if self.state is WAITING:
            self.send(500, (), b"")
        elif self.state is STREAMING:
            self._run(self._abort)

    def backlog(self) -> int:
        """Return the bytes of this reply that wait for the peer."""
        connection = self.connection
        return connection.backlog(self.stream_id) if connection is not None else 0

    def when_canceled(self, hook: Callable[[], None]) -> None:
        """Call *hook* once if the peer leaves before the reply is complete."""
        if self.state is CANCELED:
            hook()
        elif self.connection is not None:  # a complete reply is not cancelled
            self._cancel_hooks.append(hook)

    def when_drained(self, hook: Callable[[], None]) -> None:
        """Call *hook* each time the peer has taken bytes of this reply."""
        if self._drain is None:
            self._drain = Drain(self, self._core, lambda error: self._core.report(error, self.label))
        self._drain.hooks.append(hook)
        connection = self.connection
        if connection is not None:
            self._run(connection.watch_drain)

    # ---- called by the connection, in the server's thread

    def cancel(self, reason: str = "the peer left") -> None:
        """Cancel the reply: the peer gave up or broke a rule, or the connection is closed."""
        self.connection = self.on_error = None
        pump, self._pump = self._pump, None
        if self.state is not DONE or pump is not None:
            self.state = CANCELED
        body, self.body = self.body, None
        hooks, self._cancel_hooks, self._drain = self._cancel_hooks, [], None
        told: tuple[Callable[[], object] | None, ...] = (
            pump.stop if pump is not None else None,
            partial(body.abort, reason) if body is not None else None,
            partial(self.on_reply, CLIENT_GONE, self._sent) if self.on_reply is not None else None,
            *hooks,
        )
        call_each(filter(None, told), lambda error: self._core.report(error, self.label), self._core.post)

    # ---- the request's body, taken as it arrives

    def feed(self) -> None:
        """Pass on that more of the request's body arrived, or its end."""
        body = self.body
        if body is None:
            self.message.pieces = []
        else:
            body.feed()

    def want_body(self) -> None:
        """Send 100 Continue to a peer that waits for it: the body has a consumer (RFC 9110 10.1.1)."""
        connection, message = self.connection, self.message
        if connection is not None and message.expects_continue and self.state is WAITING:
            message.expects_continue = False
            connection.engine.send_continue(self.stream_id)
            connection.flush_unless_dispatching(self.stream_id)

    def hold_body(self, on: bool) -> None:
        """Stop reading, because the consumer of the body is behind, or go on."""
        if self.connection is not None and not self.connection.engine.interleaves:
            self.connection.hold_body(on)

    def consumed_body(self, size: int) -> None:
        """Let the peer send *size* bytes more over HTTP/2, because the consumer took as many."""
        connection = self.connection
        if connection is not None and connection.engine.interleaves:
            connection.engine.consumed(self.stream_id, size)
            connection.flush_unless_dispatching(self.stream_id)

    def body_failed(self, error: Exception) -> None:
        """Answer for the body's consumer, which raised."""
        body, self.body = self.body, None
        self.fail_with(error)
        if body is not None:
            body.abort("its consumer failed")

    def drained(self) -> None:
        """Read the source on, and call the producers' hooks: the peer took bytes."""
        if self._pump is not None:
            self._pump.drained()
        if self._drain is not None:
            self._drain.tell()

    @property
    def is_connected(self) -> bool:
        """Whether the peer is connected and the reply not complete."""
        return self.connection is not None

    @property
    def sent(self) -> int:
        """Bytes of body that were given to the connection."""
        return self._sent

    # ---- in the server's thread

    def _open(self, operation: str, status: int, call: Callable[[], None]) -> None:
        before = self.state
        self.state = state = advance(before, operation)
        if state is CANCELED:
            return
        try:
            check_status(status)  # raised here, in the caller's thread
            self._run(call)
        except ValueError:
            self.state = before
            raise

    def _run(self, call: Callable[[], None]) -> None:
        connection = self.connection
        if threading.get_ident() == self._ident:
            if connection is not None:
                call()
        elif connection is not None:
            connection.post(call)

    def _send(self, status: int, headers: Headers, body: bytes) -> None:
        connection = self.connection
        if connection is not None:
            if self.fields:
                headers = with_fields(headers, self.fields)
            connection.engine.send_response(self.stream_id, status, headers, body)
            self._complete(status, len(body))

    def _interim(self, status: int, headers: Headers) -> None:
        connection = self.connection
        if connection is not None:
            connection.engine.send_interim(self.stream_id, status, headers)
            connection.flush()

    def begin_source(self, status: int, headers: Headers, length: int | None) -> None:
        """Send the head of a reply in pieces; called by the pump, or for a handler that writes the pieces."""
        connection = self.connection
        if connection is None:
            return
        self._status, self._sent = status, 0
        if self.fields:
            headers = with_fields(headers, self.fields)
        connection.engine.send_headers(self.stream_id, status, headers, length)
        connection.flush_unless_dispatching(self.stream_id)

    def _chunk(self, data: bytes) -> None:
        connection = self.connection
        if connection is not None:
            self._sent += len(data)
            connection.engine.send_chunk(self.stream_id, data)
            connection.flush()

    def _end(self, data: bytes, trailers: Headers) -> None:
        connection = self.connection
        if connection is None:
            return
        if data:
            self._sent += len(data)
            connection.engine.send_chunk(self.stream_id, data)
        if trailers and self.message.version == 10:
            log.warning(log.HTTP1, "Cannot send trailers for HTTP/1.0 connections.")
            trailers = ()
        connection.engine.end_stream(self.stream_id, trailers)
        self._complete(self._status, self._sent)

    def _drop(self) -> None:
        connection = self.connection
        if connection is None:
            return
        if self._waits:
            self._dropped = True
        elif self.state is WAITING:
            log.warning(log.SERVER, f"{self.label}: the responder was dropped without a reply; answering 500")
            self.state = DONE
            self._send(500, (), b"")
        elif self.state is STREAMING:
            log.warning(log.SERVER, f"{self.label}: the responder was dropped inside a streamed reply; aborting it")
            self._abort()

    def _abort(self) -> None:
        connection = self.connection
        if connection is not None:
            self.state = CANCELED
            connection.abort_exchange(self)

    def _complete(self, status: int, size: int) -> None:
        connection = self.connection
        if connection is None:
            return
        self.connection = self.on_error = None
        self._cancel_hooks = []
        self._drain = None
        body, self.body = self.body, None
        if self.on_reply is not None:
            self.on_reply(status, size)
        connection.exchange_done(self, size)
        if body is not None:
            body.abort("the request was answered before its body was complete")

    # ---- streams

    def _stream(self, status: int, headers: Headers, source: Source, typed: bool) -> None:
        connection = self.connection
        if connection is None:
            source.close()
            return
        if self.message.method == "HEAD":  # RFC 9110 9.3.2: the head of the reply, and no body
            length = source.size
            fields: Headers = with_source_fields(headers, source)
            if self.fields:
                fields = with_fields(fields, self.fields)
            source.close()
            connection.engine.send_headers(self.stream_id, status, fields, length)
            connection.engine.end_stream(self.stream_id)
            self._complete(status, 0)
            return
        self._status = status
        self._pump = Pump(self, status, headers, source, typed)
        connection.watch_drain()
        self._pump.start()

    def put(self, data: bytes) -> None:
        """Queue a piece of the pump's; ``flush()`` follows."""
        connection = self.connection
        if connection is not None:
            self._sent += len(data)
            connection.engine.send_chunk(self.stream_id, data)

    def flush(self) -> None:
        """Write what was put."""
        if self.connection is not None:
            self.connection.flush()

    def post(self, call: Callable[[], None]) -> None:
        """Run *call* when other connections had their turn."""
        if self.connection is not None:
            self.connection.post(call)

    def source_ended(self) -> None:
        """End the reply: the source gave its last piece."""
        connection = self.connection
        self._pump = None
        if connection is not None:
            connection.engine.end_stream(self.stream_id)
            self._complete(self._status, self._sent)

    def source_failed(self, error: BaseException, *, begun: bool) -> None:
        """Answer 500 for a source that raised, or cut the reply so that the peer notices."""
        self._pump = None
        if self.connection is not None:
            self.state = STREAMING if begun else WAITING
            if isinstance(error, Exception):
                self.fail_with(error)
            else:  # the caller reports it
                self.fail()
