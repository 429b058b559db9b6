"""The end of a server: closed, deleted or left behind, from anywhere and at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import weakref
from concurrent.futures import Future
from pathlib import Path

import pytest
from PySide6.QtCore import QBuffer, QCoreApplication, QIODevice, QObject, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer
from shiboken6 import Shiboken

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponder, aio
from qhttpserver_py._loop import eventloop
from qhttpserver_py._transport import core
from qhttpserver_py.sse import EventStream

from ..support.programs import run_program
from ..support.rawclient import RawClient, ask, bound, logged, reported, settle, spin
from ..support.uploads import PROTOCOLS, fixtures

Method = QHttpServerRequest.Method
LOCAL = QHostAddress(QHostAddress.SpecialAddress.LocalHost)


wire, _ = fixtures(*PROTOCOLS)


def listen(port=0):
    tcp = QTcpServer()
    assert tcp.listen(LOCAL, port), tcp.errorString()
    return tcp


# ---- at any moment: where it happens ...


class Places:
    """Routes that call *act* once, each at another moment of a request's life."""

    def __init__(self, server, act):
        self.server = server
        self.kept = []
        self._act = act

    def act(self):
        act, self._act = self._act, lambda: None
        act()

    def handler(self):
        self.server.route("/", Method.Post, lambda: self.act() or "text")

    def responder_before(self):
        def handler(responder: QHttpServerResponder):
            self.act()
            responder.write(b"text", b"text/plain")

        self.server.route("/", Method.Post, handler)

    def responder_after(self):
        def handler(responder: QHttpServerResponder):
            responder.write(b"text", b"text/plain")
            self.act()

        self.server.route("/", Method.Post, handler)

    def responder_midway(self):
        def handler(responder: QHttpServerResponder):
            responder.writeBeginChunked(b"text/plain")
            responder.writeChunk(b"te")
            self.act()
            responder.writeChunk(b"x")
            responder.writeEndChunked(b"t")

        self.server.route("/", Method.Post, handler)

    def responder_kept(self):
        def handler(responder: QHttpServerResponder):
            self.kept.append(responder)
            QTimer.singleShot(0, later)

        def later():
            self.act()
            self.kept[0].write(b"late", b"text/plain")

        self.server.route("/", Method.Post, handler)

    def exception(self):
        def handler():
            self.act()
            raise ValueError("mine")

        self.server.route("/", Method.Post, handler)

    def before(self):
        self.server.addBeforeRequestHandler(self.server, lambda request: self.act())
        self.server.route("/", Method.Post, lambda: "text")

    def after(self):
        self.server.addAfterRequestHandler(self.server, lambda request, response: self.act())
        self.server.addAfterRequestHandler(self.server, lambda request, response: None)
        self.server.route("/", Method.Post, lambda: "text")

    def missing(self):
        self.server.setMissingHandler(self.server, lambda request, responder: self.act())

    def future(self):
        future = Future()
        future.set_running_or_notify_cancel()
        later = lambda: (self.act(), future.set_result("late"))
        self.server.route("/", Method.Post, lambda: QTimer.singleShot(0, later) or future)

    def generator(self):
        def items():
            yield b"x" * 100_000
            self.act()
            yield b"y" * 100_000

        self.server.route("/", Method.Post, items)

    def async_generator(self):
        async def items():
            yield b"x"
            await asyncio.sleep(0)
            self.act()
            yield b"y"

        self.server.route("/", Method.Post, items)

    def coroutine(self):
        async def handler():
            await asyncio.sleep(0)
            self.act()
            await asyncio.sleep(0)
            return "late"

        self.server.route("/", Method.Post, handler)

    def coroutine_first_step(self):
        async def handler():
            self.act()
            return "late"

        self.server.route("/", Method.Post, handler)

    def device(self):
        def handler():
            device = _Device(self.act)
            device.open(QIODevice.OpenModeFlag.ReadOnly)
            return device

        self.server.route("/", Method.Post, handler)

    def body(self):
        def handler(request: QHttpServerRequest):
            request.stream().on_data(lambda piece: self.act())
            return Future()

        self.server.route("/", Method.Post, handler, stream=True)

    def body_end(self):
        def handler(request: QHttpServerRequest):
            request.stream().on_data(lambda piece: None, end=self.act)
            return Future()

        self.server.route("/", Method.Post, handler, stream=True)

    def events(self):
        def handler():
            stream = EventStream()
            self.kept.append(stream)
            QTimer.singleShot(0, lambda: (stream.event("one"), self.act(), stream.event("two")))
            return stream

        self.server.route("/", Method.Post, handler)

    def drained(self):
        def handler(responder: QHttpServerResponder):
            self.kept.append(responder)
            responder.writeBeginChunked(b"text/plain")
            responder.bytesWritten.connect(lambda *_: self.act())
            responder.writeChunk(b"x" * 3_000_000)

        self.server.route("/", Method.Post, handler)

    def aborted(self):
        """While the connection is being ended already."""

        def handler(request: QHttpServerRequest):
            request.stream().on_data(lambda piece: None, aborted=lambda error: self.act())
            QTimer.singleShot(0, self.server.close)
            return Future()

        self.server.route("/", Method.Post, handler, stream=True)


