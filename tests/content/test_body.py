"""Request bodies taken as they arrive, over HTTP/1.1 and HTTP/2, in the clear and over TLS."""

from __future__ import annotations

import asyncio
import gc
import weakref
from concurrent.futures import Future

import pytest
from PySide6.QtCore import QBuffer, QFile

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponder, aio
from qhttpserver_py._content.body import HIGH_WATER
from qhttpserver_py.body import BodyAborted

from ..support.rawclient import nested, reported, settle, spin
from ..support.uploads import PROTOCOLS, Wire, fixtures, until_still

Method = QHttpServerRequest.Method
MEGABYTE = bytes(range(256)) * 4096


wire, server = fixtures(*PROTOCOLS)


class Sink:
    """Takes a body by callbacks; replies with its size at the end unless told otherwise."""

    def __init__(self, server, path="/", **options):
        self.pieces, self.progress, self.aborted = [], [], []
        self.ended = 0
        self.stream = None
        self.answer = Future()
        server.route(path, Method.Post, self.handle, stream=True, **options)

    def handle(self, request: QHttpServerRequest):
        self.stream = stream = request.stream()
        stream.on_progress(lambda *numbers: self.progress.append(numbers))
        stream.on_data(self.pieces.append, end=self.end, aborted=self.aborted.append)
        return self.answer

    def end(self):
        self.ended += 1
        if not self.answer.done():
            self.answer.set_result(str(self.size))

    @property
    def body(self):
        return b"".join(self.pieces)

    @property
    def size(self):
        return sum(map(len, self.pieces))


# ---- order, progress, framing


@pytest.mark.parametrize("announced", [True, False])
def test_pieces_in_order_with_progress(wire, server, announced):
    sink = Sink(server)
    parts = [b"one", b"two" * 100, MEGABYTE, b"end"]
    total = sum(map(len, parts))
    upload = wire.upload(length=total if announced else None)
    sent = 0
    for part in parts[:-1]:
        upload.send(part)
        sent += len(part)
        assert spin(lambda: sink.size == sent)
    assert not sink.ended
    assert upload.silent()
    upload.send(parts[-1], last=True)
    reply = upload.reply()
    assert (reply.status, reply.body) == (200, b"%d" % total)
    assert sink.body == b"".join(parts)
    assert sink.ended == 1
    assert not sink.aborted
    received = [n for n, _ in sink.progress]
    assert received == sorted(received)
    assert received[-1] == total
    assert {length for _, length in sink.progress} == {total if announced else -1}
    assert sink.stream.bytesReceived() == total
    assert sink.stream.contentLength() == (total if announced else -1)
    assert sink.stream.atEnd()


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("body", [b"", b"x", b"x" * 5000])
def test_a_body_that_comes_with_its_head(wire, server, body, announced):
    sink = Sink(server)
    upload = wire.upload(length=len(body) if announced else None, first=body)
    upload.send(b"", last=True)
    assert upload.reply().body == b"%d" % len(body)
    assert sink.body == body
    assert sink.ended == 1


def test_a_request_without_a_body(wire, server):
    taken = []
    server.route("/", Method.Get, lambda request: _collect(request, taken), stream=True)
    upload = wire.upload(method="GET", length=0)
    upload.send(b"", last=True)
    assert upload.reply().body == b"0"
    assert taken == []


def _collect(request: QHttpServerRequest, taken):
    done = Future()
    request.stream().on_data(taken.append, end=lambda: done.set_result(str(len(taken))))
    return done


def test_a_coroutine_iterates(wire, server):
    seen = []

    async def handler(request: QHttpServerRequest):
        stream = request.stream()
        async for piece in stream:
            seen.append(len(piece))
            await asyncio.sleep(0)
        assert stream.atEnd()
        return str(sum(seen))

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=3 * len(MEGABYTE))
    for n in range(3):
        upload.send(MEGABYTE, last=n == 2)
        assert spin(lambda n=n: sum(seen) == (n + 1) * len(MEGABYTE))
    assert upload.reply().body == b"%d" % (3 * len(MEGABYTE))


