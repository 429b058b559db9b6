"""Lingering closes over TLS: the peer gets a close_notify, and what it still sends is discarded below TLS."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress

import pytest

from qhttpserver_py import QHttpServer
from qhttpserver_py.testing.loop import Waiters, call_in_worker
from qhttpserver_py.testing.tls import TlsAuthority

from ..support.descriptors import files
from ..support.rawclient import settle, spin
from ..support.wsclient import bound_tls

pytestmark = [
    pytest.mark.usefixtures("qapp"),
    pytest.mark.skipif(os.name != "posix", reason="needs descriptors"),
]


def talk_tls(port: int, authority: TlsAuthority, request: bytes, rest: bytes = b"") -> bytes:
    """Ask, go on sending for a moment, read to the end; an end without close_notify raises ssl.SSLEOFError."""
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=authority.ca.cert_pem.bytes().decode())
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as client,
    ):
        client.sendall(request)
        with suppress(OSError):
            client.sendall(rest)
        received = bytearray()
        while data := client.recv(65536):
            received += data
        return bytes(received)


@pytest.mark.parametrize(
    ("request_", "rest", "status"),
    [
        (b"GET /\r\n\r\n", b"", 400),
        (b"POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", b"", 413),
        (b"POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", bytes(300_000), 413),
        (b"GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"", 200),
    ],
)
def test_a_lingering_close_over_tls_sends_close_notify(
    server: QHttpServer, authority: TlsAuthority, request_: bytes, rest: bytes, status: int
) -> None:
    """RFC 9112 9.8: a server MUST attempt to exchange closure alerts before it closes."""
    server.route("/small", lambda: "small")
    port, before = bound_tls(server, authority), files()
    reply = call_in_worker(lambda: talk_tls(port, authority, request_, rest), Waiters(), 15_000)
    assert reply.startswith(b"HTTP/1.1 %d " % status)
    assert spin(lambda: not server._core.connections and not server._core.tails)
    settle()
    assert files() <= before


def test_a_peer_that_sends_on_below_tls_has_its_time(
    server: QHttpServer, authority: TlsAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qhttpserver_py._transport.closer.LINGER", 0.3)
    port = bound_tls(server, authority)
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=authority.ca.cert_pem.bytes().decode())

    def stay() -> socket.socket:
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        client = context.wrap_socket(raw, server_hostname="localhost")
        client.sendall(b"GET /\r\n\r\n")
        client.recv(65536)
        return client

    with call_in_worker(stay, Waiters(), 15_000):
        assert spin(lambda: not server._core.connections)
        assert len(server._core.tails) == 1
        assert spin(lambda: not server._core.tails)
