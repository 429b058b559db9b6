"""The table of bounds in docs/explanation/security.md: each row has a test that reaches it, named here."""

from __future__ import annotations

import ast
import gc
import socket
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py import QHttpServer, QHttpServerConfiguration
from qhttpserver_py._exchange.pump import HIGH_WATER
from qhttpserver_py._protocol.http1.chunked import MAX_EXTENSIONS, MAX_LINE
from qhttpserver_py._protocol.http1.head import MAX_BLANK_LINES
from qhttpserver_py._transport.closer import LINGER
from qhttpserver_py._transport.listener import MAXIMUM_REFUSED
from qhttpserver_py._transport.writer import WRITE_HIGH

from ..support.rawclient import RawClient, ask, bound, settle, spin, wait_until

pytestmark = pytest.mark.usefixtures("qapp")

TESTS = Path(__file__).parents[1]

REACHED = {
    "request target": "transport/test_bounds.test_heads",
    "one field": "transport/test_bounds.test_heads",
    "all fields": "transport/test_bounds.test_heads",
    "number of fields": "transport/test_bounds.test_heads",
    "body": "transport/test_bounds.test_bodies",
    "connections, WebSockets included": "websocket/test_limits.test_until_they_are_gone",
    "connections of one address, WebSockets included": "websocket/test_limits.test_until_they_are_gone",
    "refused connections held to tell why": "transport/test_bounds_table.test_refused_connections",
    "TLS handshakes that are unfinished": "transport/test_listener.test_peers_that_say_nothing_do_not_hold_others_back",
    "requests a second of one address": "transport/test_bounds.test_rate",
    "addresses": "test_qabstracthttpserver.test_address_lists_are_asked_at_accept",
    "time to complete a head": "transport/test_bounds.test_a_head_that_trickles_is_answered_408",
    "time between pieces of a body": "transport/test_bounds.test_what_stalls_is_answered_408",
    "idle connection": "transport/test_bounds.test_idle_connections_close",
    "what a reader has to take": "transport/test_bounds.test_a_reader_that_takes_next_to_nothing_is_cut",
    "reading the rest of an answer on a closing connection": "transport/test_bounds_table.test_the_rest_of_an_answer",
    "sending on after a refusal": "transport/test_bounds_table.test_sending_on_after_a_refusal",
    "bytes that are not read from the socket": "transport/test_bounds.test_pipelined_requests_wait_in_the_socket",
    "requests pipelined behind an unfinished one": "transport/test_bounds_table.test_memory_of_pipelined_requests",
    "answers unread by the peer": "transport/test_bounds.test_unread_replies_hold_further_requests_back",
    "a stream's bytes unread by the peer": "transport/test_bounds_table.test_a_stream_nobody_reads",
    "what the system holds for a peer that takes nothing": (
        "transport/test_bounds.test_the_system_holds_little_for_who_reads_nothing"
    ),
    "chunk-size line; all extensions": "transport/test_bounds_table.test_framing_without_content",
    "blank lines before a request": "transport/test_bounds_table.test_framing_without_content",
    "HTTP/2: answers that wait for the peer's windows, one connection": (
        "transport/test_stream_deadlines.test_a_hundred_whole_answers_are_not_held"
    ),
    "HTTP/2: collected bodies, one connection": (
        "transport/test_stream_deadlines.test_a_hundred_large_bodies_are_held_within_the_budget"
    ),
    "HTTP/2: collected bodies, all connections of a server": (
        "transport/test_stream_deadlines.test_many_connections_hold_what_the_server_may"
    ),
    "HTTP/2: one stream without progress": (
        "transport/test_stream_deadlines.test_a_stalled_upload_is_408_whatever_else_comes"
    ),
    "HTTP/2: requests beyond the streams at a time": "protocol/http2/test_abuse.test_floods_end_in_goaway",
    "HTTP/2: resets by the peer": "protocol/http2/test_abuse.test_floods_end_in_goaway",
    "HTTP/2: frames without use": "protocol/http2/test_abuse.test_floods_end_in_goaway",
    "HTTP/2: CONTINUATION frames": "protocol/http2/test_abuse.test_floods_end_in_goaway",
    "HTTP/2: streams at a time": "protocol/http2/test_rfc9113.test_5_1_2_too_many_streams_are_refused",
    "WebSockets that were not fetched": "websocket/test_pending.test_the_thirty_first_is_refused",
    "WebSockets (native): a message, inflated": "websocket/test_native.test_a_message_that_is_too_large",
    "WebSockets (native): fragments of a message": (
        "websocket/test_native_bounds.test_the_fragments_of_a_message_are_counted"
    ),
    "WebSockets (native): messages no coroutine has taken": (
        "websocket/test_native_bounds.test_no_more_messages_are_decoded_than_somebody_has_room_for"
    ),
    "WebSockets (native): octets the peer does not read, pongs included": (
        "websocket/test_native_bounds.test_nothing_is_read_from_a_peer_that_pings_and_never_reads"
    ),
    "WebSockets (native): the same, where a program sends without waiting": (
        "websocket/test_native_bounds.test_what_is_sent_to_a_peer_that_never_reads_has_a_bound"
    ),
    "WebSockets (native): silence, or no octet taken": (
        "websocket/test_native.test_a_peer_that_vanished_is_found_by_pings"
    ),
    "WebSockets (native): the closing handshake": (
        "websocket/test_native_bounds.test_a_peer_that_does_not_agree_to_a_close_is_ended"
    ),
}


