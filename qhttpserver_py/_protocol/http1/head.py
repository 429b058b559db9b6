"""The head of an HTTP/1 request: where it ends, and what it says (RFC 9112 3 and 5).

Strategy: a head is parsed only when all of it is here, so llhttp never decides where a
message ends. ``HeadReader`` collects a head that arrives in pieces and enforces limits and
line discipline meanwhile, each byte looked at once. Whatever is wrong is raised as ``Fault``. Faults are found in the
order of the bytes, so it makes no difference how a peer cuts them into segments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from qhttpserver_py._protocol import target as request_target
from qhttpserver_py._protocol.engine import Header, Limits, Message
from qhttpserver_py._protocol.http1.fields import Fault, parse_fields
from qhttpserver_py._protocol.wire import TOKEN, tokens

# What a reply depends on in its request, as bits; 0 is a plain HTTP/1.1 request.
CLOSE = 1
"""The connection ends with the reply."""
ASKED = 2
"""It ends because the peer asked for it."""
HEAD = 4
HTTP10 = 8
CONNECT = 16
INCOMPLETE = 32
"""The body has not arrived completely."""

CHUNKED = -1
"""As a body length: chunked transfer coding."""

MAX_BLANK_LINES = 8
"""Empty lines accepted before a request line (RFC 9112 2.2 asks for at least one)."""

_OWS_ALLOWANCE = 256
"""Octets of whitespace around a value that do not count against the limit of a field."""

_VERSIONS = {b"HTTP/1.1": 11, b"HTTP/1.0": 10}
_METHODS = {
    name.encode(): name for name in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE")
}

# What may not stand in a head as it arrives: control characters, CR without LF, LF without CR.
# A match ends behind the byte that proves it.
_BAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n")


class HeadReader:
    """Collects a head, or a trailer section, that does not arrive in one piece."""

    __slots__ = ("_blank", "_count", "_fields", "_limits", "_line", "buffer", "complete")

    def __init__(self, limits: Limits, *, trailers: bool = False) -> None:
        self._limits = limits
        self._fields = 0 if trailers else -1  # where the field lines begin; -1: in the request line
        self._line = 0  # where the current line begins
        self._count = 0
        self._blank = 0
        self.buffer = bytearray()
        self.complete = False

    def feed(self, data: bytes, pos: int) -> int:
        """Take *data* from *pos* to the end of the head, or all of it; return where it stopped."""
        buffer = self.buffer
        end = len(data)
        while pos < end and not self.complete:
            stop = data.find(b"\n", pos) + 1 or end
            seen = len(buffer)
            buffer += data[pos:stop]
            pos = stop
            self._inspect(seen)
            if buffer[-1] == 10:
                self._end_line()
        return pos

    def _inspect(self, seen: int) -> None:
        buffer = self.buffer
        bad = _BAD.search(buffer, max(seen - 1, self._line))
        first_bad = bad.end() - 1 if bad else len(buffer)
        over, status, detail = self._overrun() if self._fields < 0 else self._fields_overrun()
        if over < first_bad:
            raise Fault(status, detail)
        if bad:
            raise Fault(400, "control character, bare CR or bare LF in the head")

    def _fields_overrun(self) -> tuple[int, int, str]:
        """Return the place of the first octet over a limit, behind the end if there is none, and the fault."""
        limits = self._limits
        over = never = len(self.buffer)
        if limits.header_size >= 0:
            over = min(over, self._fields + limits.header_size)
        if limits.field_size >= 0:
            over = min(over, self._line + limits.field_size + _OWS_ALLOWANCE)
        return (over, 431, "header section too large") if over < never else (never, 0, "")

    def _overrun(self) -> tuple[int, int, str]:
        """Do the same for the request line, of which only the target is limited."""
        buffer, limit = self.buffer, self._limits.url_size
        never = len(buffer)
        if limit < 0 or never <= limit:
            return never, 0, ""
        line_end = never - (2 if buffer.endswith(b"\r\n") else buffer.endswith(b"\r"))
        first = buffer.find(b" ")
        if (line_end if first < 0 else first) > limit:
            return limit, 414, "request line too long"
        if first < 0:
            return never, 0, ""
        begin = first + 1
        second = buffer.find(b" ", begin)
        if second < 0:
            second = line_end
        if second - begin > limit:
            return begin + limit, 414, "request target too long"
        # "HTTP/1.1" and CRLF are ten; this bounds what follows the target.
        return min(never, second + 17), 400, "malformed request line"

    def _end_line(self) -> None:
        buffer = self.buffer
        if len(buffer) - self._line > 2:
            if self._fields < 0:
                # what is no request line is refused before an empty line follows
                parse_request_line(bytes(buffer[:-2]))
                self._fields = len(buffer)
            else:
                self._count += 1
                if 0 <= self._limits.field_count < self._count:
                    raise Fault(431, "too many header fields")
            self._line = len(buffer)
        elif self._fields >= 0:
            self.complete = True
        else:
            self._blank += 1
            if self._blank > MAX_BLANK_LINES:
                raise Fault(400, "too many empty lines before a request")
            buffer.clear()


def within(head: bytes, limits: Limits) -> bool:
    """Return True where a complete head cannot break a limit of size; where it may, the head has to be measured."""
    line = head.index(b"\r\n")
    rest = len(head) - line - 2
    return (
        (line <= limits.url_size or limits.url_size < 0)
        and (rest <= limits.header_size or limits.header_size < 0)
        and (rest <= limits.field_size or limits.field_size < 0)
    )


def parse_head(head: bytes, limits: Limits) -> tuple[Message, int, int]:
    """Return the message, its reply bits and its body's length (``CHUNKED`` if unknown)."""
    line = head.index(b"\r\n")
    method, target, version = parse_request_line(head[:line])
    if 0 <= limits.field_count < head.count(b"\r\n") - 2:
        HeadReader(limits).feed(head, 0)  # the first fault in the order of the bytes wins
    headers = parse_fields(head[line + 2 : -2])
    if 0 <= limits.field_size < len(head):
        _check_field_sizes(headers, limits.field_size)
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = _merged(headers)
    message = Message(1, method, target, version, headers)
    _check_host(message, fields.get(b"host"))
    length = body_length(version, fields)
    bits = _reply_bits(method, version, fields.get(b"connection"))
    if length:
        message.expects_continue = _expects_continue(version, fields.get(b"expect"))
    elif b"expect" in fields:
        _expects_continue(version, fields[b"expect"])
    elif b"upgrade" in fields and _is_websocket(method, version, fields):
        message.websocket = True
        message.raw = head
        bits |= CLOSE  # no other HTTP message follows, whether it is refused or not
    return message, bits, length