def test_a_coroutine_reads_in_parts(wire, server):
    begun = []

    async def handler(request: QHttpServerRequest):
        stream = request.stream()
        async for piece in stream:
            first = piece
            break
        begun.append(True)
        return first + b"|" + await stream.read()

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(first=b"first")
    assert spin(lambda: begun)
    upload.send(b"rest", last=True)
    assert upload.reply().body == b"first|rest"


def test_a_handler_with_the_responder(wire, server):
    def handler(request: QHttpServerRequest, responder: QHttpServerResponder):
        taken = []
        request.stream().on_data(taken.append, end=lambda: responder.write(b"".join(taken), b"text/plain", 201))

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=6)
    upload.send(b"abc")
    upload.send(b"def", last=True)
    reply = upload.reply()
    assert (reply.status, reply.body) == (201, b"abcdef")


def test_a_body_that_is_not_taken_has_arrived_when_the_reply_is_sent(wire, server):
    server.route("/", Method.Post, lambda: "ignored", stream=True)
    upload = wire.upload(length=3, first=b"abc")
    upload.send(b"", last=True)
    assert upload.reply().body == b"ignored"


def test_the_stream_needs_a_route_that_asked_for_it(wire, server):
    errors = []

    def handler(request: QHttpServerRequest):
        with pytest.raises(RuntimeError, match="stream=True") as caught:
            request.stream()
        errors.append(caught.value)
        return bytes(request.body().data())

    server.route("/", Method.Post, handler)
    upload = wire.upload(length=3, first=b"abc")
    upload.send(b"", last=True)
    assert upload.reply().body == b"abc"
    assert errors


def test_another_thread_is_refused(wire, server):
    @aio.threaded
    def handler(request: QHttpServerRequest):
        with pytest.raises(RuntimeError, match="server's thread"):
            request.stream().on_data(print)
        return "refused"

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=3, first=b"abc")
    upload.send(b"", last=True)
    assert upload.reply().body == b"refused"


# ---- back-pressure

BOUND = 3 * HIGH_WATER
"""What may be in the server's memory: the high-water mark, one read of the socket, and Qt's buffer."""


def test_a_paused_consumer_holds_the_peer_back(wire, server):
    sink = Sink(server, maximum_body_size=-1)
    size = 24 * len(MEGABYTE)
    upload = wire.upload(length=size)
    upload.send(b"first")
    assert spin(lambda: sink.pieces)
    sink.stream.pause()
    upload.send((MEGABYTE * 24)[5:], last=True)
    until_still(upload)
    assert sink.pieces == [b"first"]
    assert sink.stream.bytesReceived() <= BOUND
    assert upload.unsent() > 4 * len(MEGABYTE)
    sink.stream.resume()
    assert spin(lambda: sink.size > 8 * len(MEGABYTE))
    sink.stream.pause()
    held = sink.size
    until_still(upload)
    assert sink.size == held
    assert sink.stream.bytesReceived() <= held + BOUND
    sink.stream.resume()
    assert upload.reply().body == b"%d" % size


def test_a_slow_coroutine_holds_the_peer_back(wire, server):
    go, seen = asyncio.Event(), []

    async def handler(request: QHttpServerRequest):
        async for piece in request.stream():
            seen.append(len(piece))
            await go.wait()
        return "done"

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=16 * len(MEGABYTE))
    upload.send(16 * MEGABYTE, last=True)
    until_still(upload)
    assert len(seen) == 1
    assert upload.unsent() > len(MEGABYTE)
    go.set()
    assert upload.reply().body == b"done"
    assert sum(seen) == 16 * len(MEGABYTE)


