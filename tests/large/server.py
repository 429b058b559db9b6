"""The process that is measured: serves a file and takes an upload; says what memory it has used."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QFile
from PySide6.QtNetwork import QHostAddress, QSslServer, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.tls import server_configuration

Method = QHttpServerRequest.Method


def resident(field: str) -> int:
    """Return a line of /proc/self/status in bytes: VmRSS now, VmHWM at its highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def forget_peak() -> None:
    """Let VmHWM begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def generated(size: int):
    piece = bytes(range(256)) * 256
    for _ in range(size // len(piece)):
        yield piece
    if rest := size % len(piece):
        yield piece[:rest]


def main(folder: str, certificate: str) -> None:
    app = QCoreApplication([])
    server = QHttpServer()
    server.setSlowHandlerThreshold(0)
    listeners = [QTcpServer(), QSslServer()]
    listeners[1].setSslConfiguration(server_configuration(certificate, certificate))
    for listener in listeners:
        assert listener.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
        assert server.bind(listener)

    def peak() -> str:
        return str(resident("VmHWM"))

    def reset() -> str:
        gc.collect()
        forget_peak()
        return str(resident("VmRSS"))

    server.route("/peak", peak)
    server.route("/reset", reset)
    server.route("/file", lambda: QFile(f"{folder}/download"))
    server.route("/generated/<arg>", lambda size: generated(int(size)))
    server.route(
        "/upload",
        Method.Put,
        lambda request: request.stream().save_to(QFile(f"{folder}/upload")),
        stream=True,
        maximum_body_size=-1,
    )
    server.route("/stop", lambda: app.quit())  # noqa: PLW0108 - takes no request
    print(*(listener.serverPort() for listener in listeners), flush=True)
    app.exec()


if __name__ == "__main__":
    main(*sys.argv[1:])