def parse_request_line(line: bytes) -> tuple[str, bytes, int]:
    """Return method, target and version (10 or 11) of a request line without its CRLF."""
    parts = line.split(b" ")
    if len(parts) != 3:
        raise Fault(400, "malformed request line")
    name, target, protocol = parts
    method = _METHODS.get(name)
    if method is None:
        if not TOKEN.fullmatch(name):
            raise Fault(400, "the method is no token")
        method = name.decode("ascii")
    if not request_target.clean(target):
        raise Fault(400, "the request target has characters no URI has")
    version = _VERSIONS.get(protocol) or _other_version(protocol)
    if method == "CONNECT" or target[0] != 47:
        try:
            request_target.split(method, target)
        except ValueError as error:
            raise Fault(400, str(error)) from None
    return method, target, version


def _other_version(protocol: bytes) -> int:
    if not re.fullmatch(rb"HTTP/[0-9]\.[0-9]", protocol):
        raise Fault(400, "malformed HTTP version")
    if protocol[5] != 49:
        raise Fault(505, "HTTP version not supported")
    return 11  # a higher minor version is served as the one we know (RFC 9110 2.5)


# ---- fields


def _check_field_sizes(headers: list[Header], limit: int) -> None:
    for name, value in headers:
        if len(name) + 1 + len(value) > limit:
            raise Fault(431, "header field too large")


