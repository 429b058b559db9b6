"""Over HTTP/2 each stream has to make progress: what happens elsewhere on the connection postpones no deadline."""

from __future__ import annotations

import gc
import resource
import sys
from concurrent.futures import Future

import h2.settings
import pytest

from qhttpserver_py import QHttpServerRequest, QHttpServerResponder
from qhttpserver_py._protocol.http2 import bodies
from qhttpserver_py._protocol.http2.bodies import COMPLETE_BODIES, CONNECTION_BODIES
from qhttpserver_py._transport.progress import Progress, StreamDeadlines
from qhttpserver_py._transport.writer import WRITE_HIGH

from ..support.kept import Kept
from ..support.rawclient import nested, spin
from ..support.uploads import PROTOCOLS, fixtures

HTTP2 = [name for name in PROTOCOLS if name.startswith("HTTP/2")]
wire, server = fixtures(*HTTP2)

MIB = 1 << 20


def patience(server, seconds=1):
    configuration = server.configuration()
    configuration.setKeepAliveTimeout(seconds)
    server.setConfiguration(configuration)


def windows(client, size):
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: size})
    client.flush()


def until(client, done, act, seconds=8):
    """Do *act* five times a second until *done*."""
    for _ in range(seconds * 5):
        if done():
            return True
        if not client.closed:
            act()
            client.flush()
        nested(200)
    return done()


# ---- the deadlines alone


def test_what_grows_enough_is_not_overdue():
    progress = Progress()
    assert progress.overdue([(1, 0), (3, 0)], 10, 0.0, 5.0) == []
    assert progress.overdue([(1, 10), (3, 9)], 10, 4.0, 5.0) == []
    assert progress.overdue([(1, 10), (3, 9)], 10, 5.0, 5.0) == [3]
    progress.postpone_deadlines(3.0)
    assert progress.overdue([(1, 10)], 10, 11.0, 5.0) == []
    assert progress.overdue([(1, 10)], 10, 12.0, 5.0) == [1]


def test_what_was_absent_begins_anew():
    progress = Progress()
    progress.overdue([(1, 0)], 1, 0.0, 5.0)
    progress.overdue([], 1, 4.0, 5.0)
    assert progress.overdue([(1, 0)], 1, 6.0, 5.0) == []
    assert progress.overdue([(1, 0)], 1, 11.0, 5.0) == [1]


def test_a_connection_is_idle_when_no_request_was_open_for_long():
    deadlines = StreamDeadlines()
    assert not deadlines.is_idle(1, 100.0, 100.5, 5.0)
    assert not deadlines.is_idle(1, 104.0, 104.5, 5.0)  # a PING at 104 is no request
    assert deadlines.is_idle(1, 104.0, 105.0, 5.0)
    assert not deadlines.is_idle(-1, 106.0, 120.0, 5.0)
    assert not deadlines.is_idle(1, 120.0, 120.5, 5.0)
    deadlines.postpone_deadlines(10.0)
    assert not deadlines.is_idle(1, 120.0, 134.0, 5.0)
    assert deadlines.is_idle(1, 120.0, 135.0, 5.0)


# ---- uploads that stall


def ping(client, _upload):
    client.h2.ping(b"12345678")


def empty_data(client, upload):
    client.h2.send_data(upload.stream_id, b"")


def padding(client, upload):
    client.h2.send_data(upload.stream_id, b"", pad_length=5)


@pytest.mark.parametrize("act", [ping, empty_data, padding])
def test_a_stalled_upload_is_408_whatever_else_comes(wire, server, act):
    patience(server)
    server.route("/", lambda request: request.body())
    client = wire.client()
    upload = wire.upload("/", length=100, client=client, first=b"half")
    assert until(client, lambda: upload.heads, lambda: act(client, upload))
    assert upload.heads[0][":status"] == "408"


def test_an_upload_that_goes_on_slowly_is_not_cut_while_another_is(wire, server):
    patience(server)
    server.route("/", lambda request: request.body())
    client = wire.client()
    slow, stalled = (wire.upload("/", length=20, client=client, first=b"x") for _ in range(2))
    assert until(client, lambda: stalled.heads, lambda: slow.queue or slow.send(b"y"))
    assert stalled.heads[0][":status"] == "408"
    assert not slow.heads


# ---- replies nobody takes


def a_trickle(client, upload):
    client.h2.increment_flow_control_window(1, upload.stream_id)


