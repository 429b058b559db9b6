"""Much of it: transfers larger than the memory they may cost, and hundreds of listeners that are killed."""

from __future__ import annotations

import gc
import random
import shutil
import sys
import weakref
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Signal

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.sse import EventStream
from qhttpserver_py.testing.tls import TlsAuthority

from ..support.rawclient import settle, spin
from ..support.uploads import Wire
from .transfers import PROTOCOLS as LARGE
from .transfers import serving

Method = QHttpServerRequest.Method
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def transfers(tmp_path_factory):
    if sys.platform != "linux" or shutil.which("curl") is None:
        pytest.skip("needs curl and /proc")
    with serving(tmp_path_factory.mktemp("large"), 64 * MEGABYTE) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["file", "generated", "upload"])
@pytest.mark.parametrize("protocol", LARGE)
def test_the_server_does_not_grow(transfers, protocol, direction):
    assert transfers.measure(protocol, direction).grown < 20 * MEGABYTE


class Job(QObject):
    progress = Signal(int)


LISTENERS, EVENTS = 200, 100


class Listeners:
    """Clients of one stream of events, over connections of their own or 50 on one."""

    def __init__(self, wire):
        self.wire = wire
        self.uploads = []
        client = None
        for n in range(LISTENERS):
            if not wire.http2 or n % 50 == 0:
                client = wire.client()
            upload = wire.upload("/", 0, method="GET", client=client)
            upload.send(b"", last=True)
            self.uploads.append(upload)

    def text(self, upload):
        return upload.body if self.wire.http2 else upload.client.received

    def kill(self, upload):
        self.uploads.remove(upload)
        upload.leave()


def open_files():
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_two_hundred_listeners(qapp, protocol):
    server, wire, job = QHttpServer(), Wire(protocol, TlsAuthority()), Job()
    wire.bind(server)
    gone, made = [], []

    def handler():
        stream = EventStream(limit=10_000)
        stream.connect(job.progress)
        weakref.finalize(stream, gone.append, True)
        made.append(True)
        return stream

    server.route("/", Method.Get, handler)
    warm = wire.upload("/", 0, method="GET")
    warm.send(b"", last=True)
    assert spin(lambda: made)
    wire.close()
    assert spin(lambda: (gc.collect(), gone)[1])
    before = open_files()

    listeners = Listeners(wire)
    assert spin(lambda: len(made) == LISTENERS + 1)
    chance = random.Random(9)
    for number in range(EVENTS):
        job.progress.emit(number)
        if number >= EVENTS // 2:
            for upload in chance.sample(listeners.uploads, 2):
                listeners.kill(upload)
        spin(lambda: True)
    assert len(listeners.uploads) == LISTENERS - EVENTS
    last = b"data: %d\n\n" % (EVENTS - 1)
    assert spin(lambda: all(last in listeners.text(upload) for upload in listeners.uploads))
    numbers = [b"data: %d" % n for n in range(EVENTS)]
    for upload in listeners.uploads:
        lines = listeners.text(upload).splitlines()
        assert [line for line in lines if line.startswith(b"data: ")] == numbers
    while listeners.uploads:
        listeners.kill(listeners.uploads[0])
    wire.close()
    assert spin(lambda: (gc.collect(), len(gone) == LISTENERS + 1)[1])
    assert spin(lambda: (settle(), open_files() <= before)[1])
    assert spin(lambda: not server._core.connections)
    server.close()
