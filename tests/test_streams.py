"""Sources of streamed replies: devices, iterators, asynchronous iterators."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import sys

import pytest
from PySide6.QtCore import (
    QBuffer,
    QByteArray,
    QCoreApplication,
    QFile,
    QIODevice,
    QObject,
    QProcess,
)
from PySide6.QtNetwork import QHostAddress, QLocalServer, QLocalSocket, QTcpServer, QTcpSocket
from shiboken6 import isValid

from qhttpserver_py import _device_streams
from qhttpserver_py._streams import AsyncSource, DeviceNotReadable, IteratorSource, SourceFailed, make_source

from .rawclient import nested, settle, wait_until

READ_ONLY = QIODevice.OpenModeFlag.ReadOnly
LIMIT = 65536


pytestmark = pytest.mark.usefixtures("own_loop")


class Reader:
    """Reads a source to its end as an exchange does, or until it raises."""

    def __init__(self, source, limit=LIMIT):
        self.source, self.limit = source, limit
        self.pieces, self.error, self.ended = [], None, False
        source.start(self.pump)
        self.pump()

    def pump(self):
        while not self.finished:
            try:
                piece = self.source.read(self.limit)
            except Exception as error:  # noqa: BLE001 - as an exchange does
                self.error = error
                self.source.close()
                return
            if piece is None:
                return
            assert len(piece) <= self.limit
            if not piece:
                self.ended = True
                self.source.close()
                return
            self.pieces.append(piece)

    @property
    def finished(self):
        return self.ended or self.error is not None

    @property
    def data(self):
        return b"".join(self.pieces)

    def wait(self, timeout=5.0):
        wait_until(lambda: self.finished, timeout)
        return self


# ---- what is a source


@pytest.mark.parametrize("result", [None, 3, "text", b"bytes", [b"a"], {"a": 1}, object(), (b"a",), range(3)])
def test_other_things_are_no_source(result):
    assert make_source(result) is None


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], b""),
        ([b"a", b"bc"], b"abc"),
        (["ä", "b"], "äb".encode()),
        ([bytearray(b"a"), memoryview(b"b"), QByteArray(b"c")], b"abc"),
        ([b"", b"a", "", b"b"], b"ab"),
        ([b"x" * 200_000, b"y"], b"x" * 200_000 + b"y"),
    ],
)
def test_iterators_are_read_to_their_end(items, expected):
    reader = Reader(make_source(iter(items)))
    assert reader.ended
    assert reader.data == expected
    assert reader.source.size is None


def test_many_empty_items_leave_qt_its_turns():
    items = (b"" if n < 1000 else b"end" for n in range(1001))
    reader = Reader(make_source(items))
    assert not reader.finished
    assert reader.wait().data == b"end"


@pytest.mark.parametrize("mode", ["rb", "r"])
def test_python_files_are_read_and_closed(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"line\n" * 40_000)
    file = path.open(mode)
    reader = Reader(make_source(file))
    assert reader.data == b"line\n" * 40_000
    assert file.closed


def test_a_python_buffer_is_closed_when_the_peer_leaves():
    file = io.BytesIO(b"abc")
    make_source(file).close()
    assert file.closed


# ---- iterators


def test_a_generator_is_not_read_ahead():
    made = []

    def items():
        for n in range(3):
            made.append(n)
            yield b"x"

    source = make_source(items())
    source.start(lambda: None)
    assert not made
    assert source.read(LIMIT) == b"x"
    assert made == [0]
    source.close()


def test_closing_closes_a_generator():
    ended = []

    def items():
        try:
            yield b"x"
            yield b"y"
        finally:
            ended.append(True)

    source = make_source(items())
    source.read(LIMIT)
    source.close()
    source.close()
    assert ended == [True]
    assert source.read(LIMIT) == b""


def test_an_exception_of_a_generator_comes_out_of_read():
    def items():
        yield b"x"
        raise ValueError("mine")

    reader = Reader(make_source(items()))
    assert str(reader.error) == "mine"
    assert reader.data == b"x"


def test_an_item_that_is_no_bytes_closes_the_generator():
    ended = []

    def items():
        try:
            yield 3
        finally:
            ended.append(True)

    reader = Reader(make_source(items()))
    assert isinstance(reader.error, TypeError)
    assert "int" in str(reader.error)
    assert ended


def test_an_exception_on_closing_is_reported(reported):
    def items():
        try:
            yield b"x"
        finally:
            raise ValueError("closing")

    source = make_source(items())
    source.read(LIMIT)
    source.close()
    assert [str(error) for error in reported] == ["closing"]


def test_closing_from_inside_the_generator_waits_for_it():
    ended = []

    def items():
        try:
            source.close()  # the peer left during a nested event loop
            assert source.read(LIMIT) in (b"", None)
            yield b"late"
            ended.append("went on")
        finally:
            ended.append("closed")

    source = make_source(items())
    assert source.read(LIMIT) == b""
    assert ended == ["closed"]


def test_reading_from_inside_the_generator_gives_nothing():
    seen = []

    def items():
        seen.append(source.read(LIMIT))
        yield b"x"

    source = make_source(items())
    assert source.read(LIMIT) == b"x"
    assert seen == [None]


# ---- asynchronous iterators


async def numbers(count=3, delay=0.001):
    for n in range(count):
        await asyncio.sleep(delay)
        yield str(n)


def test_an_async_generator_is_read_to_its_end():
    reader = Reader(make_source(numbers())).wait()
    assert reader.ended
    assert reader.data == b"012"


def test_a_long_item_of_an_async_generator_is_cut():
    async def items():
        yield b"x" * 200_000
        yield b""
        yield b"y"

    assert Reader(make_source(items())).wait().data == b"x" * 200_000 + b"y"


def test_an_async_iterable_is_enough():
    class Items:
        def __aiter__(self):
            return numbers(2)

    assert Reader(make_source(Items())).wait().data == b"01"


def test_an_async_generator_is_one_item_ahead_at_most():
    made = []

    async def items():
        for n in range(10):
            made.append(n)
            yield b"x"

    source = make_source(items())
    ready = []
    source.start(lambda: ready.append(1))
    wait_until(lambda: ready)
    for _ in range(5):
        QCoreApplication.processEvents()
    assert made == [0]
    assert source.read(LIMIT) == b"x"
    assert source.read(LIMIT) is None
    wait_until(lambda: len(ready) == 2)
    assert made == [0, 1]
    source.close()


@pytest.mark.parametrize("taken", [False, True])
def test_closing_ends_an_async_generator(taken):
    ended = []

    async def items():
        try:
            yield b"x"
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    source = make_source(items())
    ready = []
    source.start(lambda: ready.append(1))
    wait_until(lambda: ready)
    if taken:
        source.read(LIMIT)
        for _ in range(5):
            QCoreApplication.processEvents()
    source.close()
    source.close()
    wait_until(lambda: ended)
    assert source.read(LIMIT) == b""
    assert len(ready) == 1


def test_an_async_generator_that_was_never_started_is_closed_silently():
    make_source(numbers()).close()


@pytest.mark.parametrize(("item", "kind"), [(None, ValueError), (3, TypeError)])
def test_an_exception_of_an_async_generator_comes_out_of_read(item, kind, reported):
    async def items():
        yield b"x"
        if item is None:
            raise ValueError
        yield item

    reader = Reader(make_source(items())).wait()
    assert isinstance(reader.error, kind)
    assert reader.data == b"x"
    assert not reported


# ---- random access devices


def buffer(data=b"0123456789"):
    made = QBuffer()
    made.setData(data)
    return made


def test_an_unopened_buffer_is_opened_and_deleted_when_read():
    device = buffer()
    source = make_source(device)
    assert source.size == 10
    reader = Reader(source)
    assert reader.data == b"0123456789"
    assert reader.ended
    settle()
    assert not isValid(device)


def test_an_empty_device_has_size_0():
    source = make_source(buffer(b""))
    assert source.size == 0
    assert Reader(source).data == b""


def test_a_device_is_read_from_its_position():
    device = buffer()
    device.open(READ_ONLY)
    device.seek(3)
    source = make_source(device)
    assert source.size == 7
    assert Reader(source).data == b"3456789"


def test_a_file_is_read_in_pieces(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(500_000))
    reader = Reader(make_source(QFile(str(path))), limit=1_000_000)
    assert reader.data == path.read_bytes()
    assert max(map(len, reader.pieces)) == 131_072


def test_the_parent_is_removed():
    parent = QObject()
    device = buffer()
    device.setParent(parent)
    source = make_source(device)
    assert device.parent() is None
    del parent
    assert Reader(source).data == b"0123456789"


def test_a_device_nobody_else_holds_lives_as_long_as_it_is_read():
    source = make_source(buffer())
    gc.collect()
    assert Reader(source).data == b"0123456789"


def test_closing_deletes_the_device():
    device = buffer()
    source = make_source(device)
    source.close()
    source.close()
    assert not device.isOpen()
    settle()
    assert not isValid(device)
    assert source.read(LIMIT) == b""


def test_a_growing_file_gives_what_was_announced(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a" * 1000)
    source = make_source(QFile(str(path)))
    with path.open("ab") as more:
        more.write(b"b" * 1000)
    assert source.size == 1000
    assert Reader(source).data == b"a" * 1000


def test_a_shrinking_file_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a" * 100_000)
    source = make_source(QFile(str(path)))
    os.truncate(path, 10_000)
    reader = Reader(source)
    assert isinstance(reader.error, SourceFailed)
    assert len(reader.data) < 100_000


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_file_that_says_it_is_empty_is_read_to_its_end():
    source = make_source(QFile("/proc/self/status"))
    assert source.size is None
    assert b"VmRSS" in Reader(source).data


class Lying(QIODevice):
    def __init__(self, size, data, error=None):
        super().__init__()
        self._size, self._data, self._error = size, data, error

    def size(self):
        return self._size

    def readData(self, length):
        if not self._data and self._error is not None:
            raise self._error
        piece, self._data = self._data[:length], self._data[length:]
        return piece

    def writeData(self, data, length=0):
        return -1


@pytest.mark.parametrize("error", [None, ValueError("mine")])
def test_a_device_that_has_less_than_it_says_fails(error):
    source = make_source(Lying(100, b"x" * 60, error))
    assert source.size == 100
    reader = Reader(source)
    assert reader.error is not None
    assert len(reader.data) < 100


def test_a_device_that_has_more_than_it_says_gives_what_it_said():
    assert Reader(make_source(Lying(100, b"x" * 200))).data == b"x" * 100


@pytest.mark.parametrize("end", [lambda device: device.close(), lambda device: (device.deleteLater(), settle())])
def test_a_device_that_is_taken_away_fails(end):
    device = buffer()
    source = make_source(device)
    source.read(3)
    end(device)
    with pytest.raises(SourceFailed):
        source.read(3)
    source.close()


def test_a_device_in_text_mode_announces_no_size():
    device = buffer(b"a\r\nb\r\n")
    device.open(READ_ONLY | QIODevice.OpenModeFlag.Text)
    source = make_source(device)
    assert source.size is None
    assert Reader(source).data == b"a\nb\n"


def write_only():
    device = buffer()
    device.open(QIODevice.OpenModeFlag.WriteOnly)
    return device


@pytest.mark.parametrize("make", [lambda: QFile("/nonexistent/file"), lambda: QFile("/"), QFile, write_only])
def test_a_device_that_cannot_be_read_is_refused_and_deleted(make):
    device = make()
    with pytest.raises(DeviceNotReadable):
        make_source(device)
    settle()
    assert not isValid(device)


def test_an_exception_of_an_overridden_close_is_reported(reported):
    class Bad(QBuffer):
        def close(self):
            raise ValueError("closing")

    device = Bad()
    device.setData(b"x")
    make_source(device).close()
    assert [str(error) for error in reported] == ["closing"]
    settle()
    assert not isValid(device)


# ---- sequential devices


class Feed(QIODevice):
    """A live device: told of data by readyRead, as one of Qt's."""

    def __init__(self, data=b""):
        super().__init__()
        self.buffer = bytearray(data)

    def isSequential(self):
        return True

    def bytesAvailable(self):
        return len(self.buffer) + super().bytesAvailable()

    def readData(self, length):
        piece = bytes(self.buffer[:length])
        del self.buffer[:length]
        return piece

    def writeData(self, data, length=0):
        return -1

    def feed(self, data):
        self.buffer += data
        self.readyRead.emit()


