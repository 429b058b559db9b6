"""Chromium over TLS: it chooses HTTP/2, loads what a page asks for at once, and posts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtNetwork import QHostAddress, QSslServer

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.testing.tls import TlsAuthority

from ..support.rawclient import spin
from .chromium import Browser, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(missing()), reason=missing() or "present"),
    pytest.mark.usefixtures("qapp"),
]

SCRIPT = """
return (async () => {
  const numbers = [...Array(30).keys()];
  const texts = await Promise.all(numbers.map(async n => (await fetch('/n/' + n)).text()));
  const echoed = await (await fetch('/echo', {method: 'POST', body: 'x'.repeat(300000)})).text();
  const protocols = performance.getEntries().map(entry => entry.nextHopProtocol).filter(Boolean);
  return {texts, echoed: echoed.length, protocols: [...new Set(protocols)]};
})();
"""


@pytest.fixture
def server(authority: TlsAuthority) -> Iterator[QHttpServer]:
    server = QHttpServer()
    server.route("/", lambda: ("<!DOCTYPE html><title>h2</title>", 200, {"Content-Type": "text/html"}))
    server.route("/n/<arg>", lambda number: f"{number}")
    server.route("/echo", QHttpServerRequest.Method.Post, lambda request: request.body())
    tls = QSslServer()
    tls.setSslConfiguration(authority.server_configuration(h2=True))
    assert tls.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost))
    assert server.bind(tls)
    yield server
    server.close()


def test_a_page_over_http2(server: QHttpServer) -> None:
    found: list[Any] = []

    def browse() -> None:
        try:
            with Browser("--ignore-certificate-errors") as browser:
                browser.open(f"https://127.0.0.1:{server.serverPorts()[0]}/")
                found.append(browser.script(SCRIPT))
        except Exception as error:  # noqa: BLE001 - shown by the test's own thread
            found.append(error)

    thread = threading.Thread(target=browse)
    thread.start()
    assert spin(lambda: found, 60)
    thread.join(30)
    assert found[0] == {"texts": [str(n) for n in range(30)], "echoed": 300000, "protocols": ["h2"]}
