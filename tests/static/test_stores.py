"""Where static files come from: links, pipes, Qt resources; and what the files are called."""

from __future__ import annotations

import base64
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QByteArray, QFile, QIODevice, QResource

from qhttpserver_py._content.files import FileRange
from qhttpserver_py.static import StaticFiles
from qhttpserver_py.static.types import content_type

from ..support.static_site import ask

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

    monkeypatch.setattr("qhttpserver_py.static.stores.os.open", gone)
    assert ask(files, "/a.txt").status == 404


def test_a_file_that_shrinks_while_it_is_opened(files: StaticFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    info = SimpleNamespace(st_mode=stat.S_IFREG, st_mtime=0.0, st_mtime_ns=0, st_size=6)
    monkeypatch.setattr("qhttpserver_py.static.stores.os.fstat", lambda _descriptor: info)
    assert ask(files, "/a.txt").status == 404


def test_a_file_that_vanishes_while_it_is_listed(files: StaticFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(SimpleNamespace):
        def is_symlink(self) -> bool:
            return False

        def stat(self) -> None:
            raise FileNotFoundError

    monkeypatch.setattr("qhttpserver_py.static.stores.os.scandir", lambda _path: nullcontext([Gone(name="gone.txt")]))
    assert b"gone.txt" not in ask(files, "/").body


def test_a_directory_that_may_not_be_listed(files: StaticFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_path: str) -> None:
        raise PermissionError

    monkeypatch.setattr("qhttpserver_py.static.stores.os.scandir", denied)
    assert ask(files, "/").status == 200


@needs_links
def test_a_file_that_becomes_a_pipe(files: StaticFiles, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(site / "pipe")
    real = os.open
    monkeypatch.setattr("qhttpserver_py.static.stores.os.open", lambda _path, flags: real(site / "pipe", flags))
    assert ask(files, "/a.txt").status == 404


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


def test_a_resource_that_cannot_be_opened(registered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = StaticFiles(registered)
    monkeypatch.setattr(QFile, "open", lambda *_arguments: False)
    assert ask(files, "/hello.txt").status == 404
