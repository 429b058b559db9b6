"""Gives a request the body that its handler takes as it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qhttpserver_py._exchange.exchange import Exchange
    from qhttpserver_py._protocol.engine import Message
    from qhttpserver_py._transport.core import ServerCore
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest


def give_stream(core: ServerCore, exchange: Exchange, request: QHttpServerRequest, message: Message) -> None:
    """Give *request* the stream of its body, with what has arrived of it."""
    from qhttpserver_py._content.body import BodyStream  # loaded by the first streamed body

    body = exchange.body = request._stream = BodyStream(exchange, message, core)
    if message.streaming:
        body.feed()
    else:
        body.add([message.body], ended=True)
