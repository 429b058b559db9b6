"""Heads of HTTP/1 responses, and how their bodies are framed (RFC 9112 4 and 6). Pure.

Strategy: the response's own fields come first, then the automatic ones: date, content-length or
transfer-encoding, connection, keep-alive. The user's fields that would break framing are left out.
"""

from __future__ import annotations

from qhttpserver_py._protocol import wire
from qhttpserver_py._protocol.engine import Header, Headers
from qhttpserver_py._protocol.http1.head import CLOSE, CONNECT, HEAD, HTTP10, INCOMPLETE

NOTHING, SIZED, CHUNKS, UNTIL_CLOSE = range(4)
"""How the body is sent: not at all, with its length announced, chunked, or ended by the close."""

_MANAGED = frozenset({b"date", b"content-length", b"transfer-encoding", b"connection", b"keep-alive"})

CLOSING_TAIL = b"connection: close\r\n\r\n"


def plain_prefix(bits: int, status: int, headers: tuple[Header, ...]) -> bytes:
    """Return status line and *headers* of the reply to a request with *bits*, or nothing if it is not plain. A reply is
    plain if its other fields are the automatic ones only. Raises ValueError for what must not be sent.
    """
    check_status(status)
    if status in (204, 205, 304) or any(name.lower() in _MANAGED for name, _ in headers):
        return b""
    return wire.status_line(status, b"HTTP/1.0" if bits & HTTP10 else b"HTTP/1.1") + wire.render_fields(headers)


def check_status(status: int) -> None:
    """Raise ValueError unless *status* can be that of a final response."""
    if not 200 <= status <= 999:
        raise ValueError(
            f"{status} cannot be the status of a reply: use 200 to 999; "
            "1xx are interim and sent by the server itself (RFC 9110 15)"
        )


class ResponseHead:
    """A rendered head, and how its body is framed."""

    __slots__ = ("closes", "data", "framing", "size")

    def __init__(self, status: int, headers: Headers, bits: int, size: int | None, tail: bytes) -> None:
        """Render a head for a request with *bits*.

        *size* is the body's length, None if unknown; *tail* the fields of a persistent reply.
        Raises ValueError for what must not be sent.
        """
        check_status(status)
        own = _OwnFields(headers if status != 304 else wire.for_not_modified(headers))
        self.framing, self.size, field = _frame(status, bits, size, own.length)
        self.closes = bool(
            bits & (CLOSE | INCOMPLETE)
            or own.closes
            or self.framing == UNTIL_CLOSE
            # For the peer, what follows is a tunnel (RFC 9110 9.3.6).
            or (bits & CONNECT and status < 300)
        )
        self.data = b"".join(
            (
                wire.status_line(status, b"HTTP/1.0" if bits & HTTP10 else b"HTTP/1.1"),
                wire.render_fields(tuple(own.fields)),
                b"" if own.dated else wire.date_field(),
                field,
                _connection(own.options, CLOSING_TAIL if self.closes else tail),
            )
        )


class _OwnFields:
    """The user's fields without those that the engine sets itself, and what they ask of it."""

    __slots__ = ("closes", "dated", "fields", "length", "options")

    def __init__(self, headers: Headers) -> None:
        self.fields: list[Header] = []
        self.options: list[bytes] = []  # connection options other than our own
        self.length: bytes | None = None
        self.closes = self.dated = False
        for field in headers:
            name = field[0].lower()
            if name not in _MANAGED:
                self.fields.append(field)
            elif name == b"date":
                if not self.dated:
                    self.fields.append(field)
                self.dated = True
            elif name == b"connection":
                wire.check_header(*field)
                options = wire.tokens(field[1])
                self.closes = self.closes or b"close" in options
                self.options += [option for option in options if option not in (b"close", b"keep-alive")]
            elif name == b"content-length" and field[1].isdigit():
                self.length = field[1]


def _frame(status: int, bits: int, size: int | None, own: bytes | None) -> tuple[int, int, bytes]:
    """Return framing, octets of body to come, and the field that says so (RFC 9112 6.3)."""
    if status == 204 or (bits & CONNECT and status < 300):
        return NOTHING, 0, b""
    if status == 205:
        return NOTHING, 0, b"content-length: 0\r\n"
    if status == 304 or bits & HEAD:
        return NOTHING, 0, _would_be(status, bits, size, own)
    if size is not None:
        return SIZED, size, b"content-length: %d\r\n" % size
    if bits & HTTP10:
        return UNTIL_CLOSE, 0, b""
    return CHUNKS, 0, b"transfer-encoding: chunked\r\n"


def _would_be(status: int, bits: int, size: int | None, own: bytes | None) -> bytes:
    """Return the field of the length that a GET answered by 200 would have (RFC 9110 8.6)."""
    if size:
        return b"content-length: %d\r\n" % size
    if own is not None:
        return b"content-length: %b\r\n" % own
    if status == 304:  # the body that was not modified is not the empty one here
        return b""
    if size is None:
        return b"" if bits & HTTP10 else b"transfer-encoding: chunked\r\n"
    return b"content-length: 0\r\n"


def _connection(options: list[bytes], tail: bytes) -> bytes:
    if not options:
        return tail
    # One field line, because many clients read the first one only.
    return b"connection: %b, %b" % (b", ".join(options), tail.removeprefix(b"connection: "))


def refusal(status: int, fields: Headers = ()) -> bytes:
    """Return the whole reply to a request that is not served; of *fields* those that do not frame it."""
    own = wire.render_fields(tuple(field for field in fields if field[0].lower() not in _MANAGED))
    head = wire.status_line(status) + own + wire.date_field()
    return head + b"content-length: 0\r\n" + CLOSING_TAIL


def interim(status: int, headers: Headers) -> bytes:
    """Return a whole interim response; of *headers* those that do not frame a message (RFC 9110 8.6, 15.2)."""
    wire.check_interim(status)
    own = tuple(field for field in headers if field[0].lower() not in _MANAGED or field[0].lower() == b"date")
    return wire.status_line(status) + wire.render_fields(own) + b"\r\n"


def last_chunk(trailers: Headers) -> bytes:
    """Return the end of a chunked body (RFC 9112 7.1). Raises ValueError for what is no trailer."""
    for name, value in trailers:
        wire.check_trailer(name, value)
    return b"0\r\n%b\r\n" % wire.render_fields(tuple(trailers))
