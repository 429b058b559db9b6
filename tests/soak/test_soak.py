"""A short soak: mixed traffic with injected faults leaves nothing behind and answers nothing unexpected."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest
from PySide6.QtNetwork import QTcpSocket

from qhttpserver_py import QHttpServer

from ..support.rawclient import ask, bound, settle, spin
from .__main__ import soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors and memory by /proc")


@pytest.mark.slow
def test_ten_seconds() -> None:
    lines: list[str] = []
    fine = asyncio.run(soak(8, 8, seed=1, descriptors=100, say=lambda *parts: lines.append(" ".join(map(str, parts)))))
    assert fine, "\n".join(lines)


@pytest.mark.usefixtures("qapp")
def test_connections_leave_no_socket_behind() -> None:
    server = QHttpServer()
    server.route("/", lambda: "home")
    port = bound(server)
    gc.collect()
    before = sum(isinstance(thing, QTcpSocket) for thing in gc.get_objects())
    for _ in range(5):
        ask(port, "/")
    assert spin(lambda: not server._core.connections)
    settle()
    gc.collect()
    assert sum(isinstance(thing, QTcpSocket) for thing in gc.get_objects()) <= before
