"""Answers that come in pieces, through a whole server, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PySide6.QtCore import QBuffer, QFile, QIODevice, QObject, QProcess, QTimer, Signal
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkRequest

from qhttpserver_py import QHttpServer
from qhttpserver_py.sse import EventStream

from ..support.h2client import Http2Client
from ..support.lateclient import Served, fixture
from ..support.rawclient import bound, wait_until

served = fixture("HTTP/1.1", "HTTP/2")


# ---- streams


def _buffer(data=b"0123456789", position=0):
    device = QBuffer()
    device.setData(data)
    device.open(QIODevice.OpenModeFlag.ReadOnly)
    device.seek(position)
    return device


async def _async_items():
    for n in range(3):
        await asyncio.sleep(0.001)
        yield str(n)


def _process():
    device = QProcess()
    device.setProgram(sys.executable)
    device.setArguments(["-c", "import time; print('a', end='', flush=True); time.sleep(0.05); print('b', end='')"])
    return device


STREAMS = [
    (lambda: _buffer(b"0123456789"), b"0123456789", 10),
    (lambda: _buffer(position=4), b"456789", 6),
    (lambda: _buffer(b""), b"", 0),
    (lambda: iter(["a", b"b"]), b"ab", None),
    (_async_items, b"012", None),
    (_process, b"ab", None),
    (lambda: (b"x" * 100_000 for _ in range(20)), b"x" * 2_000_000, None),
]


@pytest.mark.parametrize(("handler", "body", "length"), STREAMS)
def test_streams(served, handler, body, length):
    served.server.route("/", handler)
    reply = served.get()
    assert reply.status_code == 200
    assert reply.content == body
    if length is not None:
        assert reply.headers["content-length"] == str(length)
    elif served.http2:
        assert "transfer-encoding" not in reply.headers
    else:
        assert reply.headers["transfer-encoding"] == "chunked"


def test_a_large_file(served, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789abcdef" * 500_000)
    served.server.route("/", lambda: QFile(str(path)))
    reply = served.get()
    assert reply.content == path.read_bytes()
    assert reply.headers["content-length"] == "8000000"


def test_a_missing_file_is_500(served):
    served.server.route("/", lambda: QFile("/nonexistent/file"))
    assert served.get().status_code == 500


def test_another_servers_reply_is_passed_on(served):
    manager = QNetworkAccessManager()
    upstream = Served(None)
    upstream.server.route("/", lambda: iter(["one ", "two"]))
    served.server.route("/", lambda: manager.get(QNetworkRequest(upstream.url + "/")))
    assert served.get().text == "one two"
    upstream.server.close()


def _breaks_off():
    yield b"x" * 10
    raise ValueError("mine")


async def _breaks_off_late():
    yield b"x" * 10
    await asyncio.sleep(0.01)
    raise ValueError("mine")


def _crashes():
    device = QProcess()
    device.setProgram(sys.executable)
    device.setArguments(["-c", "import os; print('a', flush=True); os.kill(os.getpid(), 9)"])
    return device


def _closed_midway():
    device = _buffer(b"x" * 30_000_000)
    QTimer.singleShot(0, device.close)
    return device


@pytest.mark.parametrize("handler", [_breaks_off, _breaks_off_late, _crashes, _closed_midway])
def test_a_stream_that_breaks_off_does_not_look_whole(served, handler, reported):
    served.server.route("/", handler)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        served.get()
    assert reported


def test_a_stream_is_read_at_the_pace_of_its_client(served):
    made = []

    def items():
        for _ in range(1000):
            made.append(1)
            yield b"x" * 65_536

    served.server.route("/", items)
    seen = []

    def work(client):
        with client.stream("GET", "/") as reply:
            pieces = reply.iter_raw()
            next(pieces)
            time.sleep(0.3)  # the kernel's buffers fill up
            seen.append(len(made))
            time.sleep(0.2)
            seen.append(len(made))
            return 1 + sum(1 for _ in pieces)

    served.run(work)
    assert seen[0] == seen[1]  # nobody reads: nothing is made
    assert seen[0] < 250
    assert len(made) == 1000


# ---- server-sent events


class Job(QObject):
    progress = Signal(int)


def test_server_sent_events(served):
    job, streams = Job(), []

    def handler(request):
        stream = EventStream(request)
        stream.connect(job.progress, event="progress")
        streams.append(stream)
        return stream

    served.server.route("/", handler)

    def work(client):
        with client.stream("GET", "/", headers={"last-event-id": "41"}) as reply:
            pieces, text = reply.iter_text(), ""
            for number in range(3):
                QTimer.singleShot(0, job, lambda number=number: job.progress.emit(number))
                while not text.endswith(f"data: {number}\n\n"):
                    text += next(pieces)
            return reply.headers, text

    headers, text = served.run(work)
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-store"
    assert text == "".join(f"event: progress\ndata: {n}\n\n" for n in range(3))
    assert streams[0].last_event_id == "41"
    wait_until(lambda: not streams[0].is_open)


def test_many_listeners_get_every_event_in_order(served):
    job, streams = Job(), []

    def handler():
        stream = EventStream(limit=10_000)
        stream.connect(job.progress)
        streams.append(stream)
        return stream

    served.server.route("/", handler)
    clients, events = 20, 100

    def listen(_):
        # A client each: httpx with twenty threads on one HTTP/2 connection comes to a stop by itself now and then.
        with served.client() as client, client.stream("GET", "/") as reply:
            return "".join(reply.iter_text())

    def emit(number=0):
        if len(streams) < clients:
            QTimer.singleShot(5, emit)
        elif number < events:
            job.progress.emit(number)
            QTimer.singleShot(0, lambda: emit(number + 1))
        else:
            for stream in streams:
                stream.close()

    def work(client):
        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(listen, [client] * clients))

    emit()
    texts = served.run(work)
    assert set(texts) == {"".join(f"data: {n}\n\n" for n in range(events))}


@pytest.mark.usefixtures("qapp")
def test_many_listeners_on_one_http2_connection_get_every_event():
    job, streams, server = Job(), [], QHttpServer()

    def handler():
        stream = EventStream(limit=10_000)
        stream.connect(job.progress)
        streams.append(stream)
        return stream

    server.route("/", handler)
    client, wanted = Http2Client(bound(server)), range(1, 41, 2)
    for stream_id in wanted:
        client.get(stream_id, b"/")
    wait_until(lambda: len(streams) == 20)
    for number in range(100):
        job.progress.emit(number)
    for stream in streams:
        stream.close()
    client.wait_for(*wanted)
    size = sum(len(f"data: {number}\n\n") for number in range(100))
    assert {
        one: sum(count for stream_id, count in client.order if stream_id == one) for one in wanted
    } == dict.fromkeys(wanted, size)
    server.close()


# ---- nothing is left


def test_nothing_is_left_of_many_late_requests(served):
    async def handler():
        await asyncio.sleep(0.001)
        return _async_items()

    served.server.route("/", handler)
    served.run(lambda client: [client.get("/").text for _ in range(20)])
    gc.collect()
    before = len(gc.get_objects())
    served.run(lambda client: [client.get("/").text for _ in range(100)])
    gc.collect()
    assert len(gc.get_objects()) - before < 400


def test_listeners_that_are_killed_leave_nothing_behind(served):
    job, gone = Job(), []

    def handler():
        stream = EventStream(ping=0.05)
        stream.connect(job.progress)
        weakref.finalize(stream, gone.append, True)
        return stream

    served.server.route("/", handler)
    ticker = QTimer()
    numbers = itertools.count()
    ticker.timeout.connect(lambda: job.progress.emit(next(numbers)))
    ticker.start(1)

    def listen(pieces):
        with served.client() as client, client.stream("GET", "/") as reply:
            for _ in zip(range(pieces), reply.iter_raw(), strict=False):
                pass

    def work(_):
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(listen, [1 + n % 7 for n in range(30)]))

    listen_once = served.run(lambda _: listen(1))
    assert listen_once is None
    wait_until(lambda: (gc.collect(), len(gone) == 1)[1])
    before = open_files()
    served.run(work)
    wait_until(lambda: (gc.collect(), len(gone) == 31)[1])
    wait_until(lambda: open_files() <= before)
    ticker.stop()


def open_files():
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
