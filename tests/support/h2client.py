"""h2's client in the test's own event loop."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events

from .rawclient import RawClient, spin

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
