"""Answers that come late, through a whole server, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import operator
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import httpx
import pytest
from PySide6.QtCore import QProcess, QTimer
from shiboken6 import isValid

from qhttpserver_py import QFutureHttpServerResponse, QHttpServerResponder, QHttpServerResponse, aio

from ..support.lateclient import SECONDS, fixture
from ..support.programs import run_program
from ..support.rawclient import wait_until

served = fixture("HTTP/1.1", "HTTP/2")


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


def test_a_coroutine_that_drops_its_responder_gives_500(served):
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


def test_a_dialog_in_a_coroutine_does_not_stop_others(served):
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


def _items(ended):
    try:
        while True:
            yield b"x" * 10_000
    finally:
        ended.append(True)


async def _late_items(ended):
    try:
        while True:
            yield b"tick"
            await asyncio.sleep(0.001)
    finally:
        await asyncio.sleep(0)
        ended.append(True)


@pytest.mark.parametrize("generator", [_items, _late_items], ids=["generator", "async generator"])
def test_a_generator_is_closed_when_its_client_leaves(served, generator):
    ended = []
    served.server.route("/", lambda: generator(ended))
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


# ---- the loops of QtAsyncio and qasync, each in a process of its own

PROGRAM = """
import asyncio, contextvars, http.client, sys, threading
from PySide6.QtCore import QCoreApplication, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer
from qhttpserver_py._loop import eventloop
from qhttpserver_py import QHttpServer, QHttpServerResponder

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
    assert not eventloop._loops

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
    done = run_program(PROGRAM + run, seconds=50)
    assert done.stdout.split() == ["plain", "thread", "012", "late", "cancelled"], done.stderr
