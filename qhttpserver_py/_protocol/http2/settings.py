"""What a server says of itself when an HTTP/2 connection begins (RFC 9113 6.5.2). A record only."""

from __future__ import annotations

from qhttpserver_py._protocol.http2.frames import DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, MAX_WINDOW


class Http2Settings:
    """What a server offers, as QHttp2Configuration holds it; illegal values are brought into range."""

    __slots__ = ("huffman", "max_concurrent_streams", "max_frame_size", "session_window", "stream_window", "tunnels")

    def __init__(
        self,
        max_frame_size: int = DEFAULT_FRAME_SIZE,
        session_window: int = DEFAULT_WINDOW,
        stream_window: int = DEFAULT_WINDOW,
        max_concurrent_streams: int = 100,
        huffman: bool = True,
        tunnels: bool = False,
    ) -> None:
        self.max_frame_size = min(max(max_frame_size, DEFAULT_FRAME_SIZE), 2**24 - 1)
        self.session_window = min(max(session_window, 1), MAX_WINDOW)
        self.stream_window = min(max(stream_window, 1), MAX_WINDOW)
        self.max_concurrent_streams = min(max(max_concurrent_streams, 0), 2**32 - 1)
        self.huffman = huffman
        self.tunnels = tunnels  # whether extended CONNECT is offered (RFC 8441 3)
