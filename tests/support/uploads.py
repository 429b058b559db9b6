"""Clients that upload piece by piece in the test's own event loop: HTTP/1.1, TLS and HTTP/2, all with one face."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import pytest
from PySide6.QtCore import QByteArray
from PySide6.QtNetwork import QHostAddress, QSslServer, QSslSocket, QTcpServer
from shiboken6 import Shiboken

from qhttpserver_py import QHttpServer, aio

from .rawclient import RawClient, Reply, nested, settle, spin

PROTOCOLS = ("HTTP/1.1", "TLS", "HTTP/2", "HTTP/2 over TLS")


class TlsClient(RawClient):
    """A RawClient over TLS."""

    def __init__(self, port, configuration, protocol=b"http/1.1"):
        configuration.setAllowedNextProtocols([QByteArray(protocol)])
        self.socket = QSslSocket()
        self.socket.setSslConfiguration(configuration)
        self.received = b""
        self.closed = False
        self.socket.readyRead.connect(self._read)
        self.socket.disconnected.connect(self._gone)
        self.socket.connectToHostEncrypted("127.0.0.1", port)
        assert spin(lambda: self.closed or self.socket.isEncrypted())
        assert self.socket.isEncrypted(), self.socket.errorString()


class Http1Upload:
    """One request over HTTP/1.1, its body sent in pieces; *length* None: chunked."""

    def __init__(self, client, target="/", length=None, fields=(), method="POST", first=b""):
        self.client = client
        self.chunked = length is None
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n{lines}{framing}\r\n\r\n".encode()
        client.send(head + self._framed(first))

    def _framed(self, data):
        return b"%x\r\n%b\r\n" % (len(data), data) if self.chunked and data else data

    def send(self, data, last=False):
        self.client.send(self._framed(data) + (b"0\r\n\r\n" if self.chunked and last else b""))

    def reply(self):
        return self.client.reply()

    def was_cut(self):
        """Return whether the reply ends without its last chunk."""
        return self.client.wait_closed() and b"\r\n0\r\n" not in self.client.received

    def unsent(self):
        """Bytes that the client's system has not taken."""
        waiting = self.client.socket.bytesToWrite()
        return waiting + (
            self.client.socket.encryptedBytesToWrite() if hasattr(self.client.socket, "ignoreSslErrors") else 0
        )

    def interim(self):
        assert spin(lambda: self.client.received.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"))
        self.client.received = self.client.received[25:]

    def silent(self):
        return not self.client.received

    def leave(self):
        self.client.close()


class Http2Client:
    """A connection of h2's, pumped by a raw client's socket."""

    def __init__(self, raw):
        self.raw = raw
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        # h2's client takes no more replies after a GOAWAY; RFC 9113 6.8 has it that it should.
        machine = self.h2.state_machine
        going = (h2.connection.ConnectionState.CLIENT_OPEN, h2.connection.ConnectionInputs.RECV_GOAWAY)
        machine._transitions = {**machine._transitions, going: (None, going[0])}
        self.streams = {}
        self._pumps = False
        self.h2.initiate_connection()
        self.flush()
        raw.socket.readyRead.connect(self._pump)
        assert spin(lambda: (self._pump(), self.h2.remote_settings.max_concurrent_streams < 1000)[1])

    @property
    def closed(self):
        return self.raw.closed

    def flush(self):
        self.raw.send(self.h2.data_to_send())

    def _pump(self):
        if self._pumps:  # over TLS, a write makes Qt read on
            return
        self._pumps = True
        try:
            while self.raw.received:
                self._take()
        finally:
            self._pumps = False

    def _take(self):
        data, self.raw.received = self.raw.received, b""
        for event in self.h2.receive_data(data):
            stream = self.streams.get(getattr(event, "stream_id", None))
            if stream is not None:
                stream.on_event(event)
        for stream in tuple(self.streams.values()):
            stream.pump()
        self.flush()

    def close(self):
        self.raw.close()


class Http2Upload:
    """One request over HTTP/2, its body sent as far as the windows allow."""

    def __init__(self, client, target="/", length=None, fields=(), method="POST", first=b""):
        self.client = client
        self.stream_id = client.h2.get_next_available_stream_id()
        client.streams[self.stream_id] = self
        self.queue, self.last = memoryview(b""), False
        self.heads, self.body, self.ended, self.reset = [], b"", False, None
        scheme = "https" if isinstance(client.raw, TlsClient) else "http"
        head = [(":method", method), (":scheme", scheme), (":authority", "x"), (":path", target), *fields]
        if length is not None:
            head.append(("content-length", str(length)))
        client.h2.send_headers(self.stream_id, [(n.lower(), v) for n, v in head])
        self.send(first)

    def send(self, data, last=False):
        self.queue = memoryview(bytes(self.queue) + data if self.queue else data)
        self.last = self.last or last
        self.pump()
        self.client.flush()

    def finish(self):
        self.send(b"", last=True)

    def pump(self):
        connection, stream_id = self.client.h2, self.stream_id
        if self.ended or self.reset is not None:
            return
        while self.queue:
            size = min(connection.local_flow_control_window(stream_id), connection.max_outbound_frame_size)
            if size <= 0:
                return
            connection.send_data(stream_id, bytes(self.queue[:size]))
            self.queue = self.queue[size:]
        if self.last:
            self.last = False
            connection.end_stream(stream_id)

    def on_event(self, event):
        if isinstance(event, h2.events.ResponseReceived | h2.events.InformationalResponseReceived):
            self.heads.append(dict(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            self.body += event.data
            self.client.h2.acknowledge_received_data(event.flow_controlled_length, self.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended = True
        elif isinstance(event, h2.events.StreamReset):
            self.reset = int(event.error_code)

    def reply(self):
        assert spin(lambda: self.ended or self.reset is not None or self.client.closed), "no reply in time"
        assert self.ended, f"reset: {self.reset}, closed: {self.client.closed}"
        head = self.heads.pop()
        lines = "".join(f"\r\n{name}: {value}" for name, value in head.items() if name != ":status")
        return Reply(f"HTTP/2 {head[':status']} {lines}".encode(), self.body)

    def was_cut(self):
        return spin(lambda: self.reset is not None)

    def unsent(self):
        return len(self.queue)

    def interim(self):
        assert spin(lambda: self.heads)
        assert self.heads.pop(0)[":status"] == "100"

    def silent(self):
        return not self.heads

    def leave(self):
        self.client.h2.reset_stream(self.stream_id, 8)
        self.client.flush()
        del self.client.streams[self.stream_id]


class Wire:
    """One of the four protocols: a listener for a server, and uploads to it."""

    def __init__(self, protocol, authority):
        self.protocol = protocol
        self.http2 = protocol.startswith("HTTP/2")
        self.tls = "TLS" in protocol
        self.authority = authority
        self._clients = []

    def bind(self, server):
        listener = QTcpServer()
        if self.tls:
            listener = QSslServer()
            listener.setSslConfiguration(self.authority.server_configuration(h2=True))
        assert listener.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
        assert server.bind(listener)
        self.port = listener.serverPort()
        return listener

    def client(self):
        raw = RawClient(self.port) if not self.tls else self._tls_client()
        client = Http2Client(raw) if self.http2 else raw
        self._clients.append(client)
        return client

    def _tls_client(self):
        return TlsClient(self.port, self.authority.client_configuration(), b"h2" if self.http2 else b"http/1.1")

    def upload(self, *args, client=None, **named):
        return (Http2Upload if self.http2 else Http1Upload)(client or self.client(), *args, **named)

    def close(self):
        for client in self._clients:
            client.close()


def until_still(upload, milliseconds=150):
    """Let things happen until the client has not got rid of anything for a while."""
    before = None
    while before != (before := upload.unsent()):
        nested(milliseconds)


def fixtures(*protocols):
    """Return the fixtures *wire*, one of *protocols*, and *server*, which is bound to it.

    Both end with the test, and with them what is left of asyncio.
    """

    @pytest.fixture(params=protocols)
    def wire(request, qapp, authority):
        made = Wire(request.param, authority)
        yield made
        made.close()
        aio.close()
        settle()

    @pytest.fixture
    def server(wire):
        made = QHttpServer()
        wire.bind(made)
        yield made
        if Shiboken.isValid(made):
            made.close()
            made.deleteLater()
        aio.close()
        settle()

    return wire, server
