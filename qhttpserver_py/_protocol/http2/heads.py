"""Request heads: what a decoded header block says, and whether it is valid (RFC 9113 8.1 to 8.5).

Strategy: all checks run once per distinct block. A client repeats its blocks, and as long as its HPACK table does not
change, the same bytes mean the same head, which is kept with its fault.
"""

from __future__ import annotations

import re

from qhttpserver_py._protocol import wire
from qhttpserver_py._protocol.engine import Header, Limits, Message
from qhttpserver_py._protocol.http2.hpack_decoder import HeaderDecoder
from qhttpserver_py._protocol.http2.hpack_encoder import CONNECTION_SPECIFIC
from qhttpserver_py._protocol.target import is_authority, split

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
# Control characters but HTAB; white space at either end (RFC 9113 8.2.1).
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]\Z")
_BAD_PATH = re.compile(rb"[\x00-\x20\x7f#]")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*")

_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority", b":protocol"})
_ONCE = frozenset({b"host", b"content-length"})

_KEPT = 32  # heads
_KEPT_SIZE = 2048  # bytes of the largest block worth keeping
_KEPT_FIELDS = 8192  # and of its fields, which may be much larger than the block


class Head:
    """A request's head, ready to become messages."""

    __slots__ = (
        "authority",
        "count",
        "expects_continue",
        "expects_more",
        "fault",
        "fields",
        "length",
        "longest",
        "method",
        "misdirected",
        "model",
        "protocol",
        "scheme",
        "size",
        "target",
    )

    def __init__(self) -> None:
        self.fault = ""  # why the request is malformed
        self.method = ""
        self.scheme = self.target = self.authority = b""
        self.protocol = b""  # of an extended CONNECT (RFC 8441)
        self.fields: list[Header] = []
        self.length = -1  # content-length, or -1
        self.expects_continue = False
        self.expects_more = False  # an expectation other than 100-continue, which is refused
        self.misdirected = False  # for another scheme than the connection's (RFC 9110 7.4)
        self.count = self.size = self.longest = 0  # as the limits count
        self.model: Message | None = None  # the last message of this head, on which the router caches what it found

    def excess(self, limits: Limits) -> int:
        """Return the status for a head beyond *limits*, or 0."""
        if len(self.target) > limits.url_size >= 0:
            return 414
        if self.longest > limits.field_size >= 0 or self.size > limits.header_size >= 0:
            return 431
        if self.count > limits.field_count >= 0:
            return 431
        if self.misdirected:
            return 421
        return 417 if self.expects_more else 0


class HeadReader:
    """Reads the header blocks of one connection."""

    __slots__ = ("_decoder", "_kept", "_scheme", "_tunnels")

    def __init__(self, largest: int, *, scheme: bytes = b"", tunnels: bool = False) -> None:
        self._decoder = HeaderDecoder(largest)
        self._scheme = scheme  # of the connection; empty where any may be asked for
        self._tunnels = tunnels  # whether extended CONNECT was offered
        self._kept: dict[bytes, Head] = {}

    def request(self, block: bytes) -> Head:
        """Return the head in *block*."""
        head = self._kept.get(block)
        if head is not None:
            return head
        changes = self._decoder.changes
        head = check_request(self.fields(block), tunnels=self._tunnels)
        head.misdirected = head.scheme.lower() != self._scheme != b"" and bool(head.scheme)
        # A block that changes the table has another meaning the next time.
        if changes == self._decoder.changes and len(block) <= _KEPT_SIZE and head.size <= _KEPT_FIELDS:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[block] = head
        return head

    def forget(self) -> None:
        """Keep no head for the next time that its block comes."""
        self._kept.clear()

    def fields(self, block: bytes) -> list[Header]:
        """Return the fields in *block*, unchecked."""
        decoder = self._decoder
        changes = decoder.changes
        fields = decoder.decode(block)
        if changes != decoder.changes:
            self._kept.clear()
        return fields


def check_request(fields: list[Header], *, tunnels: bool = False) -> Head:
    """Return what *fields* ask for, or the fault in them; *tunnels*: by extended CONNECT too."""
    head = Head()
    _measure(head, fields)
    pseudo: dict[bytes, bytes] = {}
    head.fault = _split(fields, pseudo, head.fields) or _check_pseudo(head, pseudo, tunnels) or _check_fields(head)
    if head.protocol:  # what follows is a tunnel's, and no content (RFC 8441 5)
        head.length = -1
        head.expects_continue = False
    return head


def check_trailers(fields: list[Header]) -> Head:
    """Return a head with the trailer *fields*, or the fault in them (RFC 9113 8.1)."""
    head = Head()
    _measure(head, fields)
    head.fields = fields
    if any(name[:1] == b":" for name, _ in fields):
        head.fault = "a pseudo-header in the trailers"
    elif not head.fault:
        head.fault = _check_names(fields)
    return head