def _merged(headers: list[Header]) -> dict[bytes, bytes]:
    """Return the fields with repeated ones joined (RFC 9110 5.3), unless they must not be."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in fields:
            fields[name] = value
        elif name in (b"host", b"content-length"):
            raise Fault(400, f"more than one {name.decode()} field")
        else:
            fields[name] += b", " + value
    return fields


def _check_host(message: Message, host: bytes | None) -> None:
    if host is None:
        if message.version != 10:
            raise Fault(400, "no host field")
    elif not request_target.is_authority(host):
        raise Fault(400, "invalid host field")
    else:
        message.authority = host
    if message.method == "CONNECT" or message.target[0] != 47:
        # The target's own authority outweighs the field (RFC 9112 3.2.2).
        message.scheme, authority = request_target.split(message.method, message.target)
        message.authority = authority or message.authority
        if message.method == "OPTIONS" and message.target.partition(b"://")[2] == authority:
            message.target = b"*"  # without a path it asks about the whole server (RFC 9112 3.2.4)


def body_length(version: int, fields: Mapping[bytes, bytes]) -> int:
    """Return the length of the body the fields announce (RFC 9112 6.3)."""
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise Fault(400, "both content-length and transfer-encoding")
        if version == 10:
            raise Fault(400, "transfer-encoding in HTTP/1.0")
        if coding.lower() != b"chunked":
            # A coding that does not end in chunked has no end (6.3); another coding before it is not supported (6.1).
            raise Fault(*_coding_fault([name.strip(b" \t") for name in coding.lower().split(b",")]))
        return CHUNKED
    if length is None:
        return 0
    if not length.isdigit():
        raise Fault(400, "malformed content-length")
    digits = length.lstrip(b"0")  # 1*DIGIT, and always decimal (RFC 9110 8.6)
    if len(digits) > 19 or int(digits or b"0") >= 1 << 63:
        raise Fault(400, "content-length out of range")
    return int(digits or b"0")


def _coding_fault(names: list[bytes]) -> tuple[int, str]:
    if names[-1] != b"chunked":
        return 400, "the last transfer coding is not chunked"
    if names.count(b"chunked") > 1 or not all(TOKEN.fullmatch(name) for name in names):
        return 400, "malformed transfer-encoding"
    return 501, "transfer coding not supported"


def _reply_bits(method: str, version: int, connection: bytes | None) -> int:
    bits = 0
    if method == "HEAD":
        bits = HEAD
    elif method == "CONNECT":
        bits = CONNECT
    if version == 10:
        bits |= HTTP10
        if connection is None:
            return bits | CLOSE | ASKED
    elif connection is None or connection == b"keep-alive":
        return bits
    options = tokens(connection or b"")
    if b"close" in options or (version == 10 and b"keep-alive" not in options):
        bits |= CLOSE | ASKED
    return bits


def _expects_continue(version: int, expect: bytes | None) -> bool:
    if expect is None or version == 10:  # ignored in HTTP/1.0 (RFC 9110 10.1.1)
        return False
    if expect.lower() != b"100-continue":
        raise Fault(417, "unknown expectation")
    return True


def _is_websocket(method: str, version: int, fields: Mapping[bytes, bytes]) -> bool:
    """Return whether it is a handshake (RFC 6455 4.2.1); an upgrade in HTTP/1.0 is ignored (RFC 9110 7.8)."""
    return (
        method == "GET"
        and version == 11
        and fields[b"upgrade"].lower() == b"websocket"
        and b"upgrade" in tokens(fields.get(b"connection", b""))
    )
