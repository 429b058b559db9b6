"""Static files as routes and as missing handler of a real server, asked by a real client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qhttpserver_py import QHttpServer
from qhttpserver_py.static import StaticFiles, mount

from ..support.rawclient import RawClient, ask, bound
from ..support.static_site import BIG, make_site

pytestmark = pytest.mark.usefixtures("qapp")


ODD = "100%#;.txt"
"""A name of characters that mean something in URLs, and that Windows allows."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = make_site(tmp_path)
    (site / ODD).write_text("odd")
    return site


@pytest.fixture
def server() -> Iterator[QHttpServer]:
    server = QHttpServer()
    yield server
    server.close()


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/a.txt", 200, b"hello"),
        ("/a.txt?x=/../y", 200, b"hello"),
        ("/sub/b.js", 200, b"1"),
        ("/100%25%23%3B.txt", 200, b"odd"),
        ("/with%20index/", 200, b"<p>index"),
        ("/sub", 301, b""),
        ("/../secret.txt", 404, b"Not Found\n"),
        ("/%2e%2e/secret.txt", 404, b"Not Found\n"),
        ("/sub/..%2f..%2fsecret.txt", 404, b"Not Found\n"),
        ("/.env", 404, b"Not Found\n"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/static", "/a.b/c"])
def test_the_same_below_any_prefix(
    server: QHttpServer, site: Path, prefix: str, target: str, status: int, body: bytes
) -> None:
    mount(server, prefix or "/", site)
    reply = ask(bound(server), prefix + target)
    assert (reply.status, reply.body) == (status, body)
    if status == 301:
        assert reply.headers["location"] == prefix + target + "/"


@pytest.mark.parametrize(("target", "body"), [("/a.txt", b"hello"), ("/100%25%23%3B.txt", b"odd"), ("/sub/b.js", b"1")])
def test_as_a_routes_handler(server: QHttpServer, site: Path, target: str, body: bytes) -> None:
    assert server.route("/x/<arg>", StaticFiles(site))
    port = bound(server)
    assert ask(port, "/x" + target).body == body
    assert b"a.txt" in ask(port, "/x/").body
    assert ask(port, "/x/../secret.txt").status == 404


def test_as_missing_handler(server: QHttpServer, site: Path) -> None:
    server.route("/a.txt", lambda: "the route wins")
    server.setMissingHandler(server, StaticFiles(site).serve)
    port = bound(server)
    assert ask(port, "/a.txt").body == b"the route wins"
    assert ask(port, "/sub/b.js").body == b"1"


def test_the_prefix_itself_and_its_neighbours(server: QHttpServer, site: Path) -> None:
    mount(server, "/static", StaticFiles(site))
    port = bound(server)
    assert ask(port, "/static").headers["location"] == "/static/"
    assert b"a.txt" in ask(port, "/static/").body
    assert ask(port, "/static2/a.txt").status == 404
    assert ask(port, "/a.txt").status == 404


def test_replies_follow_each_other_on_one_connection(server: QHttpServer, site: Path) -> None:
    mount(server, "/", site)
    client = RawClient(bound(server))
    client.get("/big.bin", method="HEAD")
    head = client.reply(head_only=True)
    assert (head.status, head.headers["content-length"]) == (200, str(len(BIG)))
    client.get("/big.bin", "Range: bytes=1-100000")
    part = client.reply()
    assert (part.status, part.body) == (206, BIG[1:100001])
    assert part.headers["content-range"] == f"bytes 1-100000/{len(BIG)}"
    client.get("/big.bin", f"If-None-Match: {head.headers['etag']}")
    assert client.reply().status == 304
    client.get("/big.bin")
    assert client.reply().body == BIG
    client.close()


class Refusing:
    """Stands in for a server that takes no routes."""

    def route(self, *_arguments: object) -> bool:
        return False


def test_mount_raises_for_what_is_wrong(server: QHttpServer, site: Path) -> None:
    with pytest.raises(ValueError, match="starts with"):
        mount(server, "static", site)
    with pytest.raises(NotADirectoryError):
        mount(server, "/static", site / "nothing")
    with pytest.raises(ValueError, match="refused"):
        mount(Refusing(), "/static", site)  # type: ignore[arg-type]
