"""Protections for servers that web pages of others can reach through the user's browser.

Any page the user opens may send requests to ``localhost`` and to the local network. Each function
switches one protection on, for every request of a server: also for paths nobody routed, WebSocket
handshakes, streamed bodies and HTTP/2. However they are called, they act in this order: hosts,
origin, CORS, token. A second call of the same one replaces the first. What they refuse is logged
in ``qt.httpserver.security``.

Not in Qt.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qhttpserver_py._protocol.engine import HeadDecision, Header, Headers
from qhttpserver_py._qt import log
from qhttpserver_py._qt.headers import with_fields
from qhttpserver_py._routing.table import path_of
from qhttpserver_py._serving.results import header_fields
from qhttpserver_py.qhttpserver import QHttpServer
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
from qhttpserver_py.qhttpserverwebsocketupgraderesponse import QHttpServerWebSocketUpgradeResponse
from qhttpserver_py.security.cors import USUAL_METHODS, Cors, is_preflight
from qhttpserver_py.security.hosts import AllowedHosts
from qhttpserver_py.security.origins import SAFE_METHODS, AllowedOrigins, Origins, field, foreign
from qhttpserver_py.security.tokens import Paths, PathSet, TokenCheck, Tokens, given_token

__all__ = [
    "add_headers",
    "allow_hosts",
    "allow_origins_verifier",
    "check_origin",
    "cors",
    "protect_localhost",
    "require_bearer",
    "same_origin_verifier",
]

_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_SHOWN = 120  # characters of a peer's text that the log shows

Verdict = QHttpServerWebSocketUpgradeResponse


def allow_hosts(server: QHttpServer, hosts: Iterable[str] | None = None, *, local: bool = True) -> None:
    """Answer 421 to requests whose Host is none of *hosts*: the defence against DNS rebinding.

    A page at ``http://evil.example`` whose name resolves to this server is "same origin" for the browser; only its Host
    shows it.

    Args:
        server: the server to protect.
        hosts: ``"name"``, ``"name:port"`` (without a port: any), ``"*.example.com"`` for all names
            below, an address, or ``"*"`` for any.
        local: allow loopback names (``localhost``, ``*.localhost``, 127.0.0.0/8, ``[::1]``) and the
            address the connection came in on as well; no attacker can own these.

    Raises:
        ValueError: an entry is no host.

    Not in Qt.
    """
    _policy(server).hosts = AllowedHosts(hosts or (), local=local)


def check_origin(server: QHttpServer, origins: Origins = ()) -> None:
    """Answer 403 to requests that change something, or ask for a WebSocket, sent by pages of other origins.

    Requests without Origin are let through: programs send none, browsers do. ``null`` and origins
    other than the server's own, *origins* and those given to ``cors()`` are refused; so is a missing
    one that Sec-Fetch-Site shows to come from a page elsewhere. GET, HEAD, OPTIONS and TRACE pass,
    so let these change nothing. *origins* is as for ``cors()``.

    Not in Qt.
    """
    _policy(server).origins = AllowedOrigins(origins)


def protect_localhost(server: QHttpServer, *, hosts: Iterable[str] = (), origins: Origins = ()) -> None:
    """Switch on ``allow_hosts()`` and ``check_origin()``, for a server only this computer's user is meant to reach.

    *hosts* and *origins* are allowed besides the server's own. The command line program does this
    for servers on loopback addresses.

    Not in Qt.
    """
    allow_hosts(server, hosts)
    check_origin(server, origins)


def protect_unprotected(server: QHttpServer, hosts: Iterable[str] = (), origins: Origins = ()) -> None:
    """Do as ``protect_localhost()`` for the server of another program: what that has switched on stays.

    Not in Qt.
    """
    policy = _policy(server)
    if policy.hosts is None:
        policy.hosts = AllowedHosts(hosts, local=True)
    if policy.origins is None:
        policy.origins = AllowedOrigins(origins)


def cors(
    server: QHttpServer,
    origins: Origins,
    *,
    methods: Iterable[str] | None = None,
    headers: Iterable[str] | None = None,
    expose: Iterable[str] = (),
    credentials: bool = False,
    max_age: int = 600,
    private_network: bool = False,
) -> None:
    """Let pages of *origins* call this server and read its replies.

    Preflights on routed paths are answered; every reply to a request that could be read carries the
    fields: errors, streams and limits (408, 413, 429) too, so that pages see the status. Fields that
    a handler sets itself are left as they are.

    Args:
        server: the server.
        origins: ``"https://app.example"``, ``"https://*.example.com"`` (all subdomains),
            ``"http://localhost:*"`` (any port), ``"*"`` (every site), a compiled pattern matched
            against the whole origin, a callable, or several of these. ``"null"`` only if named.
        methods: allowed methods; None: those that the path has routes for.
        headers: request headers allowed beyond the safe ones; None: those that are asked for.
        expose: response headers that pages may read beyond the safe ones.
        credentials: let requests carry cookies and HTTP authentication.
        max_age: how long browsers remember the answer to a preflight, in seconds.
        private_network: also tell pages of public sites that they may call into a private network
            (Access-Control-Allow-Private-Network).

    Raises:
        ValueError: an origin, method or header name is malformed; ``"*"`` together with credentials.
        TypeError: an origin is a coroutine function, or nothing that is listed above.

    Not in Qt.
    """
    _policy(server).cors = Cors(
        AllowedOrigins(origins), methods, headers, expose, credentials, max_age, private_network
    )


def require_bearer(
    server: QHttpServer,
    token: Tokens,
    paths: Paths | None = None,
    *,
    except_paths: Paths = (),
    realm: str = "",
    query: str | None = None,
) -> None:
    """Answer 401 unless a request has ``Authorization: Bearer <token>`` (RFC 6750), compared in constant time.

    A callable is asked once for each request, with its head; the body of one that is refused is not read.

    Args:
        server: the server.
        token: the token, several of them, or a callable that gets what was sent and says whether it is right.
        paths: where it is required: ``"/api"`` with all below, compiled patterns; None: everywhere.
        except_paths: where it is not, in spite of *paths*.
        realm: named in the challenge.
        query: also take it from the query parameter of this name: the only way for EventSource and
            WebSocket in a page. Such URLs end up in logs and histories.

    Raises:
        ValueError: a token is empty, or there is none; a path does not begin with "/".
        TypeError: *token* is a coroutine function.

    Not in Qt.
    """
    challenge = f'Bearer realm="{_quoted(realm)}"' if realm else "Bearer"
    _policy(server).bearer = _Bearer(TokenCheck(token), PathSet(paths), PathSet(except_paths), challenge, query)


def add_headers(server: QHttpServer, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
    """Add *headers* to every reply that lacks them, errors and streams too: Content-Security-Policy, say.

    Raises:
        ValueError: a name is no token, or a value has CR, LF or NUL.

    Not in Qt.
    """
    _policy(server).headers = header_fields(headers)


def allow_origins_verifier(
    origins: Origins = (), *, accept: bool = True
) -> Callable[[QHttpServerRequest], QHttpServerWebSocketUpgradeResponse]:
    """Return a WebSocket verifier that denies pages of other origins than the server's own and *origins*.

    A browser lets any page open a WebSocket anywhere, cookies included. Others are accepted or,
    with *accept* false, passed to the next verifier.

    Example::

        server.addWebSocketUpgradeVerifier(server, security.allow_origins_verifier("https://app.example"))

    Not in Qt.
    """
    allowed = AllowedOrigins(origins)

    def verify(request: QHttpServerRequest) -> QHttpServerWebSocketUpgradeResponse:
        origin = foreign(request, allowed)
        if origin is None:
            return Verdict.accept() if accept else Verdict.passToNext()
        _log_refused(403, f"Origin {_shown(origin)} is not allowed", request)
        return Verdict.deny(403, b"Origin not allowed")

    return verify


def same_origin_verifier(request: QHttpServerRequest) -> QHttpServerWebSocketUpgradeResponse:
    """Accept a WebSocket from pages of this server and from programs; deny pages of other origins.

    Pass it to ``addWebSocketUpgradeVerifier()`` as it is.

    Not in Qt.
    """
    return _same_origin(request)


_same_origin = allow_origins_verifier()


class _Bearer:
    """Where a token is required, and which."""

    __slots__ = ("_challenge", "_check", "_exempt", "_paths", "_query")

    def __init__(self, check: TokenCheck, paths: PathSet, exempt: PathSet, challenge: str, query: str | None) -> None:
        self._check = check
        self._paths = paths
        self._exempt = exempt
        self._challenge = challenge
        self._query = query

    def refusal(self, request: QHttpServerRequest) -> Any:
        if not self._paths.has(request) or self._exempt.has(request):
            return None
        given = given_token(request, self._query)
        if given is not None and self._check.opens(given):
            return None
        # RFC 6750 3.1: no error code for those who just did not authenticate.
        fault = "" if given is None else ("," if "=" in self._challenge else "") + ' error="invalid_token"'
        what = "no bearer token" if given is None else "a wrong bearer token"
        return _refuse(401, what, request, ((b"www-authenticate", (self._challenge + fault).encode("latin-1")),))


class _Policy:
    """All protections of one server, in their order."""

    __slots__ = ("_server", "bearer", "cors", "headers", "hosts", "origins")

    def __init__(self, server: QHttpServer) -> None:
        self._server = weakref.ref(server)
        self.headers: list[Header] = []
        self.hosts: AllowedHosts | None = None
        self.origins: AllowedOrigins | None = None
        self.cors: Cors | None = None
        self.bearer: _Bearer | None = None

    def decide_by_head(self, request: QHttpServerRequest) -> HeadDecision:
        """See ``_serving.before_handlers.Policy``."""
        refusal = self._check_host(request) or self._check_origin(request)
        if refusal is not None:
            return HeadDecision(refusal, self.headers)
        if self.cors is not None and is_preflight(request):
            answer = self._preflight(self.cors, request)
            if answer is not None:
                return HeadDecision(answer, self.headers)
        answer = self.bearer.refusal(request) if self.bearer is not None else None
        return HeadDecision(answer, self.fields(request))

    def fields(self, request: QHttpServerRequest | None) -> Headers:
        """See ``_serving.before_handlers.Policy``."""
        if self.cors is None:
            return self.headers
        origin = field(request, b"origin") if request is not None else None
        return with_fields(self.headers, self.cors.fields(origin))

    def _check_host(self, request: QHttpServerRequest) -> Any:
        authority = request._message.authority
        if self.hosts is None or self.hosts.allows(authority, request._peer.local_address.toString):
            return None
        return _refuse(421, f"Host {_shown(authority.decode('latin-1'))} is not allowed", request)

    def _check_origin(self, request: QHttpServerRequest) -> Any:
        message = request._message
        if self.origins is None or (message.method in SAFE_METHODS and not message.websocket):
            return None
        origin = foreign(request, self.origins)
        if origin is None or (self.cors is not None and self.cors.origins.allows(origin)):
            return None
        return _refuse(403, f"Origin {_shown(origin)} is not allowed", request)

    def _preflight(self, cors: Cors, request: QHttpServerRequest) -> Any:
        server = self._server()
        routed = USUAL_METHODS if server is None or server._virtual else server.router()._methods_for(request._message)
        if not routed:
            return None  # no such path: the missing handler says so
        origin = field(request, b"origin") or ""
        if not cors.origins.allows(origin):
            return _refuse(403, f"CORS: origin {_shown(origin)} is not allowed", request)
        answer = QHttpServerResponse(204)
        answer._headers = cors.preflight(request, (method for method in routed if method != "OPTIONS"))
        return answer


def _policy(server: QHttpServer) -> _Policy:
    """Return the policy of *server*, in front of its other before-request handlers."""
    server._check_thread("security")
    policy = server._before.policy
    if not isinstance(policy, _Policy):
        policy = _Policy(server)
        server._set_policy(policy)
    return policy


def _refuse(status: int, why: str, request: QHttpServerRequest, fields: tuple[Header, ...] = ()) -> Any:
    _log_refused(status, why, request)
    text = {401: "Unauthorized", 403: "Origin not allowed", 421: "Host not allowed"}[status]
    return (f"{text}\n", status, [_PLAIN, *fields])


def _log_refused(status: int, why: str, request: QHttpServerRequest) -> None:
    message = request._message
    log.warning(
        log.SECURITY,
        f"{status}: {why}: {message.method} {_shown(path_of(message))} from {request._peer.remote_address.toString()}",
    )


def _shown(text: str) -> str:
    """Return *text* of a peer in a form that is harmless in a log."""
    return ascii(text[:_SHOWN])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
