"""An exception that is an answer, wherever user code raises it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from http import HTTPStatus

import pytest
from PySide6.QtCore import QObject

from qhttpserver_py import HttpError, QHttpServerRequest, QHttpServerResponder, QHttpServerResponse
from qhttpserver_py.forms import parse_form
from qhttpserver_py.httperror import ContentError

from .support.rawclient import RawClient, bound

pytestmark = pytest.mark.usefixtures("qapp")

Code = QHttpServerResponder.StatusCode


def refuse() -> None:
    raise HttpError(404, "no such item", {"x-why": "gone"})


def returns() -> str:
    refuse()


def responds(responder: QHttpServerResponder) -> None:
    refuse()


async def later() -> str:
    await asyncio.sleep(0)
    refuse()


def future() -> Future:
    made = Future()
    made.set_exception(HttpError(404, "no such item", {"x-why": "gone"}))
    return made


def pieces():
    refuse()
    yield b"never"


@pytest.mark.parametrize("handler", [returns, responds, later, future, pieces])
def test_it_is_the_answer_and_is_not_reported(server, reported, handler) -> None:
    server.route("/", handler)
    server.addAfterRequestHandler(server, mark)
    client = RawClient(bound(server))
    client.get("/")
    reply = client.reply()
    assert (reply.status, reply.body) == (404, b"no such item")
    assert (reply.headers["content-type"], reply.headers["x-why"], reply.headers["x-after"]) == (
        "text/plain",
        "gone",
        "1",
    )
    assert reported == []


def mark(_request: QHttpServerRequest, response: QHttpServerResponse) -> None:
    headers = response.headers()
    headers.append("x-after", "1")
    response.setHeaders(headers)


class Item:
    def __init__(self, text: str) -> None:
        if text == "taken":
            raise HttpError(409, {"error": "taken"})


def test_a_converter_raises_it(server, reported) -> None:
    server.router().addConverter(Item, "[a-z]+")

    def item(one: Item) -> str:
        return "ok"

    server.route("/<arg>", item)
    client = RawClient(bound(server))
    client.get("/taken")
    reply = client.reply()
    assert (reply.status, reply.body, reply.headers["content-type"]) == (409, b'{"error":"taken"}', "application/json")
    assert reported == []


@pytest.mark.parametrize("kind", ["before", "missing"])
def test_other_handlers_raise_it(server, reported, kind) -> None:
    server.route("/", lambda: "ok")
    if kind == "before":
        server.addBeforeRequestHandler(server, lambda request: refuse())
    else:
        server.setMissingHandler(server, lambda request, responder: refuse())
    client = RawClient(bound(server))
    client.get("/" if kind == "before" else "/no")
    assert (client.reply().status, reported) == (404, [])


def test_a_reply_that_was_begun_is_cut(server, reported) -> None:
    def begins(responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked("text/plain")
        refuse()

    server.route("/", begins)
    client = RawClient(bound(server))
    client.get("/")
    client.wait_closed()
    assert b"404" not in client.received


@pytest.mark.parametrize("status", [404, Code.NotFound, HTTPStatus.NOT_FOUND])
def test_statuses(status) -> None:
    error = HttpError(status)
    assert (error.status, error.body, error.headers, str(error)) == (404, None, None, "404")


@pytest.mark.parametrize(
    ("status", "kind"), [(100, ValueError), (199, ValueError), (600, ValueError), ("404", TypeError)]
)
def test_what_is_no_status_is_refused(status, kind) -> None:
    with pytest.raises(kind):
        HttpError(status)


@pytest.mark.parametrize(
    ("body", "headers"), [(object(), None), (None, {"bad name": "x"}), (None, {"x": "a\r\nb"}), ({1}, None)]
)
def test_one_that_cannot_be_sent_is_reported(server, reported, body, headers) -> None:
    def handler() -> str:
        raise HttpError(404, body, headers)

    server.route("/", handler)
    client = RawClient(bound(server))
    client.get("/")
    assert client.reply().status == 500
    assert len(reported) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[1,", b"\xff", b"NaN", b"[" * 100_000])
def test_malformed_json_is_the_peers_fault(server, reported, body) -> None:
    server.route("/", QHttpServerRequest.Method.Post, lambda request: request.json())
    client = RawClient(bound(server))
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    reply = client.reply()
    assert (reply.status, reported) == (400, [])
    assert reply.body.startswith(b"the request ")


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", b"a=1", 415),
        ("application/x-www-form-urlencoded", b"&".join([b"a"] * 1002), 413),
        ("application/x-www-form-urlencoded", b"a=%ff", 400),
        ("multipart/form-data", b"x", 400),
    ],
)
def test_a_form_that_breaks_a_rule_is_the_peers_fault(server, reported, kind, body, status) -> None:
    server.route("/", QHttpServerRequest.Method.Post, lambda request: str(parse_form(request)))
    client = RawClient(bound(server))
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    client.send(head.encode() + body)
    assert (client.reply().status, reported) == (status, [])


def test_it_is_a_value_error_too() -> None:
    assert issubclass(ContentError, ValueError)
    assert str(ContentError(400, "why")) == "why"


@pytest.mark.parametrize("result", [{"a": {1}}, {"a": b"x"}, {1: 2}, [object()], {"a": QObject}, [10**5000]])
def test_what_json_cannot_hold_is_500_and_named(server, reported, result) -> None:
    server.route("/", lambda: result)
    server.route("/tuple", lambda: (result, 201))
    client = RawClient(bound(server))
    for path in ("/", "/tuple"):
        client.get(path)
        assert client.reply().status == 500
    assert len(reported) == 2


def test_what_contains_itself_is_500(server, reported) -> None:
    ring: list = []
    ring.append(ring)
    server.route("/", lambda: ring)
    client = RawClient(bound(server))
    client.get("/")
    assert client.reply().status == 500
    assert len(reported) == 1


def test_after_request_handlers_do_not_pile_up_on_a_shared_response(server) -> None:
    shared = QHttpServerResponse("shared")
    server.route("/", lambda: shared)
    server.addAfterRequestHandler(server, mark)
    client = RawClient(bound(server))
    for _ in range(3):
        client.get("/")
        assert [name for name, _ in client.reply().fields].count("x-after") == 1
    assert shared.headers().size() == 1
