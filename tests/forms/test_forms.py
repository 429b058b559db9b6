"""Forms: the two encodings, their limits, files on disk, and what is left behind: nothing."""

from __future__ import annotations

import gc
import sys
import tempfile
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttpserver_py import QHttpServerRequest, forms
from qhttpserver_py._protocol.engine import Message
from qhttpserver_py.body import BodyAborted
from qhttpserver_py.forms import FormError, FormLimits, parse_form, safe_filename
from qhttpserver_py.forms.parsing import make_parser
from qhttpserver_py.qhttpserverrequest import _NO_PEER

from ..support.rawclient import reported, spin
from ..support.uploads import fixtures

Method = QHttpServerRequest.Method
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=cut"


def part(name, value, *, filename=None, kind=None):
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    lines = [f"Content-Disposition: {disposition}"] + ([f"Content-Type: {kind}"] if kind else [])
    value = value if isinstance(value, bytes) else value.encode()
    return b"--cut\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + value + b"\r\n"


def multipart(*parts):
    return b"".join(parts) + b"--cut--\r\n"


def request(content_type, body):
    message = Message(1, "POST", b"/", 11, [(b"content-type", content_type.encode())] if content_type else [])
    message.body, message.complete = body, True
    return QHttpServerRequest._make(message, _NO_PEER)


# ---- parsing


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", []),
        (b"a=1", [("a", "1")]),
        (b"a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        (b"a=x+y%20z%2B", [("a", "x y z+")]),
        (b"%C3%A4=%E2%82%AC", [("ä", "€")]),
        (b"a&b=&=c&&", [("a", ""), ("b", ""), ("", "c")]),
        (b"a=b=c", [("a", "b=c")]),
        (b"a=%zz%", [("a", "%zz%")]),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 1000])
def test_urlencoded(body, fields, step):
    parser = make_parser(URLENCODED + "; charset=UTF-8", FormLimits(), None)
    for start in range(0, len(body), step):
        parser.feed(body[start : start + step])
    parser.finish()
    assert parser.fields == fields
    assert parser.files == []


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_multipart(step):
    body = multipart(
        part("title", "ein Bär"),
        part("photo", b"\x00\r\n--cu\xff" * 50, filename="a b.jpg", kind="Image/JPEG; x=y"),
        part("title", "zwei"),
        part("latin", "ä".encode("latin-1"), kind="text/plain; charset=iso-8859-1"),
        part("none", b"", filename=""),
        part("empty", b"", filename="empty.txt"),
    )
    parser = make_parser(MULTIPART, FormLimits(), None)
    for start in range(0, len(body), step):
        parser.feed(body[start : start + step])
    parser.finish()
    form = forms.Form(parser.fields, parser.files)
    assert form.fields == [("title", "ein Bär"), ("title", "zwei"), ("latin", "ä")]
    assert (form["title"], form.getall("title"), form.getall("no"), dict(form)) == (
        "ein Bär",
        ["ein Bär", "zwei"],
        [],
        {"title": "ein Bär", "latin": "ä"},
    )
    assert "photo" not in form
    assert [(file.name, file.filename, file.size) for file in form.files] == [
        ("photo", "a b.jpg", 400),
        ("empty", "empty.txt", 0),
    ]
    photo = form.file("photo")
    assert photo.content_type == "image/jpeg"
    assert photo.file.read() == photo.read() == b"\x00\r\n--cu\xff" * 50
    assert form.file("no") is None
    assert "a b.jpg" in repr(form)


@pytest.mark.parametrize("preamble", [b"", b"\r\n", b"for old mail programs\r\n", b"--\r\n--cu\r\n\r\n"])
@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
def test_what_stands_before_the_first_boundary_is_left_out(preamble, step):
    parser = make_parser(MULTIPART, FormLimits(), None)
    body = preamble + multipart(part("a", "b"))
    for start in range(0, len(body), step):
        parser.feed(body[start : start + step])
    parser.finish()
    assert parser.fields == [("a", "b")]


