"""Makes a reply of what user code raised."""

from __future__ import annotations

import traceback
from typing import Protocol

from qhttpserver_py._serving.results import Shape, empty_response, response_body
from qhttpserver_py.httperror import HttpError
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse


class Reporter(Protocol):
    """Shows exceptions of user code."""

    shows_errors: bool

    def report(self, error: Exception, label: str = "") -> None:
        """Log *error*, and call sys.excepthook."""
        ...


def failure_reply(reporter: Reporter, error: Exception, label: str) -> QHttpServerResponse:
    """Return the reply to *error*, raised by the user code called *label*: the response it contains, or 500, after it
    was reported.
    """
    if isinstance(error, HttpError):
        try:
            return response_of(error)
        except Exception as fault:  # noqa: BLE001 - its body or its fields cannot be sent
            error = fault
    reporter.report(error, label)
    if not reporter.shows_errors:
        return empty_response(500)
    trace = "".join(traceback.format_exception(error))
    return Shape((500, {"content-type": "text/plain; charset=utf-8"})).apply(
        QHttpServerResponse(trace.encode(errors="replace"))
    )


def response_of(error: HttpError) -> QHttpServerResponse:
    """Return the response of *error*.

    Raises:
        TypeError: its body is nothing that can be sent at once, or its headers are none.
        ValueError: a header field cannot be sent.
    """
    response = empty_response(error.status) if error.body is None else response_body(error.body)
    if response is None:
        raise TypeError(
            f"HttpError: a body of {type(error.body).__name__} cannot be sent; give text, bytes, dict or list"
        )
    return Shape((error.status, error.headers)).apply(response)
