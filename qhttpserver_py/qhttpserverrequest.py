"""QHttpServerRequest: what the peer asked for.

Strategy: a request is two references, to the message that the engine parsed and to the two ends of the connection.
Every Qt object is made at the first call for it, kept, and returned as a (shared) copy.
"""

from __future__ import annotations

import json
import re
from enum import Flag
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar
from urllib.parse import parse_qs

from PySide6.QtCore import QByteArray, QUrl, QUrlQuery
from PySide6.QtNetwork import QHostAddress, QHttpHeaders, QSslConfiguration

from qhttpserver_py._content.typed import MisfitError, from_json, from_query
from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._protocol.path import text
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py._qt.snake_case import with_snake_case
from qhttpserver_py.httperror import ContentError

if TYPE_CHECKING:
    from qhttpserver_py._content.body import BodyStream

_BODY_WORTH_SHARING = 16384


T = TypeVar("T")


@with_snake_case
class QHttpServerRequest:
    """A received request. Handlers get one; a copy is cheap and may be kept and used in any thread.

    A request made without arguments is empty: unknown method, empty url, headers and body, null
    addresses. Requests are compared by identity.

    Qt: QHttpServerRequest.
    """

    __slots__ = (
        "__weakref__",
        "_attributes",
        "_body",
        "_headers",
        "_message",
        "_peer",
        "_query",
        "_stream",
        "_url",
    )

    class Method(Flag):
        """Request methods, combinable with ``|``.

        Qt: QHttpServerRequest::Method.
        """

        Unknown = 0x0
        Get = 0x1
        Put = 0x2
        Delete = 0x4
        Post = 0x8
        Head = 0x10
        Options = 0x20
        Patch = 0x40
        Connect = 0x80
        Trace = 0x100
        AnyKnown = 0x1FF

    Methods: TypeAlias = Method

    # Slots stay unset until their first use: setting each would cost more than the rest of _make().
    _message: Message
    _peer: Peer
    _body: QByteArray
    _headers: QHttpHeaders
    _query: QUrlQuery
    _url: QUrl
    _attributes: dict[str, object]
    _stream: BodyStream

    def __init__(self, other: QHttpServerRequest | None = None, /) -> None:
        """Make an empty request, or a copy of *other* that shares its contents.

        Qt: QHttpServerRequest::QHttpServerRequest.
        """
        if other is None:
            self._message = _NO_MESSAGE
            self._peer = _NO_PEER
            return
        if not isinstance(other, QHttpServerRequest):
            raise TypeError(f"expected a QHttpServerRequest, not {type(other).__name__}")
        self._take(_contents(other))

    @staticmethod
    def _make(message: Message, peer: Peer) -> QHttpServerRequest:
        request = _new(QHttpServerRequest)
        request._message = message
        request._peer = peer
        return request

    def body(self) -> QByteArray:
        """Return the whole body, transfer coding removed; empty if there is none.

        Qt: QHttpServerRequest::body.
        """
        body = self._message.body
        if len(body) < _BODY_WORTH_SHARING:
            return QByteArray(body)
        try:
            return QByteArray(self._body)
        except AttributeError:
            self._body = QByteArray(body)
            return QByteArray(self._body)

    def json(self) -> Any:
        """Return the body parsed as JSON (RFC 8259): dict, list, str, int, float, bool or None.

        Raises ContentError, which is an HttpError and a ValueError, with the place of the fault, if the
        body is not JSON; where nobody catches it the peer gets 400 and the reason as text.

        Not in Qt.
        """
        body = self._message.body
        if not body:
            raise ContentError(400, "the request has no body, so no JSON")
        try:
            return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
        except RecursionError:
            raise ContentError(400, "the request body is JSON nested too deeply") from None
        except ValueError as error:
            raise ContentError(400, f"the request body is not JSON: {error}") from error

    def jsonAs(self, kind: type[T], /) -> T:
        """Return the body as a dataclass *kind*; ContentError (400, with the reason) where it is none. Not in Qt."""
        try:
            return from_json(kind, self.json())
        except MisfitError as error:
            raise ContentError(400, str(error)) from None

    def queryAs(self, kind: type[T], /) -> T:
        """Return the query's arguments as a dataclass *kind*; ContentError (400) where they are none. Not in Qt."""
        text = self._message.target.partition(b"?")[2].decode("latin-1")
        try:
            return from_query(kind, parse_qs(text, keep_blank_values=True, max_num_fields=1000))
        except (MisfitError, ValueError) as error:
            raise ContentError(400, str(error)) from None

    def cookies(self) -> dict[str, str]:
        """Return the cookies of the request by name (RFC 6265 5.4); of several with a name, the first.

        Not in Qt.
        """
        pairs = b"; ".join(value for name, value in self._message.headers if name == b"cookie").split(b";")
        found: dict[str, str] = {}
        for pair in pairs:
            name, equals, value = pair.strip().partition(b"=")
            if equals and name:
                found.setdefault(text(name.strip()), text(value.strip().strip(b'"')))
        return found

    def headers(self) -> QHttpHeaders:
        """Return all header fields: names lower-case, values trimmed, order and duplicates kept.

        Over HTTP/2 without the pseudo-header fields.

        Qt: QHttpServerRequest::headers.
        """
        try:
            return QHttpHeaders(self._headers)
        except AttributeError:
            self._headers = QHttpHeaders.fromListOfPairs(self._message.headers)  # type: ignore[arg-type]
            return QHttpHeaders(self._headers)

    def value(self, key: QByteArray | bytes | bytearray | memoryview | str, /) -> QByteArray:
        """Return all values of the header field *key*, joined by ``", "``; case does not matter.

        A null QByteArray if there is no such field. Raises TypeError for a key of another type.

        Qt: QHttpServerRequest::value; str is not in Qt.
        """
        name = _field_name(key)
        values = [value for field, value in self._message.headers if field == name]
        return QByteArray(b", ".join(values)) if values else QByteArray()

    def method(self) -> Method:
        """Return the request method; ``Method.Unknown`` for a token that Qt has no name for.

        Tokens are case-sensitive (RFC 9110 9.1): ``get`` is unknown.

        Qt: QHttpServerRequest::method.
        """
        return _METHODS.get(self._message.method, _UNKNOWN)

    def url(self) -> QUrl:
        """Return the requested URL, absolute: the connection's scheme, the authority asked for, the target.

        The authority is that of an absolute-form target, else the Host field (``:authority`` over
        HTTP/2), else the local address; it has a port only if the peer named one. Nothing is
        normalised. ``OPTIONS *`` gives the path ``*``, which makes no valid URL.

        Qt: QHttpServerRequest::url.
        """
        try:
            return QUrl(self._url)
        except AttributeError:
            self._url = _build_url(self._message, self._peer)
            return QUrl(self._url)

    def query(self) -> QUrlQuery:
        """Return the query of the URL; ``+`` stays ``+``, as QUrlQuery has it.

        Qt: QHttpServerRequest::query.
        """
        try:
            return QUrlQuery(self._query)
        except AttributeError:
            self._query = QUrlQuery(self.url())
            return QUrlQuery(self._query)

    def remoteAddress(self) -> QHostAddress:
        """Return the address of the peer; 127.0.0.1 over a local socket.

        Qt: QHttpServerRequest::remoteAddress.
        """
        return QHostAddress(self._peer.remote_address)

    def remotePort(self) -> int:
        """Return the port of the peer; 0 over a local socket.

        Qt: QHttpServerRequest::remotePort.
        """
        return self._peer.remote_port

    def localAddress(self) -> QHostAddress:
        """Return the address the connection came in on; 127.0.0.1 over a local socket.

        Qt: QHttpServerRequest::localAddress.
        """
        return QHostAddress(self._peer.local_address)

    def localPort(self) -> int:
        """Return the port the connection came in on; 0 over a local socket.

        Qt: QHttpServerRequest::localPort.
        """
        return self._peer.local_port

    def sslConfiguration(self) -> QSslConfiguration:
        """Return the TLS configuration of the connection; a null one (``isNull()``) without TLS.

        Qt: QHttpServerRequest::sslConfiguration.
        """
        ssl = self._peer.ssl
        return QSslConfiguration() if ssl is None else ssl()

    def stream(self) -> BodyStream:
        """Return the body as it arrives, in a handler of a route made with ``stream=True``.

        Raises:
            RuntimeError: the route did not ask for it; ``body()`` has the whole body.

        Not in Qt.
        """
        stream: BodyStream | None = getattr(self, "_stream", None)
        if stream is None:
            raise RuntimeError("this request's body is not streamed; register the route with stream=True")
        return stream

    def swap(self, other: QHttpServerRequest, /) -> None:
        """Exchange contents with *other*.

        Qt: QHttpServerRequest::swap.
        """
        if not isinstance(other, QHttpServerRequest):
            raise TypeError(f"expected a QHttpServerRequest, not {type(other).__name__}")
        mine, theirs = _contents(self), _contents(other)
        self._take(theirs)
        other._take(mine)

    def __copy__(self) -> QHttpServerRequest:
        return QHttpServerRequest(self)

    def __deepcopy__(self, _memo: object) -> QHttpServerRequest:
        return QHttpServerRequest(self)

    def __repr__(self) -> str:
        fields = " | ".join(f"{_quoted(name)}:{_quoted(value)}" for name, value in self._message.headers)
        return (
            f'QHttpServerRequest((Url: QUrl("{self.url().toDisplayString()}"))'
            f"(Headers: QHttpHeaders(headers = {fields}))"
            f'(RemoteHost: QHostAddress("{self._peer.remote_address.toString()}"))'
            f"(BodySize: {len(self._message.body)}))"
        )

    def _take(self, contents: dict[str, object]) -> None:
        for name in _CONTENTS:
            if name in contents:
                setattr(self, name, contents[name])
            elif hasattr(self, name):
                delattr(self, name)