def test_a_consumer_that_comes_late_finds_everything(wire, server):
    streams, done = [], Future()

    def handler(request: QHttpServerRequest):
        streams.append(request.stream())
        return done

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=8 * len(MEGABYTE))
    upload.send(8 * MEGABYTE, last=True)
    until_still(upload)
    assert streams[0].bytesReceived() <= BOUND
    taken = []
    streams[0].on_data(taken.append, end=lambda: done.set_result("late"))
    assert not taken  # never inside the call
    assert upload.reply().body == b"late"
    assert b"".join(taken) == 8 * MEGABYTE


# ---- limits


@pytest.mark.parametrize(("limit", "size", "status"), [(10, 10, 200), (10, 11, 413), (-1, 40_000_000, 200)])
def test_a_limit_of_its_own_by_the_announced_length(wire, server, limit, size, status):
    sink = Sink(server, maximum_body_size=limit)
    upload = wire.upload(length=size)
    if status == 200:
        upload.send(b"x" * size, last=True)
    reply = upload.reply()
    assert reply.status == status
    assert (sink.stream is None) == (status == 413)


def test_a_smaller_limit_is_passed_midway(wire, server):
    sink = Sink(server, maximum_body_size=100_000)
    upload = wire.upload()
    upload.send(b"x" * 60_000)
    assert spin(lambda: sink.size == 60_000)
    upload.send(b"x" * 60_000)
    assert upload.reply().status == 413
    assert spin(lambda: sink.aborted)
    assert isinstance(sink.aborted[0], BodyAborted)
    assert sink.size <= 100_000
    assert not sink.ended


def test_a_limit_of_a_route_that_is_not_streamed(wire, server):
    server.route("/", Method.Post, lambda request: str(request.body().size()), maximum_body_size=10)
    server.route("/free", Method.Post, lambda request: str(request.body().size()))
    upload = wire.upload(length=11)
    upload.send(b"x" * 11, last=True)
    assert upload.reply().status == 413
    upload = wire.upload("/free", length=11)
    upload.send(b"x" * 11, last=True)
    assert upload.reply().body == b"11"


# ---- peers that leave


def test_every_consumer_is_called_when_the_peer_leaves(wire, server, tmp_path):
    sink = Sink(server, "/callbacks")
    futures, ended, iterated = [], [], []

    def saving(request: QHttpServerRequest):
        futures.append(request.stream().save_to(QFile(str(tmp_path / "file"))))
        return futures[0]

    async def coroutine(request: QHttpServerRequest):
        try:
            await request.stream().read()
        except asyncio.CancelledError:  # a coroutine handler goes with its peer
            ended.append(True)
            raise

    async def iterate(stream):
        try:
            async for _ in stream:
                pass
        except BodyAborted as error:
            iterated.append(error)

    def elsewhere(request: QHttpServerRequest):
        aio.start(iterate(request.stream()))
        return Future()

    for path, handler in (("/saving", saving), ("/coroutine", coroutine), ("/elsewhere", elsewhere)):
        server.route(path, Method.Post, handler, stream=True)
    streams = []
    server.addBeforeRequestHandler(server, lambda request: streams.append(request.stream()))
    for number, path in enumerate(("/callbacks", "/saving", "/coroutine", "/elsewhere")):
        upload = wire.upload(path, length=100, first=b"some")
        assert spin(lambda number=number: len(streams) > number and streams[number].atEnd() is False)
        assert spin(lambda number=number: not streams[number]._waiting)
        upload.leave()
    assert spin(lambda: sink.aborted and futures[0].done() and ended and iterated)
    assert isinstance(futures[0].exception(), BodyAborted)
    assert isinstance(sink.aborted[0], BodyAborted)
    assert [stream.isAborted() for stream in streams] == [True] * 4


def test_a_consumer_that_is_set_after_the_peer_left_is_called_at_once(wire, server):
    streams, told = [], []

    def handler(request: QHttpServerRequest):
        streams.append(request.stream())
        return Future()

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=100, first=b"some")
    assert spin(lambda: streams)
    upload.leave()
    assert spin(streams[0].isAborted)
    streams[0].on_data(print, aborted=told.append)
    assert len(told) == 1
    device = QBuffer()
    assert isinstance(streams[0].save_to(device).exception(), BodyAborted)
    streams[0].resume()
    streams[0].discard()


