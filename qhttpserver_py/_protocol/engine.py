"""The interface that both protocol engines implement, and the records that cross it.

Strategy: an engine turns bytes into events and replies into bytes. It knows no
socket, no Qt, no clock of its own and no user code. For a peer's fault it reports a ``Refusal`` and never raises.
Misuse by the layers above raises.

Contract, in the order of use:

1. ``receive_data`` takes what the socket had and returns events, oldest first.
2. The connection walks the events and answers each ``Message`` by ``send_*``.
   Over HTTP/1 only one message is answered at a time, in order: that is the
   connection's duty, and ``interleaves`` tells it.
3. ``data_to_send`` returns all bytes queued since the last call, joined.
4. When ``should_close`` is true and everything is written, the connection
   closes, lingering if ``linger`` is true.

Tunnels (extended CONNECT, RFC 8441), where the engine was told to offer them:

1. ``receive_data`` returns a ``Message`` whose ``protocol`` is set, ``method`` is CONNECT and ``complete`` is
   false: there is no body to wait for, but octets in both directions. ``unfinished`` never names it and it has no
   body limit; at most one stream window of early octets is kept in ``pieces``.
2. ``send_response`` with an error refuses it. ``send_headers`` with 2xx and no length accepts it; set
   ``streaming`` before, so that the message is an event again whenever octets have come.
3. Input: take ``pieces``, then ``consumed(stream_id, size)``, without which the peer may not send more than the
   window. ``complete`` is the peer's half-close; a ``Reset`` or ``Refusal`` of the stream ends both halves.
4. Output: ``send_chunk``; ``backlog`` is what flow control holds back, so whoever sends waits while that is
   high. ``end_stream`` is our half-close; the stream stays until the peer's, whose octets are still events.
5. ``abort`` resets it (CANCEL). Nothing else ends a tunnel whose peer is silent, so who accepts one sets a deadline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Header = tuple[bytes, bytes]
Headers = Sequence[Header]


class Pool:
    """Bytes of request bodies that the connections of a server hold together."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0


class Limits:
    """What a peer may do, shared by a server and all its engines and changed in place.

    Sizes are bytes; a negative number means no limit, as in QHttpServerConfiguration.
    """

    generation: int

    __slots__ = (
        "body_size",
        "field_count",
        "field_size",
        "generation",
        "header_size",
        "keep_alive",
        "persistent_tail",
        "pool",
        "url_size",
    )

    def __init__(self) -> None:
        # changes with each limit: heads that were accepted before have to be checked again
        object.__setattr__(self, "generation", 0)
        self.pool = Pool()
        self.url_size = 65536
        self.header_size = 65536
        self.field_size = 49152
        self.field_count = 128
        self.body_size = 33554432
        self.keep_alive = 15
        self.persistent_tail = b""
        self.set_keep_alive(15)

    def __setattr__(self, name: str, value: object) -> None:
        """Set a limit; heads that were accepted under the old ones have to be checked again."""
        object.__setattr__(self, name, value)
        object.__setattr__(self, "generation", self.generation + 1)

    def set_keep_alive(self, seconds: int) -> None:
        """Change the keep-alive timeout that HTTP/1 replies advertise, in seconds."""
        self.keep_alive = seconds
        self.persistent_tail = b"connection: keep-alive\r\nkeep-alive: timeout=%d\r\n\r\n" % seconds


class HeadDecision:
    """What was decided by a request's head before its body had arrived."""

    __slots__ = ("answer", "fields")

    def __init__(self, answer: object, fields: Headers) -> None:
        self.answer = answer  # what refuses the request; None: it may go on
        self.fields = fields  # added to whatever reply it gets


