"""Bearer tokens (RFC 6750), compared in a time that tells nothing about them."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from qhttpserver_py._routing.table import path_of
from qhttpserver_py.security.origins import decides, field, says_yes

if TYPE_CHECKING:
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

Token = str | bytes
Tokens = Token | Iterable[Token] | Callable[[str], bool]
Paths = str | re.Pattern[str] | Iterable[str | re.Pattern[str]]


_PARAMETERS = 1000
"""How many parameters of a query are searched for a token, so that a request without one is cheap."""


class TokenCheck:
    """Decides whether a token is a valid one."""

    __slots__ = ("_call", "_digests")

    def __init__(self, tokens: Tokens) -> None:
        self._call: Callable[[str], bool] | None = None
        self._digests: list[bytes] = []
        if callable(tokens):
            self._call = decides(tokens, "access token")
            return
        for token in [tokens] if isinstance(tokens, (str, bytes)) else tokens:
            octets = token.encode() if isinstance(token, str) else token
            if not octets:
                raise ValueError("an empty token keeps nobody out; secrets.token_urlsafe() makes a good one")
            self._digests.append(sha256(octets).digest())
        if not self._digests:
            raise ValueError("no token would be right")

    def opens(self, given: str) -> bool:
        """Return whether *given* is valid. All are compared, all at the same length, so the time does not depend on the
        result.
        """
        if self._call is not None:
            return says_yes(self._call, given)
        digest = sha256(given.encode("latin-1", "replace")).digest()
        right = False
        for known in self._digests:
            right |= hmac.compare_digest(digest, known)
        return right


def given_token(request: QHttpServerRequest, query: str | None) -> str | None:
    """Return the token of *request*: of Authorization, or of the query parameter called *query*."""
    authorization = field(request, b"authorization")
    if authorization is not None:
        scheme, _, rest = authorization.partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else None
    if query is not None:
        text = request._message.target.partition(b"?")[2].decode("latin-1")
        if text.count("&") >= _PARAMETERS:
            return None
        found = parse_qs(text, encoding="latin-1")
        values = found.get(query, [])
        return values[0] if len(values) == 1 else None
    return None


class PathSet:
    """Paths, each with all below it, or patterns that match whole paths. Decoded paths are compared, as in routes."""

    __slots__ = ("_everything", "_patterns", "_roots")

    def __init__(self, paths: Paths | None) -> None:
        self._everything = paths is None
        self._roots: list[str] = []
        self._patterns: list[re.Pattern[str]] = []
        if paths is None:
            return
        for path in [paths] if isinstance(paths, (str, re.Pattern)) else paths:
            if isinstance(path, re.Pattern):
                self._patterns.append(path)
            elif path.startswith("/"):
                self._roots.append(path.rstrip("/"))
            else:
                raise ValueError(f"{path!r}: a path begins with '/'")

    def has(self, request: QHttpServerRequest) -> bool:
        """Return whether the path of *request* is one of them."""
        if self._everything:
            return True
        path = path_of(request._message)
        if any(path == root or path.startswith(root + "/") for root in self._roots):
            return True
        return any(pattern.fullmatch(path) for pattern in self._patterns)
