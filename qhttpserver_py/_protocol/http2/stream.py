"""Records of what is known of one open HTTP/2 stream; the rules are in ``streams`` and ``receiver``."""

from __future__ import annotations

from collections import deque
from io import BytesIO

from qhttpserver_py._protocol.engine import Headers, Message


class Stream:
    """A request and its reply. Exists from the request's head until both are over."""

    __slots__ = ("batch", "kept", "message", "reply", "stream_id", "tunnel", "upload", "window")

    def __init__(self, stream_id: int, window: int, message: Message, batch: int) -> None:
        self.stream_id = stream_id
        self.window = window  # bytes of body the peer lets us send; may be negative
        self.message = message
        self.batch = batch  # the receive_data call that reported the message
        self.kept = 0  # bytes of the request's body that count against the budgets
        self.upload: Upload | None = None  # while the peer is sending
        self.reply: Reply | None = None  # while body is held back, or more is to come
        self.tunnel = False  # an extended CONNECT that was accepted: over when both halves are


class Upload:
    """The request's body on its way in."""

    __slots__ = ("batch", "body", "discards", "expected", "limit", "owed", "quiet", "received", "tunnel", "window")

    def __init__(self, window: int, expected: int, limit: int) -> None:
        self.window = window  # bytes the peer may still send
        self.expected = expected  # content-length, or -1
        self.limit = limit  # most bytes we take, or negative
        self.received = 0
        self.body: BytesIO | None = None  # what is collected of it, from its second read on
        self.owed = 0  # bytes received for which no credit was given back
        self.batch = 0  # the receive_data call that last reported the message
        self.quiet = 0  # how often the peer answered a PING without having sent more of it
        self.discards = False  # it was refused, and what still comes is dropped
        self.tunnel = False  # of an extended CONNECT: it is no request's body, and its end is not awaited


class Reply:
    """The reply's body on its way out."""

    __slots__ = ("ended", "given", "left", "listed", "pieces", "size", "trailers")

    def __init__(self, left: int) -> None:
        self.left = left  # bytes of the announced content-length not yet given, or -1
        self.pieces: deque[memoryview] = deque()
        self.size = 0  # bytes in pieces
        self.given = 0  # bytes of the body so far; what is not in pieces was sent
        self.ended = False  # nothing follows the pieces but the trailers
        self.trailers: Headers = ()
        self.listed = False  # waiting for its turn


class Block:
    """A header block that spans frames."""

    __slots__ = ("continuations", "data", "depends_on_itself", "ended", "stream_id")

    def __init__(self, stream_id: int, ended: bool, depends_on_itself: bool, data: bytes) -> None:
        self.stream_id = stream_id
        self.ended = ended
        self.depends_on_itself = depends_on_itself
        self.data = data
        self.continuations = 0
