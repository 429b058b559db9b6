"""Answers that come late or in pieces, through a whole server, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import asyncio
import gc
import itertools
import multiprocessing
import operator
import ssl
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PySide6.QtCore import (
    QBuffer,
    QByteArray,
    QFile,
    QIODevice,
    QObject,
    QProcess,
    QTimer,
    Signal,
)
from PySide6.QtNetwork import (
    QHostAddress,
    QNetworkAccessManager,
    QNetworkRequest,
    QSslServer,
    QTcpServer,
)
from shiboken6 import isValid

from qhttpserver_py import QFutureHttpServerResponse, QHttpServer, QHttpServerResponder, QHttpServerResponse, aio
from qhttpserver_py.sse import EventStream

from .rawclient import wait_until

SECONDS = 20


class Served:
    """A server, and clients that run in threads while this thread serves."""

    def __init__(self, authority):
        self.server = QHttpServer()
        self.http2 = authority is not None
        if authority is None:
            listener = QTcpServer()
        else:
            listener = QSslServer()
            configuration = authority.server_configuration()
            configuration.setAllowedNextProtocols([QByteArray(b"h2")])  # httpx names it last
            listener.setSslConfiguration(configuration)
        assert listener.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
        assert self.server.bind(listener)
        scheme = "http" if authority is None else "https"
        self.url = f"{scheme}://127.0.0.1:{listener.serverPort()}"
        self.context = ssl.create_default_context()
        if authority is not None:
            self.context.load_verify_locations(cadata=authority.ca_pem.decode())

    def client(self):
        return httpx.Client(
            base_url=self.url,
            verify=self.context,
            http2=self.http2,
            http1=not self.http2,
            trust_env=False,
            timeout=SECONDS,
        )

    def run(self, work):
        """Call *work(client)* in a thread; return its result or raise what it raised."""
        future = Future()

        def body():
            try:
                with self.client() as client:
                    future.set_result(work(client))
            except BaseException as error:  # noqa: BLE001 - handed to the test
                future.set_exception(error)

        thread = threading.Thread(target=body)
        thread.start()
        wait_until(future.done, SECONDS + 5)
        thread.join()
        return future.result()

    def get(self, path="/"):
        return self.run(lambda client: client.get(path))

    def leave(self, path="/"):
        """Ask, read the head and the first bytes, and leave."""

        def work(client):
            with client.stream("GET", path) as reply:
                next(reply.iter_raw())

        self.run(work)


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def served(request, qapp, authority):
    made = Served(authority if request.param == "HTTP/2" else None)
    yield made
    made.server.close()
    made.server.deleteLater()
    aio.close()
    gc.collect()


# ---- results that come late


async def _text():
    await asyncio.sleep(0.01)
    return "text"


async def _json():
    return {"a": 1}


async def _response():
    return QHttpServerResponse(b"text/plain", b"text")


async def _status():
    await asyncio.sleep(0)
    return 204


async def _tuple():
    return "text", 201


async def _future():
    future = Future()
    future.set_result("text")
    return future


async def _generator():
    return iter(["te", "xt"])


def _later(result):
    future = Future()
    QTimer.singleShot(10, lambda: future.set_result(result))
    return future


LATE = [
    (_text, 200, b"text"),
    (_json, 200, b'{"a":1}'),
    (_response, 200, b"text"),
    (_status, 204, b""),
    (_tuple, 201, b"text"),
    (_future, 200, b"text"),
    (_generator, 200, b"text"),
    (lambda: _later("text"), 200, b"text"),
    (lambda: _later(iter([b"text"])), 200, b"text"),
    (lambda: QFutureHttpServerResponse(_later(["text"])), 200, b'["text"]'),
    (lambda: (_later("text"), 202), 202, b"text"),
    (aio.threaded(lambda: "text"), 200, b"text"),
    (lambda: aio.start(_text()), 200, b"text"),
]


@pytest.mark.parametrize(("handler", "status", "body"), LATE)
def test_late_results(served, handler, status, body):
    served.server.route("/", handler)
    reply = served.get()
    assert (reply.status_code, reply.content) == (status, body)
    assert reply.http_version == ("HTTP/2" if served.http2 else "HTTP/1.1")


def test_executors(served):
    with (
        ThreadPoolExecutor(1) as threads,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes,
    ):
        served.server.route("/thread", lambda: threads.submit(str, 1))
        served.server.route("/process", lambda: processes.submit(operator.concat, "pro", "cess"))
        assert served.get("/thread").text == "1"
        assert served.get("/process").text == "process"


def test_a_coroutine_may_answer_by_the_responder(served):
    async def handler(responder: QHttpServerResponder):
        await asyncio.sleep(0.01)
        responder.write(b"written", b"text/plain")

    served.server.route("/", handler)
    assert served.get().text == "written"


def test_a_coroutine_that_forgets_its_responder_gives_500(served):
    async def handler(responder: QHttpServerResponder):
        await asyncio.sleep(0)

    served.server.route("/", handler)
    assert served.get().status_code == 500


def test_missing_and_after_request_handlers_may_be_coroutines(served):
    async def after(request, response):
        await asyncio.sleep(0.01)
        headers = response.headers()
        headers.append("x-after", "yes")
        response.setHeaders(headers)

    async def missing(request, responder):
        await asyncio.sleep(0.01)
        responder.write(b"missing", b"text/plain")

    served.server.route("/", lambda: "text")
    served.server.addAfterRequestHandler(served.server, after)
    served.server.setMissingHandler(served.server, missing)
    assert served.get().headers["x-after"] == "yes"
    assert served.get("/no").text == "missing"


async def _fails():
    await asyncio.sleep(0)
    raise ValueError("mine")


def _failing_future():
    future = Future()
    future.set_exception(ValueError("mine"))
    return future


def _raises():
    raise ValueError("mine")


@pytest.mark.parametrize("handler", [_fails, _failing_future, aio.threaded(_raises)])
def test_a_late_exception_is_500_and_reported_once(served, handler, reported):
    served.server.route("/", handler)
    reply = served.get()
    assert reply.status_code == 500
    assert reply.content == b""
    gc.collect()
    assert [str(error) for error in reported] == ["mine"]


def _cancelled_future():
    future = Future()
    future.cancel()
    return future


async def _cancels_itself():
    raise asyncio.CancelledError


@pytest.mark.parametrize("handler", [_cancelled_future, _cancels_itself, QFutureHttpServerResponse])
def test_a_cancelled_result_is_500(served, handler, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    served.server.route("/", handler)
    assert served.get().status_code == 500


def test_other_clients_are_served_meanwhile(served):
    future = Future()
    served.server.route("/late", lambda: future)
    served.server.route("/now", lambda: "now")

    def work(client):
        with ThreadPoolExecutor(1) as pool, served.client() as other:
            late = pool.submit(other.get, "/late")
            texts = [client.get("/now").text for _ in range(3)]
            future.set_result("late")
            return texts, late.result(SECONDS).text

    assert served.run(work) == (["now"] * 3, "late")


def test_a_dialog_in_a_coroutine_stops_nobody(served):
    answered, opened = [], threading.Event()

    async def dialog():
        opened.set()
        wait_until(lambda: answered)
        await asyncio.sleep(0)
        return "dialog"

    async def other():
        await asyncio.sleep(0.005)
        answered.append(True)
        return "other"

    served.server.route("/dialog", dialog)
    served.server.route("/other", other)

    def work(client):
        with ThreadPoolExecutor(1) as pool, served.client() as second:
            first = pool.submit(second.get, "/dialog")
            assert opened.wait(SECONDS)
            return client.get("/other").text, first.result(SECONDS).text

    assert served.run(work) == ("other", "dialog")


# ---- clients that leave


def give_up(served, path="/"):
    """Ask, and leave before there is an answer."""

    def work(client):
        with pytest.raises(httpx.ReadTimeout):
            client.get(path, timeout=0.1)

    served.run(work)


def test_a_coroutine_is_cancelled_when_its_client_leaves(served):
    ended = []

    async def handler():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    served.server.route("/", handler)
    give_up(served)
    wait_until(lambda: ended)


def test_a_future_is_cancelled_when_its_client_leaves(served):
    future = Future()
    served.server.route("/", lambda: future)
    give_up(served)
    wait_until(future.cancelled)


def test_a_generator_is_closed_when_its_client_leaves(served):
    ended = []

    def items():
        try:
            while True:
                yield b"x" * 10_000
        finally:
            ended.append(True)

    served.server.route("/", items)
    served.leave()
    wait_until(lambda: ended)


def test_an_async_generator_is_closed_when_its_client_leaves(served):
    ended = []

    async def items():
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0.001)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    served.server.route("/", items)
    served.leave()
    wait_until(lambda: ended)


def test_a_device_is_deleted_when_its_client_leaves(served):
    devices = []

    def handler():
        device = QProcess()
        device.setProgram(sys.executable)
        device.setArguments(["-c", "import time; print('x', flush=True); time.sleep(60)"])
        devices.append(device)
        return device

    served.server.route("/", handler)
    served.leave()
    wait_until(lambda: not isValid(devices[0]))


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

    def listen(client):
        with client.stream("GET", "/") as reply:
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


# ---- the loops of QtAsyncio and qasync, each in a process of its own

PROGRAM = """
import asyncio, contextvars, http.client, sys, threading
from PySide6.QtCore import QCoreApplication, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer
from qhttpserver_py import QHttpServer, QHttpServerResponder, _eventloop

