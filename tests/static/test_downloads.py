"""Files as results of handlers: the names of downloads, ranges, conditions, HEAD, and what cannot be served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message as Mail
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from qhttpserver_py import QHttpServer, QHttpServerResponse, attachment
from qhttpserver_py.static import content_disposition

from ..support.rawclient import Reply, bound
from ..support.rawclient import ask as raw_ask
from ..support.static_site import BIG

pytestmark = pytest.mark.usefixtures("qapp")

DATE = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("report.pdf", 'filename="report.pdf"'),
        ("two words.pdf", 'filename="two words.pdf"'),
        ("Übersicht.pdf", "filename=\"Ubersicht.pdf\"; filename*=UTF-8''%C3%9Cbersicht.pdf"),
        ("報告.csv", "filename=\"__.csv\"; filename*=UTF-8''%E5%A0%B1%E5%91%8A.csv"),
        ("€ rates.txt", "filename=\"_ rates.txt\"; filename*=UTF-8''%E2%82%AC%20rates.txt"),
        ("🙂.txt", "filename=\"_.txt\"; filename*=UTF-8''%F0%9F%99%82.txt"),
        ('a"b.txt', "filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("it's.txt", 'filename="it\'s.txt"'),
        ("é's.txt", "filename=\"e's.txt\"; filename*=UTF-8''%C3%A9%27s.txt"),
        ("50%41.txt", "filename=\"50_41.txt\"; filename*=UTF-8''50%2541.txt"),
        ("a;b=c.txt", 'filename="a;b=c.txt"'),
        ("ü,;(x)@[y]!#$&+^`~.txt",
         "filename=\"u,;(x)@[y]!#$&+^`~.txt\"; filename*=UTF-8''%C3%BC%2C%3B%28x%29%40%5By%5D!#$&+^`~.txt"),
        ("../../etc/passwd", 'filename=".._.._etc_passwd"'),
        ("C:\\Windows\\x.ini", 'filename="C__Windows_x.ini"'),
        ("a\r\nSet-Cookie: x=1", 'filename="a__Set-Cookie_ x=1"'),
        ("a\0b\x7fc\x85d", 'filename="a_b_c_d"'),
        ("fdp.\u202eexe", 'filename="fdp._exe"'),
        ("lone\udcff.txt", 'filename="lone_.txt"'),
        ("  padded.txt\t", 'filename="padded.txt"'),
        ("", 'filename="download"'),
        ("..", 'filename="download"'),
        (" . ", 'filename="download"'),
        ("///", 'filename="download"'),
        (".env", 'filename=".env"'),
        ("x" * 300 + ".pdf", f'filename="{"x" * 236}.pdf"'),
        ("x." + "y" * 300, f'filename="x.{"y" * 238}"'),
    ],
)  # fmt: skip
def test_the_name_of_a_download(name: str, value: str) -> None:
    told = content_disposition(name)
    assert told == f"attachment; {value}"
    assert told.isascii() and not re.search(r"[\x00-\x1f\x7f]", told)


def test_a_long_name_is_cut_between_letters() -> None:
    encoded = content_disposition("ä" * 300 + ".pdf").partition("filename*=UTF-8''")[2]
    assert unquote(encoded, errors="strict") == "ä" * 118 + ".pdf"


@pytest.mark.parametrize("name", ["Übersicht.pdf", 'a"b.txt', "50%41.txt", "報告 1;2.csv"])
def test_a_parser_of_another_hand_reads_the_name(name: str) -> None:
    """The standard library's reader of mail knows RFC 2231, of which RFC 8187 is a profile."""
    mail = Mail()
    mail["Content-Disposition"] = re.sub(r'filename="[^"]*"; ', "", content_disposition(name))
    assert mail.get_filename() == name


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((5,), TypeError), ((b"x",), TypeError), (("x", 5), TypeError), (("x", b"y"), TypeError)],
)
def test_what_is_no_path_or_name(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        attachment(*arguments)


def test_a_content_type_cannot_add_a_field() -> None:
    with pytest.raises(ValueError):
        attachment("x", content_type="text/plain\r\nset-cookie: x=1")


# -- over a connection


def route_each(server: QHttpServer, name: str, path: Path) -> None:
    assert server.route(f"/attachment/{name}", lambda: attachment(path, "Ä.txt"))
    assert server.route(f"/path/{name}", lambda: path)
    assert server.route(f"/file/{name}", lambda: QHttpServerResponse.fromFile(path))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    small, big = tmp_path / "a.txt", tmp_path / "big.bin"
    small.write_bytes(b"hello")
    big.write_bytes(BIG)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    server = QHttpServer()
    for name in ("a.txt", "big.bin", "empty.txt", "missing", "folder"):
        path = tmp_path / name
        route_each(server, name, path)
    server.route("/attachment/created", lambda: (attachment(small), 201, {"x-a": "1"}))
    server.route("/attachment/plain", lambda: (attachment(small), 200, {"cache-control": "no-cache", "etag": '"mine"'}))
    server.route("/attachment/typed", lambda: attachment(small, content_type="application/x-mine"))
    server.route("/attachment/resource", lambda: attachment(":/qt-project.org/logos/pysidelogo.png"))

    @server.route("/attachment/later")
    async def later() -> object:
        return attachment(small, "later.txt")

    yield bound(server)
    server.close()


def ask(port: int, target: str, method: str = "GET", **fields: str) -> Reply:
    return raw_ask(
        port, target, *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items()), method=method
    )