@settings(deadline=None, max_examples=60)
@given(
    fields=st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=40)), max_size=5),
    steps=st.lists(st.integers(1, 30), min_size=1),
)
def test_any_cut_gives_the_same_files(fields, steps):
    names = [f"f{n}" for n, _ in enumerate(fields)]
    body = multipart(*(part(name, value, filename="x") for name, (_, value) in zip(names, fields, strict=True)))
    parser = make_parser(MULTIPART, FormLimits(), None)
    pos = turn = 0
    while pos < len(body):
        step = steps[turn % len(steps)]
        parser.feed(body[pos : pos + step])
        pos, turn = pos + step, turn + 1
    parser.finish()
    assert [file.read() for file in parser.files] == [value for _, value in fields]


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("", b"a=1", 415),
        ("text/plain", b"a=1", 415),
        ("application/json", b"{}", 415),
        ("multipart/mixed; boundary=cut", multipart(), 415),
        ("multipart/form-data", multipart(part("a", "b")), 400),
        ("multipart/form-data; boundary=" + "x" * 71, b"", 400),
        (MULTIPART, b"", 400),
        (MULTIPART, multipart(part("a", "b"))[:-4], 400),
        (MULTIPART, b"no boundary at all", 400),
        (MULTIPART, multipart(b"--cut\r\nX: y\r\n\r\nz\r\n"), 400),
        (MULTIPART, multipart(b"--cut\r\nno colon\r\n\r\nz\r\n"), 400),
        (MULTIPART, b"preamble\n" + multipart(part("a", "b")), 400),
        (MULTIPART, multipart(b'--cut\r\nContent-Disposition: form-data; name="a"\nX: y\r\n\r\nz\r\n'), 400),
        (MULTIPART, multipart(part("a", b"\xff")), 400),
        (MULTIPART, multipart(part("a", b"x", kind="text/plain; charset=nonsense")), 400),
        (URLENCODED, b"a=%ff", 400),
        (URLENCODED, b"\xff=a", 400),
    ],
)
def test_what_is_no_form(content_type, body, status):
    with pytest.raises(FormError) as caught:
        parse_form(request(content_type, body))
    assert caught.value.status == status
    text, answered = caught.value.answer
    assert answered == status
    assert text.strip()


@pytest.mark.parametrize(
    ("limits", "content_type", "body"),
    [
        ({"parts": 2}, URLENCODED, b"a&b&c"),
        ({"parts": 2}, MULTIPART, multipart(part("a", "1"), part("b", "2"), part("c", "3"))),
        ({"files": 1}, MULTIPART, multipart(part("a", "1", filename="x"), part("b", "2", filename="x"))),
        ({"field_size": 3}, URLENCODED, b"a=1234"),
        ({"field_size": 3}, MULTIPART, multipart(part("a", "1234"))),
        ({"field_size": 3, "header_size": 10}, URLENCODED, b"a=" + b"x" * 100),
        ({"fields_size": 5}, URLENCODED, b"a=1&b=2&c=3"),
        ({"fields_size": 5}, MULTIPART, multipart(part("a", "1"), part("b", "2"), part("c", "3"))),
        ({"fields_size": 50}, MULTIPART, multipart(part("a", "1", filename="x" * 60))),
        ({"file_size": 3}, MULTIPART, multipart(part("a", "1234", filename="x"))),
        ({"header_size": 100}, MULTIPART, multipart(part("a" * 200, "1"))),
        ({"header_size": 100}, MULTIPART, b"--cut\r\nContent-Disposition: " + b"x" * 300),
    ],
)
def test_limits(limits, content_type, body):
    with pytest.raises(FormError) as caught:
        parse_form(request(content_type, body), limits=FormLimits(**limits))
    assert caught.value.status == 413
    assert parse_form(request(URLENCODED, b"a=1"), limits=FormLimits(**limits))["a"] == "1"


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "multipart", None)
    with pytest.raises(ImportError, match=r"qhttpserver-py\[forms\]"):
        parse_form(request(MULTIPART, multipart()))
    assert parse_form(request(URLENCODED, b"a=1"))["a"] == "1"