def _measure(head: Head, fields: list[Header]) -> None:
    for name, value in fields:
        head.count += name[:1] != b":"
        size = len(name) + len(value)
        head.size += size
        if size > head.longest and name != b":path":  # the target has a limit of its own
            head.longest = size


def _split(fields: list[Header], pseudo: dict[bytes, bytes], regular: list[Header]) -> str:
    """Separate pseudo-headers from fields (RFC 9113 8.3); return what is wrong."""
    for field in fields:
        name, value = field
        if name[:1] != b":":
            regular.append(field)
        elif regular:
            return "a pseudo-header behind a field"
        elif name not in _PSEUDO or name in pseudo:
            return "an unknown or repeated pseudo-header"
        else:
            pseudo[name] = value
    return _check_names(regular)


def _check_names(fields: list[Header]) -> str:
    for name, value in fields:
        if not _NAME.fullmatch(name):
            return "an illegal field name"
        if _BAD_VALUE.search(value):
            return "an illegal field value"
        if name in CONNECTION_SPECIFIC and (name != b"te" or value.lower() != b"trailers"):
            return "a connection-specific field"
    return ""


def _check_pseudo(head: Head, pseudo: dict[bytes, bytes], tunnels: bool) -> str:
    method = pseudo.get(b":method", b"")
    if not wire.TOKEN.fullmatch(method):
        return "no :method, or no token"
    head.method = method.decode("ascii")
    head.scheme = pseudo.get(b":scheme", b"")
    head.target = pseudo.get(b":path", b"")
    head.authority = pseudo.get(b":authority", b"")
    if head.authority and not is_authority(head.authority):  # no userinfo: RFC 9113 8.3.1
        return "an illegal :authority"
    protocol = pseudo.get(b":protocol")
    if protocol is not None:
        if not tunnels or method != b"CONNECT" or not wire.TOKEN.fullmatch(protocol):
            return "an illegal :protocol, or one that was not offered"
        head.protocol = protocol
    elif method == b"CONNECT":
        return _check_connect(head, pseudo)
    if not _SCHEME.fullmatch(head.scheme):
        return "no :scheme, or an illegal one"
    path = head.target
    if not (path[:1] == b"/" or (path == b"*" and method == b"OPTIONS")) or _BAD_PATH.search(path):
        return "no :path, or an illegal one"
    return ""


def _check_connect(head: Head, pseudo: dict[bytes, bytes]) -> str:
    """Check CONNECT (RFC 9113 8.5): :authority is the target, host and port; :scheme and :path are absent."""
    if b":scheme" in pseudo or b":path" in pseudo:
        return "CONNECT with :scheme or :path"
    head.target = head.authority
    try:
        split(head.method, head.target)
    except ValueError as error:
        return str(error)
    return ""


def _check_fields(head: Head) -> str:
    """Check the fields that the server acts upon, and join cookie fields."""
    once: dict[bytes, bytes] = {}
    crumbs: list[bytes] = []
    for name, value in head.fields:
        if name in _ONCE:
            if name in once:
                return f"{name.decode()} repeated"
            once[name] = value
        elif name == b"cookie":
            crumbs.append(value)
        elif name == b"expect":
            # As over HTTP/1, this is the only expectation that is met (RFC 9110 10.1.1).
            head.expects_more = head.expects_more or value.lower() != b"100-continue" or head.expects_continue
            head.expects_continue = True
    if len(crumbs) > 1:
        head.fields = _join_cookies(head.fields, b"; ".join(crumbs))
    return _check_length(head, once.get(b"content-length")) or _check_host(head, once.get(b"host"))


def _check_length(head: Head, length: bytes | None) -> str:
    if length is not None:
        if not length.isdigit() or len(length) > 19:
            return "an illegal content-length"
        head.length = int(length)
    return ""


def _check_host(head: Head, host: bytes | None) -> str:
    """Check that :authority and host, where both are there, agree (RFC 9113 8.3.1)."""
    if host is not None:
        if not is_authority(host) or (head.authority and head.authority.lower() != host.lower()):
            return "an illegal host, or one that is not :authority"
        head.authority = head.authority or host
    return "" if head.authority else "neither :authority nor host"


def _join_cookies(fields: list[Header], cookie: bytes) -> list[Header]:
    """Join the cookie fields at the place of the first (RFC 9113 8.2.3)."""
    joined: list[Header] = []
    for field in fields:
        if field[0] != b"cookie":
            joined.append(field)
        elif cookie:
            joined.append((b"cookie", cookie))
            cookie = b""
    return joined