def test_a_hook_that_raises_costs_the_others_nothing(wire, server):
    told = []

    def bad(error):
        raise ValueError("mine")

    def handler(request: QHttpServerRequest):
        stream = request.stream()
        stream.on_data(told.append, aborted=bad)
        stream.on_data(told.append, aborted=told.append)
        return Future()

    server.route("/", Method.Post, handler, stream=True)
    with reported() as errors:
        upload = wire.upload(length=100, first=b"some")
        assert spin(lambda: told == [b"some"])
        upload.leave()
        assert spin(lambda: len(told) == 2)
    assert [str(error) for error in errors] == ["mine"]
    server.route("/alive", lambda: "yes")
    upload = wire.upload("/alive", method="GET", length=0)
    upload.send(b"", last=True)
    assert upload.reply().body == b"yes"


# ---- Expect: 100-continue


def test_continue_is_sent_when_the_body_has_a_consumer(wire, server):
    streams, taken, done = [], [], Future()

    def handler(request: QHttpServerRequest):
        streams.append(request.stream())
        return done

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=4, fields=[("Expect", "100-continue")])
    assert spin(lambda: streams)
    nested(20)
    assert upload.silent()  # nobody wants it yet
    streams[0].on_data(taken.append, end=lambda: done.set_result("taken"))
    upload.interim()
    upload.send(b"body", last=True)
    assert upload.reply().body == b"taken"
    assert taken == [b"body"]


def test_an_expected_body_that_is_refused_is_not_asked_for(wire, server):
    server.route("/", Method.Post, lambda: ("no", 403), stream=True)
    sink = Sink(server, "/small", maximum_body_size=10)
    for path, status in (("/", 403), ("/small", 413), ("/nothing", 404)):
        upload = wire.upload(path, length=1_000_000, fields=[("Expect", "100-continue")])
        reply = upload.reply()
        assert reply.status == status
        if wire.http2:
            assert not upload.heads
    assert sink.stream is None


# ---- replies before the body is complete


def test_a_reply_before_the_body_is_complete_ends_it(wire, server):
    sink = Sink(server)
    upload = wire.upload(length=8 * len(MEGABYTE))
    upload.send(MEGABYTE)
    assert spin(lambda: sink.size == len(MEGABYTE))
    sink.answer.set_result(("enough", 403))
    upload.send(MEGABYTE)
    reply = upload.reply()
    assert (reply.status, reply.body) == (403, b"enough")
    assert len(sink.aborted) == 1
    assert "answered" in str(sink.aborted[0])
    if wire.http2:
        assert spin(lambda: upload.reset == 0)  # NO_ERROR, RFC 9113 8.1
        assert not upload.client.closed
    else:
        assert reply.headers["connection"] == "close"
        assert upload.client.wait_closed()


def test_a_reply_may_begin_while_the_body_goes_on(wire, server):
    def handler(request: QHttpServerRequest, responder: QHttpServerResponder):
        responder.writeBeginChunked(b"text/plain")
        request.stream().on_data(responder.writeChunk, end=lambda: responder.writeEndChunked(b"."))

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload()
    for n in range(5):
        upload.send(b"echo%d" % n)
        nested(5)
    upload.send(b"", last=True)
    assert upload.reply().body == b"echo0echo1echo2echo3echo4."


def test_the_connection_is_used_again(wire, server):
    sink = Sink(server)
    client = wire.client()
    for n in range(3):
        sink.answer, sink.pieces = Future(), []
        upload = wire.upload(client=client, length=None if n == 1 else 10)
        upload.send(b"01234")
        assert spin(lambda: sink.size == 5)
        upload.send(b"56789", last=True)
        assert upload.reply().body == b"10"
    assert not client.closed