Method = QHttpServerRequest.Method

_new = object.__new__
_CONTENTS = tuple(name for name in QHttpServerRequest.__slots__ if name != "__weakref__")
_UNKNOWN = Method.Unknown
_METHODS = {str(member.name).upper(): member for member in Method}
_NO_MESSAGE = Message(0, "", b"", 11, [])
_NO_PEER = Peer(QHostAddress(), 0, QHostAddress(), 0)


def _contents(request: QHttpServerRequest) -> dict[str, object]:
    return {name: getattr(request, name) for name in _CONTENTS if hasattr(request, name)}


def _field_name(key: object) -> bytes:
    if isinstance(key, bytes):
        return key.lower()
    if isinstance(key, str):
        return key.encode("latin-1", "replace").lower()
    if isinstance(key, QByteArray):
        return bytes(key.data()).lower()
    if isinstance(key, (bytearray, memoryview)):
        return bytes(key).lower()
    raise TypeError(f"a header name is bytes, QByteArray or str, not {type(key).__name__}")


def _refuse_constant(name: str) -> NoReturn:
    # Python reads NaN and Infinity; RFC 8259 section 6 does not have them.
    raise ValueError(f"{name} is no JSON value")


def _build_url(message: Message, peer: Peer) -> QUrl:
    target = message.target
    if not target:
        return QUrl()
    authority = text(message.authority) or _host(peer.local_address)
    if not target.startswith(b"/"):
        target = _origin_form(message)
        if target[:1] not in b"/?#":
            return _relative_url(peer.scheme, authority, target)
    # Parsed as one string, the path of "//x/y" cannot be taken for an authority.
    rest = text(target)
    url = QUrl(f"{peer.scheme}://{authority}{rest}")
    return url if url.isValid() else QUrl(f"{peer.scheme}://{_host(peer.local_address)}{rest}")


def _origin_form(message: Message) -> bytes:
    """Return path, query and fragment of a target in another form (RFC 9112 3.2)."""
    target = message.target
    scheme, separator, rest = target.partition(b"://")
    if separator and scheme.isalnum():
        authority = re.match(rb"[^/?#]*", rest)
        return rest[authority.end() :] if authority else rest
    return b"" if message.method == "CONNECT" else target


def _relative_url(scheme: str, authority: str, target: bytes) -> QUrl:
    """Return the URL of ``*``, which has no place in an absolute one and makes it invalid, as in Qt."""
    url = QUrl()
    url.setScheme(scheme)
    url.setAuthority(authority)
    path, _, query = text(target).partition("?")
    url.setPath(path, QUrl.ParsingMode.TolerantMode)
    if query:
        url.setQuery(query, QUrl.ParsingMode.TolerantMode)
    return url


def _host(address: QHostAddress) -> str:
    text = address.toString().partition("%")[0]
    return f"[{text}]" if ":" in text else text


def _quoted(octets: bytes) -> str:
    """Return *octets* as QDebug prints a QByteArray."""
    text = octets.decode("latin-1").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if " " <= c < "\x7f" else f"\\x{ord(c):02X}" for c in text) + '"'