class _Device(QBuffer):
    def __init__(self, act):
        super().__init__()
        self.act = act
        self.setData(b"x" * 200_000)

    def readData(self, size):
        if self.pos() > 50_000:
            self.act()
        return super().readData(size)


PLACES = [name for name in vars(Places) if not name.startswith("_") and name != "act"]


# ---- ... and what


def delete_server(server, parent, tcp):
    Shiboken.delete(server)


def delete_server_later(server, parent, tcp):
    server.deleteLater()
    settle()


def delete_parent(server, parent, tcp):
    Shiboken.delete(parent)


def close_server(server, parent, tcp):
    server.close()


def close_gently(server, parent, tcp):
    server.close(100)


def delete_listener(server, parent, tcp):
    Shiboken.delete(tcp)


def close_and_delete(server, parent, tcp):
    server.close(1000)
    Shiboken.delete(server)


ACTS = [
    delete_server,
    delete_server_later,
    delete_parent,
    close_server,
    close_gently,
    delete_listener,
    close_and_delete,
]


MOMENTS = [
    pytest.param(protocol, place, act, id=f"{protocol}-{place}-{act.__name__}")
    for protocol in PROTOCOLS
    for place in PLACES
    for act in (ACTS if "TLS" not in protocol else (delete_server, close_server))
]


@pytest.mark.parametrize(("wire", "place", "act"), MOMENTS, indirect=["wire"])
def test_at_any_moment(wire, place, act):
    parent = QObject()
    server = QHttpServer(parent)
    listener = wire.bind(server)
    done = []
    places = Places(server, lambda: (act(server, parent, listener), done.append(True)))
    getattr(places, place)()
    with reported() as errors, logged() as lines:
        whole = place != "aborted"
        upload = wire.upload(length=4 if whole else 8, first=b"some")
        upload.send(b"", last=whole)
        assert spin(lambda: done, 5)
        for _ in range(3):
            QCoreApplication.processEvents()
        settle()
        places.kept.clear()
        if Shiboken.isValid(server) and act is not delete_listener:
            assert spin(lambda: not server._core.connections)
    upload.client.close()
    assert [error for error in errors if str(error) != "mine"] == []
    assert [line for line in lines if line[0] in ("critical", "fatal") or line[1] == "default"] == []
    if Shiboken.isValid(parent):
        Shiboken.delete(parent)
    settle()


def test_a_handler_that_closes_the_server_is_answered(wire):
    server = QHttpServer()
    wire.bind(server)
    server.route("/", Method.Post, lambda: server.close() or "bye")
    upload = wire.upload(length=0)
    upload.send(b"", last=True)
    assert upload.reply().body == b"bye"
    assert spin(lambda: not server._core.connections)


def test_a_late_reply_does_not_outlive_close(wire):
    server, kept = QHttpServer(), []
    wire.bind(server)
    server.route("/", Method.Post, lambda request, responder: kept.append(responder) or server.close())
    upload = wire.upload(length=0)
    upload.send(b"", last=True)
    assert spin(lambda: kept)
    assert spin(lambda: not server._core.connections, 3)
    assert kept[0].isResponseCanceled()
    kept[0].write(b"nobody", b"text/plain")


@pytest.mark.parametrize("ending", [0, 5000])
def test_grace(wire, ending):
    server, kept = QHttpServer(), []
    wire.bind(server)
    server.route("/", Method.Post, lambda request, responder: kept.append(responder))
    upload = wire.upload(length=0)
    upload.send(b"", last=True)
    assert spin(lambda: kept)
    server.close(ending)
    listen(wire.port).close()  # free at once
    server.close(ending)  # harmless
    if ending:
        kept[0].write(b"in time", b"text/plain")
        assert upload.reply().body == b"in time"
    assert spin(lambda: upload.client.closed)
    assert kept[0].isResponseCanceled() == (ending == 0)
    assert spin(lambda: not server._core.connections)


