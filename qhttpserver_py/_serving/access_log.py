"""The access log: one line per request, in the common log format with the time it took."""

from __future__ import annotations

import time
from typing import TextIO

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

_VERSIONS = {10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2"}
_UNSAFE = {code: f"\\x{code:02x}" for code in (*range(32), 34, *range(127, 256))} | {92: "\\\\"}


class AccessLog:
    """Writes a line per reply to *stream*, and stops when the stream cannot be written to."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._second = -1
        self._stamp = ""

    def __call__(self, request: QHttpServerRequest, status: int, size: int, seconds: float) -> None:
        """Log one reply: *size* bytes of body, *seconds* from the request's arrival to the reply's end."""
        if self._stream is None:
            return
        peer = request.remoteAddress().toString() or "-"
        line = f'{peer} - - [{self._now()}] "{request_line(request)}" {status} {size} {seconds * 1000:.1f}ms\n'
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):  # the reader of the pipe has ended, or the stream was closed
            self._stream = None

    def _now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(second))
        return self._stamp


def request_line(request: QHttpServerRequest) -> str:
    """Return method, target and version of *request*, safe to print."""
    message = request._message
    version = _VERSIONS.get(message.version, "HTTP/?")
    return f"{message.method} {printable(message.target)} {version}"


def printable(target: bytes) -> str:
    """Return *target* as text, with everything escaped that could end a line, control a terminal, or not be encoded."""
    return target.decode("latin-1").translate(_UNSAFE)
