"""A small client on QNetworkAccessManager that runs the event loop while it waits."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from PySide6.QtCore import QEventLoop, QTimer, QUrl
from PySide6.QtNetwork import (
    QNetworkAccessManager,
    QNetworkReply,
    QNetworkRequest,
    QSslConfiguration,
    QSslServer,
    QSslSocket,
)

from qhttpserver_py.testing.loop import Milliseconds, milliseconds, timeout_error

if TYPE_CHECKING:
    from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer
    from qhttpserver_py.testing.tls import TlsAuthority

Content = str | bytes | Mapping[str, Any] | None
UNSET = object()
_Attribute = QNetworkRequest.Attribute
_Error = QNetworkReply.NetworkError

# From 201 on a code says that the server answered with an error status, which is an answer. Not over HTTP/2,
# where a stream that was reset has such a code too.
_FIRST_ANSWERED = _Error.ContentAccessDenied.value
_MESSAGES_MS = 20
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
MAX_REDIRECTS = 20
_BROKEN = (_Error.ProtocolUnknownError, _Error.ProtocolFailure)


class ResponseHeaders(Mapping[str, str]):
    """Header fields by name in any case; several of one name are joined by ``", "``."""

    __slots__ = ("_values", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs = [(name.lower(), value) for name, value in pairs]
        self._values: dict[str, str] = {}
        for name, value in self.pairs:
            self._values[name] = f"{self._values[name]}, {value}" if name in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __repr__(self) -> str:
        return repr(self._values)


class ClientResponse:
    """What a server answered.

    ``status`` is a number, ``reason`` the text behind it; ``headers`` are looked up in any case; ``body`` is
    bytes. ``url`` is what answered, after redirects, and ``http2`` whether that was over HTTP/2.

    Not in Qt.
    """

    __slots__ = ("body", "headers", "http2", "reason", "status", "url")

    def __init__(
        self,
        status: int,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        reason: str = "",
        url: str = "",
        http2: bool = False,
    ) -> None:
        self.status = status
        self.headers = ResponseHeaders(headers)
        self.body = body
        self.reason = reason
        self.url = url  # after redirects
        self.http2 = http2

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def text(self) -> str:
        """The body as text, in the charset its content type names, UTF-8 without one."""
        _, _, charset = self.headers.get("content-type", "").partition("charset=")
        return self.body.decode(charset.split(";")[0].strip(' "') or "utf-8", "replace")

    def json(self) -> Any:
        """Return the parsed body; raises ValueError where it is no JSON. Not in Qt."""
        return jsonlib.loads(self.body)

    def __repr__(self) -> str:
        return f"<ClientResponse {self.status} {self.headers.get('content-type', '')} {len(self.body)} bytes>"


class ClientError(Exception):
    """No complete answer came: refused, reset, cut off, or not trusted.

    ``code`` is Qt's ``QNetworkReply.NetworkError``; ``response`` holds what came before the failure, or None.

    Not in Qt.
    """

    def __init__(self, text: str, code: QNetworkReply.NetworkError, response: ClientResponse | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.response = response


class Client:
    """Asks a server and returns when it has answered; the event loop runs meanwhile.

    Parameters:
        base: what relative URLs are relative to: a URL, or a server, which must be listening.
        tls: the authority to trust, and no other; None trusts those Qt trusts.
        verify: false accepts any certificate.
        http2: whether HTTP/2 may be used; it is where TLS negotiates it.
        headers: sent with every request.
        timeout: for a whole exchange, in milliseconds.
        follow_redirects: false returns the 3xx itself.

    Belongs to the thread it was made in, like the server. Not in Qt.
    """

    def __init__(
        self,
        base: str | QUrl | QAbstractHttpServer = "",
        *,
        tls: TlsAuthority | None = None,
        verify: bool = True,
        http2: bool = True,
        headers: Mapping[str, str] | None = None,
        timeout: Milliseconds = 5000,
        follow_redirects: bool = True,
    ) -> None:
        self.base = base if isinstance(base, QUrl) else QUrl(base if isinstance(base, str) else server_url(base))
        self.manager = QNetworkAccessManager()
        self._tls = tls
        self._verify = verify
        self._http2 = http2
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._follow = follow_redirects

    def request(
        self,
        method: str,
        url: str | QUrl = "",
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Content = None,
        json: Any = UNSET,
        timeout: Milliseconds | None = None,
        follow_redirects: bool | None = None,
    ) -> ClientResponse:
        """Send a request and return the answer, whatever its status.

        Parameters:
            method: any token; sent as it is.
            url: absolute, or relative to the client's base.
            params: appended to the query.
            headers: added to those of the client.
            data: the body: text (UTF-8), bytes, or a mapping (form fields).
            json: the body as a JSON document; excludes *data*.
            timeout: in milliseconds, instead of the client's.
            follow_redirects: instead of the client's.

        Raises:
            ClientError: no complete answer came.
            TimeoutError: none came in time (pytest-qt's TimeoutError where that is loaded).

        Not in Qt.
        """
        body, content_type = encode_body(data, json)
        target = target_url(self.base, url, params)
        fields = {"content-type": content_type.decode()} if content_type else {}
        fields |= {name.lower(): value for name, value in {**self._headers, **(headers or {})}.items()}
        limit = self._timeout if timeout is None else timeout
        follow = self._follow if follow_redirects is None else follow_redirects
        for _ in range(MAX_REDIRECTS):
            response = self._ask(method, target, fields, body, limit)
            location = response.headers.get("location")
            if not follow or location is None or response.status not in _REDIRECTS:
                return response
            target = target.resolved(QUrl(location))
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):  # RFC 9110 15.4.2-4
                method, body = ("HEAD" if method == "HEAD" else "GET"), b""
        raise ClientError(f"{method} {target.toString()}: too many redirects", _Error.TooManyRedirectsError)

    def _ask(
        self, method: str, target: QUrl, headers: Mapping[str, str], body: bytes, timeout: Milliseconds
    ) -> ClientResponse:
        request = QNetworkRequest(target)
        self._prepare(request)
        for name, value in headers.items():
            request.setRawHeader(name.encode(), value.encode("latin-1"))
        reply = self._send(method, request, body)
        try:
            return self._finish(reply, method, timeout)
        except Exception:
            _let_messages_out()
            raise
        finally:
            reply.deleteLater()

    def get(self, url: str | QUrl = "", **options: Any) -> ClientResponse:
        """GET; the options are those of ``request``. Not in Qt."""
        return self.request("GET", url, **options)

    def head(self, url: str | QUrl = "", **options: Any) -> ClientResponse:
        """HEAD; the options are those of ``request``. Not in Qt."""
        return self.request("HEAD", url, **options)

    def post(self, url: str | QUrl = "", **options: Any) -> ClientResponse:
        """POST; the options are those of ``request``. Not in Qt."""
        return self.request("POST", url, **options)

    def put(self, url: str | QUrl = "", **options: Any) -> ClientResponse:
        """PUT; the options are those of ``request``. Not in Qt."""
        return self.request("PUT", url, **options)

    def patch(self, url: str | QUrl = "", **options: Any) -> ClientResponse:
        """PATCH; the options are those of ``request``. Not in Qt."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str | QUrl = "", **options: Any) -> ClientResponse:
        """DELETE; the options are those of ``request``. Not in Qt."""
        return self.request("DELETE", url, **options)

    def options(self, url: str | QUrl = "", **options: Any) -> ClientResponse:
        """OPTIONS; the options are those of ``request``. Not in Qt."""
        return self.request("OPTIONS", url, **options)

    def _prepare(self, request: QNetworkRequest) -> None:
        # QNetworkAccessManager may send the body of a redirected request twice, and then fail.
        manual = QNetworkRequest.RedirectPolicy.ManualRedirectPolicy
        request.setAttribute(_Attribute.RedirectPolicyAttribute, manual)
        request.setAttribute(_Attribute.Http2AllowedAttribute, self._http2)
        if request.url().scheme() == "https":
            tls = self._tls
            configuration = QSslConfiguration.defaultConfiguration() if tls is None else tls.client_configuration()
            if not self._verify:
                configuration.setPeerVerifyMode(QSslSocket.PeerVerifyMode.VerifyNone)
            request.setSslConfiguration(configuration)

    def _send(self, method: str, request: QNetworkRequest, body: bytes) -> QNetworkReply:
        if method == "GET" and not body:
            return self.manager.get(request)
        if method == "HEAD":
            return self.manager.head(request)
        if method == "POST":
            return self.manager.post(request, body)
        if method == "PUT":
            return self.manager.put(request, body)
        return self.manager.sendCustomRequest(request, method.encode(), body)

    def _finish(self, reply: QNetworkReply, method: str, timeout: Milliseconds) -> ClientResponse:
        if not reply.isFinished():
            loop, timer = QEventLoop(), QTimer(singleShot=True)
            reply.finished.connect(loop.quit)
            timer.timeout.connect(loop.quit)
            timer.start(milliseconds(timeout))
            loop.exec()
        where = f"{method} {reply.url().toString()}"
        if not reply.isFinished():
            reply.abort()
            raise timeout_error(f"{where}: no complete answer within {milliseconds(timeout)} ms")
        return _result(reply, where)


def server_url(server: QAbstractHttpServer) -> str:
    """Return the URL of the first TCP server *server* is bound to; raises ValueError if it has none."""
    for listening in server.servers():
        if listening.isListening():
            scheme = "https" if isinstance(listening, QSslServer) else "http"
            host = listening.serverAddress().toString()
            host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
            return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listening.serverPort()}/"
    raise ValueError("bind a listening QTcpServer to the server first, or use InMemoryClient, which needs none")