KINDS = ["attachment", "path", "file"]
VALIDATED = ["attachment", "path"]


def test_a_download(port: int) -> None:
    reply = ask(port, "/attachment/a.txt")
    assert (reply.status, reply.body) == (200, b"hello")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["content-disposition"] == "attachment; filename=\"A.txt\"; filename*=UTF-8''%C3%84.txt"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["content-length"] == "5"


def test_a_file_of_qt_is_sent_as_qt_sends_it(port: int) -> None:
    fields = [name for name, _ in ask(port, "/file/a.txt").fields]
    assert fields[0] == "content-type" and set(fields) <= {
        "content-type",
        "date",
        "content-length",
        "connection",
        "keep-alive",
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "content"), [("a.txt", b"hello"), ("big.bin", BIG), ("empty.txt", b"")])
def test_the_whole(port: int, kind: str, name: str, content: bytes) -> None:
    reply = ask(port, f"/{kind}/{name}")
    assert (reply.status, reply.body) == (200, content)
    assert reply.headers["content-length"] == str(len(content))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "size"), [("a.txt", 5), ("big.bin", len(BIG))])
def test_head(port: int, kind: str, name: str, size: int) -> None:
    reply = ask(port, f"/{kind}/{name}", "HEAD", range="bytes=0-0")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", str(size))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "wanted", "first", "last"),
    [
        ("a.txt", "bytes=1-3", 1, 3),
        ("a.txt", "bytes=-2", 3, 4),
        ("big.bin", "bytes=5-9", 5, 9),
        ("big.bin", "bytes=1000-200000", 1000, 200000),
    ],
)
def test_a_range(port: int, kind: str, name: str, wanted: str, first: int, last: int) -> None:
    content = b"hello" if name == "a.txt" else BIG
    reply = ask(port, f"/{kind}/{name}", range=wanted)
    assert (reply.status, reply.body) == (206, content[first : last + 1])
    assert reply.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"
    assert reply.headers["etag"].startswith('"')
    assert ("content-disposition" in reply.headers) == (kind == "attachment")
    again = ask(port, f"/{kind}/{name}", range=wanted, if_range=reply.headers["etag"])
    assert again.status == 206
    assert ask(port, f"/{kind}/{name}", range=wanted, if_range='"other"').status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_range_beyond_the_end(port: int, kind: str) -> None:
    reply = ask(port, f"/{kind}/a.txt", range="bytes=5-")
    assert (reply.status, reply.headers["content-range"]) == (416, "bytes */5")
    assert "content-disposition" not in reply.headers


@pytest.mark.parametrize("kind", KINDS)
def test_not_modified(port: int, kind: str) -> None:
    etag = ask(port, f"/{kind}/a.txt", range="bytes=0-0").headers["etag"]
    reply = ask(port, f"/{kind}/a.txt", if_none_match=etag)
    assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag)
    assert "content-type" not in reply.headers
    assert ask(port, f"/{kind}/a.txt", if_none_match='"x"').status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_precondition_that_fails(port: int, kind: str) -> None:
    assert ask(port, f"/{kind}/a.txt", if_match='"x"').status == 412
    assert ask(port, f"/{kind}/a.txt", if_match="*").status == 200


@pytest.mark.parametrize("kind", VALIDATED)
def test_the_validators_are_in_the_first_reply(port: int, kind: str) -> None:
    reply = ask(port, f"/{kind}/a.txt")
    assert ask(port, f"/{kind}/a.txt", if_modified_since=reply.headers["last-modified"]).status == 304
    assert ask(port, f"/{kind}/a.txt", if_none_match=reply.headers["etag"]).status == 304


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["missing", "folder"])
def test_what_cannot_be_read(port: int, kind: str, name: str) -> None:
    reply = ask(port, f"/{kind}/{name}")
    assert (reply.status, reply.body) == (404, b"")
    assert "content-disposition" not in reply.headers


def test_with_a_status_and_fields_of_its_own(port: int) -> None:
    reply = ask(port, "/attachment/created", range="bytes=0-0")
    assert (reply.status, reply.body, reply.headers["x-a"]) == (201, b"hello", "1")
    reply = ask(port, "/attachment/plain", range="bytes=0-0")
    assert (reply.status, reply.body, reply.headers["cache-control"]) == (206, b"h", "no-cache")
    assert [value for name, value in reply.fields if name == "etag"] == ['"mine"']


def test_a_type_of_ones_own_a_resource_and_a_coroutine(port: int) -> None:
    assert ask(port, "/attachment/typed").headers["content-type"] == "application/x-mine"
    reply = ask(port, "/attachment/resource", range="bytes=1-3")
    assert (reply.status, reply.body) == (206, b"PNG")
    assert reply.headers["content-disposition"] == 'attachment; filename="pysidelogo.png"'
    assert ask(port, "/attachment/later").headers["content-disposition"] == 'attachment; filename="later.txt"'