@pytest.mark.parametrize("act", [ping, a_trickle])
@pytest.mark.parametrize("path", ["/whole", "/stream"])
def test_a_reply_nobody_takes_is_reset_whatever_else_comes(wire, server, act, path):
    patience(server)
    server.route("/whole", lambda: bytes(MIB))
    server.route("/stream", lambda: (bytes(MIB // 64) for _ in range(64)))
    client = wire.client()
    windows(client, 0)
    client.h2.acknowledge_received_data = lambda *_: None
    request = wire.upload(path, client=client, method="GET")
    request.finish()
    assert until(client, lambda: request.reset is not None, lambda: act(client, request))


def test_replies_that_wait_for_the_connections_window_are_reset(wire, server):
    patience(server)
    server.route("/", lambda: bytes(100_000))
    client = wire.client()
    windows(client, 2**31 - 1)
    client.h2.acknowledge_received_data = lambda *_: None
    downloads = [wire.upload("/", client=client, method="GET") for _ in range(3)]
    for download in downloads:
        download.finish()
    assert until(client, lambda: all(d.reset is not None for d in downloads), lambda: ping(client, None))


def test_pings_do_not_keep_an_idle_connection(wire, server):
    patience(server)
    server.route("/", lambda: "hi")
    client = wire.client()
    request = wire.upload("/", client=client, method="GET")
    request.finish()
    assert request.reply().status == 200
    assert until(client, lambda: client.closed, lambda: ping(client, None))


def test_a_request_whose_handler_takes_long_keeps_its_connection(wire, server):
    patience(server)
    kept = Kept(server)
    client = wire.client()
    request = wire.upload("/", client=client, method="GET")
    request.finish()
    nested(2500)
    assert not client.closed
    kept.responders.pop().write(QHttpServerResponder.StatusCode.NoContent)
    assert request.reply().status == 204


# ---- what waits for the windows is bounded


def served(server, size):
    calls = []

    def whole():
        calls.append(1)
        return b"x" * size

    server.route("/whole", whole)
    return calls


def asked(wire, client, count):
    """Ask for ``/whole`` *count* times on one connection; return the streams."""
    downloads = [wire.upload("/whole", client=client, method="GET") for _ in range(count)]
    for download in downloads:
        download.finish()
    return downloads


def held_back(wire, server, size, count):
    """Ask for replies of *size* with closed windows; return the calls of the handler, the client and the streams."""
    calls = served(server, size)
    client = wire.client()
    windows(client, 0)
    downloads = asked(wire, client, count)
    nested(300)
    return calls, client, downloads


def test_requests_wait_while_replies_wait_for_the_windows(wire, server):
    calls, client, downloads = held_back(wire, server, 400_000, 50)
    assert len(calls) <= 2 * WRITE_HIGH // 400_000 + 2
    before = len(calls)
    client.h2.increment_flow_control_window(2**30)
    windows(client, 2**30)
    assert spin(lambda: all(download.ended for download in downloads))
    assert len(calls) == 50 > before
    assert {len(download.body) for download in downloads} == {400_000}


def test_large_replies_to_a_fast_client_wait_for_no_sweep(wire, server):
    calls = served(server, MIB)
    client = wire.client()
    server._core._ticker.stop()
    client.h2.acknowledge_received_data = lambda *_: None  # nothing is read that would make the server look
    client.h2.increment_flow_control_window(2**30)
    windows(client, 2**30)
    downloads = asked(wire, client, 20)
    assert spin(lambda: all(download.ended for download in downloads))
    assert len(calls) == 20


def test_streams_that_are_reset_let_others_be_served(wire, server):
    calls, client, downloads = held_back(wire, server, 800_000, 10)
    assert len(calls) < 10
    for download in downloads[:9]:
        download.leave()
    windows(client, 2**30)
    client.h2.increment_flow_control_window(2**30)
    client.flush()
    assert len(downloads[9].reply().body) == 800_000


def test_late_replies_are_counted(wire, server):
    futures = []

    def late():
        futures.append(Future())
        return futures[-1]

    calls = served(server, 1000)
    server.route("/late", late)
    client = wire.client()
    windows(client, 0)
    for _ in range(5):
        wire.upload("/late", client=client, method="GET").finish()
    assert spin(lambda: len(futures) == 5)
    for future in futures:
        future.set_result(bytes(600_000))
    nested(200)
    small = wire.upload("/whole", client=client, method="GET")
    small.finish()
    nested(200)
    assert calls == []
    windows(client, 2**30)
    client.h2.increment_flow_control_window(2**30)
    client.flush()
    assert small.reply().status == 200


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def most_resident(uploads, body):
    """Send *body* as each of *uploads*; return the most memory that was resident until they were answered, in bytes."""
    top = resident()
    for upload in uploads:
        upload.queue, upload.last = memoryview(body), True
    for upload in uploads:
        upload.pump()
    for client in {upload.client for upload in uploads}:
        client.flush()

    def done():
        nonlocal top
        top = max(top, resident())
        return all(upload.ended for upload in uploads)

    assert spin(done, 60)
    return top


@pytest.mark.skipif(sys.platform != "linux", reason="measures by /proc")
def test_a_hundred_whole_answers_are_not_held(wire, server):
    calls = served(server, 10 * MIB)
    client = wire.client()
    windows(client, 0)
    gc.collect()
    before = resident()
    for _ in range(100):
        wire.upload("/whole", client=client, method="GET").finish()
    nested(500)
    assert len(calls) <= 3
    assert resident() - before < 50 * MIB


# ---- bodies are bounded


@pytest.mark.skipif(sys.platform != "linux", reason="measures by /proc")
def test_a_hundred_large_bodies_are_held_within_the_budget(wire, server):
    size, sizes = 8 * MIB, []

    def take(request: QHttpServerRequest):
        sizes.append(request.body().size())
        return ""

    server.route("/take", QHttpServerRequest.Method.Post, take)
    client = wire.client()
    body = bytes(size)
    gc.collect()
    before = resident()
    uploads = [wire.upload("/take", length=size, client=client) for _ in range(30)]
    top = most_resident(uploads, body)
    assert sizes == [size] * 30
    windows_granted = 30 * 65535
    assert top - before < CONNECTION_BODIES + COMPLETE_BODIES + 3 * size + windows_granted + 16 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="measures by /proc")
def test_many_connections_hold_what_the_server_may(wire, server, monkeypatch):
    budget, size = 8 * MIB, 8 * MIB
    monkeypatch.setattr(bodies, "SERVER_BODIES", budget)
    server.route("/take", QHttpServerRequest.Method.Post, lambda: "")
    clients = [wire.client() for _ in range(4)]
    body = bytes(size)
    gc.collect()
    before = resident()
    uploads = [wire.upload("/take", length=size, client=client) for client in clients for _ in range(8)]
    top = most_resident(uploads, body)
    windows_granted = len(uploads) * 65535
    assert top - before < budget + len(clients) * size + windows_granted + 24 * MIB  # of 256 MiB
    assert server._core.limits.pool.held == 0


# ---- GOAWAY


def test_closing_at_once_says_goaway_first(wire, server):
    kept = []

    def hold(request: QHttpServerRequest, responder: QHttpServerResponder):
        kept.append(responder)

    server.route("/", hold)
    client = wire.client()
    goaways = []
    receive = client.h2.receive_data

    def noting(data):
        events = receive(data)
        goaways.extend(event for event in events if type(event).__name__ == "ConnectionTerminated")
        return events

    client.h2.receive_data = noting
    request = wire.upload("/", client=client, method="GET")
    request.finish()
    assert spin(lambda: kept)
    server.close(0)
    assert spin(lambda: client.closed)
    assert [(int(event.error_code), event.last_stream_id) for event in goaways] == [(0, 1)]
    assert request.reset is not None
    assert not server._core.connections


def test_a_request_for_another_scheme_is_421(wire, server):
    server.route("/", lambda: "hi")
    client = wire.client()
    request = wire.upload("/", client=client, method="GET")
    request.finish()
    assert request.reply().status == 200
    other = client.h2.get_next_available_stream_id()
    heads = []
    client.streams[other] = type("Stream", (), {"on_event": lambda _s, e: heads.append(e), "pump": lambda _s: None})()
    scheme = "http" if wire.tls else "https"
    fields = [(":method", "GET"), (":scheme", scheme), (":authority", "x"), (":path", "/")]
    client.h2.send_headers(other, fields, end_stream=True)
    client.flush()
    assert spin(lambda: heads)
    assert dict(heads[0].headers)[":status"] == "421"