def target_url(base: QUrl, url: str | QUrl, params: Mapping[str, Any] | None) -> QUrl:
    """Return *url*, relative to *base*, with *params* added to its query."""
    target = base.resolved(QUrl(url)) if base.isValid() else QUrl(url)
    if params:
        before = target.query(QUrl.ComponentFormattingOption.FullyEncoded)
        added = urlencode(params, doseq=True)
        target.setQuery(f"{before}&{added}" if before else added)
    return target


def encode_body(data: Content, json: Any = UNSET) -> tuple[bytes, bytes]:
    """Return the bytes of a body and the content type they go by."""
    if json is not UNSET:
        if data is not None:
            raise ValueError("data and json both describe the body: give one of them")
        return jsonlib.dumps(json).encode(), b"application/json"
    if data is None:
        return b"", b""
    if isinstance(data, str):
        return data.encode(), b"text/plain; charset=utf-8"
    if isinstance(data, Mapping):
        return urlencode(data, doseq=True).encode(), b"application/x-www-form-urlencoded"
    return bytes(data), b"application/octet-stream"


def _let_messages_out() -> None:
    """Give the thread of the access manager time to log messages about a failed request.

    It needs Python's lock for that where a message handler in Python is installed, as by pytest-qt; a message that
    still waits when the handler is removed crashes the interpreter.
    """
    loop = QEventLoop()
    QTimer.singleShot(_MESSAGES_MS, loop.quit)
    loop.exec()


def _result(reply: QNetworkReply, where: str) -> ClientResponse:
    status = reply.attribute(_Attribute.HttpStatusCodeAttribute)
    response = None
    if status is not None:
        response = ClientResponse(
            int(status),
            [(_text(name), _text(value)) for name, value in reply.rawHeaderPairs()],
            bytes(reply.readAll().data()),
            reason=str(reply.attribute(_Attribute.HttpReasonPhraseAttribute) or ""),
            url=reply.url().toString(),
            http2=bool(reply.attribute(_Attribute.Http2WasUsedAttribute)),
        )
    code = reply.error()
    told = response is not None and response.status >= 400 and code.value >= _FIRST_ANSWERED
    if response is None or (code != _Error.NoError and not told) or code in _BROKEN:
        raise ClientError(f"{where}: {reply.errorString()} ({code.name})", code, response)
    return response


def _text(data: Any) -> str:
    return bytes(data).decode("latin-1")