def test_a_streamed_upload_has_its_grace_too(wire):
    server, done, pieces = QHttpServer(), Future(), []

    def handler(request: QHttpServerRequest):
        request.stream().on_data(pieces.append, end=lambda: done.set_result("whole"))
        return done

    wire.bind(server)
    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=8, first=b"some")
    assert spin(lambda: pieces)
    server.close(5000)
    upload.send(b"more", last=True)
    assert upload.reply().body == b"whole"
    assert spin(lambda: not server._core.connections)


# ---- blocks of code


def test_with(qapp):
    with QHttpServer() as server:
        port = bound(server)
        server.route("/", lambda: "text")
        assert ask(port, "/").body == b"text"
        assert server.serverPorts() == [port]
    assert server.serverPorts() == []
    listen(port).close()
    with server:  # and again
        assert server.bind(listen(port))
        assert ask(port, "/").body == b"text"


def test_with_closes_after_an_exception(qapp):
    server = QHttpServer()
    with contextlib.suppress(ZeroDivisionError), server:
        port = bound(server)
        raise ZeroDivisionError
    listen(port).close()


def test_with_a_server_that_was_deleted(qapp):
    with QHttpServer() as server:
        bound(server)
        Shiboken.delete(server)


def test_async_with_waits_for_replies_in_flight(qapp):
    ended = []

    async def main():
        async with QHttpServer() as server:
            late = Future()
            server.route("/", lambda: late)
            client = RawClient(bound(server))
            client.get("/")
            while not server._core.connections:
                await asyncio.sleep(0.001)
            while not next(iter(server._core.connections)).requests.exchanges:
                await asyncio.sleep(0.001)
            QTimer.singleShot(30, lambda: late.set_result("late"))
        ended.append(server._core.connections == set())
        assert client.reply().body == b"late"
        await server.wait_closed()  # harmless
        return client

    task = aio.start(main())
    assert spin(task.done)
    task.result().close()
    assert ended == [True]
    aio.close()


def test_wait_closed_ends_with_the_server(qapp):
    async def main():
        await server.wait_closed()

    server = QHttpServer()
    client = RawClient(bound(server))
    assert spin(lambda: server._core.connections)
    task = aio.start(main())
    QTimer.singleShot(10, server.deleteLater)
    assert spin(task.done)
    client.close()
    aio.close()


# ---- the asyncio loop


async def _late():
    await asyncio.sleep(0.001)
    return "late"


@pytest.mark.parametrize("end", [lambda server: server.close(), Shiboken.delete])
def test_the_loop_goes_with_the_last_server(qapp, end):
    core._open.pop(threading.get_ident(), None)  # servers that other tests left open
    aio.close()
    first, second = QHttpServer(), QHttpServer()
    ports = [bound(first), bound(second)]
    for server in (first, second):
        server.route("/", _late)
    assert [ask(port, "/").body for port in ports] == [b"late"] * 2
    end(first)
    assert eventloop._loops
    assert ask(ports[1], "/").body == b"late"
    end(second)
    assert spin(lambda: not eventloop._loops)
    third = QHttpServer()
    port = bound(third)
    third.route("/", _late)
    assert ask(port, "/").body == b"late"
    third.close()
    assert spin(lambda: not eventloop._loops)


def test_a_loop_the_application_asked_for_stays(qapp):
    aio.close()
    loop = aio.loop()
    server = QHttpServer()
    port = bound(server)
    server.route("/", _late)
    assert ask(port, "/").body == b"late"
    server.close()
    settle()
    assert aio.loop() is loop
    assert not loop.is_closed()
    aio.close()


# ---- nothing is left


def _counts():
    gc.collect()  # what other tests left is gone before it is counted, with what its end posted
    settle()
    gc.collect()
    fds = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    kinds = [getattr(type(thing), "__name__", "") for thing in gc.get_objects()]
    ours = ("Connection", "Exchange", "ServerCore", "Listener", "Http1Engine", "Http2Engine", "QTimer", "QTcpServer")
    return fds, threading.active_count(), {kind: kinds.count(kind) for kind in ours}, len(kinds)


