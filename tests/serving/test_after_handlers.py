"""After-request handlers that end later: whatever makes the coroutine, it runs, and the order is kept."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponse

from ..support.rawclient import ask, bound

pytestmark = pytest.mark.usefixtures("qapp")


async def slowly(_request: QHttpServerRequest, response: QHttpServerResponse) -> None:
    await asyncio.sleep(0)
    mark(response, "slow")


def mark(response: QHttpServerResponse, text: str) -> None:
    headers = response.headers()
    headers.append("x-mark", text)
    response.setHeaders(headers)


class Caller:
    async def __call__(self, request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        await slowly(request, response)


@pytest.mark.parametrize(
    "handler",
    [
        slowly,
        Caller(),
        functools.partial(slowly),
        lambda request, response: slowly(request, response),  # noqa: PLW0108 - no coroutine function, but makes one
    ],
)
def test_it_runs_and_later_ones_wait(handler: Any) -> None:
    server = QHttpServer()
    server.route("/", lambda: "x")
    server.addAfterRequestHandler(server, lambda _, response: mark(response, "first"))
    server.addAfterRequestHandler(server, handler)
    server.addAfterRequestHandler(server, lambda _, response: mark(response, "last"))
    fields = ask(bound(server), "/").fields
    assert [value for name, value in fields if name == "x-mark"] == ["first", "slow", "last"]


@pytest.mark.parametrize("handler", [lambda: None, lambda request: None, lambda a, b, c: None])
def test_a_handler_that_cannot_take_both_is_refused(handler: Any) -> None:
    server = QHttpServer()
    with pytest.raises(TypeError, match="has to take 2 arguments"):
        server.addAfterRequestHandler(server, handler)
