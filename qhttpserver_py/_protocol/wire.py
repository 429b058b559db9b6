"""What both engines use: status phrases, the Date field, checks of header fields. Pure.

Strategy: everything here is a table or a short function over bytes; what does not change
from reply to reply (status lines, the date of this second) is rendered once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import gmtime, time

from qhttpserver_py._protocol.engine import Header, Headers

# The phrases that QHttpServer sends; 226, 413, 414 and 416 differ from RFC 9110 on purpose.
PHRASES: dict[int, bytes] = {
    100: b"Continue",
    101: b"Switching Protocols",
    102: b"Processing",
    103: b"Early Hints",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    203: b"Non-Authoritative Information",
    204: b"No Content",
    205: b"Reset Content",
    206: b"Partial Content",
    207: b"Multi-Status",
    208: b"Already Reported",
    226: b"I'm Used",
    300: b"Multiple Choices",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    305: b"Use Proxy",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    409: b"Conflict",
    410: b"Gone",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Request Entity Too Large",
    414: b"Request-URI Too Long",
    415: b"Unsupported Media Type",
    416: b"Requested Range Not Satisfiable",
    417: b"Expectation Failed",
    418: b"I'm a teapot",
    421: b"Misdirected Request",
    422: b"Unprocessable Entity",
    423: b"Locked",
    424: b"Failed Dependency",
    426: b"Upgrade Required",
    428: b"Precondition Required",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    451: b"Unavailable For Legal Reasons",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    506: b"Variant Also Negotiates",
    507: b"Insufficient Storage",
    508: b"Loop Detected",
    510: b"Not Extended",
    511: b"Network Authentication Required",
    599: b"Network Connect Timeout Error",
}

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A method or a field name (RFC 9110 5.6.2)."""

# Control characters but HTAB: CR, LF and NUL would split or cut the message, the others are no
# field-vchar (RFC 9110 5.5).
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

# Fields that a trailer section must not have: framing, routing, and what a recipient has to know before the content
# (RFC 9110 6.5.1).
NOT_IN_TRAILERS = frozenset(
    {
        b"authorization",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"host",
        b"keep-alive",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


EMPTY_TYPE = (b"content-type", b"application/x-empty")
"""The type of a reply that has no content, as Qt sends it."""


def for_not_modified(fields: Headers) -> list[Header]:
    """Return *fields* of a 304 without ``EMPTY_TYPE``, by which caches would replace the stored type (RFC 9111 3.2)."""
    return [(name, value) for name, value in fields if (name.lower(), value) != EMPTY_TYPE]


def status_line(status: int, version: bytes = b"HTTP/1.1") -> bytes:
    """Return the status line with its CRLF; an unknown code has an empty phrase (RFC 9112 4)."""
    return b"%b %d %b\r\n" % (version, status, PHRASES.get(status, b""))


_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"


class DateCache:
    """The Date field, rendered once a second (RFC 9110 6.6.1)."""

    __slots__ = ("_clock", "_field", "_second", "_value")

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._second = -1.0
        self._value = self._field = b""

    def field(self) -> bytes:
        """Return ``date: …`` with its CRLF."""
        # A clock that was set back is outside of the second, too.
        if not 0.0 <= self._clock() - self._second < 1.0:
            self._render()
        return self._field

    def value(self) -> bytes:
        """Return the field's value alone."""
        self.field()
        return self._value

    def _render(self) -> None:
        second = float(int(self._clock()))
        now = gmtime(second)  # not strftime(): the names are English in any locale; and the email package is not loaded
        name, month = b"MonTueWedThuFriSatSun"[now.tm_wday * 3 :][:3], _MONTHS[now.tm_mon * 3 - 3 :][:3]
        self._value = b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (name, now.tm_mday, month, now.tm_year, *now[3:6])
        self._field = b"date: %b\r\n" % self._value
        self._second = second  # last: another thread must not take the old field for the new one


_date = DateCache()
date_field = _date.field
date_value = _date.value


def check_header(name: bytes, value: bytes) -> None:
    """Raise ValueError, saying what to do about it, unless the field may be sent."""
    if not TOKEN.fullmatch(name):
        raise ValueError(
            f"header name {_shown(name)} is not a token: use letters, digits and !#$%&'*+-.^_`|~ only (RFC 9110 5.1)"
        )
    bad = _BAD_VALUE.search(value)
    if bad:
        raise ValueError(
            f"value of header {_shown(name)} has a control character ({_shown(bad.group())}): "
            "percent-encode or remove it (RFC 9110 5.5)"
        )


def check_interim(status: int) -> None:
    """Raise ValueError unless *status* can be that of an interim response (RFC 9110 15.2)."""
    if not 100 <= status <= 199 or status == 101:
        raise ValueError(
            f"{status} cannot be the status of an interim response: use 100 to 199, but not 101, "
            "which changes the protocol (RFC 9110 15.2)"
        )


def check_trailer(name: bytes, value: bytes) -> None:
    """Raise ValueError unless the field may be sent behind the content."""
    check_header(name, value)
    if name.lower() in NOT_IN_TRAILERS:
        raise ValueError(f"{_shown(name)} is not allowed as a trailer: send it as a header (RFC 9110 6.5.1)")


def render_fields(fields: tuple[Header, ...]) -> bytes:
    """Return checked header lines, names in lower case, each with its CRLF."""
    lines = []
    for name, value in fields:
        check_header(name, value)
        lines.append(b"%b: %b\r\n" % (name.lower(), value.strip(b" \t")))
    return b"".join(lines)


def tokens(value: bytes) -> list[bytes]:
    """Return the members of a comma-separated list, in lower case (RFC 9110 5.6.1)."""
    return [token for part in value.lower().split(b",") if (token := part.strip(b" \t"))]


def _shown(octets: bytes) -> str:
    return repr(octets[:60].decode("latin-1"))
