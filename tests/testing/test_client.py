"""The two clients, asking servers made with this package."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtNetwork import QHostAddress, QSslServer, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.testing import Client, ClientError, FakeClock, FakeSocket, InMemoryClient

Method = QHttpServerRequest.Method


async def later():
    await asyncio.sleep(0.01)
    return "later"


def echo(request: QHttpServerRequest):
    return {
        "method": request._message.method,
        "query": request.url().query(),
        "type": bytes(request.value(b"content-type").data()).decode(),
        "token": bytes(request.value(b"x-token").data()).decode(),
        "body": bytes(request.body().data()).decode(),
    }


def numbers():
    yield "1"
    yield "2"


@pytest.fixture
def server(qapp):
    server = QHttpServer()
    server.route("/text", lambda: "héllo")
    server.route("/later", later)
    server.route("/echo", echo)
    server.route("/number/<arg>", lambda number: number)
    server.route("/stream", numbers)
    server.route("/status/<arg>", status)
    server.route("/redirect", lambda: ("", 302, {"location": "/text"}))
    server.route("/broken", lambda: 1 / 0)
    yield server
    server.close()


def status(code: int):
    return ("", code)


@pytest.fixture(params=["tcp", "tls", "http2", "memory"])
def client(request, server):
    if request.param == "memory":
        return InMemoryClient(server, raise_errors=False)
    if request.param == "tcp":
        listening, tls = QTcpServer(), None
    else:
        tls = request.getfixturevalue("qhttpserver_tls")
        listening = QSslServer()
        listening.setSslConfiguration(tls.server_configuration(h2=request.param == "http2"))
    listening.listen(QHostAddress("127.0.0.1"))
    server.bind(listening)
    return Client(server, tls=tls)


def test_get(client):
    response = client.get("/text")
    assert (response.status, response.ok, response.reason.upper()) in [(200, True, "OK"), (200, True, "")]
    assert (response.text, response.body) == ("héllo", "héllo".encode())
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.url.endswith("/text")


def test_http2_is_used_where_it_is_offered(client, request):
    assert client.get("/text").http2 is (request.node.callspec.params["client"] == "http2")


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_methods(client, method):
    response = getattr(client, method)("/echo", params={"a": "b c", "d": 1}, headers={"X-Token": "t"})
    seen = response.json()
    assert seen["method"] == method.upper()
    assert seen["query"] in ("a=b c&d=1", "a=b+c&d=1", "a=b%20c&d=1")
    assert seen["token"] == "t"


def test_head(client):
    response = client.head("/text")
    assert (response.status, response.body) == (200, b"")
    assert response.headers["content-length"] == "6"


@pytest.mark.parametrize(
    "options, body, content_type",
    [
        ({"data": "é"}, "é", "text/plain; charset=utf-8"),
        ({"data": b"b"}, "b", "application/octet-stream"),
        ({"data": {"user": "me", "tags": ["x", "y"]}}, "user=me&tags=x&tags=y", "application/x-www-form-urlencoded"),
        ({"json": {"a": None}}, '{"a": null}', "application/json"),
        ({"json": None}, "null", "application/json"),
        ({"data": "x", "headers": {"Content-Type": "a/b"}}, "x", "a/b"),
    ],
)
def test_bodies(client, options, body, content_type):
    seen = client.post("/echo", **options).json()
    assert (seen["body"], seen["type"]) == (body, content_type)


def test_data_and_json_exclude_each_other(client):
    with pytest.raises(ValueError, match="data and json"):
        client.post("/echo", data="", json={})


@pytest.mark.parametrize("code", [204, 304, 400, 404, 418, 429, 500, 501, 503])
def test_every_status_is_an_answer(client, code):
    assert client.get(f"/status/{code}").status == code


def test_streams_and_late_answers(client):
    assert client.get("/stream").text == "12"
    assert client.get("/later").text == "later"


def test_redirects(client):
    if isinstance(client, Client):
        assert client.get("/redirect").text == "héllo"
        response = client.get("/redirect", follow_redirects=False)
    else:
        response = client.get("/redirect")
    assert (response.status, response.headers["location"]) == (302, "/text")


@pytest.mark.parametrize(
    "code, sent, seen",
    [(301, "POST", "GET"), (302, "PUT", "PUT"), (303, "PUT", "GET"), (307, "POST", "POST"), (308, "POST", "POST")],
)
def test_redirected_methods(qhttpserver, code, sent, seen):
    qhttpserver.expect_request("/here").respond_with_redirect("/there", code)
    body = b"" if seen == "GET" else b"body"
    qhttpserver.expect_request("/there", seen, body).respond_with_data("ok")
    assert qhttpserver.client.request(sent, "/here", data=b"body").text == "ok"


def test_endless_redirects(qhttpserver):
    qhttpserver.expect_request("/").respond_with_redirect("/")
    with pytest.raises(ClientError, match="too many redirects"):
        qhttpserver.client.get("/")


def test_an_unbound_server_has_no_url(server):
    with pytest.raises(ValueError, match="bind a listening QTcpServer"):
        Client(server)


def test_nobody_listens(qapp):
    listening = QTcpServer()
    listening.listen(QHostAddress("127.0.0.1"))
    url = f"http://127.0.0.1:{listening.serverPort()}/"
    listening.close()
    with pytest.raises(ClientError, match="ConnectionRefusedError") as info:
        Client(url).get("")
    assert info.value.response is None


# ---- in memory


def test_errors_of_handlers_are_raised_in_the_test(server):
    with pytest.raises(ZeroDivisionError):
        InMemoryClient(server).get("/broken")


def test_errors_of_handlers_can_be_left_to_the_server(server, monkeypatch):
    monkeypatch.setattr(server._core, "report", lambda *_: None)
    assert InMemoryClient(server, raise_errors=False).get("/broken").status == 500


def test_one_request_costs_one_read_and_one_write(server):
    client = InMemoryClient(server)
    for count in (1, 2, 3):
        client.get("/text")
        assert (client.socket.reads, client.socket.writes) == (count, count)


def test_the_connection_is_opened_anew_when_the_server_closed_it(server):
    client = InMemoryClient(server)
    assert client.get("/text", headers={"Connection": "close"}).headers["connection"] == "close"
    first = client.socket
    assert first.closed
    assert client.get("/text").ok
    assert client.socket is not first
    client.close()
    assert not server._core.connections


def test_time_passes_only_when_told(server):
    client = InMemoryClient(server)
    client.get("/text")
    client.advance(10)
    assert not client.socket.closed
    client.advance(10)
    assert client.socket.closed


def test_an_answer_that_is_late(server):
    server.route("/never", lambda request, responder: kept.append(responder))
    kept = []
    with pytest.raises(TimeoutError, match="GET http://testserver/never: no complete answer within 20 ms"):
        InMemoryClient(server, timeout=20).get("/never")


def test_an_answer_that_is_cut(server):
    def broken():
        yield "x"
        raise KeyError

    server.route("/cut", broken)
    with pytest.raises(KeyError):
        InMemoryClient(server).get("/cut")
    server._core.report = lambda *_: None
    with pytest.raises(ConnectionError, match="closed before its answer was complete"):
        InMemoryClient(server, raise_errors=False).get("/cut")


def test_fake_clock():
    clock = FakeClock(5.0)
    clock.advance(2.5)
    assert clock() == clock.now == 7.5


def test_fake_socket():
    socket = FakeSocket()
    taken = []
    socket.bytesWritten.connect(taken.append)
    socket.stalled = True
    socket.write(b"abc")
    assert (socket.bytesToWrite(), bytes(socket.written)) == (3, b"abc")
    socket.take(2)
    socket.take()
    socket.take()
    assert taken == [2, 1]
    socket.bytesWritten.disconnect(taken.append)
    socket.abort()
    assert socket.aborted
    assert socket.closed
