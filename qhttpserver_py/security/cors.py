"""Cross-origin resource sharing, as the Fetch standard defines it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from qhttpserver_py._protocol.engine import Header
from qhttpserver_py._protocol.wire import TOKEN
from qhttpserver_py.security.origins import AllowedOrigins, field

if TYPE_CHECKING:
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

USUAL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_PREFLIGHT_VARY = (b"vary", b"origin, access-control-request-method, access-control-request-headers")


class Cors:
    """The fields that tell browsers which pages may call and read; rendered once, as far as possible."""

    __slots__ = ("_headers", "_max_age", "_methods", "_private", "_public", "_with_credentials", "origins", "shared")

    def __init__(
        self,
        origins: AllowedOrigins,
        methods: Iterable[str] | None,
        headers: Iterable[str] | None,
        expose: Iterable[str],
        credentials: bool,
        max_age: int,
        private_network: bool,
    ) -> None:
        if credentials and origins.everything:
            # Every page that the user visits could act and read with the user's credentials.
            raise ValueError("credentials=True needs origins that are named: '*' would let every site in")
        self.origins = origins
        self._public = origins.everything
        self._with_credentials = credentials
        self._methods = None if methods is None else _token_list(methods, "method").upper()
        self._headers = None if headers is None else _token_list(headers, "header name").lower()
        self._max_age = b"%d" % max(0, max_age)
        self._private = private_network
        exposed = _token_list(expose, "header name").lower()
        self.shared: list[Header] = []
        if exposed:
            self.shared.append((b"access-control-expose-headers", exposed))
        if credentials:
            self.shared.append((b"access-control-allow-credentials", b"true"))

    def fields(self, origin: str | None) -> list[Header]:
        """Return what a reply to a request from *origin* says; None: the request named none."""
        if self._public and origin != "null":
            return [(b"access-control-allow-origin", b"*"), *self.shared]
        vary = (b"vary", b"origin")  # caches keep replies to different origins apart
        if origin is None or not self.origins.allows(origin):
            return [vary]
        return [(b"access-control-allow-origin", origin.encode("latin-1")), *self.shared, vary]

    def preflight(self, request: QHttpServerRequest, routed: Iterable[str]) -> list[Header]:
        """Return the fields that answer a preflight from an allowed origin; *routed*: methods the path has."""
        origin = field(request, b"origin") or ""
        methods = self._methods if self._methods is not None else ", ".join(sorted(routed)).encode()
        answer = [item for item in self.fields(origin) if item[0] not in (b"vary", b"access-control-expose-headers")]
        answer.append((b"access-control-allow-methods", methods))
        asked = field(request, b"access-control-request-headers")
        allowed = self._headers if self._headers is not None else (asked or "").encode("latin-1")
        if allowed:
            answer.append((b"access-control-allow-headers", allowed))
        answer.append((b"access-control-max-age", self._max_age))
        if self._private and field(request, b"access-control-request-private-network") == "true":
            answer.append((b"access-control-allow-private-network", b"true"))
        return [*answer, _PREFLIGHT_VARY]


def is_preflight(request: QHttpServerRequest) -> bool:
    """Return whether a request is a preflight."""
    return (
        request._message.method == "OPTIONS"
        and field(request, b"origin") is not None
        and field(request, b"access-control-request-method") is not None
    )


def _token_list(words: Iterable[str], what: str) -> bytes:
    listed = [word.strip() for word in (words.split(",") if isinstance(words, str) else words)]
    for word in listed:
        if word and not TOKEN.fullmatch(word.encode("latin-1", "replace")):
            raise ValueError(f"{word!r} is no {what}")
    return ", ".join(word for word in listed if word).encode()