class Message:
    """A request: its head, and its body as far as it has arrived.

    An HTTP/1 engine may return the *same* complete message without a body again when the peer
    repeats itself byte for byte, and several messages share one list of ``headers``, so nobody
    changes either; ``path`` and ``route`` are caches that depend on the message alone (and on the
    router's generation).
    """

    __slots__ = (
        "authority",
        "body",
        "complete",
        "decision",
        "expects_continue",
        "headers",
        "method",
        "path",
        "pieces",
        "protocol",
        "raw",
        "route",
        "scheme",
        "stream_id",
        "streaming",
        "target",
        "trailers",
        "version",
        "websocket",
    )

    def __init__(self, stream_id: int, method: str, target: bytes, version: int, headers: list[Header]) -> None:
        self.stream_id = stream_id
        self.method = method  # the token as sent, case kept
        self.target = target  # HTTP/1: the request target as sent; HTTP/2: :path
        self.version = version  # 10, 11 or 20
        self.headers = headers  # names lower-case, values trimmed, order and duplicates kept
        self.body = b""  # the whole body once complete, unless streaming
        self.trailers: list[Header] = []
        self.complete = False
        self.expects_continue = False
        self.websocket = False  # asks for a WebSocket upgrade (RFC 6455 4.1), HTTP/1 only
        self.protocol = b""  # of an extended CONNECT, such as b"websocket" (RFC 8441): a tunnel, see above
        self.scheme = b""  # of an absolute-form target or :scheme; empty if neither was sent
        self.authority = b""  # Host, absolute-form authority or :authority
        self.raw = b""  # head as received, kept for an upgrade only
        self.streaming = False  # set by the connection at the head event: body goes to pieces
        self.pieces: list[bytes] = []  # streaming only: body bytes not yet fetched
        self.path: str | None = None  # percent-decoded path, filled by the router
        self.route: object = None  # (generation, method-independent match), filled by the router
        self.decision: HeadDecision | None = None  # while the body is still to come, filled by the server


class Refusal:
    """The peer broke a rule or a limit; ``refuse()`` answers it when its turn comes."""

    __slots__ = ("detail", "fields", "message", "status", "stream_id")

    def __init__(self, stream_id: int, status: int, detail: str, message: Message | None = None) -> None:
        self.stream_id = stream_id
        self.message = message  # the refused message, if its head is known
        self.fields: Headers = ()  # fields of the answer, filled by the connection
        self.status = status  # 400, 408, 413, 414, 431, 501, 505; 0 where there is nothing to answer
        self.detail = detail  # one line for the log


class Reset:
    """The peer cancelled one stream (HTTP/2 RST_STREAM), and with it the reply."""

    __slots__ = ("stream_id",)

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id


Event = Message | Refusal | Reset


class BodyLimit(Protocol):
    """The limit of a message's body in bytes, with the head known; negative for none."""

    def __call__(self, message: Message, /) -> int: ...


class Waits(Protocol):
    """What waits for the peer; deadlines and bounds are set by it."""

    def uploads(self) -> list[tuple[Message, int]]:
        """Return the requests whose bodies the peer could send on, each with the bytes that came so far (HTTP/2)."""
        ...

    def starved(self) -> list[tuple[int, int]]:
        """Return the streams whose replies wait for the peer's windows, each with the bytes that left so far (HTTP/2).

        Stream 0 stands for all that wait for the connection's window.
        """
        ...

    def behind(self, stream_id: int) -> list[int]:
        """Return the streams that an entry of ``starved`` stands for."""
        ...

    def queued(self) -> int:
        """Return about how many bytes of whole replies, the largest excepted, are queued and were not returned yet.

        The largest is excepted because small replies overtake it. Replies that are read from their source as fast as
        the peer takes them are not counted.
        """
        ...

    @property
    def withheld(self) -> bool:
        """Whether the peer waits for credit that other connections may release; ``data_to_send`` gives it then."""
        ...


class EngineState:
    """What an engine tells its connection besides events."""

    __slots__ = ("linger", "partial", "should_close")

    def __init__(self, partial: int = 0) -> None:
        self.should_close = False
        """Close once everything queued is written. Set by the engine, never reset."""
        self.linger = False
        """The peer may still be sending: shut down our side, drain, then close (RFC 9112 9.6)."""
        self.partial = partial
        """0: between messages. 1: a head is incomplete. 2: a body is incomplete."""