app = QCoreApplication([])
main_loop = None
ended = []

async def plain():
    await asyncio.sleep(0.01)
    return "plain" if asyncio.get_running_loop() is main_loop else "wrong loop"

async def thread():
    return await asyncio.get_running_loop().run_in_executor(None, lambda: "thread")

async def stream():
    for n in range(3):
        await asyncio.sleep(0.001)
        yield str(n)

async def late(responder: QHttpServerResponder):
    await asyncio.sleep(0.001)
    responder.write(b"late", b"text/plain")

async def left():
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        ended.append(True)
        raise

def client(port):
    for name in ("plain", "thread", "stream", "late"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/" + name)
        print(connection.getresponse().read().decode())
        connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.1)
    connection.request("GET", "/left")
    try:
        connection.getresponse()
    except TimeoutError:
        pass
    connection.close()

async def main():
    global main_loop
    main_loop = asyncio.get_running_loop()
    server, tcp = QHttpServer(), QTcpServer()
    tcp.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    server.bind(tcp)
    for handler in (plain, thread, stream, late, left):
        server.route("/" + handler.__name__, handler)
    worker = threading.Thread(target=client, args=(tcp.serverPort(),))
    worker.start()
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if ended and not worker.is_alive():
            break
    worker.join()
    print("cancelled" if ended else "not cancelled")
    server.close()
    assert not _eventloop._loops

"""
QASYNC = """
import qasync
with qasync.QEventLoop(app) as loop:
    loop.run_until_complete(main())
"""
QTASYNCIO = """
from PySide6 import QtAsyncio
QtAsyncio.run(main(), keep_running=False)
"""


@pytest.mark.parametrize("run", [QASYNC, QTASYNCIO], ids=["qasync", "QtAsyncio"])
def test_coroutine_handlers_use_a_loop_that_runs_already(run):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + run],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["plain", "thread", "012", "late", "cancelled"], done.stderr
