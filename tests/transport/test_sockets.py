"""Descriptors are borrowed and given back, whatever the system knows of options."""

from __future__ import annotations

import ast
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtNetwork import QHostAddress, QLocalServer, QLocalSocket, QTcpServer, QTcpSocket

from qhttpserver_py._transport import sockets

from ..support.rawclient import listening, spin

pytestmark = pytest.mark.usefixtures("qapp")

PACKAGE = Path(sockets.__file__).parents[1]
Pair = tuple[QTcpServer, QTcpSocket, QTcpSocket]


@pytest.fixture
def pair() -> Pair:
    server = listening()
    client = QTcpSocket()
    client.connectToHost(QHostAddress(QHostAddress.SpecialAddress.LocalHost), server.serverPort())
    assert spin(server.hasPendingConnections)
    return server, server.nextPendingConnection(), client


def is_open(descriptor: int) -> bool:
    with sockets.borrowed(descriptor) as raw:
        return raw is not None


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


USES: dict[str, Callable[[QTcpServer, QTcpSocket], object]] = {
    "send_at_once": lambda server, _: sockets.send_at_once(server),
    "share_unsent": lambda server, _: sockets.share_unsent(server, 100),
    "interleave": lambda _, accepted: sockets.interleave(accepted),
    "keep_alive": lambda _, accepted: sockets.keep_alive(accepted),
    "unacknowledged": lambda _, accepted: sockets.unacknowledged(accepted),
    "shut_writing": lambda _, accepted: sockets.shut_writing(accepted),
    "break_descriptor": lambda _, accepted: sockets.break_descriptor(int(accepted.socketDescriptor())),
}
OPTIONAL = ["", "TCP_NOTSENT_LOWAT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"]


@pytest.mark.parametrize("missing", OPTIONAL)
@pytest.mark.parametrize("name", USES)
def test_a_borrowed_descriptor_stays_open(pair: Pair, monkeypatch: pytest.MonkeyPatch, name: str, missing: str) -> None:
    server, accepted, _client = pair
    if missing == "TCP_NOTSENT_LOWAT":
        monkeypatch.setattr(sockets, "_UNSENT", None)
    elif missing:
        monkeypatch.delattr(socket, missing, raising=False)
    before = descriptors()
    for _ in range(3):
        USES[name](server, accepted)
    assert descriptors() == before
    assert is_open(int(server.socketDescriptor()))
    assert is_open(int(accepted.socketDescriptor()))
    again = QTcpSocket()
    again.connectToHost(QHostAddress(QHostAddress.SpecialAddress.LocalHost), server.serverPort())
    assert spin(server.hasPendingConnections)


@pytest.mark.parametrize("name", USES)
def test_an_option_the_system_refuses_is_no_error(pair: Pair, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    class Refusing(socket.socket):
        def setsockopt(self, *_: object) -> None:
            raise OSError("not here")

    monkeypatch.setattr(sockets.sockets, "socket", Refusing)
    server, accepted, _ = pair
    USES[name](server, accepted)
    assert is_open(int(server.socketDescriptor()))


def test_a_block_that_raises_gives_the_descriptor_back(pair: Pair) -> None:
    descriptor = int(pair[1].socketDescriptor())
    with pytest.raises(ZeroDivisionError), sockets.borrowed(descriptor):
        raise ZeroDivisionError
    assert is_open(descriptor)


@pytest.mark.parametrize("descriptor", [-1, 1 << 20])
def test_there_is_nothing_to_lend(descriptor: int) -> None:
    with sockets.borrowed(descriptor) as raw:
        assert raw is None


@pytest.mark.skipif(sys.platform == "win32", reason="a named pipe has no socket options")
def test_local_sockets(tmp_path: Path) -> None:
    server = QLocalServer()
    assert server.listen(str(tmp_path / "s"))
    client = QLocalSocket()
    client.connectToServer(server.fullServerName())
    assert spin(server.hasPendingConnections)
    accepted = server.nextPendingConnection()
    sockets.interleave(accepted)
    sockets.keep_alive(accepted)
    assert sockets.unacknowledged(accepted) == 0
    assert sockets.shut_writing(accepted)


class Telling(socket.socket):
    """A socket of a system that has SO_NWRITE."""

    def getsockopt(self, level: int, option: int, *_: int) -> int:  # type: ignore[override]
        assert (level, option) == (socket.SOL_SOCKET, 0x1024)
        return 77


def test_macos_tells_what_it_holds_by_an_option(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets.sys, "platform", "darwin")
    monkeypatch.setattr(sockets.sockets, "socket", Telling)
    assert sockets.unacknowledged(pair[1]) == 77
    assert sockets.held_by_system(-1) == 0


def test_windows_does_not_tell_what_it_holds(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> bytes:
        raise OSError("no ioctl on this system")

    monkeypatch.setattr(sockets, "ioctl", none)
    assert sockets.unacknowledged(pair[1]) == 0


@pytest.mark.parametrize(("platform", "form"), [("win32", "HH"), ("linux", "ii"), ("darwin", "ii")])
def test_the_form_of_linger(platform: str, form: str) -> None:
    assert sys.platform != platform or struct.calcsize(form) == sockets._LINGER.size


def test_a_descriptor_that_was_given_away_is_closed_with_its_socket() -> None:
    one, other = socket.socketpair()
    with other, sockets.adopted(one.detach()) as taken:
        taken.sendall(b"x")
        assert other.recv(1) == b"x"
        descriptor = taken.fileno()
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_only_the_context_manager_borrows_and_one_function_adopts_a_descriptor() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            for node in ast.iter_child_nodes(function):
                for call in ast.walk(node) if isinstance(function, (ast.FunctionDef, ast.Module)) else ():
                    if isinstance(call, ast.Call) and any(word.arg == "fileno" for word in call.keywords):
                        found.append((path.name, getattr(function, "name", "")))
    assert {entry for entry in found if entry[1]} == {("sockets.py", "borrowed"), ("sockets.py", "adopted")}
