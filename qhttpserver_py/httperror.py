"""HttpError: an exception that is sent as the reply. Not in Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from qhttpserver_py._content.status import StatusCode, code_of

__all__ = ["ContentError", "HttpError"]

Headers = Mapping[str, str] | Iterable[tuple[str, str]] | None


class HttpError(Exception):
    """An exception that is sent as the reply, and not reported as a fault of the program.

    Raised by a handler, a converter, a verifier, or anything that they call, also by a coroutine, or by a generator
    before its first piece. After-request handlers run on the reply. A reply that was begun is cut instead; that of an
    asynchronous generator begins at once.

    Args:
        status: the status of the reply, 200 to 599: a StatusCode, an HTTPStatus or an int.
        body: what a handler could return at once: text, bytes, a dict or list; None is an empty body.
        headers: fields of the reply, as in a handler's ``(result, status, headers)``.

    Raises:
        ValueError: *status* is not a final status.
        TypeError: *status* is no status.

    Not in Qt.
    """

    def __init__(self, status: StatusCode | HTTPStatus | int, body: object = None, headers: Any = None) -> None:
        code = code_of(status)
        if not 200 <= code <= 599:
            raise ValueError(f"HttpError({code}): the status of an answer is 200 to 599")
        super().__init__(code, body)
        self.status = code
        """The status of the reply. Not in Qt."""
        self.body = body
        """What the body of the reply is made of. Not in Qt."""
        self.headers: Headers = headers
        """The fields that the reply gets besides its content type. Not in Qt."""

    def __str__(self) -> str:
        return f"{self.status} {self.body}" if self.body is not None else str(self.status)


class ContentError(HttpError, ValueError):
    """The content of a request breaks a rule: the peer's fault, answered by 4xx with the reason as text.

    Not in Qt.
    """

    def __init__(self, status: StatusCode | HTTPStatus | int, detail: str) -> None:
        super().__init__(status, detail + "\n")
        self.detail = detail
        """What is wrong, in one sentence. Not in Qt."""

    def __str__(self) -> str:
        return self.detail