# ---- files


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.txt", "a.txt"),
        ("/", "file"),
        ("", "file"),
        ("..", "file"),
        (".bashrc", "bashrc"),
        ("a\x00b\r\n.txt", "ab.txt"),
        ("NUL.txt", "_NUL.txt"),
        ("com1", "_com1"),
        ('a<b>:"c|?*.txt', "abc.txt"),
        ("name. . ", "name"),
        ("größe €.pdf", "größe €.pdf"),
        ("gro\u0308ße", "größe"),
        ("\u202etxt.exe", "txt.exe"),
        ("\ud800x", "x"),
        ("x" * 300 + ".jpeg", "x" * 235 + ".jpeg"),
        ("é" * 200, "é" * 120),
        ("x." + "y" * 300, "x." + "y" * 238),
    ],
)
def test_safe_filenames(name, safe):
    assert safe_filename(name) == safe


@given(st.text(max_size=300))
@settings(deadline=None, max_examples=200)
def test_a_safe_filename_is_one(name):
    safe = safe_filename(name)
    assert safe
    assert safe == Path(safe).name
    assert len(safe.encode()) <= 240
    assert safe_filename(safe) == safe


def test_large_files_go_to_disk(tmp_path):
    limits = FormLimits(spool=100)
    body = multipart(part("small", b"s" * 100, filename="s"), part("large", b"l" * 101, filename="l"))
    form = parse_form(request(MULTIPART, body), limits=limits, directory=str(tmp_path))
    small, large = form.files
    assert small.path is None
    assert large.path is not None
    assert [large.path] == list(tmp_path.iterdir())
    assert large.read() == b"l" * 101
    with form:
        pass
    assert list(tmp_path.iterdir()) == []
    form.close()


