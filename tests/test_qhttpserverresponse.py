import copy
import pickle
from http import HTTPStatus
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QJsonArray, QJsonDocument, QJsonValue, QUrl
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py._content.status import StatusCode
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse


def facts(response):
    fields = [(n.data(), v.data()) for n, v in response.headers().toListOfPairs()]
    return response._status, fields, response.data().data()


def typed(mime, body, status=200):
    return status, [(b"content-type", mime)], body


TEXT = b"text/plain"
JSON = b"application/json"
ZERO = b"application/x-zerosize"
EMPTY = b"application/x-empty"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("é",), typed(TEXT + b"; charset=utf-8", "é".encode())),
        (("\ufeffab",), typed(TEXT + b"; charset=utf-8", "\ufeffab".encode())),
        ((b"x",), typed(TEXT, b"x")),
        ((bytearray(b"x"),), typed(TEXT, b"x")),
        ((memoryview(b"xyz")[::2],), typed(TEXT, b"xz")),
        ((QByteArray(b"x"),), typed(TEXT, b"x")),
        (("",), typed(ZERO, b"")),
        ((b"",), typed(ZERO, b"")),
        ((QByteArray(),), typed(ZERO, b"")),
        ((None,), typed(ZERO, b"")),
        ((None, StatusCode.Created), typed(ZERO, b"", 201)),
        (("<!DOCTYPE html><p>",), typed(b"text/html", b"<!DOCTYPE html><p>")),
        (("<html>",), typed(b"text/html", b"<html>")),
        (("<?xml version='1.0'?><a/>",), typed(b"application/xml", b"<?xml version='1.0'?><a/>")),
        (('{"a": 1}',), typed(TEXT, b'{"a": 1}')),
        ((b"\x89PNG\r\n\x1a\n",), typed(b"image/png", b"\x89PNG\r\n\x1a\n")),
        ((b"a\0b",), typed(b"application/octet-stream", b"a\0b")),
        ((b"\xff\xfe\xe9 bad",), typed(TEXT, b"\xff\xfe\xe9 bad")),
        (({"b": 1, "a": [1, 2.5, None, True]},), typed(JSON, b'{"a":[1,2.5,null,true],"b":1}')),
        (({},), typed(JSON, b"{}")),
        (([1, "x"],), typed(JSON, b'[1,"x"]')),
        ((QJsonArray(),), typed(JSON, b"[]")),
        ((QJsonArray.fromVariantList([1, 2]),), typed(JSON, b"[1,2]")),
        ((QJsonDocument.fromVariant({"b": 1, "a": 2}),), typed(JSON, b'{"a":2,"b":1}')),
        ((QJsonDocument(),), typed(JSON, b"")),
        ((QJsonValue(3.0),), typed(JSON, b"3")),
        (({"a": QJsonValue(3.0)},), typed(JSON, b'{"a":3}')),
        ((StatusCode.NotFound,), typed(EMPTY, b"", 404)),
        ((404,), typed(EMPTY, b"", 404)),
        ((HTTPStatus.GONE,), typed(EMPTY, b"", 410)),
        ((599,), typed(EMPTY, b"", 599)),
        (("x", StatusCode.Created), typed(TEXT, b"x", 201)),
        (("x", 425), typed(TEXT, b"x", 425)),
        (({}, HTTPStatus.ACCEPTED), typed(JSON, b"{}", 202)),
        ((b"a/b", b"x"), typed(b"a/b", b"x")),
        (("a/b", "é"), typed(b"a/b", "é".encode())),
        (("a/b", bytearray(b"x")), typed(b"a/b", b"x")),
        ((QByteArray(b"a/b"), QByteArray(b"x")), typed(b"a/b", b"x")),
        ((memoryview(b"a/b"), memoryview(b"x")), typed(b"a/b", b"x")),
        ((b"a/b", None), typed(b"a/b", b"")),
        ((b"  a/b\t", b"x"), typed(b"a/b", b"x")),
        ((b"a\xe9", b"x"), typed(b"a\xe9", b"x")),
        (("a\xe9", b"x"), typed(b"a\xe9", b"x")),
        ((b"A/B", b"<html>", 201), typed(b"A/B", b"<html>", 201)),
        ((b"", b"x"), (200, [], b"x")),
        (("", "x", 404), (404, [], b"x")),
    ],
)
def test_constructors(arguments, expected):
    assert facts(QHttpServerResponse(*arguments)) == expected


@pytest.mark.parametrize("status", [StatusCode.Created, 201, HTTPStatus.CREATED])
@pytest.mark.parametrize("arguments", [("x",), (b"x",), (QByteArray(b"x"),), ({},), ([],), (b"a/b", b"x"), (None,)])
def test_status_by_keyword(arguments, status):
    response = QHttpServerResponse(*arguments, status=status)
    assert response.statusCode() is StatusCode.Created


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ((), {}),
        ((), {"status": 200}),
        ((3.5,), {}),
        ((True,), {}),
        ((QUrl("x"),), {}),
        ((object(),), {}),
        ((("x", 200),), {}),
        ((None, b"x"), {}),
        ((3.5, b"x"), {}),
        ((b"a/b", {}), {}),
        ((b"a/b", 3.5), {}),
        ((b"a/b", b"x", b"y"), {}),
        ((b"a/b", b"x", 200, 200), {}),
        ((StatusCode.NotFound,), {"status": StatusCode.Ok}),
        (("x", 201), {"status": 202}),
        (("x",), {"status": "200"}),
        (("x",), {"status": 200.0}),
        (("x",), {"status": True}),
        ((QHttpServerResponse("x"),), {}),
    ],
)
def test_other_arguments_are_refused(arguments, keywords):
    with pytest.raises(TypeError, match=r"fits no form|a status is a StatusCode or an int"):
        QHttpServerResponse(*arguments, **keywords)


