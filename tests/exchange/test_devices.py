"""Sources of streamed replies that are devices: files, pipes, processes, sockets."""

from __future__ import annotations

import gc
import os
import sys

import pytest
from PySide6.QtCore import QBuffer, QFile, QIODevice, QObject, QProcess
from PySide6.QtNetwork import QHostAddress, QLocalServer, QLocalSocket, QTcpServer, QTcpSocket
from shiboken6 import isValid

from qhttpserver_py._exchange import devices
from qhttpserver_py._exchange.streams import DeviceNotReadable, SourceFailed, make_source

from ..support.rawclient import nested, settle, wait_until
from ..support.sourcereader import LIMIT, Reader

READ_ONLY = QIODevice.OpenModeFlag.ReadOnly

pytestmark = pytest.mark.usefixtures("own_loop")


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


def test_a_device_without_another_reference_is_kept_while_it_is_read():
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
def test_a_file_of_size_zero_is_read_to_its_end():
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
def test_a_device_that_has_less_than_its_size_fails(error):
    source = make_source(Lying(100, b"x" * 60, error))
    assert source.size == 100
    reader = Reader(source)
    assert reader.error is not None
    assert len(reader.data) < 100


def test_a_device_that_has_more_than_its_size_gives_its_size():
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


def test_a_device_that_signals_its_end_ends_the_reply():
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
def test_a_device_without_signals_ends_after_a_while(kind):
    reader = Reader(make_source(kind(b"x" * 100_000)))
    assert not reader.ended
    assert reader.wait().data == b"x" * 100_000
    assert reader.ended


def test_a_device_that_spoke_up_is_waited_for(monkeypatch):
    monkeypatch.setattr(devices, "GRACE_MS", 20)
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
    assert not devices._ending
    assert not qtlog.records


def test_processes_still_dying_at_exit_are_waited_for(qtlog):
    device = process("import time; time.sleep(60)")
    assert device.waitForStarted()
    make_source(device).close()
    devices._wait_for_ended()
    assert not devices._ending
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
