"""Applications that serve all paths below a prefix: by a rule, or behind all rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from qhttpserver_py._exchange.exchange import Exchange
from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._serving.lifetime import Lifetime
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter
from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule

Serve = Callable[[Exchange, QHttpServerRequest], None]
Found = tuple[QHttpServerRouterRule, tuple[Any, ...]]


class Host(Protocol):
    """The server that something is mounted on."""

    _router: QHttpServerRouter
    _lookup: Callable[[Message], Found | None]
    _body_rules: bool
    _lifetime: Lifetime


def mount_at(host: Any, prefix: str, handler: Callable[..., Any], serve: Serve, close: Callable[[], None]) -> bool:
    """Call *serve* with the exchange of each request below *prefix*; return False where the rule is refused.

    *handler* does the same with a request and a responder. *close* is called when the server closes.
    """
    router: QHttpServerRouter = host._router
    pattern = f"{re.escape(prefix)}(?:/.*)?" if prefix else ".*"
    rule = (
        router._make_view(pattern, handler)
        if not prefix
        else router._add_view(pattern, QHttpServerRequest.Method.AnyKnown, host, handler)
    )
    if rule is None:
        return False
    rule.streaming, rule.serve = True, serve
    rule.label = f"application at {prefix or '/'}"
    host._body_rules = True
    host._lifetime.close_hooks.append(close)
    if not prefix:
        lookup = host._lookup
        behind: Found = (rule, ())
        host._lookup = lambda message: lookup(message) or behind
        host._missing.mounted = host._missing.mounted or serve  # where the virtual methods are called
    return True
