"""Before-request handlers: they see every request first, and whatever they answer counts."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest
from PySide6.QtCore import QObject

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponse
from qhttpserver_py.testing import InMemoryClient

from ..support.protected import kept, served
from ..support.rawclient import RawClient, ask, bound, reported, settle, spin
from ..support.wsclient import UPGRADE_FIELDS

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def server() -> QHttpServer:
    return served()


@pytest.mark.parametrize("path", ["/", "/kept", "/none"])
def test_none_lets_the_request_go_on(server: QHttpServer, path: str) -> None:
    before = ask(bound(server), path)
    seen: list[str] = []
    server.addBeforeRequestHandler(server, lambda request: seen.append(request.url().path()))
    after = ask(bound(server), path)
    assert (after.status, after.body) == (before.status, before.body)
    assert seen == [path]


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ("no", 200, b"no"),
        (403, 403, b""),
        (("no", 403, {"x-why": "because"}), 403, b"no"),
        (QHttpServerResponse(b"text/plain", b"r"), 200, b"r"),
        ({"a": 1}, 200, b'{"a":1}'),
        ((part for part in (b"a", b"b")), 200, b"ab"),
    ],
)
def test_any_result_answers(server: QHttpServer, result: Any, status: int, body: bytes) -> None:
    server.addBeforeRequestHandler(server, lambda request: result)
    reply = ask(bound(server), "/")
    assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize("path", ["/", "/kept", "/none", "/up"])
def test_no_path_gets_by(server: QHttpServer, path: str) -> None:
    server.addBeforeRequestHandler(server, lambda request: 401)
    assert ask(bound(server), path, method="POST", body=b"x").status == 401


def test_handlers_run_in_order_until_one_answers(server: QHttpServer) -> None:
    seen: list[int] = []
    server.addBeforeRequestHandler(server, lambda _: seen.append(1))
    server.addBeforeRequestHandler(server, lambda _: seen.append(2) or 403)
    server.addBeforeRequestHandler(server, lambda _: seen.append(3))
    assert InMemoryClient(server).get("/").status == 403
    assert seen == [1, 2]


def test_an_exception_refuses(server: QHttpServer) -> None:
    def fails(request: QHttpServerRequest) -> None:
        raise LookupError("no such session")

    server.addBeforeRequestHandler(server, fails)
    with reported() as errors:
        assert ask(bound(server), "/").status == 500
    assert [type(error) for error in errors] == [LookupError]


def test_what_is_no_result_refuses(server: QHttpServer) -> None:
    """A handler that returns True, meaning yes, must not be taken for one that returned None."""
    server.addBeforeRequestHandler(server, lambda request: True)
    assert ask(bound(server), "/").status == 500


@pytest.mark.parametrize(("outcome", "status"), [(None, 200), (403, 403)])
@pytest.mark.parametrize("path", ["/", "/kept"])
def test_a_verdict_may_come_later(server: QHttpServer, outcome: int | None, status: int, path: str) -> None:
    future: Future[int | None] = Future()
    server.addBeforeRequestHandler(server, lambda request: future)
    client = RawClient(bound(server))
    client.get(path)
    settle()
    assert client.received == b""
    future.set_result(outcome)
    assert client.reply().status == status


def test_a_coroutine_may_decide(server: QHttpServer) -> None:
    async def check(request: QHttpServerRequest) -> int | None:
        await asyncio.sleep(0)
        return 403 if request.url().path() == "/kept" else None

    server.addBeforeRequestHandler(server, check)
    port = bound(server)
    assert ask(port, "/").status == 200
    assert ask(port, "/kept").status == 403


def test_a_peer_that_leaves_meanwhile_reaches_no_handler(server: QHttpServer) -> None:
    future: Future[None] = Future()
    called: list[int] = []
    server.route("/count", lambda: called.append(1))
    server.addBeforeRequestHandler(server, lambda request: future)
    client = RawClient(bound(server))
    client.get("/count")
    settle()
    client.close()
    assert spin(lambda: not server._core.connections)
    future.cancel()
    settle()
    assert not called


@pytest.mark.parametrize(("verdict", "status"), [(None, 404), (403, 403)])
def test_upgrades_are_asked_about(server: QHttpServer, verdict: int | None, status: int) -> None:
    server.addBeforeRequestHandler(server, lambda request: verdict)
    client = RawClient(bound(server))
    client.get("/", *UPGRADE_FIELDS)
    assert client.reply().status == status
    assert client.wait_closed()  # as after every refused upgrade


def test_a_handler_goes_with_its_context(server: QHttpServer) -> None:
    context = QObject()
    server.addBeforeRequestHandler(context, lambda request: 403)
    client = InMemoryClient(server)
    assert client.get("/").status == 403
    context.deleteLater()
    settle()
    assert client.get("/").status == 200


def test_a_decorator_returns_the_function(server: QHttpServer) -> None:
    @server.addBeforeRequestHandler(server)
    def closed(request: QHttpServerRequest) -> int:
        return 503

    assert closed(QHttpServerRequest()) == 503
    assert InMemoryClient(server).get("/").status == 503


def test_misuse_raises(server: QHttpServer) -> None:
    with pytest.raises(TypeError, match="context is a QObject"):
        server.addBeforeRequestHandler(None, kept)
    with pytest.raises(TypeError, match="cannot be called"):
        server.addBeforeRequestHandler(server, 3)


def test_servers_without_pay_nothing(server: QHttpServer) -> None:
    """The short way from the connection to a handler stays open; it has no exchange."""
    assert server._general is False
    opened: list[object] = []
    server._answers.open = lambda *args: opened.append(args)  # type: ignore[method-assign]
    assert InMemoryClient(server).get("/").status == 200
    assert not opened