class Engine(Protocol):
    """What the connection needs of HTTP/1 or HTTP/2."""

    interleaves: bool
    """Whether several messages may be answered at once, in any order (HTTP/2)."""
    state: EngineState
    """Whether to close, and how; whether a message is incomplete."""

    @property
    def body_limit(self) -> BodyLimit:
        """What is asked once for each message with a body; it may be replaced."""
        ...

    @body_limit.setter
    def body_limit(self, limit: BodyLimit, /) -> None: ...

    @property
    def waits(self) -> Waits:
        """What waits for the peer."""
        ...

    def receive_data(self, data: bytes, /) -> list[Event]:
        """Take bytes from the peer; return what they complete.

        A message with a body that is not all here yet is returned twice: with ``complete``
        false when its head is known, and again when it is complete. In between it is returned
        after each arrival only if ``streaming`` was set; its new body bytes are in ``pieces``.
        """
        ...

    def receive_eof(self) -> list[Event]:
        """The peer will send no more (half-close)."""
        ...

    def send_continue(self, stream_id: int) -> None:
        """Queue ``100 Continue``."""
        ...

    def send_interim(self, stream_id: int, status: int, headers: Headers) -> None:
        """Queue an interim response, such as 102 or 103; any number of them may precede the reply.

        An HTTP/1.0 peer is sent none (RFC 9110 15.2). Fields that frame a message are left out. Raises
        ValueError for a status that is not interim or is a protocol of its own (101), and for a field
        that must not be sent.
        """
        ...

    def send_response(self, stream_id: int, status: int, headers: Headers, body: bytes) -> None:
        """Queue a whole reply. *headers* are the response's own; framing fields are the engine's."""
        ...

    def send_headers(self, stream_id: int, status: int, headers: Headers, length: int | None) -> None:
        """Queue the head of a reply whose body follows in chunks, *length* bytes in all if known."""
        ...

    def send_chunk(self, stream_id: int, data: bytes) -> None:
        """Queue a piece of body."""
        ...

    def end_stream(self, stream_id: int, trailers: Headers = ()) -> None:
        """End a reply begun by ``send_headers``."""
        ...

    def refuse(self, refusal: Refusal, /) -> None:
        """Queue the answer to a refusal."""
        ...

    def abort(self, stream_id: int) -> None:
        """Give up a reply that was begun: reset the stream (HTTP/2) or ask for an abrupt close (HTTP/1)."""
        ...

    def consumed(self, stream_id: int, size: int) -> None:
        """Note that *size* bytes of a streaming message's pieces were used, so that the peer may send more."""
        ...

    def unfinished(self) -> list[Message]:
        """Return the requests whose bodies are still awaited."""
        ...

    def backlog(self, stream_id: int) -> int:
        """Return the bytes of this reply that flow control holds back."""
        ...

    @property
    def requests(self) -> int:
        """A number that changes with each request; -1 while one is not answered, or not complete (HTTP/2)."""
        ...

    @property
    def can_send(self) -> bool:
        """Whether a limited ``data_to_send`` left something that could be sent at once (HTTP/2)."""
        ...

    def pieces_to_send(self) -> Sequence[bytes]:
        """Return everything queued, once, not joined, so that large bodies are not copied. Only where replies do not
        interleave.
        """
        ...

    def data_to_send(self, limit: int = ...) -> bytes:
        """Return everything queued, joined, once; where replies interleave, about *limit* bytes of bodies in fair
        turns.
        """
        ...

    def rest(self) -> None:
        """Forget what was kept of former requests and replies only to save time: the peer is silent."""
        ...

    def close(self) -> None:
        """Take no new requests: announce it (GOAWAY), and close when replies in flight are done."""
        ...

    def terminate(self) -> bool:
        """Give up the replies in flight; return whether the peer can be told (GOAWAY) before the connection closes."""
        ...

    def lost(self) -> None:
        """Release what counts against the server's limits: the connection is closed."""
        ...
