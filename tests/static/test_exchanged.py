"""Paths that are spelled to pass by a protection, and directories that are exchanged while they are asked for."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponder
from qhttpserver_py._protocol.path import sent_path
from qhttpserver_py._routing.table import path_of
from qhttpserver_py.security import require_bearer
from qhttpserver_py.static import StaticFiles, mount
from qhttpserver_py.static import stores as stores_module
from qhttpserver_py.static.paths import MAXIMUM_PATH, split_path
from qhttpserver_py.static.stores import Folder, folds_case

from ..support.rawclient import ask, bound

pytestmark = pytest.mark.usefixtures("qapp")

SPELLINGS = [
    "/static/secret/100%25.txt",
    "/static/%73ecret/100%25.txt",
    "/static/%73ecret/100%.txt",
    "/static/secret/100%.txt",
    "/static/s%65cret/100%25%2Etxt",
    "/static/%2573ecret/100%25.txt",
    "/static/secret%2F100%25.txt",
    "/static//secret/100%25.txt",
    "/static/./secret/100%25.txt",
    "/static/x/../secret/100%25.txt",
    "/static/secret/100%25.txt?x=%",
    "/static/secret/%zz/100%25.txt",
    "//static/secret/100%25.txt",
]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "100%.txt").write_text("secret")
    (tmp_path / "open.txt").write_text("open")
    return tmp_path


@pytest.mark.parametrize("target", SPELLINGS)
def test_no_spelling_passes_by_the_protection(site: Path, target: str) -> None:
    server = QHttpServer()
    mount(server, "/static", StaticFiles(str(site)))
    require_bearer(server, "token", paths="/static/secret")
    port = bound(server)
    reply = ask(port, target)
    assert reply.body != b"secret"
    assert reply.status in (301, 400, 401, 404)
    assert ask(port, "/static/open.txt").body == b"open"
    assert ask(port, "/static/secret/100%25.txt", "Authorization: Bearer token").body == b"secret"
    server.close()


@pytest.mark.parametrize(
    "target", [*SPELLINGS, "/caf%C3%A9", "/caf%E9", "/a%2Fb", "/%", "/%4", "/%zz%41", "/a%00b", "/%41?%"]
)
def test_routes_protections_static_files_and_url_see_one_path(target: str) -> None:
    server = QHttpServer()
    seen: list[tuple[str, str, str]] = []

    def note(request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        message = request._message
        segments = split_path(sent_path(message.target, message.method))
        url = request.url().path(QUrl.ComponentFormattingOption.FullyDecoded)
        seen.append((path_of(message), url, "/" + "/".join(segments) if segments is not None else url))
        responder.write()

    server.setMissingHandler(server, note)
    ask(bound(server), target)
    ((path, url, served),) = seen
    assert path == url == served
    server.close()


def test_a_very_long_path_is_not_looked_up(site: Path) -> None:
    assert split_path("/" + "a/" * (MAXIMUM_PATH // 2)) is None
    assert split_path("/" + "a" * 100) is not None


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
@pytest.mark.parametrize("relative", [True, False])
def test_a_directory_that_is_exchanged_for_a_link_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    monkeypatch.setattr(stores_module, "_OPENS_RELATIVE", relative)
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a").mkdir(parents=True)
    outside.mkdir()
    (root / "a" / "f.txt").write_text("inside")
    (outside / "f.txt").write_text("outside")
    store = Folder(str(root))
    stop = threading.Event()

    def exchange() -> None:
        real, link, spare = root / "a", root / "link", root / "spare"
        link.symlink_to(outside)
        while not stop.is_set():
            real.rename(spare)
            link.rename(real)
            real.rename(link)
            spare.rename(real)

    thread = threading.Thread(target=exchange, daemon=True)
    thread.start()
    read = set()
    for _ in range(3000):
        place = store.locate(["a", "f.txt"])
        opened = store.open(place) if place is not None else None
        if opened is not None:
            read.add(opened.device.readAll().data())
            opened.device.close()
    stop.set()
    thread.join()
    assert read <= {b"inside"}


def test_another_case_is_another_name(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Folder(str(site))
    monkeypatch.setattr(store, "_folds_case", True)
    assert store.locate(["open.txt"]) is not None
    assert store.locate(["secret", "100%.txt"]) is not None
    assert store.locate(["Open.txt"]) is None
    real = os.path.realpath
    monkeypatch.setattr(stores_module.os.path, "realpath", lambda path: real(str(path).replace("Open", "open")))
    assert store.locate(["Open.txt"]) is None


def test_whether_a_file_system_folds_case(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folds_case("/") is False
    monkeypatch.setattr(stores_module.os.path, "samefile", lambda *_: True)
    assert folds_case(str(site)) is True


def test_a_listing_reads_no_more_entries_than_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores_module, "MAX_ENTRIES", 5)
    for number in range(20):
        (tmp_path / str(number)).touch()
    store = Folder(str(tmp_path))
    place = store.locate([])
    assert place is not None
    assert len(list(store.entries(place))) == 6