class KnowsItsEnd(Feed):
    over = False

    def atEnd(self):
        return self.over and not self.bytesAvailable()


def test_what_is_there_at_the_start_is_read():
    device = Feed(b"first")
    reader = Reader(make_source(device))
    assert reader.source.size is None
    assert reader.data == b"first"
    device.feed(b" second")
    device.feed(b" third")
    assert reader.data == b"first second third"
    assert not reader.ended
    device.readChannelFinished.emit()
    assert reader.ended
    settle()
    assert not isValid(device)


@pytest.mark.parametrize(
    "end",
    [
        lambda device: device.readChannelFinished.emit(),
        lambda device: device.close(),
        lambda device: (device.deleteLater(), settle()),
    ],
    ids=["readChannelFinished", "close", "destroyed"],
)
@pytest.mark.parametrize("before", [b"", b"data"])
def test_the_ends_of_a_sequential_device(end, before):
    device = Feed(b"")
    reader = Reader(make_source(device))
    if before:
        device.feed(before)
    assert not reader.finished
    end(device)
    reader.wait()
    assert reader.ended
    assert reader.data == before


def test_a_device_that_ended_before_it_is_read_gives_what_it_has():
    device = Feed(b"data")
    source = make_source(device)
    device.readChannelFinished.emit()
    assert Reader(source).data == b"data"


