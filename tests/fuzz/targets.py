"""What is fuzzed, and what must hold whatever comes. A target takes octets and raises where it does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")

import httptools
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py import QHttpServer, QHttpServerResponse, QHttpServerRouter
from qhttpserver_py._protocol.engine import Event, Limits, Message, Refusal, Reset
from qhttpserver_py._protocol.http1.engine import Http1Engine
from qhttpserver_py._protocol.http2.engine import Http2Engine
from qhttpserver_py._protocol.http2.settings import Http2Settings
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py._transport.connection import Connection
from qhttpserver_py.qhttpserverrequest import Method, QHttpServerRequest
from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule
from qhttpserver_py.testing import FakeSocket

from ..support.h2frames import GET, POST, PREFACE, data, frame, headers, ping, rst_stream, settings, window_update
from .formdata import SEEDS as FORM_SEEDS
from .formdata import forms
from .storms import SEEDS as WINDOW_SEEDS
from .storms import http2_windows
from .websocketframes import SEEDS as WEBSOCKET_SEEDS
from .websocketframes import websocket

MEMORY = 200_000
"""Octets an engine may hold unread, with the limits below."""

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def small() -> Limits:
    """Limits that random input reaches."""
    limits = Limits()
    limits.url_size = limits.field_size = 200
    limits.header_size = 500
    limits.field_count = 8
    limits.body_size = 300
    return limits


def pieces(octets: bytes) -> Iterator[bytes]:
    """Cut *octets* where their own first octet says."""
    step = octets[0] if octets else 0
    rest = octets[1:]
    if not step:
        yield rest
        return
    for start in range(0, len(rest), step):
        yield rest[start : start + step]


def outcomes(engine: Http1Engine, parts: Iterator[bytes]) -> list[object]:
    """Return what an engine made of *parts*; incomplete messages left out."""
    found: list[object] = []
    for part in parts:
        for event in engine.receive_data(part):
            if isinstance(event, Refusal):
                assert 400 <= event.status <= 599, event.status
                found.append(event.status)
            elif event.complete:  # type: ignore[union-attr]
                found.append(_described(event))
    return found


def _described(event: Event) -> tuple[object, ...]:
    assert isinstance(event, Message)
    return event.method, event.target, event.version, tuple(event.headers), event.body, tuple(event.trailers)


def http1(octets: bytes) -> None:
    """Cutting changes nothing; a refusal is the end; what is held is bounded; replies come out whole."""
    whole, cut = Http1Engine(small()), Http1Engine(small())
    seen = outcomes(cut, pieces(octets))
    assert seen == outcomes(whole, iter((octets[1:],)))
    refused = [place for place, outcome in enumerate(seen) if isinstance(outcome, int)]
    assert refused in ([], [len(seen) - 1])
    if refused:
        assert not cut.receive_data(REQUEST)
    assert len(whole._receiver._unread) < MEMORY
    for outcome in seen:
        if isinstance(outcome, int):
            cut.refuse(Refusal(1, outcome, ""))
        elif not cut.state.should_close:
            cut.send_response(1, 200, ((b"a", b"b"),), b"body")
    answer = cut.data_to_send()
    assert answer.count(b"HTTP/1.1 ") + answer.count(b"HTTP/1.0 ") <= len(seen)


def http2(octets: bytes) -> None:
    """No exception, whole frames out, no stream twice, and what is held is bounded."""
    engine = Http2Engine(small(), Http2Settings(tunnels=octets[-1:] == b"\0"), lambda: 0.0)
    known: set[int] = set()
    first = PREFACE + settings() if octets[:1] != b"\xff" else b""
    for part in (first, *pieces(octets)):
        for event in engine.receive_data(part):
            if isinstance(event, Message) and event.complete:
                assert event.stream_id not in known
                known.add(event.stream_id)
                engine.send_response(event.stream_id, 200, ((b"a", b"b"),), b"body" * (event.stream_id % 5000))
            elif isinstance(event, Refusal):
                engine.refuse(event)
            else:
                assert isinstance(event, (Message, Reset))
        _whole_frames(engine.data_to_send())
    engine.close()
    _whole_frames(engine.data_to_send())


def _whole_frames(wire: bytes) -> None:
    while wire:
        size = int.from_bytes(wire[:3], "big")
        assert len(wire) >= 9 + size
        wire = wire[9 + size :]


TYPES = (str, int, float, bytes, object)


def router(octets: bytes) -> None:
    """A pattern is refused or taken; a path matches or does not; converters say no by themselves."""
    made = QHttpServerRouter(None)
    pattern, _, path = octets[1:].partition(b"\n")
    text = pattern.decode("utf-8", "replace")[:60]
    types = [TYPES[octets[0] % 5]] * text.count("<arg>") if octets else []
    rule = QHttpServerRouterRule(text, Method.AnyKnown, lambda *_: None)
    if made.addRule(rule, types) is None:
        return
    message = Message(1, "GET", b"/" + path[:24], 11, [])
    request = QHttpServerRequest._make(message, Peer(QHostAddress(), 0, QHostAddress(), 0))
    found = made._lookup(message)
    assert (found is not None) in (True, False)
    made._methods_for(message)
    request.url()
    request.query()


class _Parsed:
    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole += 1


_ASKING = (
    REQUEST,
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
)


def response(octets: bytes) -> None:
    """A field is refused at the call, or arrives as it is: nothing that is sent splits a reply."""
    choice = octets[0] if octets else 0
    name, _, rest = octets[1:].partition(b"\0\0")
    value, _, body = rest.partition(b"\0\0")
    made = QHttpServerResponse(b"text/plain", body)
    try:
        fields = _checked(name, value)
    except ValueError:
        return
    engine = Http1Engine(Limits())
    assert len(engine.receive_data(_ASKING[choice % 3])) == 1
    made._headers = [*made._headers, *fields]
    try:
        _answer(engine, made, choice // 3 % 4, fields)
    except ValueError:
        return
    seen = _Parsed()
    parser = httptools.HttpResponseParser(seen)
    parser.feed_data(engine.data_to_send())
    assert not engine.data_to_send()
    if engine.aborted:
        return
    assert seen.whole == 1 or engine.state.should_close
    assert seen.body == body
    expected = value.strip(b" \t")
    own = {b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"date", b"upgrade"}
    assert name.lower() in own or (name.lower(), expected) in seen.fields


def _answer(engine: Http1Engine, made: QHttpServerResponse, form: int, trailers: list[tuple[bytes, bytes]]) -> None:
    """Send *made* whole, as pieces of a known length, or as chunks, with and without trailers."""
    data = made._data
    if form == 0:
        engine.send_response(1, made._status, made._headers, data)
        return
    engine.send_headers(1, made._status, made._headers, len(data) if form == 1 else None)
    for start in range(0, len(data), 7):
        engine.send_chunk(1, data[start : start + 7])
    engine.end_stream(1, trailers if form == 3 else ())


def _checked(name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    from qhttpserver_py._serving.results import header_fields

    return header_fields([(name, value)])


_servers: list[QHttpServer] = []


def _server() -> QHttpServer:
    if not _servers:
        _applications.append(QCoreApplication.instance() or QCoreApplication([]))
        server = QHttpServer()
        server.route("/", lambda: "home")
        server.route("/<arg>", lambda text: text)
        server.route("/echo", Method.Post, lambda request: request.body())
        server.route("/up", Method.Post, lambda request: b"taken", stream=True)
        server._core.limits = server._core.limits
        _servers.append(server)
    return _servers[0]


_applications: list[QCoreApplication] = []


def connection(octets: bytes) -> None:
    """A whole connection: no exception reaches the application, and as many answers as requests at most."""
    server = _server()
    errors: list[BaseException] = []
    server._core.report = lambda error, *_: errors.append(error)  # type: ignore[method-assign]
    socket = FakeSocket()
    nobody = QHostAddress("127.0.0.1")
    made = Connection(server._core, socket, "127.0.0.1", Peer(nobody, 1, nobody, 2))  # type: ignore[arg-type]
    server._core.adopt(made)
    made.start(None)
    for part in pieces(octets):
        if socket.closed:
            break
        socket.receive(part)
    made.sweep(made.active_at + 1000, 15.0)
    socket.peer_closes()
    assert not errors, errors
    assert made not in server._core.connections
    for _ in range(2):  # what was posted, and what is to be deleted
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    answered = bytes(socket.written).count(b"HTTP/1.1 ")
    assert answered <= octets.count(b"\n") + 2


TARGETS: dict[str, Callable[[bytes], None]] = {
    "http1": http1,
    "http2": http2,
    "http2-windows": http2_windows,
    "router": router,
    "response": response,
    "connection": connection,
    "forms": forms,
    "websocket": websocket,
}

_CHUNKED = b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
_HTTP1 = [
    REQUEST,
    REQUEST * 3,
    b"HEAD /?q HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + REQUEST,
    _CHUNKED + b"3;a=b\r\nabc\r\n0\r\nT: v\r\n\r\n" + REQUEST,
    _CHUNKED + b'3;a="b"\r\nabc\r\nffffffffffffffff\r\n',
    b"POST /up HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\nCONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET http://h/a HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]
_HTTP2 = [
    headers(1) + data(1, b"x"),
    headers(1, POST, 4) + data(1, b"body", 1) + headers(3, GET) + rst_stream(3),
    settings((1, 0), (4, 10)) + ping() + window_update(0, 1000) + headers(1, [*GET, (b"x", b"y")]),
    frame(1, 0x1, 1, b"\x82") + frame(9, 4, 1, b"\x84\x87"),
    headers(1, [*POST, (b"content-length", b"3")], 4) + data(1, b"abcd", 1),
    frame(8, 0, 1, b"\x7f\xff\xff\xff") + frame(5, 4, 1, b"\0\0\0\2") + frame(7, 0, 0, bytes(8)),
]
SEEDS: dict[str, list[bytes]] = {
    "http1": [bytes((step,)) + seed for seed in _HTTP1 for step in (0, 1, 7)],
    "http2": [bytes((step,)) + seed for seed in _HTTP2 for step in (0, 1, 7)],
    "http2-windows": WINDOW_SEEDS,
    "forms": FORM_SEEDS,
    "websocket": WEBSOCKET_SEEDS,
    "router": [
        b"\1/a/<arg>\n/a/12",
        b"\2/<arg>/b/<arg>\n1.5/b/2",
        b"\0/files/.*\nfiles/x%2Fy",
        b"\3/(a|b)+[c-e]?\nab%00",
        b"\1/x/(?<n>\\d{1,3})\nx/9",
        b"\4<arg>\n",
    ],
    "response": [
        bytes((choice,)) + seed
        for seed in (
            b"X-A\0\0value\0\0body",
            b"content-length\0\05\0\0hello",
            b"a\r\nb\0\0c\0\0",
            b"x\0\0a\r\n\r\nb\0\0",
        )
        for choice in range(12)
    ],
    "connection": [bytes((step,)) + seed for seed in (*_HTTP1, PREFACE + settings() + _HTTP2[0]) for step in (0, 3)],
}
