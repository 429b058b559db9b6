"""What arrives while a handler is on the stack is served when that has returned, in whatever event loop it arrived."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest
import trustme
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtNetwork import QHostAddress, QSslServer

from qhttpserver_py import QHttpServer, QHttpServerResponder, tls

from ..support.rawclient import bound, spin

pytestmark = pytest.mark.usefixtures("qapp")

AUTHORITY = trustme.CA()


def bound_tls(server: QHttpServer) -> int:
    issued = AUTHORITY.issue_cert("localhost")
    listening = QSslServer()
    listening.setSslConfiguration(
        tls.server_configuration(issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes(), alpn=["http/1.1"])
    )
    assert listening.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    assert server.bind(listening)
    return listening.serverPort()


class Peer(threading.Thread):
    """Sends one request, the rest when told to, and reads until *replies* were seen."""

    def __init__(self, port: int, *, secure: bool, rest: bytes, replies: int) -> None:
        super().__init__(daemon=True)
        self.port, self.secure, self.rest, self.replies = port, secure, rest, replies
        self.go = threading.Event()
        self.received = b""

    def run(self) -> None:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer: socket.socket = raw
        if self.secure:
            context = ssl.create_default_context()
            AUTHORITY.configure_trust(context)
            peer = context.wrap_socket(raw, server_hostname="localhost")
        with peer:
            peer.sendall(b"GET /nested HTTP/1.1\r\nHost: x\r\n\r\n")
            if self.go.wait(5):
                peer.sendall(self.rest)
            while self.received.count(b"HTTP/1.1 200") < self.replies:
                try:
                    more = peer.recv(65536)
                except TimeoutError:
                    return
                if not more:
                    return
                self.received += more


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("way", ["returned", "written", "chunks"])
@pytest.mark.parametrize("more", [1, 3])
def test_requests_behind_a_nested_loop(secure: bool, way: str, more: int) -> None:
    server = QHttpServer()
    go: list[threading.Event] = []

    def nested() -> str:
        loop = QEventLoop()
        go[0].set()
        QTimer.singleShot(200, loop.quit)
        loop.exec()
        return "nested"

    def written(responder: QHttpServerResponder) -> None:
        responder.write(nested().encode(), b"text/plain")

    def chunks(responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked(b"text/plain")
        responder.writeChunk(nested().encode())
        responder.writeEndChunked(b"!")

    server.route("/nested", {"returned": nested, "written": written, "chunks": chunks}[way])
    server.route("/next", lambda: "next")
    rest = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n" * more
    port = bound_tls(server) if secure else bound(server)
    peer = Peer(port, secure=secure, rest=rest + rest[:20], replies=1 + more)
    go.append(peer.go)
    peer.start()
    assert spin(lambda: not peer.is_alive(), 8)
    assert peer.received.count(b"next") == more
