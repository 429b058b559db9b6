"""The types of what ``route()`` takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypedDict, TypeVar

from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule

Handler = TypeVar("Handler", bound=Callable[..., Any])


class RouteOptions(TypedDict, total=False):
    """The keywords of ``route()``."""

    Rule: type[QHttpServerRouterRule]
    stream: bool
    maximum_body_size: int | None


class Decorator(Protocol):
    """What ``route()`` without a callback returns."""

    def __call__(self, function: Handler, /) -> Handler:
        """Register *function* and return it unchanged."""
        ...