def test_what_a_device_still_had_when_it_was_closed_is_not_lost():
    device = Feed(b"one two")
    source = make_source(device)
    source.start(lambda: None)
    assert source.read(3) == b"one"
    device.close()
    reader = Reader(source)
    assert reader.ended
    assert reader.data == b" two"


def test_a_device_that_knows_its_end_is_believed():
    device = KnowsItsEnd(b"data")
    reader = Reader(make_source(device))
    assert not reader.ended
    device.over = True
    device.feed(b" more")
    assert reader.ended
    assert reader.data == b"data more"


def test_a_device_that_is_at_its_end_already_is_read_to_it():
    device = KnowsItsEnd(b"data")
    device.over = True
    reader = Reader(make_source(device), limit=2)
    assert reader.ended
    assert reader.data == b"data"


class Pulled(Feed):
    """A device that makes its data when asked, and never emits a signal."""

    def bytesAvailable(self):
        return QIODevice.bytesAvailable(self)


@pytest.mark.parametrize("kind", [Feed, Pulled])
def test_a_device_that_never_speaks_up_ends_after_a_while(kind):
    reader = Reader(make_source(kind(b"x" * 100_000)))
    assert not reader.ended
    assert reader.wait().data == b"x" * 100_000
    assert reader.ended


def test_a_device_that_spoke_up_is_waited_for(monkeypatch):
    monkeypatch.setattr(_device_streams, "GRACE_MS", 20)
    device = Feed(b"first")
    reader = Reader(make_source(device))
    device.feed(b" second")
    nested(60)
    assert not reader.finished
    reader.source.close()


