"""The server that is probed: it echoes bodies, in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

PROGRAM = """
import sys
from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress, QTcpServer
from qhttpserver_py import QHttpServer, QHttpServerRequest
app = QCoreApplication([])
server = QHttpServer()
server.route("/", lambda request: bytes(request.body().data()) or b"OK")
tcp = QTcpServer()
assert tcp.listen(QHostAddress("127.0.0.1"), 0) and server.bind(tcp)
print(tcp.serverPort(), flush=True)
app.exec()
"""


@contextlib.contextmanager
def running() -> Iterator[int]:
    """Run the server; give its port."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
