"""What the connections of a server share: its thread, and what it remembers of peers."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import Qt, QThread, QTimer

from qhttpserver_py import QHttpServer
from qhttpserver_py._qt import log
from qhttpserver_py._transport.core import MAXIMUM_NAMED

from ..support.rawclient import RawClient, bound, logged, spin

pytestmark = pytest.mark.usefixtures("qapp")


def test_a_server_that_was_moved_belongs_to_its_new_thread() -> None:
    server, thread = QHttpServer(), QThread()
    server.moveToThread(thread)
    with pytest.raises(RuntimeError, match="another thread"):
        server.route("/", lambda: "x")
    done: list[object] = []

    def inside() -> None:
        try:
            done.append(server.route("/", lambda: "x"))
        except RuntimeError as error:
            done.append(error)
        server.moveToThread(home)

    home = QThread.currentThread()
    thread.started.connect(inside, type=Qt.ConnectionType.DirectConnection)
    thread.start()
    assert spin(lambda: done)
    thread.quit()
    thread.wait()
    assert done == [True]
    server.route("/here", lambda: "y")


def test_connections_made_before_a_move_are_closed_and_new_ones_served_in_the_new_thread() -> None:
    server, thread, home = QHttpServer(), QThread(), QThread.currentThread()
    served: list[QThread] = []
    server.route("/", lambda: served.append(QThread.currentThread()) or "x")
    port, moved_back = bound(server), []
    thread.start()

    def back() -> None:
        server.moveToThread(home)
        moved_back.append(True)

    def ask_twice() -> RawClient:
        client = RawClient(port)
        for _ in range(2):
            client.get("/")
            assert client.reply().status == 200
        return client

    with logged() as lines:
        before = ask_twice()
        server.moveToThread(thread)
        assert before.wait_closed()
        inside = ask_twice()
        QTimer.singleShot(0, server, back)
        assert spin(lambda: moved_back)
        assert inside.wait_closed()
        ask_twice()
    thread.quit()
    thread.wait()
    assert [found is home for found in served] == [True, True, False, False, True, True]
    assert [text for *_, text in lines] == ["The server moves to another thread; connections closed: 1"] * 2


def test_the_server_shows_no_timer_of_its_own() -> None:
    server = QHttpServer()
    server.route("/", lambda: "x")
    client = RawClient(bound(server))
    client.get("/")
    assert client.reply().status == 200
    assert server._core.connections
    assert server.findChildren(QTimer) == []


def test_another_thread_is_refused() -> None:
    server, raised = QHttpServer(), []

    def call() -> None:
        try:
            server.route("/", lambda: "x")
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(5)
    assert len(raised) == 1


def test_made_up_methods_do_not_fill_a_memory() -> None:
    server = QHttpServer()
    server.setSlowHandlerThreshold(1)
    server._core.slow_after = -1.0
    server.setMissingHandler(server, lambda request, responder: responder.write(404))
    client = RawClient(bound(server))
    with logged():
        for number in range(MAXIMUM_NAMED + 20):
            client.get("/", method=f"M{number}")
            client.reply()
    assert len(server._core._slow) <= MAXIMUM_NAMED
    server.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é", "plain é"),
        ("a\nqt.httpserver: forged", "a\\x0aqt.httpserver: forged"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
    ],
)
def test_a_peer_writes_no_line_of_the_log(text: str, shown: str) -> None:
    assert log.one_line(text) == shown
    with logged() as lines:
        log.warning(log.SERVER, text)
    assert [line for _, _, line in lines] == [shown]
