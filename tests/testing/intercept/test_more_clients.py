"""Clients whose protocol, process or plug-ins differ from the common: each reaches the fake backend."""

import asyncio
import socket
import ssl
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QBuffer, QIODevice, QProcess, QUrl
from PySide6.QtGui import QImage

from qhttpserver_py.testing.intercept import environment

ORIGIN = "https://api.example.com"


def negotiate(values, offer):
    """Return the protocol that the intercepted host chooses of those in *offer*."""
    port = int(values["HTTPS_PROXY"].rpartition(":")[2])
    context = ssl.create_default_context(cafile=values["SSL_CERT_FILE"])
    context.set_alpn_protocols(offer)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(b"CONNECT api.example.com:443 HTTP/1.1\r\nhost: api.example.com:443\r\n\r\n")
        assert plain.recv(1000).startswith(b"HTTP/1.1 200 ")
        with context.wrap_socket(plain, server_hostname="api.example.com") as client:
            return client.selected_alpn_protocol()


@pytest.mark.parametrize(
    ("offer", "chosen"),
    [
        (["h2", "http/1.1"], "h2"),
        (["http/1.1", "h2"], "http/1.1"),
        (["h2"], "h2"),
        (["http/1.1"], "http/1.1"),
    ],
)
def test_the_protocol_is_the_first_that_the_client_offers(qhttpserver, offer, chosen):
    qhttpserver.intercept(ORIGIN)
    with qhttpserver.proxy_environment() as values:
        assert qhttpserver.call(negotiate, values, offer) == chosen


AIOHTTP = f"""
import aiohttp, asyncio

async def main():
    async with aiohttp.ClientSession(trust_env=True) as session, session.get("{ORIGIN}/items") as response:
        print(await response.text(), end="")

asyncio.run(main())
"""


def test_aiohttp_in_a_child(qhttpserver, qtbot, qhttpserver_proxy_environment):
    pytest.importorskip("aiohttp")
    qhttpserver.intercept(ORIGIN)
    qhttpserver.expect_request(f"{ORIGIN}/items").respond_with_data("one two")
    process = QProcess()
    process.start(sys.executable, ["-c", AIOHTTP])
    with qtbot.waitSignal(process.finished, timeout=20000):
        pass
    assert process.readAllStandardOutput().data() == b"one two", process.readAllStandardError().data().decode()


async def ask_by_aiohttp(**options):
    import aiohttp

    async with aiohttp.ClientSession(trust_env=True) as session, session.get(f"{ORIGIN}/items", **options) as response:
        return await response.text()


def test_aiohttp_that_was_imported_before(qhttpserver):
    pytest.importorskip("aiohttp")
    qhttpserver.intercept(ORIGIN)
    qhttpserver.expect_request(f"{ORIGIN}/items").respond_with_data("one two")
    with qhttpserver.proxy_environment():
        context = ssl.create_default_context()
        assert qhttpserver.call(lambda: asyncio.run(ask_by_aiohttp(ssl=context)), timeout=20000) == "one two"


def png():
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image = QImage(3, 2, QImage.Format.Format_RGB32)
    image.fill(0)
    assert image.save(buffer, "PNG")
    return buffer.data().data()


def test_a_qml_image(qhttpserver, qtbot):
    from PySide6.QtQml import QQmlComponent, QQmlEngine

    qhttpserver.intercept(ORIGIN)
    qhttpserver.expect_request(f"{ORIGIN}/a.png").respond_with_data(png(), content_type="image/png")
    engine = QQmlEngine()
    component = QQmlComponent(engine)
    component.setData(f'import QtQuick\nImage {{ source: "{ORIGIN}/a.png" }}'.encode(), QUrl())
    item = component.create()
    assert item is not None, component.errorString()
    qtbot.waitUntil(lambda: item.property("progress") == 1.0 and item.property("implicitWidth") == 3)
    assert item.property("implicitHeight") == 2
    item.deleteLater()
    engine.deleteLater()


def test_the_system_authorities_are_read_once(monkeypatch, tmp_path):
    file = tmp_path / "authorities.pem"
    file.write_bytes(b"one")
    paths = ssl.get_default_verify_paths()._replace(cafile=str(file))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    read, reads = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.append(path) or read(path))
    assert [environment.system_authorities() for _ in range(3)] == [b"\none"] * 3
    assert reads == [file]
    file.unlink()
    assert environment.system_authorities() == b""


SUITE = f"""
import pytest
from PySide6.QtCore import QEventLoop, QUrl
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkRequest

@pytest.mark.parametrize("page", range(2))
def test_foreign(qhttpserver, page):
    qhttpserver.intercept("{ORIGIN}")
    qhttpserver.expect_request("{ORIGIN}/items").respond_with_data("one two")
    manager, loop = QNetworkAccessManager(), QEventLoop()
    reply = manager.get(QNetworkRequest(QUrl("{ORIGIN}/items")))
    reply.finished.connect(loop.quit)
    loop.exec()
    assert reply.readAll().data() == b"one two"
"""


@pytest.mark.timeout(300)  # pytest in a process of its own, and two more of xdist's
@pytest.mark.parametrize("options", [(), ("-p", "no:pytest-qt"), ("-n", "2")])
def test_without_pytest_qt_and_in_several_processes(pytester, options):
    from importlib.metadata import entry_points

    pytester.makepyfile(SUITE)
    installed = bool(entry_points(group="pytest11", name="qhttpserver"))
    plugin = () if installed else ("-p", "qhttpserver_py.pytest_plugin")
    pytester.runpytest_subprocess("-W", "error", *plugin, *options).assert_outcomes(passed=2)
