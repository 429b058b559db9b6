"""The same requests by every client, over every kind of socket."""

from __future__ import annotations

import hashlib
import json

import pytest

from .application import LARGE, Site
from .clients import CLIENTS, HAS_CURL, MODULES, Asked, Reply
from .conftest import in_thread

PAIRS = [
    pytest.param(client, transport, id=f"{client}-{transport}")
    for client in CLIENTS
    for transport in ("tcp", "tls", "local")
    if (client, transport) != ("requests", "local")  # it has no local sockets of its own
]
everywhere = pytest.mark.parametrize(("client", "transport"), PAIRS)


def ask(site: Site, client: str, asked: Asked) -> Reply:
    if client == "curl" and not HAS_CURL:
        pytest.skip("curl is not installed")
    if client in MODULES:
        pytest.importorskip(MODULES[client])
    return in_thread(lambda: CLIENTS[client](site, asked))


@everywhere
def test_get(site: Site, client: str, transport: str) -> None:
    reply = ask(site, client, Asked(transport, "GET", "/hello"))
    assert (reply.status, reply.body) == (200, b"Hello, world!")
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["x-live"] == "yes"
    assert "date" in reply.headers


@everywhere
def test_typed_argument(site: Site, client: str, transport: str) -> None:
    assert ask(site, client, Asked(transport, "GET", "/item/41")).body == b"item 42"
    assert ask(site, client, Asked(transport, "GET", "/item/x")).status == 404


@everywhere
def test_json(site: Site, client: str, transport: str) -> None:
    sent = json.dumps({"name": "żółw", "values": [1, 2, 3]}).encode()
    asked = Asked(transport, "POST", "/json", sent, {"content-type": "application/json"})
    reply = ask(site, client, asked)
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.body) == {"name": "żółw", "sum": 6}


@everywhere
@pytest.mark.parametrize("size", [0, 1, 3_000_000], ids=["none", "one", "3MB"])
def test_upload(site: Site, client: str, transport: str, size: int) -> None:
    data = LARGE[:size] if size < len(LARGE) else (LARGE * 3)[:size]
    reply = ask(site, client, Asked(transport, "PUT", "/digest", data, {"content-type": "a/b"}))
    assert json.loads(reply.body) == {"sha256": hashlib.sha256(data).hexdigest(), "size": size}


@everywhere
def test_large_reply(site: Site, client: str, transport: str) -> None:
    assert ask(site, client, Asked(transport, "GET", "/large")).body == LARGE


@everywhere
def test_streamed_reply(site: Site, client: str, transport: str) -> None:
    reply = ask(site, client, Asked(transport, "GET", "/pieces"))
    assert reply.body == b"".join(b"piece %d\n" % number for number in range(50))


@everywhere
def test_head_has_no_body(site: Site, client: str, transport: str) -> None:
    reply = ask(site, client, Asked(transport, "HEAD", "/hello"))
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "13")


@everywhere
def test_no_content(site: Site, client: str, transport: str) -> None:
    reply = ask(site, client, Asked(transport, "GET", "/empty"))
    assert (reply.status, reply.body) == (204, b"")


@everywhere
def test_redirect_and_error(site: Site, client: str, transport: str) -> None:
    moved = ask(site, client, Asked(transport, "GET", "/moved"))
    assert (moved.status, moved.headers["location"]) == (303, "/hello")
    assert ask(site, client, Asked(transport, "GET", "/fail")).status == 418
    assert ask(site, client, Asked(transport, "GET", "/nowhere")).status == 404


@everywhere
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "OPTIONS", "PATCH"])
def test_methods(site: Site, client: str, transport: str, method: str) -> None:
    assert ask(site, client, Asked(transport, method, "/method")).body == method.capitalize().encode()


@everywhere
def test_headers_arrive(site: Site, client: str, transport: str) -> None:
    asked = Asked(transport, "GET", "/headers", None, {"X-One": "a, b", "X-Two": "caf"})
    fields = json.loads(ask(site, client, asked).body)
    assert ["x-one", "a, b"] in fields
    assert ["x-two", "caf"] in fields
