"""Callables bound to a context: a program that ends with its server in a reference cycle ends cleanly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import gc
from PySide6.QtCore import QCoreApplication
from qhttpserver_py import QHttpServer
from qhttpserver_py.security import same_origin_verifier

gc.disable()
app = QCoreApplication([])

class Server(QHttpServer):
    def __init__(self):
        super().__init__()
        self.route("/", lambda request: "x")
        self.addAfterRequestHandler(self, self.mark)
        self.addWebSocketUpgradeVerifier(self, same_origin_verifier)

    def mark(self, request, response):
        pass

for _ in range(COUNT):
    server = Server()
del server
"""


@pytest.mark.parametrize("count", [1, 20])
def test_servers_left_to_the_collector_at_exit(count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("COUNT", str(count))],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
