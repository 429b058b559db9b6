"""A WebSocket client over HTTP/2 (RFC 8441), by h2: one connection, any number of tunnels."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events

from .rawclient import RawClient, spin
from .wsclient import frames


class Http2WebSockets:
    """A connection whose octets are h2's; *window* is what each stream lets the server send."""

    def __init__(self, port: int, window: int = 65535, *, credit: bool = True) -> None:
        self.raw = RawClient(port)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.h2.update_settings({4: window})
        self.h2.increment_flow_control_window(1 << 24)
        self.credit = credit  # whether what came is acknowledged
        self.heads: dict[int, dict[str, str]] = {}
        self.data: dict[int, bytearray] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.owed: dict[int, int] = {}
        self.flush()

    def flush(self) -> None:
        self.raw.send(self.h2.data_to_send())

    def connect(self, path: str = "/ws", **fields: str) -> int:
        """Ask for a tunnel; return its stream."""
        stream = self.h2.get_next_available_stream_id()
        head = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
            (":authority", "localhost"), ("sec-websocket-version", "13"),
            *((name.replace("_", "-"), value) for name, value in fields.items()),
        ]  # fmt: skip
        self.h2.send_headers(stream, head)
        self.flush()
        return stream

    def offered(self) -> bool:
        """Return whether the server's SETTINGS offer extended CONNECT."""
        assert spin(lambda: self.step() or self.h2.remote_settings.max_header_list_size)
        return bool(self.h2.remote_settings.enable_connect_protocol)

    def open(self, path: str = "/ws", **fields: str) -> int:
        """Open a tunnel; return its stream."""
        assert self.offered()
        stream = self.connect(path, **fields)
        assert self.status(stream) == "200"
        return stream

    def status(self, stream: int) -> str:
        """Wait for the answer and return its status."""
        assert spin(lambda: self.step() or stream in self.heads or stream in self.resets)
        return self.heads[stream][":status"]

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self.h2.send_data(stream, data, end_stream=end)
        self.flush()

    def step(self) -> None:
        data, self.raw.received = self.raw.received, b""
        for event in self.h2.receive_data(data) if data else ():
            if isinstance(event, h2.events.ResponseReceived):
                self.heads[event.stream_id] = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.data.setdefault(event.stream_id, bytearray()).extend(event.data)
                self.owed[event.stream_id] = self.owed.get(event.stream_id, 0) + event.flow_controlled_length
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.resets[event.stream_id] = event.error_code
        if self.credit:
            for stream, size in self.owed.items():
                if size and stream not in self.resets:
                    self.h2.acknowledge_received_data(size, stream)
            self.owed.clear()
        self.flush()

    def frames(self, stream: int, count: int) -> list[tuple[int, bool, bytes]]:
        """Wait for so many frames of the server's."""
        assert spin(lambda: self.step() or len(frames(bytes(self.data.get(stream, b"")))) >= count)
        return frames(bytes(self.data[stream]))

    def wait(self, until) -> bool:
        return spin(lambda: self.step() or until())
