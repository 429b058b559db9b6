"""An HTTP proxy in the event loop of the test, which replaces the servers that are intercepted.

Strategy: the head of a proxied connection is looked at without being taken (MSG_PEEK), so a socket of Qt is made only
when it is clear what for. An intercepted connection becomes a pending connection of this QTcpServer, which the fake
backend
has bound: plain, or by TLS with a certificate made for the host. Any other is tunnelled to where it wants to go, or to
the proxy that was there before, or is refused.
"""

from __future__ import annotations

import socket as sockets
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from PySide6.QtCore import QObject, QSocketNotifier, QTimer
from PySide6.QtNetwork import QHostAddress, QNetworkProxy, QSslConfiguration, QSslSocket, QTcpServer, QTcpSocket

from qhttpserver_py._qt import log
from qhttpserver_py._transport.sockets import adopted
from qhttpserver_py.testing.intercept.origins import PORTS, split_authority
from qhttpserver_py.testing.intercept.tunnel import Target, Tunnel, Upstream

MAXIMUM_HEAD = 65536
"""Bytes that the head of a proxied request may have."""

RETRY_MS = 2
"""Milliseconds after which a head that has come in part is looked at again."""

_TLS_HANDSHAKE = 0x16  # ContentType of a ClientHello's record (RFC 8446 5.1)
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Policy(NamedTuple):
    """What a proxy asks about each connection."""

    takes: Callable[[Target], bool]
    tls: Callable[[str], QSslConfiguration]
    upstream: Callable[[Target], Upstream | None]  # None: refuse; it was told why


class Proxy(QTcpServer):
    """Listens on loopback; what it takes becomes pending connections. Not in Qt."""

    def __init__(self, policy: Policy, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.policy = policy
        self.arrivals: set[Arrival] = set()
        self.tunnels: set[Tunnel] = set()
        self.setProxy(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))
        if not self.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0):
            raise OSError(f"cannot listen on 127.0.0.1: {self.errorString()}")

    def incomingConnection(self, handle: int, /) -> None:
        """Find out what the client wants. Qt: QTcpServer::incomingConnection."""
        self.arrivals.add(Arrival(self, adopted(handle)))

    def end(self) -> None:
        """Stop listening, and drop what was not handed on."""
        self.close()
        for arrival in tuple(self.arrivals):
            arrival.drop()
        for tunnel in tuple(self.tunnels):
            tunnel.end()


