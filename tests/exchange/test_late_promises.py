"""What is promised of answers that come late, each promise over HTTP/1.1 and over HTTP/2."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject, QTimer, Signal
from PySide6.QtNetwork import QHttpHeaders
from shiboken6 import Shiboken

from qhttpserver_py import QFutureHttpServerResponse, QHttpServerRequest, QHttpServerResponder, QHttpServerResponse, aio

from ..support.kept import Kept, ask_over
from ..support.rawclient import logged, reported, settle, spin
from ..support.uploads import fixtures

Method = QHttpServerRequest.Method


wire, server = fixtures("HTTP/1.1", "HTTP/2")


# ---- a kept responder


class Emitter(QObject):
    happened = Signal(str)


def test_answered_by_a_timer(wire, server):
    upload, responder = Kept(server).one(wire)
    QTimer.singleShot(10, lambda: responder.write(b"timer", b"text/plain"))
    assert upload.reply().body == b"timer"


def test_answered_by_a_signal(wire, server):
    upload, responder = Kept(server).one(wire)
    emitter = Emitter()
    emitter.happened.connect(lambda text: responder.write(QByteArray(text.encode()), b"text/plain"))
    QTimer.singleShot(0, lambda: emitter.happened.emit("signal"))
    assert upload.reply().body == b"signal"


def test_answered_by_another_thread(wire, server):
    upload, responder = Kept(server).one(wire)
    thread = threading.Thread(target=lambda: responder.write(b"thread", b"text/plain"))
    thread.start()
    assert upload.reply().body == b"thread"
    thread.join()


def test_chunks_of_another_thread_stay_in_order(wire, server):
    upload, responder = Kept(server).one(wire)

    def work():
        responder.writeBeginChunked(b"text/plain")
        for n in range(200):
            responder.writeChunk(b"%d," % n)
        responder.writeEndChunked(b"end")

    thread = threading.Thread(target=work)
    thread.start()
    assert upload.reply().body == b"".join(b"%d," % n for n in range(200)) + b"end"
    thread.join()


CALLS = {
    "write": lambda responder: responder.write(b"whole", b"text/plain"),
    "send": lambda responder: responder.sendResponse(QHttpServerResponse("whole")),
    "device": lambda responder: responder.write(_buffer(b"whole"), b"text/plain"),
    "begin": lambda responder: responder.writeBeginChunked(b"text/plain"),
    "chunk": lambda responder: responder.writeChunk(b"chunk"),
    "end": lambda responder: responder.writeEndChunked(b"end"),
}
WHOLE = {"write", "send", "device"}
ALLOWED = {"waiting": WHOLE | {"begin"}, "streaming": {"chunk", "end"}, "done": set(), "canceled": set(CALLS)}


def _buffer(data):
    device = QBuffer()
    device.setData(data)
    device.open(QIODevice.OpenModeFlag.ReadOnly)
    return device


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", ALLOWED)
def test_every_call_in_every_state(wire, server, state, call):
    upload, responder = Kept(server).one(wire)
    if state == "streaming":
        CALLS["begin"](responder)
    elif state == "done":
        CALLS["write"](responder)
        assert upload.reply().body == b"whole"
    elif state == "canceled":
        upload.leave()
        assert spin(responder.isResponseCanceled)
    if call in ALLOWED[state]:
        CALLS[call](responder)
    else:
        with pytest.raises(RuntimeError):
            CALLS[call](responder)
    assert responder.isResponseCanceled() == (state == "canceled")
    if state == "waiting" and call in WHOLE:
        assert upload.reply().body == b"whole"
    elif state == "streaming":
        if call != "end":
            responder.writeEndChunked(b"end")
        assert upload.reply().body == (b"chunkend" if call == "chunk" else b"end")
    elif state == "waiting":
        responder.writeEndChunked(b"end") if call == "begin" else CALLS["write"](responder)
        assert upload.reply().body == (b"end" if call == "begin" else b"whole")


def test_a_dropped_responder_is_500_and_the_log_names_the_route(wire, server):
    server.route("/forgotten", lambda request, responder: None)
    with logged() as lines:
        reply = ask_over(wire, "/forgotten").reply()
    assert (reply.status, reply.body) == (500, b"")
    assert any("/forgotten" in text for level, _, text in lines if level == "warning")


def test_a_responder_dropped_midway_cuts_the_reply(wire, server):
    kept = Kept(server)
    upload, responder = kept.one(wire)
    responder.writeBeginChunked(b"text/plain")
    responder.writeChunk(b"begun")
    kept.responders.clear()
    del responder
    gc.collect()
    assert upload.was_cut()


def test_answered_after_the_server_was_deleted(wire, server):
    upload, responder = Kept(server).one(wire)
    Shiboken.delete(server)
    assert responder.isResponseCanceled()
    for call in CALLS.values():
        call(responder)
    thread = threading.Thread(target=responder.write, args=(b"late", b"text/plain"))
    thread.start()
    thread.join()
    del responder, thread
    settle()
    assert upload.silent()


def test_a_producer_paces_itself(wire, server):
    kept = Kept(server)
    upload, responder = kept.one(wire)
    left, most = [64], [0]
    responder.writeBeginChunked(b"text/plain")

    def more(*_):
        while left[0] and responder.bytesToWrite() < 262144:
            left[0] -= 1
            responder.writeChunk(b"x" * 65536)
            most[0] = max(most[0], responder.bytesToWrite())
        if not left[0] and left:
            left.append(responder.writeEndChunked(b"."))
            left[0] = -1

    responder.bytesWritten.connect(more)
    more()
    reply = upload.reply()
    assert len(reply.body) == 64 * 65536 + 1
    assert most[0] <= 262144 + 2 * 65536


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_a_producer_that_writes_once_at_each_call_is_called_again(wire, server, size):
    """Also where the system takes all at once: Qt tells nothing inside the slot that tells."""
    kept = Kept(server)
    upload, responder = kept.one(wire)
    left, depth, deepest = [100], [0], [0]

    def more(*_):
        if not left[0]:
            return
        depth[0] += 1
        deepest[0] = max(deepest[0], depth[0])
        left[0] -= 1
        responder.writeChunk(b"x" * size)
        if not left[0]:
            responder.writeEndChunked(b"")
        depth[0] -= 1

    responder.bytesWritten.connect(more)
    responder.writeBeginChunked(b"text/plain")
    assert len(upload.reply().body) == 100 * size
    assert deepest[0] == 1, "told inside its own write"


def test_a_producer_that_raises_is_reported_and_others_are_called(wire, server):
    kept, told = Kept(server), []
    upload, responder = kept.one(wire)
    responder.bytesWritten.connect(lambda: 1 / 0)
    responder.bytesWritten.connect(lambda: told.append(1))
    with reported() as errors:
        responder.writeBeginChunked(b"text/plain")
        responder.writeChunk(b"x")
        assert spin(lambda: told)
        responder.writeEndChunked(b"")
        assert upload.reply().body == b"x"
        settle()
    assert isinstance(errors[0], ZeroDivisionError)


# ---- futures


def test_a_missing_handler_may_return_a_future(wire, server):
    future = Future()
    server.setMissingHandler(server, lambda request, responder: future)
    upload = ask_over(wire, "/nowhere")
    QTimer.singleShot(5, lambda: future.set_result(("missing", 404)))
    reply = upload.reply()
    assert (reply.status, reply.body) == (404, b"missing")


def test_a_future_of_nothing_beside_a_dropped_responder_is_500(wire, server):
    future = Future()
    server.route("/", lambda request, responder: future)
    upload = ask_over(wire)
    QTimer.singleShot(5, lambda: future.set_result(None))
    with logged() as lines:
        assert upload.reply().status == 500
    assert any("dropped" in text for _, _, text in lines)


def test_a_future_beside_a_responder(wire, server):
    futures = [Future(), Future()]

    def ignored(responder: QHttpServerResponder):
        responder.write(b"responder", b"text/plain")
        return futures[0]

    server.route("/responder", ignored)
    server.route("/future", lambda request, responder: futures[1])
    assert ask_over(wire, "/responder").reply().body == b"responder"
    futures[0].set_result("too late")
    upload = ask_over(wire, "/future")
    QTimer.singleShot(5, lambda: futures[1].set_result(("future", 202)))
    reply = upload.reply()
    assert (reply.status, reply.body) == (202, b"future")


@pytest.mark.parametrize("with_responder", [False, True])
@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ("text", 200, b"text"),
        (b"bytes", 200, b"bytes"),
        ({"a": [1]}, 200, b'{"a":[1]}'),
        (404, 404, b""),
        (("made", 201, {"x-a": "b"}), 201, b"made"),
        (None, 200, b""),
        (lambda: iter([b"str", "eam"]), 200, b"stream"),
    ],
)
def test_results_of_a_future(wire, server, result, status, body, with_responder):
    if callable(result):
        result = result()
    if result is None and with_responder:
        status = 500  # the responder was to answer, and is gone
    with ThreadPoolExecutor(1) as pool:
        if with_responder:
            server.route("/", lambda request, responder: pool.submit(lambda: result))
        else:
            server.route("/", lambda: pool.submit(lambda: result))
        reply = ask_over(wire).reply()
        assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize(
    "late",
    [
        lambda result: aio.threaded(lambda: result)(),
        lambda result: QFutureHttpServerResponse(aio.threaded(lambda: result)()),
        lambda result: _coroutine(result),  # noqa: PLW0108 - defined below
    ],
    ids=["thread", "QFuture", "coroutine"],
)
@pytest.mark.parametrize("result", ["text", "stream"])
def test_after_request_handlers_run_on_late_results_in_the_servers_thread(wire, server, late, result):
    result = iter([b"te", b"xt"]) if result == "stream" else result
    threads = []

    def after(request, response):
        threads.append(threading.current_thread())
        headers = QHttpHeaders(response.headers())
        headers.append("x-after", "yes")
        response.setHeaders(headers)

    server.addAfterRequestHandler(server, after)
    server.route("/", lambda: late(result))
    reply = ask_over(wire).reply()
    assert reply.body == b"text"
    assert reply.headers["x-after"] == "yes"
    assert threads == [threading.main_thread()]


async def _coroutine(result):
    await asyncio.sleep(0.001)
    return result


# ---- coroutines


def test_context_variables_are_each_requests_own(wire, server):
    variable, seen = contextvars.ContextVar("variable", default="none"), []

    async def handler(request: QHttpServerRequest):
        seen.append(variable.get())
        variable.set(request.url().path())
        await asyncio.sleep(0.005)
        await inner()
        return variable.get()

    async def inner():
        variable.set(variable.get() + "!")

    server.route("/a", handler)
    server.route("/b", handler)
    uploads = [ask_over(wire, "/a"), ask_over(wire, "/b")]
    assert [upload.reply().body for upload in uploads] == [b"/a!", b"/b!"]
    assert seen == ["none", "none"]
    assert variable.get() == "none"


def test_a_coroutine_as_missing_handler_that_raises_is_500(wire, server):
    async def missing(request, responder):
        await asyncio.sleep(0)
        raise ValueError("mine")

    server.setMissingHandler(server, missing)
    with reported() as errors:
        assert ask_over(wire, "/nowhere").reply().status == 500
    assert [str(error) for error in errors] == ["mine"]


def test_a_coroutine_as_missing_handler_answers_once(wire, server):
    ended = []

    async def missing(request, responder):
        responder.write(b"missing", b"text/plain", 404)
        await asyncio.sleep(0.001)
        ended.append(True)

    server.setMissingHandler(server, missing)
    with reported() as errors:
        assert ask_over(wire, "/nowhere").reply().body == b"missing"
        assert spin(lambda: ended)
        settle()
    assert errors == []


def test_an_after_request_coroutine_that_raises_leaves_the_response(wire, server):
    async def after(request, response):
        await asyncio.sleep(0)
        raise ValueError("mine")

    server.addAfterRequestHandler(server, after)
    server.route("/", lambda: "text")
    with reported() as errors:
        assert ask_over(wire).reply().body == b"text"
    assert [str(error) for error in errors] == ["mine"]


def test_coroutines_interleave(wire, server):
    order = []

    async def handler(name: str):
        for _ in range(3):
            order.append(name)
            await asyncio.sleep(0.02)
        return name

    server.route("/<arg>", handler)
    clients = [wire.client(), wire.client()]
    uploads = [ask_over(wire, f"/{name}", client=client) for name, client in zip("ab", clients, strict=True)]
    assert [upload.reply().body for upload in uploads] == [b"a", b"b"]
    assert order not in ([*"aaabbb"], [*"bbbaaa"])


# ---- handlers that block


def test_a_handler_that_blocks_is_named_once(wire, server):
    server.setSlowHandlerThreshold(20)
    server.route("/slow", lambda: time.sleep(0.04) or "slow")
    server.route("/quick", lambda: "quick")
    server.route("/threaded", aio.threaded(lambda: time.sleep(0.04) or "threaded"))
    with logged() as lines:
        for path in ("/slow", "/quick", "/threaded", "/slow"):
            assert ask_over(wire, path).reply().body == path[1:].encode()
    warned = [text for level, category, text in lines if level == "warning" and category == "qt.httpserver"]
    assert len(warned) == 1
    assert "/slow" in warned[0]


def test_others_are_served_while_a_threaded_handler_blocks(wire, server):
    go = threading.Event()
    server.route("/blocked", aio.threaded(lambda: str(go.wait(10))))
    server.route("/other", lambda: "other")
    blocked = ask_over(wire, "/blocked")
    assert ask_over(wire, "/other").reply().body == b"other"
    go.set()
    assert blocked.reply().body == b"True"


# ---- streams


class Watched:
    """A generator that says when it is closed."""

    def __init__(self):
        self.closed, self.made = False, 0

    def items(self):
        try:
            while True:
                self.made += 1
                yield b"x" * 1000
        finally:
            self.closed = True


@pytest.mark.parametrize("kind", ["device", "generator", "chunks"])
def test_head_of_a_stream(wire, server, kind):
    watched = Watched()
    devices = []

    def device():
        devices.append(_buffer(b"0123456789"))
        return devices[0]

    def chunks(responder: QHttpServerResponder):
        responder.writeBeginChunked(b"text/plain")
        responder.writeChunk(b"never sent")
        responder.writeEndChunked(b"nor this")

    server.route("/device", device)
    server.route("/generator", watched.items)
    server.route("/chunks", chunks)
    server.route("/next", lambda: "next")
    client = wire.client()
    upload = ask_over(wire, f"/{kind}", "HEAD", client)
    if wire.http2:
        reply = upload.reply()
        assert reply.body == b""
    else:
        reply = client.reply(head_only=True)
    assert reply.status == 200
    if kind == "device":
        assert reply.headers["content-length"] == "10"
        settle()
        assert not Shiboken.isValid(devices[0])
    assert watched.made <= 1
    assert ask_over(wire, "/next", client=client).reply().body == b"next"


def test_a_stream_of_chunks_is_canceled_when_its_client_leaves(wire, server):
    upload, responder = Kept(server).one(wire)
    responder.writeBeginChunked(b"text/plain")
    responder.writeChunk(b"begun")
    upload.leave()
    assert spin(responder.isResponseCanceled)
    for _ in range(100):
        responder.writeChunk(b"x" * 100_000)
    assert responder.bytesToWrite() == 0


def test_an_unread_stream_does_not_keep_others_waiting(wire, server):
    watched = Watched()
    server.route("/endless", watched.items)
    server.route("/other", lambda: "other")
    endless = ask_over(wire, "/endless")
    assert spin(lambda: watched.made > 10)
    assert ask_over(wire, "/other").reply().body == b"other"
    endless.leave()
    assert spin(lambda: watched.closed)