def test_a_read_error_breaks_the_stream():
    device = Feed(b"data")
    reader = Reader(make_source(device))
    device.setErrorString("disk on fire")
    device.readChannelFinished.emit()
    assert isinstance(reader.error, SourceFailed)
    assert "disk on fire" in str(reader.error)


def test_an_error_before_closing_breaks_the_stream():
    device = Feed(b"data")
    reader = Reader(make_source(device))
    device.setErrorString("disk on fire")
    device.close()
    reader.wait()
    assert "disk on fire" in str(reader.error)


def test_closing_a_sequential_source_is_quiet():
    device = Feed(b"data")
    calls = []
    source = make_source(device)
    source.start(lambda: calls.append(1))
    assert source.read(2) == b"da"
    source.close()
    source.close()
    settle()
    assert not isValid(device)
    assert not calls
    assert source.read(LIMIT) == b""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipe")
def test_a_pipe_is_read_to_its_end():
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    device = QFile()
    device.open(reading, READ_ONLY, QFile.FileHandleFlag.AutoCloseHandle)
    reader = Reader(make_source(device))
    assert reader.ended
    assert reader.data == b"piped"


# ---- processes


def process(code, started=True):
    made = QProcess()
    made.setProgram(sys.executable)
    made.setArguments(["-c", code])
    if started:
        made.start()
    return made


