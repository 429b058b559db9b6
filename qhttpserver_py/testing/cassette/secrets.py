"""What a cassette does not keep: credentials, cookies and tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from qhttpserver_py.testing.cassette.episodes import Episode, Fields, RecordedRequest, RecordedResponse, header

REDACTED = "REDACTED"

HEADERS = frozenset(
    ("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token")
)
"""Header fields whose values are not kept."""

KEYS = frozenset(
    (
        *("key", "api_key", "apikey", "api-key", "token", "access_token", "refresh_token", "id_token", "auth"),
        *("client_secret", "secret", "password", "passwd", "signature", "sig", "x-amz-signature", "code_verifier"),
    )
)
"""Keys of queries, form fields and JSON objects whose values are not kept."""


class SecretFilter:
    """Replaces the values of what is named, by ``REDACTED``; names are compared in any case."""

    def __init__(self, headers: Iterable[str] = (), keys: Iterable[str] = ()) -> None:
        self._headers = HEADERS | {name.lower() for name in headers}
        self._keys = KEYS | {name.lower() for name in keys}

    def request(self, request: RecordedRequest) -> RecordedRequest:
        """Return *request* without secrets; the same object's fields are left alone."""
        return replace(
            request,
            uri=self._uri(request.uri),
            headers=self._fields(request.headers),
            body=self._body(request.body, request.headers),
        )

    def episode(self, episode: Episode) -> Episode:
        """Return *episode* without secrets."""
        response = episode.response
        clean = RecordedResponse(
            response.status,
            response.reason,
            [(name, self._location(name, value)) for name, value in self._fields(response.headers)],
            self._body(response.body, response.headers),
        )
        return replace(episode, request=self.request(episode.request), response=clean)

    def _fields(self, fields: Fields) -> Fields:
        return [(name, REDACTED if name.lower() in self._headers else value) for name, value in fields]

    def _location(self, name: str, value: str) -> str:
        return self._uri(value) if name.lower() in ("location", "content-location") else value

    def _uri(self, uri: str) -> str:
        parts = urlsplit(uri)
        host = parts.netloc.rpartition("@")[2]  # user and password
        return urlunsplit(parts._replace(netloc=host, query=self._pairs(parts.query)))

    def _pairs(self, text: str) -> str:
        """Return a query or a form; as it is where it has no secrets."""
        pairs = parse_qsl(text, keep_blank_values=True)
        if not any(name.lower() in self._keys for name, _ in pairs):
            return text
        return urlencode([(name, REDACTED if name.lower() in self._keys else value) for name, value in pairs])

    def _body(self, body: bytes, headers: Fields) -> bytes:
        kind = header(headers, "content-type").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            return self._pairs(body.decode("latin-1")).encode("latin-1")
        if not (kind.endswith("json") or body[:1] in (b"{", b"[")):
            return body
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return body
        clean = self._document(document)
        return body if clean == document else json.dumps(clean, ensure_ascii=False, separators=(",", ":")).encode()

    def _document(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._document(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: REDACTED if name.lower() in self._keys and item is not None else self._document(item)
            for name, item in value.items()
        }
