"""Replies over HTTP/2 that the client's windows hold back, and a client that does not open them."""

from __future__ import annotations

import h2.settings
import pytest

from qhttpserver_py import QHttpServerRequest, QHttpServerResponder

from ..support.rawclient import nested, spin
from ..support.uploads import PROTOCOLS, fixtures

wire, server = fixtures(*[name for name in PROTOCOLS if name.startswith("HTTP/2")])

SIZE = 1 << 20


class Source:
    """A generator's pieces, and whether it was closed."""

    def __init__(self):
        self.closed = False

    def pieces(self):
        try:
            for _ in range(64):
                yield bytes(SIZE // 64)
        finally:
            self.closed = True


def impatient(server):
    configuration = server.configuration()
    configuration.setKeepAliveTimeout(1)
    server.setConfiguration(configuration)
    source = Source()
    server.route("/stream", source.pieces)
    server.route("/whole", lambda: bytes(SIZE))
    return source


def client_without_windows(wire):
    client = wire.client()
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    client.flush()
    return client


@pytest.mark.parametrize("path", ["/stream", "/whole"])
def test_a_reply_nobody_takes_is_reset_and_the_connection_ends(wire, server, path):
    source = impatient(server)
    client = client_without_windows(wire)
    request = wire.upload(path, client=client, method="GET")
    request.finish()
    assert spin(lambda: request.reset is not None)
    assert not request.ended
    assert source.closed == (path == "/stream")
    assert spin(lambda: client.closed)
    assert not server._core.connections


def test_a_reply_that_waits_for_its_handler_outlives_one_nobody_takes(wire, server):
    impatient(server)
    kept = []

    def hold(request: QHttpServerRequest, responder: QHttpServerResponder):
        kept.append(responder)

    server.route("/held", hold)
    client = client_without_windows(wire)
    held, starved = (wire.upload(path, client=client, method="GET") for path in ("/held", "/stream"))
    held.finish()
    starved.finish()
    assert spin(lambda: starved.reset is not None)
    nested(1000)
    kept.pop().write(QHttpServerResponder.StatusCode.NoContent)
    assert held.reply().status == 204


def test_a_slow_client_is_not_cut(wire, server):
    impatient(server)
    client = client_without_windows(wire)
    client.h2.acknowledge_received_data = lambda *_: None  # the windows are opened by hand
    request = wire.upload("/stream", client=client, method="GET")
    request.finish()
    for _ in range(5):
        nested(400)
        client.h2.increment_flow_control_window(1000, request.stream_id)
        client.flush()
    assert spin(lambda: len(request.body) >= 5000)
    assert request.reset is None
