"""Request bodies saved to devices as they arrive, over HTTP/1.1 and HTTP/2, in the clear and over TLS."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future
from pathlib import Path

import pytest
from PySide6.QtCore import QBuffer, QFile, QIODevice, QObject, QProcess, QSaveFile
from PySide6.QtNetwork import QHostAddress, QTcpServer, QTcpSocket

from qhttpserver_py import QHttpServerRequest
from qhttpserver_py._content.body import HIGH_WATER

from ..support.rawclient import reported, spin
from ..support.uploads import PROTOCOLS, fixtures, until_still

Method = QHttpServerRequest.Method
MEGABYTE = bytes(range(256)) * 4096


wire, server = fixtures(*PROTOCOLS)


def test_save_to_files(wire, server, tmp_path):
    def handler(kind: str, request: QHttpServerRequest):
        target = str(tmp_path / kind)
        return request.stream().save_to(QFile(target) if kind == "file" else QSaveFile(target))

    server.route("/<arg>", Method.Post, handler, stream=True)
    for kind in ("file", "save"):
        upload = wire.upload("/" + kind, length=len(MEGABYTE) * 2)
        upload.send(2 * MEGABYTE, last=True)
        reply = upload.reply()
        assert (reply.status, reply.body) == (200, b"")
        assert (tmp_path / kind).read_bytes() == 2 * MEGABYTE


def test_a_coroutine_awaits_a_saved_body(wire, server, tmp_path):
    async def handler(request: QHttpServerRequest):
        stream = request.stream()
        await asyncio.wrap_future(stream.save_to(QFile(str(tmp_path / "file"))))
        return {"size": stream.bytesReceived()}, 201

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=10)
    upload.send(b"0123456789", last=True)
    reply = upload.reply()
    assert (reply.status, reply.body) == (201, b'{"size":10}')


def test_an_open_device_stays_open(wire, server):
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    buffer.write(b"before ")
    server.route("/", Method.Post, lambda request: request.stream().save_to(buffer), stream=True)
    upload = wire.upload(length=4, first=b"body")
    upload.send(b"", last=True)
    assert upload.reply().status == 200
    assert buffer.isOpen()
    assert bytes(buffer.data().data()) == b"before body"


def test_a_save_file_leaves_nothing_of_an_upload_that_breaks_off(wire, server, tmp_path):
    futures = []

    def handler(request: QHttpServerRequest):
        futures.append(request.stream().save_to(QSaveFile(str(tmp_path / "file"))))
        return futures[0]

    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=1000, first=b"some")
    assert spin(lambda: futures)
    upload.leave()
    assert spin(futures[0].done)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    sys.platform == "win32" or not Path("/dev/full").exists(),
    reason="needs /dev/full, which Wine maps to something else",
)
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_full_disk(wire, server, size):
    server.route("/", Method.Post, lambda request: request.stream().save_to(QFile("/dev/full")), stream=True)
    with reported() as errors:
        upload = wire.upload(length=size)
        upload.send(b"x" * size, last=True)
        assert upload.reply().status == 500
    assert [type(error) for error in errors] == [OSError]
    assert "space" in str(errors[0])


@pytest.mark.parametrize("prepare", ["missing", "read-only", "deleted"])
def test_devices_that_cannot_be_written(wire, server, tmp_path, prepare):
    device = QFile(str(tmp_path / "none" / "file"))
    if prepare == "read-only":
        device = QBuffer()
        device.open(QIODevice.OpenModeFlag.ReadOnly)
    owner = [QObject()]
    if prepare == "deleted":
        device = QBuffer(owner[0])

    def handler(request: QHttpServerRequest):
        saved = request.stream().save_to(device)
        owner.clear()
        return saved

    server.route("/", Method.Post, handler, stream=True)
    with reported() as errors:
        upload = wire.upload(length=4, first=b"some")
        upload.send(b"", last=True)
        assert upload.reply().status == 500
    assert [type(error) for error in errors] == [OSError]


def test_a_slow_device_holds_the_peer_back(wire, server):
    reader = QTcpServer()
    assert reader.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    device = QTcpSocket()
    device.connectToHost(reader.serverAddress(), reader.serverPort())
    assert spin(reader.hasPendingConnections)
    other = reader.nextPendingConnection()
    other.setReadBufferSize(1024)
    taken, streams = [], []

    def handler(request: QHttpServerRequest):
        streams.append(request.stream())
        return streams[0].save_to(device)

    server.route("/", Method.Post, handler, stream=True)
    size = 24 * len(MEGABYTE)
    upload = wire.upload(length=size)
    upload.send(24 * MEGABYTE, last=True)
    until_still(upload)
    received = streams[0].bytesReceived()
    assert received < size
    assert device.bytesToWrite() <= 2 * HIGH_WATER
    other.setReadBufferSize(0)
    other.readyRead.connect(lambda: taken.append(other.readAll().size()))
    taken.append(other.readAll().size())
    assert upload.reply().status == 200
    assert spin(lambda: sum(taken) == size)
    device.abort()


def test_a_process_takes_a_body(wire, server):
    process = QProcess()
    process.setProgram(sys.executable)
    process.setArguments(["-c", "import sys; print(len(sys.stdin.buffer.read()))"])

    def handler(request: QHttpServerRequest):
        done = Future()
        saved = request.stream().save_to(process)
        saved.add_done_callback(lambda _: process.closeWriteChannel())
        process.finished.connect(lambda *_: done.set_result(bytes(process.readAllStandardOutput().data()).strip()))
        return done

    process.start()
    assert process.waitForStarted()
    server.route("/", Method.Post, handler, stream=True)
    upload = wire.upload(length=len(MEGABYTE))
    upload.send(MEGABYTE, last=True)
    assert upload.reply().body == b"%d" % len(MEGABYTE)
