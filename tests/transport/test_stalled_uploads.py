"""Uploads that stop half-way on routes that take their bodies whole: 408, and nothing is left."""

from __future__ import annotations

import pytest

from qhttpserver_py import QHttpServerRequest

from ..support.kept import Kept
from ..support.rawclient import spin
from ..support.uploads import PROTOCOLS, fixtures

Method = QHttpServerRequest.Method

wire, server = fixtures(*PROTOCOLS)
over_http2 = pytest.mark.parametrize("wire", [name for name in PROTOCOLS if name.startswith("HTTP/2")], indirect=True)


def impatient(server):
    configuration = server.configuration()
    configuration.setKeepAliveTimeout(1)
    server.setConfiguration(configuration)
    server.route("/", Method.Post, lambda request: str(request.body().size()))


@pytest.mark.parametrize("length", [1000, None])
def test_a_body_that_stalls_is_408(wire, server, length):
    impatient(server)
    upload = wire.upload(length=length, first=b"some")
    assert upload.reply().status == 408
    assert spin(lambda: upload.client.closed)
    assert not server._core.connections


@over_http2
def test_several_that_stall_are_408_each(wire, server):
    impatient(server)
    server.route("/piecewise", Method.Post, lambda request: request.stream().read(), stream=True)
    client = wire.client()
    uploads = [wire.upload(path, client=client, first=b"some") for path in ("/", "/piecewise", "/")]
    assert [upload.reply().status for upload in uploads] == [408, 408, 408]
    assert spin(lambda: client.closed)


@over_http2
def test_what_is_answered_late_outlives_a_stalled_neighbour(wire, server):
    impatient(server)
    kept = Kept(server, "/held")
    client = wire.client()
    held = wire.upload("/held", client=client, method="GET")
    held.finish()
    assert wire.upload(client=client, first=b"some").reply().status == 408
    kept.responders.pop().write(b"late", b"text/plain")
    assert held.reply().body == b"late"
    after = wire.upload(client=client)
    after.send(b"whole", last=True)
    assert after.reply().body == b"5"
