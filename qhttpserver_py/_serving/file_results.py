"""Files as results: a whole file, or what a range or a condition of the request asks for (RFC 9110 13, 14)."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING

from qhttpserver_py._content.conditional import Decision, decide, field
from qhttpserver_py._content.files import (
    REASONS,
    OpenedFile,
    content_range,
    open_file,
    selected,
)
from qhttpserver_py._content.mime import HEAD_SIZE, for_file
from qhttpserver_py._content.validators import validator_fields
from qhttpserver_py._serving.results import Shape, empty_response
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse

if TYPE_CHECKING:
    from PySide6.QtCore import QIODevice

    from qhttpserver_py._protocol.engine import Message
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

_CONDITIONS = (b"range", b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since")


class Attachment:
    """A file that a handler returns, with the fields that make it a download."""

    __slots__ = ("fields", "path")

    def __init__(self, path: str, fields: list[tuple[str, str]]) -> None:
        self.path = path
        self.fields = fields

    def __repr__(self) -> str:
        return f"<attachment {self.path!r}>"


FILES = (PurePath, Attachment)
"""The results that ``file_result`` takes."""


def file_result(
    request: QHttpServerRequest, result: PurePath | Attachment, shape: Shape | None
) -> tuple[QHttpServerResponse | QIODevice, Shape | None]:
    """Return a response, or a device to stream, for the part of a file that *request* asks for; and its shape.

    *shape* is what the handler returned with the file. With a status other than 200, ranges and conditions are ignored.
    """
    path = result.path if isinstance(result, Attachment) else os.fspath(result)
    opened = open_file(path)
    if opened is None:
        return QHttpServerResponse(404), shape if shape is not None and shape.status != 200 else None
    decision = _decide(request._message, opened, shape)
    fields = list(result.fields) if isinstance(result, Attachment) else [("content-type", _type(path, opened))]
    if decision.status in {304, 412, 416}:
        opened.device.close()
        return _without_file(decision, opened, fields[1:], shape)
    body = selected(opened, decision)
    if body is None:  # cut short since it was opened
        return QHttpServerResponse(404), None
    fields += [*validator_fields(opened.representation), *content_range(decision, opened.representation.size)]
    status = decision.status if shape is None or shape.status == 200 else shape.status
    merged = _shape(status, fields, shape)
    if not isinstance(body, bytes):
        return body, merged
    response = empty_response(200)
    response._data = body
    return response, merged


def asked_part(request: QHttpServerRequest, response: QHttpServerResponse) -> QHttpServerResponse:
    """Return *response*, or if it is a file, the response to a range or a condition of *request*."""
    target = response._file
    message = request._message
    if target is None or response._status != 200 or not _is_conditional(message):
        return response
    decision = decide(message.method, message.headers, target)
    if decision.status in {412, 416}:
        return _refusal(decision, target.size)
    part = response._copy()
    part._file = None
    fields = [*validator_fields(target), *content_range(decision, target.size)]
    part._headers = _shape(decision.status, fields, None).merged(response._headers)
    part._status = decision.status
    if decision.status == 206:
        part._data = response._data[decision.first : decision.last + 1]
    elif decision.status == 304:
        part._headers = [(name, value) for name, value in part._headers if name != b"content-type"]
        part._data = b""
    return part


def _decide(message: Message, opened: OpenedFile, shape: Shape | None) -> Decision:
    if message.method not in {"GET", "HEAD"} or (shape is not None and shape.status != 200):
        return Decision(200)
    return decide(message.method, message.headers, opened.representation)


def _is_conditional(message: Message) -> bool:
    return message.method in {"GET", "HEAD"} and any(field(message.headers, name) is not None for name in _CONDITIONS)


def _type(path: str, opened: OpenedFile) -> str:
    return for_file(path, bytes(opened.device.peek(HEAD_SIZE).data())).decode("latin-1")


def _without_file(
    decision: Decision, opened: OpenedFile, fields: list[tuple[str, str]], shape: Shape | None
) -> tuple[QHttpServerResponse, Shape | None]:
    if decision.status != 304:
        return _refusal(decision, opened.representation.size), None
    # RFC 9110 15.4.5: the fields for caches that a 200 would have, the handler's own too.
    merged = _shape(304, [*fields, *validator_fields(opened.representation)], shape)
    return empty_response(304), merged


def _refusal(decision: Decision, size: int) -> QHttpServerResponse:
    response = QHttpServerResponse("text/plain; charset=utf-8", f"{REASONS[decision.status]}\n", decision.status)
    return _shape(decision.status, content_range(decision, size), None).apply(response)


def _shape(status: int, fields: list[tuple[str, str]], shape: Shape | None) -> Shape:
    made = Shape((status, fields))
    if shape is not None:
        made.fields = shape.merged(made.fields)
    return made
