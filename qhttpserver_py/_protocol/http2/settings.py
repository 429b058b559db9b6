"""The SETTINGS that a server sends when an HTTP/2 connection begins (RFC 9113 6.5.2)."""

from __future__ import annotations

from h2.settings import SettingCodes

from qhttpserver_py._protocol.http2.frames import (
    DEFAULT_FRAME_SIZE,
    DEFAULT_WINDOW,
    MAX_WINDOW,
    settings_frame,
    window_update,
)


class Http2Settings:
    """What a server offers, as QHttp2Configuration holds it; illegal values are brought into range."""

    __slots__ = (
        "huffman",
        "max_concurrent_streams",
        "max_frame_size",
        "scheme",
        "session_window",
        "stream_window",
        "tunnels",
    )

    def __init__(
        self,
        max_frame_size: int = DEFAULT_FRAME_SIZE,
        session_window: int = DEFAULT_WINDOW,
        stream_window: int = DEFAULT_WINDOW,
        max_concurrent_streams: int = 100,
        huffman: bool = True,
        tunnels: bool = False,
        scheme: bytes = b"",
    ) -> None:
        self.max_frame_size = min(max(max_frame_size, DEFAULT_FRAME_SIZE), 2**24 - 1)
        self.session_window = min(max(session_window, 1), MAX_WINDOW)
        self.stream_window = min(max(stream_window, 1), MAX_WINDOW)
        self.max_concurrent_streams = min(max(max_concurrent_streams, 0), 2**32 - 1)
        self.huffman = huffman
        self.scheme = scheme  # of the connection, which requests have to name; empty where any may be asked for
        self.tunnels = tunnels  # whether extended CONNECT is offered (RFC 8441 3)

    def frames(self, header_size: int) -> bytes:
        """Return the server's first frames; *header_size* is the largest header list it takes, negative for any."""
        values = [
            (SettingCodes.ENABLE_PUSH, 0),
            (SettingCodes.MAX_CONCURRENT_STREAMS, self.max_concurrent_streams),
        ]
        if self.stream_window != DEFAULT_WINDOW:
            values.append((SettingCodes.INITIAL_WINDOW_SIZE, self.stream_window))
        if self.max_frame_size != DEFAULT_FRAME_SIZE:
            values.append((SettingCodes.MAX_FRAME_SIZE, self.max_frame_size))
        if header_size >= 0:
            values.append((SettingCodes.MAX_HEADER_LIST_SIZE, header_size))
        if self.tunnels:
            values.append((SettingCodes.ENABLE_CONNECT_PROTOCOL, 1))
        first = settings_frame(values)
        if self.session_window > DEFAULT_WINDOW:
            first += window_update(0, self.session_window - DEFAULT_WINDOW)
        return first
