"""A large reply must not hold up a small one on the same HTTP/2 connection."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QEventLoop, QTimer

from qhttpserver_py import QHttpServer
from qhttpserver_py._exchange.pump import HIGH_WATER

from ..support.h2client import Http2Client
from ..support.rawclient import RawClient, bound, spin

pytestmark = pytest.mark.usefixtures("qapp")

LARGE = 64 << 20


def test_a_dialog_in_a_handler_does_not_stop_the_other_streams() -> None:
    server = QHttpServer()
    loop = QEventLoop()
    server.route("/dialog", lambda: loop.exec() or "closed")
    server.route("/other", lambda: "other")
    client = Http2Client(bound(server))

    def behind_the_dialog() -> None:
        assert loop.isRunning()
        client.get(3, b"/other")
        client.wait_for(3)
        loop.quit()

    QTimer.singleShot(100, behind_the_dialog)
    client.get(1, b"/dialog")
    client.wait_for(1, 3)
    assert client.ended == [3, 1]


@pytest.mark.parametrize("kind", ["bytes", "device"])
def test_small_reply_overtakes_a_large_one(kind: str, tmp_path: Any) -> None:
    server = QHttpServer()
    if kind == "bytes":
        body = bytes(LARGE)
        server.route("/large", lambda: body)
    else:
        path = tmp_path / "large"
        path.write_bytes(bytes(LARGE))
        server.route("/large", lambda: path.open("rb"))
    server.route("/small", lambda: "small")
    client = Http2Client(bound(server))
    client.get(1, b"/large")

    def begun() -> bool:
        client.step()
        return bool(client.order)

    assert spin(begun)
    client.get(3, b"/small")
    client.wait_for(1, 3)
    assert client.ended == [3, 1]
    before = sum(size for stream, size in client.order[: [s for s, _ in client.order].index(3)] if stream == 1)
    assert before < LARGE // 2  # what the system had buffered already, and no more
    assert sum(size for stream, size in client.order if stream == 1) == LARGE


def test_a_long_stream_leaves_the_event_loop_its_turns() -> None:
    """Also where the system takes all it is given: Qt tells of that inside the very call that gave it."""
    server, turns = QHttpServer(), [0]

    def pieces() -> Any:
        for _ in range(1024):
            turns[-1] += 1
            yield bytes(16384)

    server.route("/long", pieces)
    client = RawClient(bound(server))
    timer = QTimer()
    timer.timeout.connect(lambda: turns.append(0))
    timer.start(0)
    client.get("/long")
    assert len(client.reply().body) == 1024 * 16384
    timer.stop()
    assert sum(turns) == 1024
    assert max(turns) <= 3 * HIGH_WATER // 16384