def test_a_streamed_request_waits_behind_another(qapp, authority):
    server, wire = QHttpServer(), Wire("HTTP/1.1", authority)
    wire.bind(server)
    late = Future()
    server.route("/late", lambda: late)
    sink = Sink(server)
    client = wire.client()
    client.get("/late")
    upload = wire.upload(client=client, length=2 * len(MEGABYTE), first=b"x" * 1000)
    upload.send((2 * MEGABYTE)[1000:])
    upload2 = wire.upload(client=client, length=4, first=b"last")
    nested(30)
    assert sink.stream is None
    late.set_result("first")
    assert client.reply().body == b"first"
    assert upload.reply().body == b"%d" % (2 * len(MEGABYTE))
    sink.pieces.clear()
    sink.answer = Future()
    assert sink.answer is not None
    assert spin(lambda: client.received or sink.ended == 2)
    assert upload2.reply().status == 200
    server.close()
    client.close()


# ---- consumers that fail, and nested event loops


def test_an_exception_in_a_callback_is_500(wire, server):
    aborted = []

    def handler(request: QHttpServerRequest):
        request.stream().on_data(lambda piece: 1 / 0, aborted=aborted.append)
        return Future()

    server.route("/", Method.Post, handler, stream=True)
    with reported() as errors:
        upload = wire.upload(length=1000, first=b"some")
        reply = upload.reply()
    assert (reply.status, reply.body) == (500, b"")
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert "failed" in str(aborted[0])


@pytest.mark.parametrize("hook", ["progress", "end"])
def test_an_exception_in_another_callback_is_500(wire, server, hook):
    def fail(*_):
        raise ValueError("mine")

    def handler(request: QHttpServerRequest):
        stream = request.stream()
        if hook == "progress":
            stream.on_progress(fail)
        stream.on_data(lambda _: None, end=fail if hook == "end" else None)
        return Future()

    server.route("/", Method.Post, handler, stream=True)
    with reported() as errors:
        upload = wire.upload(length=8, first=b"some")
        nested(10)
        upload.send(b"more", last=True)
        assert upload.reply().status == 500
    assert [str(error) for error in errors] == ["mine"]


def test_an_exception_behind_a_reply_that_was_begun_cuts_it(wire, server):
    def handler(request: QHttpServerRequest, responder: QHttpServerResponder):
        responder.writeBeginChunked(b"text/plain")
        responder.writeChunk(b"begun")
        request.stream().on_data(lambda piece: responder and 1 / 0)

    server.route("/", Method.Post, handler, stream=True)
    with reported() as errors:
        upload = wire.upload(length=1000, first=b"some")
        assert spin(lambda: errors)
        assert upload.was_cut()


def test_nested_event_loops_in_callbacks_keep_the_order(wire, server):
    seen, depth, deepest = [], [0], [0]
    done = Future()

    def take(piece):
        depth[0] += 1
        deepest[0] = max(deepest)
        assert depth[0] == 1
        nested(3)
        seen.append(piece)
        depth[0] -= 1

    def handler(request: QHttpServerRequest):
        nested(5)
        request.stream().on_data(take, end=lambda: done.set_result("done"))
        return done

    server.route("/", Method.Post, handler, stream=True)
    body = MEGABYTE
    upload = wire.upload(length=len(body))
    for start in range(0, len(body), 65536):
        upload.send(body[start : start + 65536], last=start + 65536 == len(body))
        nested(1)
    assert upload.reply().body == b"done"
    assert b"".join(seen) == body


def test_deleting_the_server_in_a_callback(wire, qapp):
    server = QHttpServer()
    wire.bind(server)
    aborted, taken = [], []
    holder = [server]
    del server

    def take(piece):
        taken.append(piece)
        holder.pop().deleteLater()
        settle()

    def handler(request: QHttpServerRequest):
        request.stream().on_data(take, aborted=aborted.append)
        return Future()

    holder[0].route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=1000, first=b"some")
    assert spin(lambda: aborted)
    assert len(taken) == 1
    if not wire.http2:
        assert upload.client.wait_closed()


