"""The scope of a request: what the ASGI specification has an application told about it."""

from __future__ import annotations

from typing import Any

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py._routing.table import path_of
from qhttpserver_py._serving.handshakes import offered_subprotocols

ASGI = {"version": "3.0", "spec_version": "2.5"}
_VERSIONS = {10: "1.0", 11: "1.1", 20: "2"}

EXTENSIONS = ("http.response.trailers", "http.response.early_hint", "http.response.pathsend")


def http_scope(message: Message, peer: Peer, prefix: str, state: dict[str, Any] | None) -> dict[str, Any]:
    """Return the scope of an HTTP request to an application that is mounted at *prefix*.

    ``path`` is the whole decoded path and ``root_path`` the prefix, as Starlette and the specification have it.
    """
    raw_path, _, query = message.target.partition(b"?")
    headers = list(message.headers)
    if message.version == 20 and message.authority:  # what HTTP/1 says in Host (ASGI: HTTP connection scope)
        headers.insert(0, (b"host", _octets(message.authority)))
    extensions: dict[str, Any] = {name: {} for name in EXTENSIONS}
    if peer.ssl is not None:
        extensions["tls"] = _tls(peer)
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": dict(ASGI),
        "http_version": _VERSIONS.get(message.version, "1.1"),
        "method": message.method.upper(),
        "scheme": peer.scheme,
        "path": path_of(message),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": prefix,
        "headers": headers,
        "client": (peer.remote_address.toString(), peer.remote_port),
        "server": (peer.local_address.toString(), peer.local_port),
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
    for name in EXTENSIONS:
        del scope["extensions"][name]
    scope["extensions"]["websocket.http.response"] = {}
    return scope


def _octets(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("latin-1", "replace")


def _tls(peer: Peer) -> dict[str, Any]:
    from PySide6.QtNetwork import QSsl

    versions = {QSsl.SslProtocol.TlsV1_2: 0x0303, QSsl.SslProtocol.TlsV1_3: 0x0304}
    configuration = peer.ssl() if peer.ssl is not None else None
    version = versions.get(configuration.sessionProtocol()) if configuration is not None else None
    return {
        "server_cert": None,
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": version,
        "cipher_suite": None,
    }