def _reopen(times, port, server):
    for n in range(times):
        tcp = QTcpServer()
        assert tcp.listen(LOCAL, port), (n, tcp.errorString())
        port = tcp.serverPort()
        assert server.bind(tcp)
        assert ask(port, "/late" if n % 10 == 0 else "/").body == b"late"
        server.close()
    return port


def test_a_thousand_times_open_serve_close_reopen(qapp):
    server = QHttpServer()
    server.route("/", lambda: "late")
    server.route("/late", _late)
    port = _reopen(20, 0, server)
    settle()
    before = _counts()
    children = len(server.findChildren(QObject))
    _reopen(1000, port, server)
    settle()
    after = _counts()
    assert after[:2] == before[:2]
    assert all(after[2][kind] <= number for kind, number in before[2].items())
    assert after[3] - before[3] < 200
    assert len(server.findChildren(QObject)) == children
    Shiboken.delete(server)


def test_a_hundred_servers_leave_nothing(qapp):
    def one():
        server = QHttpServer()
        weakref.finalize(server, gone.append, True)
        server.route("/", lambda: "text")
        assert ask(bound(server), "/").body == b"text"
        server.deleteLater()

    gone = []
    one()
    settle()
    before = _counts()
    for _ in range(100):
        one()
    settle()
    after = _counts()
    assert len(gone) == 101
    assert after[:2] == before[:2]
    assert all(after[2][kind] <= number for kind, number in before[2].items())
    assert after[3] - before[3] < 200


# ---- the end of the application, in a process of its own

PROGRAM = """
import asyncio, sys, threading, http.client, warnings
from concurrent.futures import Future
from PySide6.QtCore import QCoreApplication, QObject, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer
from qhttpserver_py import QHttpServer, QHttpServerRequest, aio
warnings.simplefilter("error")
app = {app}([])
server = QHttpServer({parent})
tcp = QTcpServer()
tcp.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
server.bind(tcp)
server.setSlowHandlerThreshold(0)
port = tcp.serverPort()
server.route("/late", lambda: Future())

began = threading.Event()

async def coroutine():
    began.set()
    try:
        await asyncio.sleep(60)
    finally:
        print("coroutine ended")

server.route("/coroutine", coroutine)
server.route("/thread", aio.threaded(lambda: "thread"))
server.route("/quit", lambda: app.quit() or "bye")

def endless():
    while True:
        yield b"x" * 1000

server.route("/endless", endless)

def get(path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return b"cut"
    finally:
        connection.close()

def clients():
    others = [threading.Thread(target=get, args=(path,)) for path in ("/late", "/coroutine", "/endless")]
    for other in others:
        other.start()
    print(get("/thread").decode())
    began.wait(20)
    print(get("/quit").decode())
    for other in others:
        other.join()

thread = threading.Thread(target=clients)
thread.start()
{end}
"""

ENDS = {
    "about_to_quit": "app.aboutToQuit.connect(server.close)\napp.exec()\nthread.join()",
    "finally": "try:\n    app.exec()\nfinally:\n    server.close()\nthread.join()",
    "with": "with server:\n    app.exec()\nthread.join()",
    "nothing": "app.exec()\ndel server\nthread.join()",
    "delete_application": "app.exec()\nimport shiboken6\nserver.close()\nshiboken6.delete(app)\nthread.join()",
    "close_event": (
        "from PySide6.QtWidgets import QWidget\n"
        "class Window(QWidget):\n"
        "    def closeEvent(self, event):\n"
        "        server.close()\n"
        "window = Window()\nwindow.show()\n"
        "app.aboutToQuit.connect(window.close)\n"
        "app.exec()\nthread.join()"
    ),
    "exit_in_main": "app.exec()\nserver.close(1000)\nsys.exit(0)",
}


@pytest.mark.parametrize(
    ("end", "parent"), [(end, parent) for end in ENDS for parent in ("", "app") if end != "nothing" or not parent]
)
def test_the_end_of_a_program(end, parent):
    app = (
        "from PySide6.QtWidgets import QApplication; app = QApplication" if end == "close_event" else "QCoreApplication"
    )
    program = PROGRAM.replace("app = {app}", app if end == "close_event" else "app = QCoreApplication")
    program = program.replace("{parent}", parent).replace("{end}", ENDS[end])
    done = run_program(program, "-X", "dev", seconds=40)
    assert sorted(done.stdout.split()) == ["bye", "coroutine", "ended", "thread"], done.stderr
    assert done.stderr == ""
