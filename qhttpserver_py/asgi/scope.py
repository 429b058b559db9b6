"""The scope of a request, as the ASGI specification defines it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py._routing.table import path_of
from qhttpserver_py._serving.handshakes import offered_subprotocols

if TYPE_CHECKING:
    from PySide6.QtNetwork import QSslCertificate

ASGI = {"version": "3.0", "spec_version": "2.5"}
"""Of the HTTP and WebSocket specification."""

LIFESPAN = {"version": "3.0", "spec_version": "2.0"}
"""Of the lifespan specification, which has versions of its own."""

_VERSIONS = {10: "1.0", 11: "1.1", 20: "2"}

Ends = tuple[tuple[str, int] | None, tuple[str, int] | None, dict[str, Any] | None]


def http_scope(message: Message, peer: Peer, prefix: str, state: dict[str, Any] | None) -> dict[str, Any]:
    """Return the scope of an HTTP request to an application that is mounted at *prefix*.

    ``path`` is the whole decoded path and ``root_path`` the prefix, as Starlette and the specification have it.
    """
    raw_path, _, query = message.target.partition(b"?")
    if raw_path[:1] != b"/":
        raw_path = _origin_form(raw_path)
    headers = list(message.headers)
    if message.version == 20 and message.authority:  # what is the Host field in HTTP/1 (ASGI: HTTP connection scope)
        headers = [(b"host", _octets(message.authority)), *(field for field in headers if field[0] != b"host")]
    client, server, tls = peer.described or describe(peer)  # applications do not change what is in it
    extensions: dict[str, Any] = {
        "http.response.trailers": {},
        "http.response.early_hint": {},
        "http.response.pathsend": {},
    }
    if tls is not None:
        extensions["tls"] = tls
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": ASGI.copy(),
        "http_version": _VERSIONS.get(message.version, "1.1"),
        "method": message.method.upper(),
        "scheme": peer.scheme,
        "path": path_of(message),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": prefix,
        "headers": headers,
        "client": client,
        "server": server,
        "extensions": extensions,
    }
    if state is not None:
        scope["state"] = dict(state)  # shallow, for each request (ASGI: lifespan state)
    return scope


def websocket_scope(message: Message, peer: Peer, prefix: str, state: dict[str, Any] | None) -> dict[str, Any]:
    """Return the scope of a WebSocket to an application that is mounted at *prefix*."""
    scope = http_scope(message, peer, prefix, state)
    del scope["method"]
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if peer.scheme == "https" else "ws"
    scope["subprotocols"] = offered_subprotocols(message)
    tls = peer.described[2]
    scope["extensions"] = (
        {"websocket.http.response": {}} if tls is None else {"websocket.http.response": {}, "tls": tls}
    )
    return scope


def _octets(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("latin-1", "replace")


def _origin_form(target: bytes) -> bytes:
    """Return the path of a *target* in absolute-form (RFC 9112 3.2.2); "*" and what else there is stay."""
    _scheme, found, rest = target.partition(b"://")
    if not found:
        return target
    return b"/" + rest.partition(b"/")[2]


def describe(peer: Peer) -> Ends:
    """Return the two ends of a connection and its TLS as scopes have them; made once for all its requests."""
    # A local socket has no addresses (ASGI: None).
    client = (peer.remote_address.toString(), peer.remote_port) if peer.remote_port else None
    server = (peer.local_address.toString(), peer.local_port) if peer.local_port else None
    peer.described = ends = (client, server, _tls(peer) if peer.ssl is not None else None)
    return ends


def _tls(peer: Peer) -> dict[str, Any]:
    """Return what the extension "tls" tells; Qt names ciphers and does not number them."""
    from PySide6.QtNetwork import QSsl

    versions = {QSsl.SslProtocol.TlsV1_2: 0x0303, QSsl.SslProtocol.TlsV1_3: 0x0304}
    assert peer.ssl is not None
    configuration = peer.ssl()
    chain = [_pem(one) for one in configuration.peerCertificateChain()]
    own = configuration.localCertificate()
    client = configuration.peerCertificate()
    return {
        "server_cert": _pem(own) if not own.isNull() else None,
        "client_cert_chain": chain,
        "client_cert_name": _name(client) if not client.isNull() else None,
        "client_cert_error": None,
        "tls_version": versions.get(configuration.sessionProtocol()),
        "cipher_suite": None,
    }


def _pem(certificate: QSslCertificate) -> str:
    return bytes(certificate.toPem().data()).decode("ascii")


def _name(certificate: QSslCertificate) -> str:
    """Return the subject as a distinguished name (RFC 4514), the most particular part first."""
    parts = []
    for attribute in certificate.subjectInfoAttributes():
        key = bytes(attribute.data())
        for value in certificate.subjectInfo(attribute):
            escaped = re.sub(r'([,+"\\<>;=]|^[ #]| $)', r"\\\1", value)
            parts.append(f"{key.decode('ascii')}={escaped}")
    return ",".join(reversed(parts))
