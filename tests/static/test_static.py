"""Static files: what is answered to which request. The responder is a fake, the files are real."""

from __future__ import annotations

import os
from pathlib import Path
from time import time

import pytest
from PySide6.QtCore import QFile

from qhttpserver_py._content.conditional import http_date, parse_date
from qhttpserver_py.static import StaticFiles
from qhttpserver_py.static.listing import MAX_ENTRIES, Entry, render

from ..support.static_site import BIG, ask


def test_a_file(files: StaticFiles, site: Path) -> None:
    os.utime(site / "a.txt", (784111777, 784111777))
    reply = ask(files, "/a.txt?v=1")
    assert (reply.status, reply.body) == (200, b"hello")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["last-modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["etag"].startswith('"') and reply.headers["etag"].endswith('"')
    assert "cache-control" not in reply.headers


def test_a_file_from_the_future_was_modified_no_later_than_now(files: StaticFiles, site: Path) -> None:
    """RFC 9110 8.8.2.1: no Last-Modified behind the Date."""
    os.utime(site / "a.txt", (4102444800, 4102444800))
    before = int(time())
    told = parse_date(ask(files, "/a.txt").headers["last-modified"])
    assert told is not None
    assert before <= told <= time()
    assert ask(files, "/a.txt", if_modified_since=http_date(told)).status == 200  # it may change before that day


def test_a_long_file_is_handed_over_as_a_device(files: StaticFiles) -> None:
    reply = ask(files, "/big.bin")
    assert reply.body == BIG
    assert isinstance(reply.device, QFile)


def test_head_is_answered_like_get(files: StaticFiles) -> None:
    reply = ask(files, "/a.txt", "HEAD")
    assert (reply.status, reply.headers) == (200, ask(files, "/a.txt").headers)


def test_empty_file(files: StaticFiles) -> None:
    assert (ask(files, "/empty.txt").status, ask(files, "/empty.txt").body) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_other_methods(files: StaticFiles, method: str) -> None:
    reply = ask(files, "/a.txt", method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


def test_etag_changes_with_the_content(files: StaticFiles, site: Path) -> None:
    before = ask(files, "/a.txt").headers["etag"]
    (site / "a.txt").write_text("other")
    os.utime(site / "a.txt", ns=(1, 1))
    assert ask(files, "/a.txt").headers["etag"] != before


def test_not_modified(site: Path) -> None:
    files = StaticFiles(site, cache_control="max-age=60")
    fresh = ask(files, "/a.txt")
    for condition in (
        {"if_none_match": fresh.headers["etag"]},
        {"if_modified_since": fresh.headers["last-modified"]},
    ):
        reply = ask(files, "/a.txt", **condition)
        assert (reply.status, reply.body) == (304, b"")
        # RFC 9110 15.4.5: what a 200 would have sent of these
        assert reply.headers["etag"] == fresh.headers["etag"]
        assert reply.headers["cache-control"] == "max-age=60"
        assert "content-type" not in reply.headers


def test_precondition_failed(files: StaticFiles) -> None:
    assert ask(files, "/a.txt", if_match='"x"').status == 412


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=-10", len(BIG) - 10, len(BIG) - 1),
        ("bytes=10-", 10, len(BIG) - 1),
        ("bytes=1000-200000", 1000, 200000),
        ("bytes=0-", 0, len(BIG) - 1),
    ],
)
def test_range(files: StaticFiles, wanted: str, first: int, last: int) -> None:
    reply = ask(files, "/big.bin", range=wanted)
    assert reply.status == 206
    assert reply.headers["content-range"] == f"bytes {first}-{last}/{len(BIG)}"
    assert reply.body == BIG[first : last + 1]


def test_range_beyond_the_end(files: StaticFiles) -> None:
    reply = ask(files, "/a.txt", range="bytes=5-")
    assert (reply.status, reply.headers["content-range"]) == (416, "bytes */5")


def test_range_of_a_file_that_changed(files: StaticFiles) -> None:
    etag = ask(files, "/a.txt").headers["etag"]
    assert ask(files, "/a.txt", range="bytes=1-2", if_range=etag).status == 206
    assert ask(files, "/a.txt", range="bytes=1-2", if_range='"old"').status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/sub/..%00/secret.txt",
        "/a.txt%00.html",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/file:%2f%2f/etc/passwd",
        "/C:/Windows/win.ini",
        "http://x/../secret.txt",
        "http://x/%2e%2e/secret.txt",
        "*",
        "",
        "/a.txt/",
        "/a.txt/b",
        "/nothing",
        "/sub/nothing/",
        "/.env",
        "/.hidden/x",
        "/.hidden/",
        "/.hidden",
        "/" + "a" * 5000,
        "/%ff",
    ],
)
def test_not_found(files: StaticFiles, target: str) -> None:
    reply = ask(files, target)
    assert (reply.status, reply.body) == (404, b"Not Found\n")