# ---- deadlines


def test_a_body_that_stalls_is_408(wire, server):
    configuration = server.configuration()
    configuration.setKeepAliveTimeout(1)
    server.setConfiguration(configuration)
    sink = Sink(server)
    upload = wire.upload(length=1000, first=b"some")
    assert spin(lambda: sink.pieces)
    assert upload.reply().status == 408
    assert isinstance(sink.aborted[0], BodyAborted)


def test_a_peer_that_waits_for_us_is_not_cut(wire, server):
    configuration = server.configuration()
    configuration.setKeepAliveTimeout(1)
    server.setConfiguration(configuration)
    sink = Sink(server)
    upload = wire.upload(length=2 * len(MEGABYTE))
    upload.send(b"some")
    assert spin(lambda: sink.pieces)
    sink.stream.pause()
    upload.send((2 * MEGABYTE)[4:], last=True)
    assert not spin(lambda: upload.client.closed or sink.aborted, 2.5)
    sink.stream.resume()
    assert upload.reply().status == 200


# ---- nothing is left


def test_nothing_is_left(wire, server):
    gone, made = [], []

    def handler(request: QHttpServerRequest):
        done = Future()
        stream = request.stream()
        weakref.finalize(stream, gone.append, True)
        made.append(True)
        pieces = []
        stream.on_data(pieces.append, end=lambda: done.set_result("done"))
        return done

    server.route("/", Method.Post, handler, stream=True)
    for n in range(6):
        upload = wire.upload(length=8, first=b"some")
        if n % 2:
            assert spin(lambda n=n: len(made) > n)
            upload.leave()
        else:
            upload.send(b"more", last=True)
            assert upload.reply().body == b"done"
    assert spin(lambda: (gc.collect(), len(gone) == 6)[1])


# ---- a peer that left is nobody's error


async def in_time(stream):
    await asyncio.wait_for(stream.read(), 60)


async def under_a_timeout(stream):
    async with asyncio.timeout(60):
        await stream.read()


async def in_a_group(stream):
    async with asyncio.TaskGroup() as group:
        group.create_task(stream.read())


async def gathered(stream):
    await asyncio.gather(stream.read(), asyncio.sleep(60))


async def in_a_task_of_its_own(stream):
    task = asyncio.get_running_loop().create_task(stream.read())
    await asyncio.sleep(60)
    await task


async def without_regard_for_cancellation(stream):
    try:
        await stream.read()
    except asyncio.CancelledError:
        await stream.read()


WAYS = [in_time, under_a_timeout, in_a_group, gathered, in_a_task_of_its_own, without_regard_for_cancellation]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
@pytest.mark.parametrize("more", [True, False], ids=["more had come", "nothing had come"])
def test_a_peer_that_leaves_is_not_reported(wire, server, way, more):
    streams = []

    async def handler(request: QHttpServerRequest):
        streams.append(request.stream())
        await way(streams[0])

    server.route("/", Method.Post, handler, stream=True)
    with reported() as errors:
        upload = wire.upload("/", length=1000, first=b"some")
        assert spin(lambda: streams and streams[0].bytesReceived() == 4)
        if more:
            upload.send(b"more")
        upload.leave()
        assert spin(streams[0].isAborted)
        nested(50)
        streams.clear()
        gc.collect()
        settle()
    assert errors == []


def test_the_fault_of_a_handler_whose_peer_left_is_reported(wire, server):
    begun = []

    async def handler(request: QHttpServerRequest):
        begun.append(request.stream())
        try:
            await begun[0].read()
        finally:
            raise ZeroDivisionError("mine")

    server.route("/", Method.Post, handler, stream=True)
    with reported() as errors:
        upload = wire.upload("/", length=1000, first=b"some")
        assert spin(lambda: begun and begun[0].bytesReceived() == 4)
        upload.leave()
        assert spin(lambda: errors)
        gc.collect()
    assert [type(error) for error in errors] == [ZeroDivisionError]
