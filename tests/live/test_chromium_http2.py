"""Chromium over TLS: it chooses HTTP/2, loads what a page asks for at once, posts, and opens WebSockets on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtNetwork import QHostAddress, QSslServer

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.testing.tls import TlsAuthority
from qhttpserver_py.websocket import WebSocket

from ..support.rawclient import spin
from ..support.threads import in_thread
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


def browsed(server: QHttpServer, script: str) -> Any:
    """Return what *script* returns on the page that *server* has."""

    def browse() -> Any:
        with Browser("--ignore-certificate-errors") as browser:
            browser.open(f"https://127.0.0.1:{server.serverPorts()[0]}/")
            return browser.script(script)

    return in_thread(browse, timeout=60)


def test_a_page_over_http2(server: QHttpServer) -> None:
    found = browsed(server, SCRIPT)
    assert found == {"texts": [str(n) for n in range(30)], "echoed": 300000, "protocols": ["h2"]}


TALK = """
return (async () => {
  const socket = new WebSocket('wss://' + location.host + '/live', ['chat']);
  socket.binaryType = 'arraybuffer';
  const heard = [];
  const closed = new Promise(done => socket.onclose = event => done([event.code, event.wasClean]));
  await new Promise(done => socket.onopen = done);
  const next = () => new Promise(done => socket.onmessage = event => done(event.data));
  for (const text of ['a', 'x'.repeat(300000)]) {
    const answer = next();
    socket.send(text);
    heard.push((await answer) === text);
  }
  const answer = next();
  socket.send(new Uint8Array(100000));
  heard.push((await answer).byteLength);
  socket.close(4000, 'enough');
  return {heard, protocol: socket.protocol, extensions: socket.extensions, closed: await closed};
})();
"""


def test_a_websocket_over_http2(server: QHttpServer) -> None:
    versions: list[int] = []
    codes: list[int] = []

    @server.websocket("/live", subprotocols=["chat"])
    async def live(socket: WebSocket) -> None:
        versions.append(socket._handshake.asked._message.version)
        async for message in socket:
            await socket.send(message)
        await socket.wait_closed()
        codes.append(int(socket.closeCode()))

    found = browsed(server, TALK)
    assert found.pop("extensions").startswith("permessage-deflate")
    assert found == {"heard": [True, True, 100000], "protocol": "chat", "closed": [4000, True]}
    assert versions == [20]
    assert spin(lambda: codes == [4000])
