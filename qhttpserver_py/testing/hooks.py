"""Ready-made hooks for ``with_post_hook()``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from qhttpserver_py._serving import results
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse

Hook = Callable[[QHttpServerRequest, QHttpServerResponse], Any]
"""Returns None for the response it was given, or anything a handler may return at once."""


def apply(hook: Hook, request: QHttpServerRequest, response: QHttpServerResponse) -> QHttpServerResponse:
    """Return what *hook* makes of *response*.

    Raises:
        TypeError: it returned what is no response.
    """
    result = hook(request, response)
    if result is None:
        return response
    shape = None
    if isinstance(result, tuple) and 2 <= len(result) <= 3:
        shape, result = results.Shape(result[1:]), result[0]
    made = results.immediate(result)
    if made is None:
        raise TypeError(f"a post hook returns a response, or None for the one it was given, not {result!r}")
    return shape.apply(made) if shape is not None else made


class Chain:
    """Several hooks as one: each is given what the one before returned. Not in Qt."""

    def __init__(self, *hooks: Hook) -> None:
        self.hooks = hooks

    def __call__(self, request: QHttpServerRequest, response: QHttpServerResponse) -> QHttpServerResponse:
        """Return what the last hook returns. Not in Qt."""
        for hook in self.hooks:
            response = apply(hook, request, response)
        return response


class Garbage:
    """Puts random bytes before and behind the body.

    Parameters:
        prefix_size: bytes before.
        suffix_size: bytes behind.

    Not in Qt.
    """

    def __init__(self, prefix_size: int = 0, suffix_size: int = 0) -> None:
        if min(prefix_size, suffix_size) < 0:
            raise ValueError("a size cannot be negative")
        self.prefix_size = prefix_size
        self.suffix_size = suffix_size

    def __call__(self, _request: QHttpServerRequest, response: QHttpServerResponse) -> QHttpServerResponse:
        """Return *response* with another body. Not in Qt."""
        response._data = os.urandom(self.prefix_size) + response._data + os.urandom(self.suffix_size)
        return response
