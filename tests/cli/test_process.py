"""The command line program as a process: it serves, it logs, and signals end it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trustme

SECONDS = 30  # how long anything here may take
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and sockets")

APP = """
from qhttpserver_py import QHttpServer
server = QHttpServer()
server.route("/who", lambda: "ours")
def make():
    return server
class holder:
    inner = server
def slow(request, responder):
    from PySide6.QtCore import QTimer
    QTimer.singleShot(400, lambda: responder.write(b"late", b"text/plain"))
    print("asked", flush=True)
server.route("/slow", slow)
"""


class Program:
    """The program in a process of its own, and what it said."""

    def __init__(self, process: subprocess.Popen[str], first: str) -> None:
        self.process = process
        self.first = first
        found = re.search(r"(https?)://127\.0\.0\.1:(\d+)/", first)
        self.port = int(found[2]) if found else 0

    def get(self, path: str, context: ssl.SSLContext | None = None, **headers: str) -> tuple[int, bytes]:
        kind = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
        more = {} if context is None else {"context": context}
        with closing(kind("127.0.0.1", self.port, timeout=SECONDS, **more)) as connection:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out, err


@contextmanager
def program(*arguments: str, command: list[str] | None = None, cwd: Path | None = None) -> Iterator[Program]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONUNBUFFERED": ""}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = command or [sys.executable, "-m", "qhttpserver_py"]
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=cwd,
    )
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        yield Program(process, process.stdout.readline())
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it(number: int) -> None:
    with program("--port", "0") as running:
        assert "Serving the demonstration" in running.first
        status, body = running.get("/")
        assert status == 200 and body.startswith(b"<!DOCTYPE html>")
        code, out, err = running.stop(number)
    assert (code, err) == (0, "")
    assert re.search(rf'127\.0\.0\.1 .* "GET / HTTP/1\.1" 200 {len(body)} \d+\.\d+ms\n', out)


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "secret").write_text("secret")
    big = bytes(range(256)) * 20000
    (tmp_path / "site" / "big.bin").write_bytes(big)
    with program("site", "--port", "0", cwd=tmp_path) as running:
        assert running.get("/big.bin") == (200, big)
        assert running.get("/big.bin", Range="bytes=5-1000004") == (206, big[5:1000005])
        assert running.get("/%2e%2e/secret") == (404, b"Not Found\n")
        assert b"big.bin" in running.get("/")[1]
        assert running.stop()[0] == 0


@pytest.mark.parametrize("target", ["myapp:server", "myapp.py:server", "./myapp.py:make", "myapp:holder.inner"])
def test_a_users_server(tmp_path: Path, target: str) -> None:
    (tmp_path / "myapp.py").write_text(APP)
    with program(target, "--port", "0", cwd=tmp_path) as running:
        assert running.get("/who") == (200, b"ours")
        assert running.stop()[0] == 0


def test_replies_in_flight_are_finished(tmp_path: Path) -> None:
    (tmp_path / "myapp.py").write_text(APP)
    with program("myapp:server", "--port", "0", cwd=tmp_path) as running:
        with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=SECONDS)) as client:
            client.request("GET", "/slow")
            assert running.process.stdout.readline() == "asked\n"
            running.process.send_signal(signal.SIGTERM)
            assert client.getresponse().read() == b"late"
        assert running.process.wait(SECONDS) == 0


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for pem in issued.cert_chain_pems:
        pem.write_to_path(chain, append=True)
    issued.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with program("--port", "0", "--tls", str(chain), str(key)) as running:
        assert running.first.count("https://") == 1
        assert running.get("/hello/you", context) == (200, b"Hello, you!")
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", running.port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
        ):
            assert encrypted.selected_alpn_protocol() == "h2"
        assert running.stop()[0] == 0


def test_local_socket_without_any_output(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    command = ["sh", "-c", 'exec "$0" "$@" >&- 2>&-', sys.executable, "-m", "qhttpserver_py"]
    with program("--local", path, command=command) as running:
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(SECONDS)
            for _ in range(SECONDS * 20):
                try:
                    client.connect(path)
                    break
                except OSError:
                    threading.Event().wait(0.05)
            client.sendall(b"GET /hello/you HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"Hello, you!")
        assert running.stop()[0] == 0