def rows() -> list[str]:
    text = (TESTS.parent / "docs/explanation/security.md").read_text("utf-8")
    table = text.partition("\n## Bounds\n")[2].partition("\n\n| what |")[2].partition("\n\n")[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


def test_every_row_is_reached() -> None:
    assert rows() == list(REACHED)


@pytest.mark.parametrize("where", sorted(set(REACHED.values())))
def test_the_test_is_there(where: str) -> None:
    module, _, name = where.partition(".")
    tree = ast.parse((TESTS / f"{module}.py").read_text("utf-8"))
    assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


# ---- those that have no better place


def served(timeout: int = 15) -> tuple[QHttpServer, int]:
    server = QHttpServer()
    server.route("/", lambda: "home")
    configuration = QHttpServerConfiguration()
    configuration.setKeepAliveTimeout(timeout)
    server.setConfiguration(configuration)
    return server, bound(server)


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
EXTENDED = b"1;%b\r\nx\r\n" % (b"a" * 4000)


@pytest.mark.parametrize(
    ("fits", "exceeds"),
    [
        (CHUNKED + b"1;%b\r\nx\r\n0\r\n\r\n" % (b"a" * (MAX_LINE - 4)), CHUNKED + b"1;" + b"a" * MAX_LINE),
        (CHUNKED + EXTENDED * 4 + b"0\r\n\r\n", CHUNKED + EXTENDED * (MAX_EXTENSIONS // 4000 + 1)),
        (b"\r\n" * MAX_BLANK_LINES + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n" * (MAX_BLANK_LINES + 1)),
    ],
    ids=["chunk-size line", "extensions", "blank lines"],
)
def test_framing_without_content(fits: bytes, exceeds: bytes) -> None:
    _server, port = served()
    for sent, status in ((fits, 200), (exceeds, 400)):
        client = RawClient(port)
        client.send(sent)
        assert client.reply().status == status
        client.close()
    assert ask(port, "/").body == b"home"


@pytest.mark.parametrize("why", ["crowded", "denied"])
def test_refused_connections(why: str) -> None:
    """Each is held for a while, so that its peer can read why; a flood of them is not to take every descriptor."""
    server, port = served()
    configuration = QHttpServerConfiguration()
    if why == "crowded":
        configuration.setMaximumConnections(1)
    else:
        configuration.setBlacklist([QHostAddress.parseSubnet("127.0.0.0/8")])
    server.setConfiguration(configuration)
    peers: list[socket.socket] = []
    most = 0
    for _ in range(4):
        for _ in range(MAXIMUM_REFUSED // 2):
            peers.append(silent(port, b""))
        settle()
        most = max(most, len(server._core.connections))
    assert MAXIMUM_REFUSED <= most <= MAXIMUM_REFUSED + 1
    told = [_received(peer).startswith(b"HTTP/1.1 4") for peer in peers]
    assert sum(told) == MAXIMUM_REFUSED
    for peer in peers:
        peer.close()
    wait_until(lambda: not server._core.connections)
    assert RawClient(port).reply().status == 403 if why == "denied" else ask(port, "/").body == b"home"


def _received(peer: socket.socket) -> bytes:
    with suppress(OSError):
        return peer.recv(100)
    return b""


def silent(port: int, request: bytes) -> socket.socket:
    """Return a connection that sent *request* and reads nothing."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(5)
    peer.connect(("127.0.0.1", port))
    peer.sendall(request)
    peer.setblocking(False)
    return peer


def test_the_rest_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that wanted the connection closed, and does not read what it asked for."""
    for module in ("closer", "deadlines"):
        monkeypatch.setattr(f"qhttpserver_py._transport.{module}.GRACE", 1.0)
    server, port = served(timeout=60)
    server.route("/big", lambda: b"x" * 20_000_000)
    with silent(port, b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        wait_until(lambda: server._core.connections)
        began = monotonic()
        assert not spin(lambda: not server._core.connections, 0.5)
        wait_until(lambda: not server._core.connections)
        assert monotonic() - began < 6


def test_sending_on_after_a_refusal() -> None:
    server, port = served()
    with silent(port, b"GET / HTTP/9.9\r\n\r\n") as peer:
        wait_until(lambda: server._core.connections)
        began = monotonic()
        while server._core.connections and monotonic() - began < 10:
            with suppress(OSError):
                peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            spin(lambda: False, 0.05)
        assert LINGER - 0.5 < monotonic() - began < LINGER + 3
        assert peer.recv(9999).count(b"HTTP/1.1 ") == 1


def test_a_stream_nobody_reads() -> None:
    server, port = served()
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 10_000
            yield b"x" * 10_000

    server.route("/endless", pieces)
    with silent(port, b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"):
        wait_until(lambda: taken)
        for _ in range(50):
            settle()
        before = taken
        spin(lambda: False, 0.3)
        assert taken == before
        (connection,) = server._core.connections
        assert connection.socket.bytesToWrite() <= HIGH_WATER + 20_000 < WRITE_HIGH


PIPELINED = 5_000_000
"""Bytes that Python holds at most for a connection whose requests wait; Qt's buffer is not in it."""


@pytest.mark.parametrize("kind", ["small", "fields", "uploads"])
def test_memory_of_pipelined_requests(kind: str) -> None:
    """Requests take more room parsed than sent: of each connection only one read of them is."""
    server, port = served()
    later: Future[str] = Future()
    server.route("/later", lambda: later)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    requests = b"GET /later HTTP/1.1\r\nHost:x\r\n\r\n" + b"".join(_distinct(kind))
    own = len(requests)
    with silent(port, b"") as peer:
        sent = 0
        for _ in range(100):
            with suppress(BlockingIOError):
                sent += peer.send(requests[sent : sent + 300_000])
            settle()
        (connection,) = server._core.connections
        assert connection.requests.queue
        held = tracemalloc.get_traced_memory()[0] - before - own
        tracemalloc.stop()
        assert held < PIPELINED
    later.set_result("now")
    wait_until(lambda: not server._core.connections)


def _distinct(kind: str) -> Iterator[bytes]:
    """About 2 MB of requests no two of which are the same."""
    for number in range(2000 if kind == "fields" else 40_000):
        if kind == "small":
            yield b"GET /%d HTTP/1.1\r\nHost:x\r\n\r\n" % number
        elif kind == "uploads":
            yield b"POST /%d HTTP/1.1\r\nHost:x\r\nContent-Length:1\r\n\r\nx" % number
        else:
            fields = b"".join(b"%x:\r\n" % (number * 120 + field) for field in range(120))
            yield b"GET / HTTP/1.1\r\nHost:x\r\n%b\r\n" % fields
