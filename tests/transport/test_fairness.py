"""A large reply must not hold up a small one on the same HTTP/2 connection."""

from __future__ import annotations

from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from PySide6.QtCore import QEventLoop, QTimer

from qhttpserver_py import QHttpServer
from qhttpserver_py._exchange.pump import HIGH_WATER

from ..support.rawclient import RawClient, bound, spin

pytestmark = pytest.mark.usefixtures("qapp")

LARGE = 64 << 20
WIDE = (1 << 31) - 1


class Http2Client:
    """h2's client on a raw connection, with windows that hold nothing back."""

    def __init__(self, port: int) -> None:
        self.raw = RawClient(port)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self.h2.initiate_connection()
        self.h2.update_settings({4: WIDE})
        self.h2.increment_flow_control_window(WIDE - 65535)
        self.order: list[tuple[int, int]] = []
        self.ended: list[int] = []
        self.flush()

    def flush(self) -> None:
        self.raw.send(self.h2.data_to_send())

    def get(self, stream_id: int, path: bytes) -> None:
        fields = [(b":method", b"GET"), (b":path", path), (b":scheme", b"http"), (b":authority", b"x")]
        self.h2.send_headers(stream_id, fields, end_stream=True)
        self.flush()

    def step(self) -> None:
        data, self.raw.received = self.raw.received, b""
        for event in self.h2.receive_data(data) if data else ():
            if isinstance(event, h2.events.DataReceived):
                self.order.append((event.stream_id, len(event.data)))
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.append(event.stream_id)

    def wait_for(self, *streams: int) -> None:
        def done() -> bool:
            self.step()
            return set(streams) <= set(self.ended)

        assert spin(done, 30)


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
