"""From QHttp2Configuration to the engine of an HTTP/2 connection. Loaded by the first one."""

from __future__ import annotations

from PySide6.QtNetwork import QHttp2Configuration

from qhttpserver_py._protocol.engine import Engine
from qhttpserver_py._protocol.http2.engine import Http2Engine
from qhttpserver_py._protocol.http2.settings import Http2Settings
from qhttpserver_py._transport.core import ServerCore


def make_http2(core: ServerCore, configuration: QHttp2Configuration, scheme: bytes, *, tunnels: bool) -> Engine:
    """Return an engine with the settings of *configuration*; *tunnels*: WebSockets are offered (RFC 8441)."""
    streams = getattr(configuration, "maxConcurrentStreams", None)  # since Qt 6.9
    settings = Http2Settings(
        max_frame_size=configuration.maxFrameSize(),
        session_window=configuration.sessionReceiveWindowSize(),
        stream_window=configuration.streamReceiveWindowSize(),
        max_concurrent_streams=streams() if streams is not None else 100,
        huffman=configuration.huffmanCompressionEnabled(),
        scheme=scheme,
        tunnels=tunnels,
    )
    return Http2Engine(core.limits, settings)
