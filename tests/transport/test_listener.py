"""Listening goes on whatever handshakes fail, and nothing is kept of a server that is deleted."""

from __future__ import annotations

import gc
import socket
import sys
import weakref

import pytest
from PySide6.QtNetwork import QHostAddress, QSslServer, QSslSocket, QTcpServer

from qhttpserver_py import QHttpServer
from qhttpserver_py._transport.listener import MAXIMUM_HANDSHAKES
from qhttpserver_py.testing import TlsAuthority

from ..support.rawclient import listening, settle, spin

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def tls_port(authority: TlsAuthority) -> int:
    server, secure = QHttpServer(), QSslServer()
    secure.setSslConfiguration(authority.server_configuration())
    assert secure.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    assert server.bind(secure)
    yield secure.serverPort()
    server.close()


def shakes_hands(port: int) -> bool:
    client = QSslSocket()
    client.setPeerVerifyMode(QSslSocket.PeerVerifyMode.VerifyNone)
    client.connectToHostEncrypted("127.0.0.1", port)
    encrypted = spin(client.isEncrypted, 5)
    client.abort()
    return encrypted


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\n\r\n"], ids=["closed at once", "no TLS"])
def test_a_burst_of_failed_handshakes_leaves_the_port_open(tls_port: int, first: bytes) -> None:
    for _ in range(MAXIMUM_HANDSHAKES + 50):
        with socket.create_connection(("127.0.0.1", tls_port), timeout=5) as peer:
            peer.sendall(first)
        settle()
    assert shakes_hands(tls_port)


def test_peers_that_say_nothing_do_not_hold_others_back(tls_port: int) -> None:
    silent = []
    for _ in range(60):
        silent.append(socket.create_connection(("127.0.0.1", tls_port), timeout=5))
        settle()
    assert shakes_hands(tls_port)
    for peer in silent:
        peer.close()


def test_nothing_is_kept_of_a_bound_server_that_is_deleted() -> None:
    server = QHttpServer()
    kept = []
    for _ in range(5):
        tcp = listening()
        assert server.bind(tcp)
        kept += [weakref.ref(tcp), weakref.ref(server._bound.listeners[id(tcp)])]
        tcp.deleteLater()
        del tcp
        settle()
    gc.collect()
    assert server._bound.listeners == {}
    assert [ref() for ref in kept] == [None] * len(kept)
    assert not [child for child in server.children() if isinstance(child, QTcpServer)]


@pytest.mark.qt_no_exception_capture
def test_an_interrupt_while_accepting_loses_nobody_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server, tcp, left, admitted = QHttpServer(), listening(), [], []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: left.append(kind))
    assert server.bind(tcp)
    kind = type(server._bound.listeners[id(tcp)])
    whole = kind._admit

    def admit(self, taken, *rest) -> None:
        admitted.append(taken)
        if len(admitted) == 1:
            raise KeyboardInterrupt
        whole(self, taken, *rest)

    monkeypatch.setattr(kind, "_admit", admit)
    peers = [socket.create_connection(("127.0.0.1", tcp.serverPort()), timeout=5) for _ in range(3)]
    assert spin(lambda: len(server._core.connections) == 2)
    assert left in ([], [KeyboardInterrupt])
    for peer in peers:
        peer.close()
    server.close()
