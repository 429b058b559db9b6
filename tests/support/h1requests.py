"""Requests as octets for the HTTP/1 engine, and what it made of them."""

from __future__ import annotations

import re

from qhttpserver_py._protocol.engine import Event, Message, Refusal
from qhttpserver_py._protocol.http1.engine import Http1Engine

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
SHUT = "connection: close||"


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes, body: bytes = b"") -> bytes:
    return b"".join(field + b"\r\n" for field in (line, b"Host: h", *fields)) + b"\r\n" + body


def upload(size: int = 5, body: bytes = b"", *fields: bytes) -> bytes:
    return request(b"POST /up HTTP/1.1", b"Content-Length: %d" % size, *fields, body=body)


def message(events: list[Event]) -> Message:
    (event,) = events
    assert isinstance(event, Message)
    return event


def refusal(events: list[Event]) -> Refusal:
    (event,) = events
    assert isinstance(event, Refusal)
    return event


def sent(engine: Http1Engine) -> str:
    """Return what was queued on one line, without dates."""
    text = engine.data_to_send().decode("latin-1").replace("\r\n", "|")
    return re.sub(r"date: [^|]*GMT\|", "", text)
