"""What a missing handler may take."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from PySide6.QtCore import QTimeLine

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponder

from ..support.rawclient import ask, bound

if TYPE_CHECKING:
    from elsewhere import Req, Rsp  # not importable: known by name alone

pytestmark = pytest.mark.usefixtures("qapp")


def in_order(request, responder):
    responder.write(request.url().path().encode(), b"text/plain")


def with_default(request, responder=None):
    in_order(request, responder)


def and_bound_early(request, responder, text=b"/x"):
    responder.write(text, b"text/plain")


def swapped(responder: QHttpServerResponder, request: QHttpServerRequest):
    in_order(request, responder)


def responder_alone(responder: QHttpServerResponder):
    responder.write(b"/x", b"text/plain")


def named_elsewhere(request: Req, responder: Rsp):
    in_order(request, responder)


def by_name(*, responder: QHttpServerResponder, request: QHttpServerRequest):
    in_order(request, responder)


async def later(request, responder):
    in_order(request, responder)


class Holder:
    def method(self, request, responder):
        in_order(request, responder)

    def __call__(self, *arguments):
        in_order(*arguments)


@pytest.mark.parametrize(
    "handler",
    [
        in_order,
        with_default,
        and_bound_early,
        swapped,
        responder_alone,
        named_elsewhere,
        by_name,
        later,
        Holder().method,
        Holder(),
        functools.partial(and_bound_early, text=b"/x"),
        lambda *arguments: arguments[1].write(b"/x", b"text/plain"),
        lambda request: request.url().path(),
        lambda: "/x",
    ],
)
def test_shapes(handler: Any) -> None:
    server = QHttpServer()
    server.setMissingHandler(server, handler)
    assert ask(bound(server), "/x").body == b"/x"


@pytest.mark.parametrize(
    "handler", [lambda request, responder, more: None, lambda *, key: None, QTimeLine(1).setCurrentTime]
)
def test_what_cannot_be_called_is_refused_at_once(handler: Any) -> None:
    server = QHttpServer()
    with pytest.raises(TypeError, match="setMissingHandler"):
        server.setMissingHandler(server, handler)
    assert ask(bound(server), "/x").status == 404