PRINTS = "import time; print('one', flush=True); time.sleep(0.05); print('two')"


@pytest.mark.parametrize("started", [True, False])
def test_a_process_is_read_until_it_ends(started):
    device = process(PRINTS, started)
    reader = Reader(make_source(device)).wait(20)
    assert reader.ended
    assert reader.data.split() == [b"one", b"two"]
    settle()
    assert not isValid(device)


def test_a_process_that_has_ended_gives_what_it_printed():
    device = process("print('done')")
    assert device.waitForFinished(20_000)
    assert Reader(make_source(device)).data.strip() == b"done"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_the_output_of_a_process_waits_in_its_pipe():
    device = process("import sys; sys.stdout.write('x' * 20_000_000)")
    source = make_source(device)
    wait_until(lambda: source._held, 20)
    nested(50)
    assert device.bytesAvailable() < 1_000_000
    reader = Reader(source).wait(20)
    assert reader.ended
    assert len(reader.data) == 20_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_process_that_is_held_back_is_killed_all_the_same(qtlog):
    device = process("import sys; sys.stdout.write('x' * 20_000_000)")
    source = make_source(device)
    wait_until(lambda: source._held, 20)
    source.close()
    wait_until(lambda: not isValid(device))
    assert not qtlog.records


def test_a_process_that_crashes_breaks_the_stream():
    code = "import os, signal; print('one', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    reader = Reader(make_source(process(code))).wait(20)
    assert isinstance(reader.error, SourceFailed)


def test_a_program_that_does_not_exist_breaks_the_stream():
    device = QProcess()
    device.setProgram("/nonexistent/program")
    try:
        source = make_source(device)
    except DeviceNotReadable:
        return
    assert isinstance(Reader(source).wait().error, SourceFailed)


def test_a_running_process_is_killed_quietly(qtlog):
    device = process("import time; print('x', flush=True); time.sleep(60)")
    reader = Reader(make_source(device))
    wait_until(lambda: reader.pieces, 20)
    reader.source.close()
    wait_until(lambda: not isValid(device))
    assert not _device_streams._dying
    assert not qtlog.records


def test_processes_still_dying_at_exit_are_waited_for(qtlog):
    device = process("import time; time.sleep(60)")
    assert device.waitForStarted()
    make_source(device).close()
    _device_streams._await_dying()
    assert not _device_streams._dying
    settle()
    assert not isValid(device)
    assert not qtlog.records


# ---- sockets


def test_a_tcp_socket_is_read_until_its_peer_closes():
    server = QTcpServer()
    assert server.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    socket = QTcpSocket()
    socket.connectToHost(server.serverAddress(), server.serverPort())
    wait_until(server.hasPendingConnections)
    peer = server.nextPendingConnection()
    wait_until(lambda: socket.state() == QTcpSocket.SocketState.ConnectedState)
    reader = Reader(make_source(socket))
    assert socket.readBufferSize() == 262_144
    peer.write(b"one ")
    wait_until(lambda: reader.data == b"one ")
    peer.write(b"two")
    peer.disconnectFromHost()
    assert reader.wait().ended
    assert reader.data == b"one two"


def test_a_local_socket_is_read_until_its_peer_closes():
    server = QLocalServer()
    assert server.listen(f"streams-{os.getpid()}")
    socket = QLocalSocket()
    socket.connectToServer(server.fullServerName())
    wait_until(server.hasPendingConnections)
    peer = server.nextPendingConnection()
    reader = Reader(make_source(socket))
    peer.write(b"local")
    peer.disconnectFromServer()
    assert reader.wait().ended
    assert reader.data == b"local"
    server.close()


def test_the_classes_are_what_they_say():
    assert isinstance(make_source(iter([])), IteratorSource)
    source = make_source(numbers())
    assert isinstance(source, AsyncSource)
    source.close()