class Arrival:
    """One proxied connection, until it is known where it leads."""

    def __init__(self, proxy: Proxy, raw: sockets.socket) -> None:
        self._proxy = proxy
        self._raw: sockets.socket | None = raw
        self._target: Target | None = None  # of a CONNECT that was accepted
        self._tls: QSslSocket | None = None
        self._notifier = QSocketNotifier(raw.fileno(), QSocketNotifier.Type.Read, proxy)
        self._notifier.activated.connect(self._look)

    def drop(self) -> None:
        """Forget the connection and close it."""
        self._proxy.arrivals.discard(self)
        raw = self._take_descriptor()
        if raw is not None:
            raw.close()
        if self._tls is not None:
            tls, self._tls = self._tls, None
            tls.disconnect(tls)
            tls.abort()
            tls.deleteLater()

    def _take_descriptor(self) -> sockets.socket | None:
        """Return the socket, which is the caller's from here on."""
        raw, self._raw = self._raw, None
        if raw is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
        return raw

    def _look(self, *_: object) -> None:
        raw = self._raw
        if raw is None:
            return
        try:
            seen = raw.recv(MAXIMUM_HEAD, sockets.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            seen = b""
        if not seen:
            self.drop()
        elif self._target is not None:
            self._begin(self._target, seen)
        elif b"\r\n\r\n" in seen:
            self._decide(seen[: seen.index(b"\r\n\r\n") + 4])
        elif len(seen) >= MAXIMUM_HEAD:
            self._refuse(431, "Request Header Fields Too Large", "")
        else:  # what is not read would activate the notifier again at once
            self._notifier.setEnabled(False)
            QTimer.singleShot(RETRY_MS, self._proxy, self._look_again)

    def _look_again(self) -> None:
        if self._raw is not None:
            self._notifier.setEnabled(True)

    def _decide(self, head: bytes) -> None:
        try:
            target = read_target(head)
        except ValueError as error:
            self._refuse(400, "Bad Request", f"this is the proxy of a test: {error}")
            return
        connects = head.startswith(b"CONNECT ")
        policy = self._proxy.policy
        if policy.takes(target):
            if connects:
                self._target = target
                self._answer(head, _ESTABLISHED)
            else:
                self._hand_on_plain()
            return
        upstream = policy.upstream(target)
        if upstream is None:
            self._refuse(403, "Blocked by the test", f"blocked by the test: {target.url}\n")
            return
        client = self._plain_socket()
        if client is not None:
            self._proxy.arrivals.discard(self)
            self._proxy.tunnels.add(Tunnel(self._proxy.tunnels, client, target, upstream, head))

    def _begin(self, target: Target, first: bytes) -> None:
        """Serve what comes after CONNECT: TLS, or plain text as a ``ws://`` client sends it."""
        if first[0] != _TLS_HANDSHAKE:
            self._hand_on_plain()
            return
        raw = self._take_descriptor()
        assert raw is not None
        tls = self._tls = QSslSocket(self._proxy)
        tls.setSslConfiguration(self._proxy.policy.tls(target.host))
        if not tls.setSocketDescriptor(raw.detach()):
            self.drop()
            return
        tls.encrypted.connect(self._encrypted)
        tls.disconnected.connect(self._given_up)
        tls.startServerEncryption()

    def _encrypted(self) -> None:
        tls, self._tls = self._tls, None
        if tls is not None:
            tls.disconnected.disconnect(self._given_up)
            self._proxy.arrivals.discard(self)
            self._proxy.addPendingConnection(tls)

    def _given_up(self) -> None:
        if self._target is not None and self._tls is not None:
            reason = self._tls.errorString()
            log.warning(log.SERVER, f"TLS for {self._target.url} failed, does the client trust the test? {reason}")
        self.drop()

    def _hand_on_plain(self) -> None:
        plain = self._plain_socket()
        if plain is not None:
            self._proxy.arrivals.discard(self)
            self._proxy.addPendingConnection(plain)

    def _plain_socket(self) -> QTcpSocket | None:
        raw = self._take_descriptor()
        assert raw is not None
        plain = QTcpSocket(self._proxy)
        if not plain.setSocketDescriptor(raw.detach()):
            self.drop()
            return None
        return plain

    def _answer(self, head: bytes, reply: bytes) -> None:
        if self._raw is not None:
            with suppress(OSError):
                self._raw.recv(len(head))
                self._raw.sendall(reply)

    def _refuse(self, status: int, reason: str, text: str) -> None:
        body = text.encode()
        fields = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\nconnection: close"
        reply = f"HTTP/1.1 {status} {reason}\r\n{fields}\r\n\r\n".encode() + body
        if self._raw is not None:
            with suppress(OSError):  # what came is taken first: closing with input unread would reset the reply away
                self._raw.recv(MAXIMUM_HEAD)
                self._raw.sendall(reply)
                self._raw.shutdown(sockets.SHUT_WR)
        self.drop()


def read_target(head: bytes) -> Target:
    """Return where the head of a proxied request leads (RFC 9112 3.2.2 and 3.2.3).

    Raises:
        ValueError: it is no head that a proxy gets.
    """
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    where = rest.rpartition(" ")[0]
    if method == "CONNECT":
        host, port = split_authority(where, 0)
        if not port:
            raise ValueError("CONNECT takes host:port")
        scheme = {443: "https", 80: "http"}.get(port, "")
        shown = f"[{host}]" if ":" in host else host
        url = f"{scheme}://{shown}/" if scheme else f"{shown}:{port}"
        return Target("", host, port, url)
    scheme, found, authority = where.partition("://")
    if not found or scheme.lower() not in ("http", "ws"):
        raise ValueError(f"{where[:80]!r} is no absolute http:// URL")
    host, port = split_authority(authority.partition("/")[0].partition("?")[0], PORTS["http"])
    return Target("http", host, port, where)