def test_refusal_names_what_is_accepted():
    with pytest.raises(TypeError, match=r"\(float\) fits no form .* data is str, bytes, .* dict, list"):
        QHttpServerResponse(1.5)


@pytest.mark.parametrize("code", [0, 99, 600, -1, 1000])
def test_a_code_that_is_no_status_is_refused(code):
    with pytest.raises(ValueError, match="100 to 599"):
        QHttpServerResponse(code)
    with pytest.raises(ValueError, match="100 to 599"):
        QHttpServerResponse("x", status=code)


@pytest.mark.parametrize("mime", [b"a\r\nb: c", b"a\nb", "a\rb", b"a\0", "\x7f"])
def test_header_injection_is_refused(mime):
    with pytest.raises(ValueError, match="control character"):
        QHttpServerResponse(mime, b"x")


def test_status_codes_outside_the_enumeration_read_back_as_int():
    assert QHttpServerResponse(425).statusCode() == 425
    assert QHttpServerResponse(200).statusCode() is StatusCode.Ok


def test_statuscode_alias():
    assert QHttpServerResponse.StatusCode is StatusCode


def test_mime_type_and_headers():
    response = QHttpServerResponse("x")
    headers = response.headers()
    headers.append("x-a", "1")
    assert response.headers().size() == 1
    response.setHeaders(headers)
    assert facts(response)[1] == [(b"content-type", TEXT), (b"x-a", b"1")]
    assert response.mimeType() == TEXT

    response.setHeaders(QHttpHeaders())
    assert response.headers().isEmpty()
    assert response.mimeType() == b"text/html"

    headers = QHttpHeaders()
    for mime in ("a/b", "c/d"):
        headers.append("Content-Type", mime)
    response.setHeaders(headers)
    assert response.mimeType() == b"a/b"


def test_an_empty_content_type_is_a_content_type():
    headers = QHttpHeaders()
    headers.append("content-type", "")
    response = QHttpServerResponse("x")
    response.setHeaders(headers)
    assert response.mimeType().isEmpty()


@pytest.mark.parametrize("bad", [None, {}, [("a", "b")]])
def test_set_headers_takes_headers(bad):
    with pytest.raises(TypeError, match="takes a QHttpHeaders"):
        QHttpServerResponse("x").setHeaders(bad)


def test_swap():
    one, two = QHttpServerResponse("one", status=201), QHttpServerResponse(b"a/b", b"two")
    before = facts(one), facts(two)
    one.swap(two)
    assert (facts(two), facts(one)) == before
    with pytest.raises(TypeError, match="expected a QHttpServerResponse"):
        one.swap("x")


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_copies(duplicate):
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        duplicate(QHttpServerResponse("x"))


def test_repr():
    assert repr(QHttpServerResponse("x", 404)) == "<QHttpServerResponse 404 text/plain, 1 bytes>"


# -- fromFile


@pytest.fixture
def folder(tmp_path):
    contents = {
        "page.html": b"<p>",
        "style sheet.css": b"a{}",
        "plain.txt": b"x",
        "liar.txt": b"\x89PNG\r\n\x1a\n",
        "empty.txt": b"",
        "empty": b"",
        "noextension": b"hello",
        "drawing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "binary": bytes(range(256)),
        "big.bin": b"\0" * 200_000,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "mime", "size"),
    [
        ("page.html", b"text/html", 3),
        ("style sheet.css", b"text/css", 3),
        ("plain.txt", TEXT, 1),
        ("liar.txt", TEXT, 8),
        ("empty.txt", TEXT, 0),
        ("empty", ZERO, 0),
        ("noextension", TEXT, 5),
        ("drawing", b"image/svg+xml", 41),
        ("binary", b"application/octet-stream", 256),
        ("big.bin", b"application/octet-stream", 200_000),
    ],
)
@pytest.mark.parametrize("kind", [str, Path])
def test_from_file(folder, name, mime, size, kind):
    response = QHttpServerResponse.fromFile(kind(folder / name))
    assert response.statusCode() is StatusCode.Ok
    assert response.mimeType() == mime
    assert response.data().size() == size


@pytest.mark.parametrize("name", ["", "missing", ".", "no\0name", ":/missing", "qrc:/x", "file:///etc/passwd"])
def test_from_file_that_is_none(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    assert facts(QHttpServerResponse.fromFile(name)) == typed(EMPTY, b"", 404)


def test_from_file_takes_no_pipe(tmp_path):
    os = pytest.importorskip("os")
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "pipe")
    assert QHttpServerResponse.fromFile(tmp_path / "pipe").statusCode() is StatusCode.NotFound


def test_from_file_unreadable(folder, monkeypatch):
    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert QHttpServerResponse.fromFile(folder / "plain.txt").statusCode() is StatusCode.NotFound


def test_from_file_of_a_resource():
    # PySide6 itself brings one.
    response = QHttpServerResponse.fromFile(":/qt-project.org/logos/pysidelogo.png")
    assert response.mimeType() == b"image/png"
    assert response.data().startsWith(b"\x89PNG")


@pytest.mark.parametrize("bad", [None, 5, b"/etc/passwd"])
def test_from_file_takes_a_name(bad):
    with pytest.raises(TypeError, match=r"os\.PathLike"):
        QHttpServerResponse.fromFile(bad)
