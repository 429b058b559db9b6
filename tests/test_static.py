"""Static files: what is answered to which request. The responder is a fake, the files are real."""

from __future__ import annotations

import base64
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QByteArray, QFile, QIODevice, QResource, QUrl
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._static_listing import MAX_ENTRIES, Entry, render
from qhttpserver_py._static_range import FileRange
from qhttpserver_py._static_types import content_type
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.static import StaticFiles, mount

BIG = bytes(range(256)) * 1024  # longer than what is sent in one piece


class Reply:
    """Stands in for the responder, and is the reply afterwards."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.device: QIODevice | None = None

    def write(self, data: bytes | QIODevice | QHttpHeaders, *rest: Any) -> None:
        assert not self.status, "answered twice"
        if isinstance(data, QHttpHeaders):
            data, rest = b"", (data, *rest)
        headers, self.status = rest if len(rest) == 2 else (*rest, 200)
        self.headers = {name.data().decode(): value.data().decode() for name, value in headers.toListOfPairs()}
        if isinstance(data, QIODevice):
            self.device = data
            assert data.isOpen() and not data.isSequential()
            size = data.size() - data.pos()
            pieces = []
            while piece := data.read(65536).data():
                pieces.append(piece)
            self.body = b"".join(pieces)
            assert len(self.body) == size and data.atEnd()
            data.close()
        else:
            self.body = data


def ask(files: StaticFiles, target: str, method: str = "GET", /, **headers: str) -> Reply:
    message = Message(
        1, method, target.encode(), 11, [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
    )
    reply = Reply()
    files.serve(QHttpServerRequest._make(message, None), reply)  # type: ignore[arg-type]
    assert reply.status, "not answered"
    return reply


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "site"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "with index").mkdir()
    (root / ".hidden").mkdir()
    (root / ".well-known").mkdir()
    (root / "a.txt").write_text("hello")
    (root / "empty.txt").write_text("")
    (root / "big.bin").write_bytes(BIG)
    (root / "sub" / "b.js").write_text("1")
    (root / "with index" / "index.html").write_text("<p>index")
    (root / ".env").write_text("KEY=1")
    (root / ".hidden" / "x").write_text("x")
    (root / ".well-known" / "security.txt").write_text("mail us")
    return root


@pytest.fixture
def files(site: Path) -> StaticFiles:
    return StaticFiles(site)


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


needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")


@needs_links
def test_links(site: Path) -> None:
    (site / "inside.txt").symlink_to("a.txt")
    (site / "outside.txt").symlink_to("../secret.txt")
    (site / "outdir").symlink_to("..")
    (site / "uncovers").symlink_to(".env")
    (site / "loop").symlink_to("loop")
    (site / "broken").symlink_to("nowhere")
    files = StaticFiles(site)
    assert ask(files, "/inside.txt").body == b"hello"
    for name in ("outside.txt", "outdir", "outdir/", "outdir/secret.txt", "uncovers", "loop", "broken"):
        assert ask(files, "/" + name).status == 404, name
    page = ask(files, "/").body.decode()
    assert "inside.txt" in page
    assert not [name for name in ("outside", "outdir", "loop", "broken") if name in page]


@needs_links
def test_a_sibling_whose_name_begins_alike_is_outside(site: Path, tmp_path: Path) -> None:
    (tmp_path / "site2").mkdir()
    (tmp_path / "site2" / "x").write_text("x")
    (site / "there").symlink_to("../site2")
    assert ask(StaticFiles(site), "/there/x").status == 404


@needs_links
def test_the_directory_itself_may_be_a_link(site: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(site)
    assert ask(StaticFiles(tmp_path / "link"), "/a.txt").status == 200


@needs_links
def test_pipes_and_sockets_do_not_exist(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(site / "pipe")
    monkeypatch.chdir(site)  # socket paths are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        files = StaticFiles(site)
        assert ask(files, "/pipe").status == ask(files, "/sock").status == 404
        assert b"pipe" not in ask(files, "/").body


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_unreadable(site: Path) -> None:
    (site / "a.txt").chmod(0)
    assert ask(StaticFiles(site), "/a.txt").status == 404


def test_a_file_that_vanishes_before_it_is_opened(files: StaticFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_args: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr("qhttpserver_py._static_stores.os.open", gone)
    assert ask(files, "/a.txt").status == 404


@needs_links
def test_a_file_that_becomes_a_pipe(files: StaticFiles, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(site / "pipe")
    real = os.open
    monkeypatch.setattr("qhttpserver_py._static_stores.os.open", lambda _path, flags: real(site / "pipe", flags))
    assert ask(files, "/a.txt").status == 404


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/sub", "/sub/"),
        ("/sub/deep?a=b", "/sub/deep/?a=b"),
        ("/with%20index", "/with%20index/"),
        ("http://elsewhere/sub", "/sub/"),
    ],
)
def test_a_directory_wants_a_slash(files: StaticFiles, target: str, location: str) -> None:
    reply = ask(files, target)
    assert (reply.status, reply.headers["location"]) == (301, location)


def test_index(files: StaticFiles, site: Path) -> None:
    reply = ask(files, "/with%20index/")
    assert (reply.status, reply.body) == (200, b"<p>index")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert b"index.html" in ask(StaticFiles(site, index=""), "/with%20index/").body


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
    ("name", "expected"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("A.HTM", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.ts", "text/typescript; charset=utf-8"),
        ("a.min.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.js.map", "application/json"),
        ("a.wasm", "application/wasm"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.nobodyknows", "application/octet-stream"),
        ("Makefile", "application/octet-stream"),
        ("a.", "application/octet-stream"),
    ],
)
def test_content_type(name: str, expected: str) -> None:
    assert content_type(name) == expected


@pytest.mark.parametrize("missing", ["nothing", "site/a.txt"])
def test_what_is_no_directory_is_refused_at_once(site: Path, missing: str) -> None:
    with pytest.raises(NotADirectoryError, match="is not a directory"):
        StaticFiles(site.parent / missing)


def test_file_range_reads_its_stretch_only(site: Path) -> None:
    file = QFile(str(site / "a.txt"))
    assert file.open(QIODevice.OpenModeFlag.ReadOnly)
    part = FileRange(file, 1, 3)
    assert (part.size(), part.read(2), part.read(10), part.read(1)) == (3, b"el", b"l", b"")
    assert part.seek(1) and part.readAll() == QByteArray(b"ll")
    part.close()
    assert not file.isOpen()


def test_qt_resources() -> None:
    with pytest.raises(NotADirectoryError):
        StaticFiles(":/nothing-here")
    # Qt's own resources are there in every program.
    files = StaticFiles(":/")
    page = ask(files, "/").body.decode()
    assert "qt-project.org" in page
    assert ask(files, "/qt-project.org").headers["location"] == "/qt-project.org/"
    assert ask(files, "/qt-project.org/../x").status == 404
    assert ask(files, "/qt-project.org/nothing").status == 404


# hello.txt below the prefix /static-test, as "rcc --binary --no-compress" writes it
RESOURCE = (
    "cXJlcwAAAAMAAABmAAAAGAAAADIAAAAAAAAAFmhlbGxvIGZyb20gYSByZXNvdXJjZQoACw/R/eQAcwB0AGEAdABpAGMALQB0"
    "AGUAcwB0AAkDMoZ0AGgAZQBsAGwAbwAuAHQAeAB0AAAAAAACAAAAAQAAAAEAAAAAAAAAAAAAAAAAAgAAAAEAAAACAAAAAAAA"
    "AAAAAAAcAAAAAAABAAAAAAAAAaICUaD8"
)


@pytest.fixture
def registered(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "hello.rcc"
    path.write_bytes(base64.b64decode(RESOURCE))
    assert QResource.registerResource(str(path))
    yield ":/static-test"
    assert QResource.unregisterResource(str(path))


def test_a_file_in_qt_resources(registered: str) -> None:
    files = StaticFiles(registered)
    first = ask(files, "/hello.txt")
    assert (first.status, first.body) == (200, b"hello from a resource\n")
    assert ask(files, "/hello.txt", if_none_match=first.headers["etag"]).status == 304
    assert ask(files, "/hello.txt", range="bytes=0-4").body == b"hello"
    assert "hello.txt" in ask(files, "/").body.decode()


class Routes:
    """Stands in for QHttpServer where only the registration matters."""

    def __init__(self, verdict: bool = True) -> None:
        self.rules: dict[str, Any] = {}
        self.verdict = verdict

    def route(self, pattern: str, handler: Any) -> bool:
        self.rules[pattern] = handler
        return self.verdict


@pytest.mark.parametrize(
    ("prefix", "patterns"),
    [
        ("/", ["/.*"]),
        ("/static", ["/static", "/static/.*"]),
        ("/a.b/c/", [r"/a\.b/c", r"/a\.b/c/.*"]),
    ],
)
def test_mount(site: Path, prefix: str, patterns: list[str]) -> None:
    server = Routes()
    assert isinstance(mount(server, prefix, site), StaticFiles)  # type: ignore[arg-type]
    assert list(server.rules) == patterns
    reply = Reply()
    target = prefix.rstrip("/") + "/a.txt"
    server.rules[patterns[-1]](QHttpServerRequest._make(Message(1, "GET", target.encode(), 11, []), None), reply)  # type: ignore[arg-type]
    assert reply.body == b"hello"


def test_mount_says_what_is_wrong(site: Path) -> None:
    with pytest.raises(ValueError, match="starts with"):
        mount(Routes(), "static", site)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="refused"):
        mount(Routes(verdict=False), "/static", StaticFiles(site))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "captured", "body"),
    [
        ("/static/a.txt", "a.txt", b"hello"),
        ("/x/static/sub/b.js", "sub/b.js", b"1"),
        ("/static/100%25%23%3F.txt", "100%#?.txt", b"odd"),
    ],
)
def test_as_a_routes_handler(site: Path, target: str, captured: str, body: bytes) -> None:
    (site / "100%#?.txt").write_text("odd")
    reply = Reply()
    request = QHttpServerRequest._make(Message(1, "GET", target.encode(), 11, []), None)  # type: ignore[arg-type]
    StaticFiles(site)(QUrl(captured), request, reply)  # type: ignore[arg-type]
    assert reply.body == body