def test_hidden_files_on_request(site: Path) -> None:
    assert ask(StaticFiles(site, hidden=True), "/.env").body == b"KEY=1"
    assert ask(StaticFiles(site), "/.well-known/security.txt").body == b"mail us"


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/sub", "/sub/"),
        ("/sub/deep?a=b", "/sub/deep/?a=b"),
        ("/with%20index", "/with%20index/"),
        ("http://elsewhere/sub", "/sub/"),
    ],
)
def test_a_directory_without_a_slash_is_redirected(files: StaticFiles, target: str, location: str) -> None:
    reply = ask(files, target)
    assert (reply.status, reply.headers["location"]) == (301, location)


def test_index(files: StaticFiles, site: Path) -> None:
    reply = ask(files, "/with%20index/")
    assert (reply.status, reply.body) == (200, b"<p>index")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert b"index.html" in ask(StaticFiles(site, index=""), "/with%20index/").body


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_listing(site: Path) -> None:
    (site / "<b>&.txt").write_text("x")
    (site / "a:b").write_text("x")
    reply = ask(StaticFiles(site), "/")
    page = reply.body.decode()
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "script" not in reply.headers["content-security-policy"]
    assert '<a href="./%3Cb%3E%26.txt">&lt;b&gt;&amp;.txt</a>' in page
    assert "<b>" not in page
    assert '<a href="./sub/">sub/</a>' in page
    assert page.index("with index") < page.index("a.txt")  # directories first
    assert '"../"' not in page
    assert not [name for name in (".env", ".hidden", "a:b") if name in page]
    assert ".well-known" in page
    assert '<a href="../">' in ask(StaticFiles(site), "/sub/").body.decode()
    assert ".env" in ask(StaticFiles(site, hidden=True), "/").body.decode()


def test_no_listing(site: Path) -> None:
    assert ask(StaticFiles(site, listing=False), "/").status == 404


def test_a_long_listing_is_cut() -> None:
    page = render([""], [Entry(f"{number}", False, 1, 0.0) for number in range(MAX_ENTRIES + 5)])
    assert page.count("<tr>") == MAX_ENTRIES + 1
    assert "and 5 more" in page


def test_single_page_application(site: Path) -> None:
    (site / "index.html").write_text("app")
    files = StaticFiles(site, spa=True, listing=False)
    assert ask(files, "/users/7", accept="text/html,*/*").body == b"app"
    assert ask(files, "/sub/", accept="text/html").body == b"app"
    assert ask(files, "/users/7.js", accept="*/*").status == 404
    assert ask(files, "/a.txt", accept="text/html").body == b"hello"
    assert ask(files, "/../secret.txt", accept="text/html").status == 404


@pytest.mark.parametrize(
    ("target", "accept", "status", "vary"),
    [
        ("/app/settings", "text/html", 200, "accept"),
        ("/app/settings", "application/json", 404, "accept"),
        ("/app/settings", "", 404, "accept"),
        ("/", "text/html", 200, None),
        ("/a.txt", "text/html", 200, None),
    ],
)
def test_what_depends_on_accept_has_a_vary_field(site: Path, target: str, accept: str, status: int, vary: str) -> None:
    """RFC 9110 12.5.5."""
    (site / "index.html").write_text("app")
    reply = ask(StaticFiles(site, spa=True), target, accept=accept)
    assert (reply.status, reply.headers.get("vary")) == (status, vary)
    if status == 200:
        again = ask(StaticFiles(site, spa=True), target, accept=accept, if_none_match=reply.headers["etag"])
        assert (again.status, again.headers.get("vary")) == (304, vary)
    assert "vary" not in ask(StaticFiles(site), "/app/settings", accept=accept).headers


@pytest.mark.parametrize("missing", ["nothing", "site/a.txt"])
def test_what_is_no_directory_is_refused_at_once(site: Path, missing: str) -> None:
    with pytest.raises(NotADirectoryError, match="is not a directory"):
        StaticFiles(site.parent / missing)
