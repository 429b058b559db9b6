"""Server-sent events: the wire format, the queue, signals."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import pytest
from PySide6.QtCore import QObject, QThread, Signal

from qhttpserver_py._exchange.streams import make_source
from qhttpserver_py.sse import EventStream, format_event

from .support.rawclient import wait_until


@pytest.fixture(autouse=True)
def application(qapp):
    return qapp


class Client:
    """Takes what the server would send."""

    def __init__(self, stream, limit=65536):
        self.source = make_source(stream)
        self.limit, self.data, self.ended, self.taking = limit, b"", False, True
        self.source.start(self.pump)
        self.pump()

    def pump(self):
        while self.taking and not self.ended:
            piece = self.source.read(self.limit)
            if piece is None:
                return
            assert len(piece) <= self.limit
            self.data += piece
            self.ended = not piece


@pytest.mark.parametrize(
    ("arguments", "wire"),
    [
        ({"data": "hello"}, b"data: hello\n\n"),
        ({}, b"data: \n\n"),
        ({"data": "a\nb\r\nc\rd"}, b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        ({"data": "a\u2028b\x0bc"}, "data: a\u2028b\x0bc\n\n".encode()),  # no line ends to a client
        ({"data": " x"}, b"data:  x\n\n"),
        ({"data": "é"}, "data: é\n\n".encode()),
        ({"data": "é".encode()}, "data: é\n\n".encode()),
        ({"data": {"a": [1, None]}}, b'data: {"a":[1,null]}\n\n'),
        ({"data": 3}, b"data: 3\n\n"),
        (
            {"data": "x", "event": "tick", "id": 7, "retry": 1500},
            b"event: tick\nid: 7\nretry: 1500\ndata: x\n\n",
        ),
        ({"data": "x", "id": ""}, b"id: \ndata: x\n\n"),
    ],
)
def test_the_wire_format(arguments, wire):
    assert format_event(**arguments) == wire


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
def test_fields_cannot_be_injected(field, value):
    with pytest.raises(ValueError, match=field):
        EventStream().event("x", **{field: value})


def test_data_that_json_cannot_express_is_refused():
    with pytest.raises(TypeError):
        EventStream().event(object())


def test_events_before_and_after_the_client_is_there():
    stream = EventStream(retry=3000)
    assert stream.event("one")
    client = Client(stream)
    assert stream.event("two")
    assert stream.comment("note")
    assert client.data == b"retry: 3000\n\ndata: one\n\ndata: two\n\n: note\n\n"
    assert stream.waiting == 0


def test_the_reply_says_what_it_is():
    source = make_source(EventStream())
    assert source.size is None
    assert dict(source.headers) == {b"content-type": b"text/event-stream", b"cache-control": b"no-store"}


def test_pieces_are_cut():
    stream = EventStream()
    stream.event("x" * 100)
    client = Client(stream, limit=7)
    assert client.data == b"data: " + b"x" * 100 + b"\n\n"


def test_a_stream_serves_one_client():
    stream = EventStream()
    make_source(stream)
    with pytest.raises(RuntimeError, match="one client"):
        make_source(stream)


def test_closing_ends_the_stream_after_what_waits():
    stream = EventStream()
    client = Client(stream)
    client.taking = False
    stream.event("last")
    stream.close()
    stream.close()
    assert not stream.is_open
    assert not stream.event("too late")
    assert not stream.comment()
    client.taking = True
    client.pump()
    assert client.data == b"data: last\n\n"
    assert client.ended


def test_hooks_run_once_when_the_client_leaves(monkeypatch):
    reported, called = [], []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: reported.append(error))
    stream = EventStream()
    stream.when_closed(lambda: 1 / 0)
    stream.when_closed(lambda: called.append(1))
    client = Client(stream)
    stream.event("x")
    client.source.close()
    client.source.close()
    assert called == [1]
    assert len(reported) == 1
    assert not stream.is_open
    stream.when_closed(lambda: called.append(2))
    assert called == [1, 2]
    assert client.source.read(100) == b""


# ---- a slow client


@pytest.mark.parametrize(
    ("overflow", "accepted", "delivered"),
    [
        ("drop-oldest", [True, True, True, True], b"data: 2\n\ndata: 3\n\n"),
        ("drop-newest", [True, True, False, False], b"data: 0\n\ndata: 1\n\n"),
        ("close", [True, True, False, False], b""),
    ],
)
def test_a_slow_client(overflow, accepted, delivered, qtlog):
    stream = EventStream(limit=2, overflow=overflow)
    client = Client(stream)
    client.taking = False
    assert [stream.event(n) for n in range(4)] == accepted
    assert stream.waiting <= 2
    client.taking = True
    client.pump()
    assert client.data == delivered
    assert client.ended is (overflow == "close")
    assert stream.is_open is (overflow != "close")


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"overflow": "explode"}])
def test_wrong_limits_are_refused(arguments):
    with pytest.raises(ValueError, match="limit"):
        EventStream(**arguments)


# ---- pings


def test_an_idle_stream_is_kept_alive():
    client = Client(EventStream(ping=0.01))
    wait_until(lambda: client.data.count(b":\n\n") >= 2)
    client.source.close()


@pytest.mark.parametrize(("options", "milliseconds"), [({}, 15000), ({"ping": 2.5}, 2500), ({"ping": None}, None)])
def test_an_idle_stream_has_pings_unless_told_otherwise(options, milliseconds):
    client = Client(EventStream(**options))
    timer = client.source._timer
    assert (timer and timer.interval()) == milliseconds
    client.source.close()


def test_a_stream_with_waiting_events_needs_no_ping():
    stream = EventStream(ping=0.001)
    source = make_source(stream)
    ready = []
    source.start(lambda: ready.append(1))
    stream.event("x")
    ready.clear()
    source._keep_alive()
    assert not ready
    source.close()


# ---- signals


class Emitter(QObject):
    none = Signal()
    one = Signal(str)
    two = Signal(int, str)
    anything = Signal(object)


@pytest.mark.parametrize(
    ("name", "arguments", "wire"),
    [
        ("none", (), b"event: e\ndata: \n\n"),
        ("one", ("text",), b"event: e\ndata: text\n\n"),
        ("two", (3, "x"), b'event: e\ndata: [3,"x"]\n\n'),
        ("anything", ({"a": 1},), b'event: e\ndata: {"a":1}\n\n'),
    ],
)
def test_a_signal_is_an_event(name, arguments, wire):
    emitter, stream = Emitter(), EventStream()
    signal = getattr(emitter, name)
    stream.connect(signal, event="e")
    client = Client(stream)
    signal.emit(*arguments)
    assert client.data == wire


def test_a_signal_can_be_converted():
    emitter, stream = Emitter(), EventStream()
    stream.connect(emitter.two, convert=lambda number, text: f"{text}{number}")
    client = Client(stream)
    emitter.two.emit(1, "n")
    assert client.data == b"data: n1\n\n"


def test_a_client_that_left_is_not_connected_any_more():
    emitter, stream = Emitter(), EventStream()
    seen = []
    stream.connect(emitter.one, convert=lambda text: seen.append(text) or "")
    client = Client(stream)
    emitter.one.emit("a")
    client.source.close()
    emitter.one.emit("b")
    assert seen == ["a"]
    gone = weakref.ref(stream)
    del stream, client
    gc.collect()
    assert gone() is None


def test_connecting_a_closed_stream_does_nothing():
    emitter, stream = Emitter(), EventStream()
    stream.close()
    seen = []
    stream.connect(emitter.one, convert=lambda text: seen.append(text) or "")
    emitter.one.emit("a")
    assert not seen


# ---- other threads


class InThread(QThread):
    def __init__(self, work):
        super().__init__()
        self.work = work

    def run(self):
        self.work()


@pytest.mark.parametrize("make", [lambda work: threading.Thread(target=work), InThread])
def test_events_from_other_threads_arrive_in_order(make):
    stream = EventStream(limit=10_000)
    client = Client(stream)
    pump, threads = client.pump, []
    client.source._on_ready = lambda: (threads.append(threading.get_ident()), pump())

    def work():
        for n in range(500):
            stream.event(n)
        stream.close()

    thread = make(work)
    thread.start()
    wait_until(lambda: client.ended)
    (thread.join if isinstance(thread, threading.Thread) else thread.wait)()
    assert client.data == b"".join(b"data: %d\n\n" % n for n in range(500))
    assert set(threads) == {threading.get_ident()}