def test_a_form_without_a_reference_leaves_nothing(tmp_path):
    body = multipart(part("large", b"l" * 101, filename="l"))
    form = parse_form(request(MULTIPART, body), limits=FormLimits(spool=100), directory=str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1
    del form
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spool", [0, 1000])
def test_files_are_moved(tmp_path, spool):
    (tmp_path / "spool").mkdir()
    (tmp_path / "there").write_text("old")
    body = multipart(part("file", b"contents", filename="x"))
    with parse_form(
        request(MULTIPART, body), limits=FormLimits(spool=spool), directory=str(tmp_path / "spool")
    ) as form:
        assert form.files[0].move_to(tmp_path / "there") == tmp_path / "there"
    assert (tmp_path / "there").read_bytes() == b"contents"
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_form_that_fails_leaves_nothing(tmp_path):
    body = multipart(part("large", b"l" * 101, filename="l"), part("bad", b"\xff"))
    with pytest.raises(FormError):
        parse_form(request(MULTIPART, body), limits=FormLimits(spool=100), directory=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


# ---- through a server


wire, server = fixtures("HTTP/1.1", "HTTP/2")


def encoded(**named):
    made = httpx.Request("POST", "http://x/", **named)
    return made.headers["content-type"], made.read()


def post(wire, path, content_type, body, *, whole=True, announced=True):
    fields = [("Content-Type", content_type)]
    upload = wire.upload(path, length=len(body) if announced else None, fields=fields)
    upload.send(body if whole else body[:-3], last=whole)
    return upload


def show(form):
    files = [(file.name, file.filename, file.size, file.read()[:3].decode()) for file in form.files]
    return {"fields": [list(pair) for pair in form.fields], "files": [list(file) for file in files]}


async def by_coroutine(request: QHttpServerRequest):
    try:
        form = await forms.read_form(request)
    except FormError as error:
        return error.answer
    with form:
        return show(form)


def by_callback(request: QHttpServerRequest):
    return forms.when_read(request, show)


def by_body(request: QHttpServerRequest):
    try:
        return show(parse_form(request))
    except FormError as error:
        return error.answer


HANDLERS = [(by_coroutine, True), (by_coroutine, False), (by_callback, True), (by_callback, False), (by_body, False)]


@pytest.mark.parametrize(("handler", "stream"), HANDLERS)
@pytest.mark.parametrize("announced", [True, False])
def test_forms_of_a_real_client(wire, server, handler, stream, announced):
    server.route("/", Method.Post, handler, stream=stream)
    kind, body = encoded(data={"title": "Bär"}, files={"photo": ("b.jpg", b"jpg" * 300_000, "image/jpeg")})
    reply = post(wire, "/", kind, body, announced=announced).reply()
    assert reply.status == 200
    text = reply.body.decode()
    assert '"fields":[["title","Bär"]]' in text
    assert '"files":[["photo","b.jpg",900000,"jpg"]]' in text
    reply = post(wire, "/", URLENCODED, urlencode({"a": "1 2", "b": "&"}).encode(), announced=announced).reply()
    assert '"fields":[["a","1 2"],["b","&"]]' in reply.body.decode()


@pytest.mark.parametrize(("handler", "stream"), HANDLERS)
def test_bad_forms_are_answered(wire, server, handler, stream):
    server.route("/", Method.Post, handler, stream=stream)
    large = multipart(*(part(f"p{n}", "x") for n in range(1001)))
    with reported() as errors:
        for kind, body, status in (
            ("text/plain", b"text", 415),
            (MULTIPART, b"nothing", 400),
            (MULTIPART, large, 413),
        ):
            reply = post(wire, "/", kind, body).reply()
            assert reply.status == status
            assert reply.body.endswith(b"\n")
    assert errors == []


def test_progress(wire, server):
    told = []
    server.route(
        "/",
        Method.Post,
        lambda request: forms.when_read(request, lambda _: "done", progress=lambda *n: told.append(n)),
        stream=True,
    )
    body = multipart(part("a", b"x" * 100_000, filename="x"))
    assert post(wire, "/", MULTIPART, body).reply().body == b"done"
    assert told[-1] == (len(body), len(body))


def test_a_client_that_leaves_leaves_no_file(wire, server, tmp_path):
    futures, errors = [], []
    limits = FormLimits(spool=10)

    async def coroutine(request: QHttpServerRequest):
        try:
            await forms.read_form(request, limits=limits, directory=str(tmp_path))
        except BaseException as error:
            errors.append(error)
            raise

    def callback(request: QHttpServerRequest):
        futures.append(forms.when_read(request, show, limits=limits, directory=str(tmp_path)))
        return futures[0]

    server.route("/coroutine", Method.Post, coroutine, stream=True)
    server.route("/callback", Method.Post, callback, stream=True)
    body = multipart(part("a", b"x" * 30_000, filename="x"))
    for path in ("/coroutine", "/callback"):
        upload = post(wire, path, MULTIPART, body, whole=False)
        assert spin(lambda: list(tmp_path.iterdir()))
        upload.leave()
        assert spin(lambda: not list(tmp_path.iterdir()))
    assert len(errors) == 1
    assert isinstance(futures[0].exception(), BodyAborted)


@pytest.mark.parametrize("stream", [True, False])
def test_a_callback_that_raises_is_500(wire, server, stream):
    server.route("/", Method.Post, lambda request: forms.when_read(request, lambda form: form["no"]), stream=stream)
    with reported() as errors:
        assert post(wire, "/", URLENCODED, b"a=1").reply().status == 500
    assert [type(error) for error in errors] == [KeyError]


def test_a_callback_may_answer_late(wire, server):
    late = Future()
    server.route("/", Method.Post, lambda request: forms.when_read(request, lambda form: late), stream=True)
    upload = post(wire, "/", URLENCODED, b"a=1")
    late.set_result("late")
    assert upload.reply().body == b"late"


def test_a_disk_that_takes_no_file_is_500(wire, server):
    def handler(request: QHttpServerRequest):
        return forms.when_read(request, show, limits=FormLimits(spool=10), directory="/nonexistent")

    server.route("/", Method.Post, handler, stream=True)
    with reported() as errors:
        assert post(wire, "/", MULTIPART, multipart(part("a", b"x" * 11, filename="x"))).reply().status == 500
    assert [type(error) for error in errors] == [FileNotFoundError]


def test_parse_form_is_not_for_streams(wire, server):
    server.route("/", Method.Post, parse_form_of, stream=True)
    with reported() as errors:
        assert post(wire, "/", URLENCODED, b"a=1").reply().status == 500
    assert "read_form()" in str(errors[0])


def parse_form_of(request: QHttpServerRequest):
    return parse_form(request)["a"]


def test_the_default_directory_is_the_systems():
    body = multipart(part("a", b"x" * 300_000, filename="x"))
    with parse_form(request(MULTIPART, body)) as form:
        assert form.files[0].path.parent == Path(tempfile.gettempdir())
