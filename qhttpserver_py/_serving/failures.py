"""What user code raised, as a reply."""

from __future__ import annotations

import traceback
from typing import Protocol

from qhttpserver_py._serving.results import Shape, empty_response, response_body
from qhttpserver_py.httperror import HttpError
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse


class Reporter(Protocol):
    """Where exceptions of user code are shown."""

    shows_errors: bool

    def report(self, error: Exception, label: str = "") -> None:
        """Log *error*, and call sys.excepthook."""
        ...


def failure_reply(reporter: Reporter, error: Exception, label: str) -> QHttpServerResponse:
    """Return the reply to what the user code called *label* raised: *error* itself, or 500 once it was reported."""
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
    """Return the response that *error* stands for.

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
