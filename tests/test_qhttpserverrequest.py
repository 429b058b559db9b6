import copy
import gc
import weakref

import pytest
from PySide6.QtCore import QByteArray, QUrl, QUrlQuery
from PySide6.QtNetwork import QHostAddress, QHttpHeaders, QSslConfiguration

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

Method = QHttpServerRequest.Method
DECODED = QUrl.ComponentFormattingOption.FullyDecoded


def make(
    target=b"/",
    headers=((b"host", b"ex:81"),),
    method="GET",
    authority=b"ex:81",
    body=b"",
    scheme="http",
    local="127.0.0.1",
    ssl=None,
):
    message = Message(1, method, target, 11, list(headers))
    message.authority = authority
    message.body = body
    message.complete = True
    peer = Peer(QHostAddress("10.0.0.7"), 5000, QHostAddress(local), 8080, scheme, ssl)
    return QHttpServerRequest._make(message, peer)


# What Qt makes of these targets, as observed.
TARGETS = [
    (b"/a?b=c#d", b"http://ex:81/a?b=c#d", "/a", "b=c", "d"),
    (b"/a%zz%2", b"http://ex:81/a%25zz%252", "/a%zz%2", "", ""),
    (b"/a%20b%zz", b"http://ex:81/a%2520b%25zz", "/a%20b%zz", "", ""),
    (b"/%", b"http://ex:81/%25", "/%", "", ""),
    (b"/a%FFb", b"http://ex:81/a%FFb", "/a\ufffdb", "", ""),
    (b"/\xe9\xffx", b"http://ex:81/%EF%BF%BD%EF%BF%BDx", "/\ufffd\ufffdx", "", ""),
    (b"/\xf0\x9f\x98z", b"http://ex:81/%EF%BF%BD%EF%BF%BD%EF%BF%BDz", "/\ufffd\ufffd\ufffdz", "", ""),
    (b"/\xed\xa0\x80", b"http://ex:81/%EF%BF%BD%EF%BF%BD%EF%BF%BD", "/\ufffd\ufffd\ufffd", "", ""),
    (b"/\xe9%C3%A9?\xe9=%ff", b"http://ex:81/%EF%BF%BD%C3%A9?%EF%BF%BD=%FF", "/\ufffdé", "\ufffd=%FF", ""),
    (b"/%C3%A9\xc3\xa9", b"http://ex:81/%C3%A9%C3%A9", "/éé", "", ""),
    (b"/\xf0\x9f\x98\x80", b"http://ex:81/%F0%9F%98%80", "/\U0001f600", "", ""),
    (b"/a%20b", b"http://ex:81/a%20b", "/a b", "", ""),
    (
        b'/a|b<>"{}^`\\c',
        b"http://ex:81/a%7Cb%3C%3E%22%7B%7D%5E%60%5Cc",
        '/a|b<>"{}^`\\c',
        "",
        "",
    ),
    (b"/[x]?[y]=[z]", b"http://ex:81/[x]?[y]=[z]", "/[x]", "[y]=[z]", ""),
    (b"/a?x=%zz&y=a+b;c&&d", b"http://ex:81/a?x=%25zz&y=a+b;c&&d", "/a", "x=%25zz&y=a+b;c&&d", ""),
    (b"/a/../b/./c", b"http://ex:81/a/../b/./c", "/a/../b/./c", "", ""),
    (b"/?a#b#c", b"http://ex:81/?a#b%23c", "/", "a", "b#c"),
    (b"/a:b@c", b"http://ex:81/a:b@c", "/a:b@c", "", ""),
    (b"/%00%0a%41%7e%2f", b"http://ex:81/%00%0AA~%2F", "/\x00\nA~/", "", ""),
    (b"/a%25zz", b"http://ex:81/a%25zz", "/a%zz", "", ""),
    (b"/a?b?c/d", b"http://ex:81/a?b?c/d", "/a", "b?c/d", ""),
    (b"/?", b"http://ex:81/?", "/", "", ""),
    (b"http://h:99/p?q", b"http://ex:81/p?q", "/p", "q", ""),
    (b"https://h/p", b"http://ex:81/p", "/p", "", ""),
    (b"http://h", b"http://ex:81", "", "", ""),
    (b"http://h?q", b"http://ex:81?q", "", "q", ""),
    # Qt takes the first segment for an authority: a way around path rules of a proxy in front.
    (b"//x/y", b"http://ex:81//x/y", "//x/y", "", ""),
    (b"//x", b"http://ex:81//x", "//x", "", ""),
    (b"///x", b"http://ex:81///x", "///x", "", ""),
    (b"//u@x:5/y", b"http://ex:81//u@x:5/y", "//u@x:5/y", "", ""),
]


@pytest.mark.parametrize(("target", "encoded", "path", "query", "fragment"), TARGETS)
def test_url_of_a_target(target, encoded, path, query, fragment):
    url = make(target).url()
    assert url.isValid()
    assert url.toEncoded().data() == encoded
    assert url.path(DECODED) == path
    assert url.query() == query
    assert url.fragment() == fragment


@pytest.mark.parametrize(
    ("authority", "local", "expected"),
    [
        (b"ex", "127.0.0.1", "http://ex/p"),
        (b"ex:80", "127.0.0.1", "http://ex:80/p"),
        (b"ex:8080", "127.0.0.1", "http://ex:8080/p"),
        (b"EX.De", "127.0.0.1", "http://ex.de/p"),
        (b"[::1]:81", "127.0.0.1", "http://[::1]:81/p"),
        (b"", "127.0.0.1", "http://127.0.0.1/p"),
        (b"", "::1", "http://[::1]/p"),
        (b"", "fe80::1%lo", "http://[fe80::1]/p"),
        (b"a b", "127.0.0.1", "http://127.0.0.1/p"),
        (b"[::1", "127.0.0.1", "http://127.0.0.1/p"),
        (b"x:99999", "127.0.0.1", "http://127.0.0.1/p"),
    ],
)
def test_authority_of_the_url(authority, local, expected):
    assert make(b"/p", authority=authority, local=local).url().toString() == expected


def test_a_host_without_port_gives_a_url_without_port():
    assert make(authority=b"ex").url().port() == -1


def test_scheme_is_that_of_the_connection():
    assert make(scheme="https").url().scheme() == "https"


def test_options_asterisk():
    url = make(b"*", method="OPTIONS").url()
    assert url.path() == "*"
    assert not url.isValid()
    assert url.host() == "ex"
    assert make(b"*?a=%zz", method="OPTIONS").query().toString() == "a=%25zz"


def test_connect_names_an_authority():
    url = make(b"h:80", method="CONNECT", authority=b"h:80").url()
    assert (url.host(), url.port(), url.path()) == ("h", 80, "")


def test_query_keeps_plus_and_empty_items():
    query = make(b"/a?y=a+b;c&&d").query()
    assert query.queryItems() == [("y", "a+b;c"), ("", ""), ("d", "")]


@pytest.mark.parametrize(
    ("token", "method"),
    [
        ("GET", Method.Get),
        ("PUT", Method.Put),
        ("DELETE", Method.Delete),
        ("POST", Method.Post),
        ("HEAD", Method.Head),
        ("OPTIONS", Method.Options),
        ("PATCH", Method.Patch),
        ("CONNECT", Method.Connect),
        ("TRACE", Method.Trace),
        ("get", Method.Unknown),
        ("Get", Method.Unknown),
        ("FOO", Method.Unknown),
        ("UNKNOWN", Method.Unknown),
        ("ANYKNOWN", Method.Unknown),
        ("", Method.Unknown),
    ],
)
def test_method(token, method):
    assert make(method=token).method() is method


def test_method_enum():
    assert {member.name: member.value for member in Method} == {
        "Get": 1,
        "Put": 2,
        "Delete": 4,
        "Post": 8,
        "Head": 16,
        "Options": 32,
        "Patch": 64,
        "Connect": 128,
        "Trace": 256,
    }
    assert Method.Unknown.value == 0
    assert Method.AnyKnown.value == 0x1FF
    assert QHttpServerRequest.Methods is Method
    assert Method.__qualname__ == "QHttpServerRequest.Method"


FIELDS = [(b"host", b"x"), (b"x-y", b"a\xe9\xff"), (b"cookie", b"a=1"), (b"x-y", b""), (b"cookie", b"b=2")]


def test_headers_keep_order_duplicates_and_octets():
    headers = make(headers=FIELDS).headers()
    assert isinstance(headers, QHttpHeaders)
    assert [(n.data(), v.data()) for n, v in headers.toListOfPairs()] == FIELDS


@pytest.mark.parametrize("key", [b"X-Y", QByteArray(b"x-Y"), bytearray(b"x-y"), memoryview(b"x-y"), "X-y"])
def test_value_takes_every_kind_of_name(key):
    assert make(headers=FIELDS).value(key).data() == b"a\xe9\xff, "


def test_value_joins_and_distinguishes_absent_from_empty():
    request = make(headers=[(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"empty", b"")])
    assert request.value(b"cookie").data() == b"a=1, b=2"
    assert request.value(b"empty").isEmpty()
    assert not request.value(b"empty").isNull()
    assert request.value(b"absent").isNull()


def test_value_refuses_what_is_no_name():
    with pytest.raises(TypeError, match="bytes, QByteArray or str, not int"):
        make().value(5)


@pytest.mark.parametrize("size", [0, 5, 16383, 16384, 100_000])
def test_body(size):
    request = make(body=b"\0" * size)
    assert request.body() == QByteArray(b"\0" * size)
    assert request.body().size() == size


@pytest.mark.parametrize("name", ["url", "query", "headers", "body", "remoteAddress", "localAddress"])
def test_what_is_handed_out_is_a_copy(name):
    request = make(b"/p?a=b", body=b"x" * 20000)
    first = getattr(request, name)()
    if isinstance(first, QUrlQuery):
        first.addQueryItem("more", "1")
    else:
        change = {QUrl: "setPath", QHttpHeaders: "append", QByteArray: "append", QHostAddress: "setAddress"}
        arguments = {QUrl: ("/x",), QHttpHeaders: ("x", "y"), QByteArray: (b"y",), QHostAddress: ("1.2.3.4",)}
        getattr(first, change[type(first)])(*arguments[type(first)])
    second = getattr(request, name)()
    if isinstance(first, QHttpHeaders):
        assert second.size() == 1
    else:
        assert second != first


def test_addresses():
    request = make(local="::1")
    assert request.remoteAddress() == QHostAddress("10.0.0.7")
    assert request.remotePort() == 5000
    assert request.localAddress() == QHostAddress("::1")
    assert request.localPort() == 8080


def test_ssl_configuration():
    assert make().sslConfiguration().isNull()
    configuration = QSslConfiguration()
    configuration.setAllowedNextProtocols([b"h2"])
    assert make(ssl=lambda: configuration).sslConfiguration() == configuration


def test_default_constructed():
    request = QHttpServerRequest()
    assert request.method() is Method.Unknown
    assert request.url().isEmpty()
    assert request.query().isEmpty()
    assert request.headers().isEmpty()
    assert request.body().isEmpty()
    assert request.value(b"host").isNull()
    assert request.remoteAddress().isNull()
    assert request.localAddress().isNull()
    assert (request.remotePort(), request.localPort()) == (0, 0)
    assert request.sslConfiguration().isNull()
    assert repr(request).startswith("QHttpServerRequest(")


@pytest.mark.parametrize("duplicate", [QHttpServerRequest, copy.copy, copy.deepcopy])
def test_copy(duplicate):
    request = make(b"/p?q", body=b"b")
    request._attributes = {"a": 1}
    request.url()
    request.headers()
    twin = duplicate(request)
    assert twin is not request
    assert twin != request
    assert twin.url() == request.url()
    assert twin.body() == b"b"
    assert twin._attributes is request._attributes


def test_swap():
    one, two = make(b"/one", body=b"1"), make(b"/two", method="PUT")
    one.url()
    one.headers()
    one.swap(two)
    assert (one.url().path(), one.method(), one.body().size()) == ("/two", Method.Put, 0)
    assert (two.url().path(), two.method(), two.body().size()) == ("/one", Method.Get, 1)


@pytest.mark.parametrize("bad", [1, "x", object()])
def test_wrong_types_are_refused(bad):
    with pytest.raises(TypeError, match="expected a QHttpServerRequest"):
        QHttpServerRequest(bad)
    with pytest.raises(TypeError, match="expected a QHttpServerRequest"):
        make().swap(bad)


def test_repr_has_the_shape_of_qt():
    request = make(b"/a%20b?b=c#d", [(b"host", b"ex:81"), (b"x-y", b'"q"\\ \xe9')], body=b"123")
    assert repr(request) == (
        'QHttpServerRequest((Url: QUrl("http://ex:81/a b?b=c#d"))'
        '(Headers: QHttpHeaders(headers = "host":"ex:81" | "x-y":"\\"q\\"\\\\ \\xE9"))'
        '(RemoteHost: QHostAddress("10.0.0.7"))(BodySize: 3))'
    )


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        (b" 5 ", 5),
        (b'\xef\xbb\xbf"\xc3\xa9"', "é"),
    ],
)
def test_json(body, value):
    assert make(body=body).json() == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no body"),
        (b"{", "not JSON: Expecting property name.*line 1 column 2"),
        (b"\xff", "not JSON: 'utf-8' codec"),
        (b"[NaN]", "NaN is no JSON value"),
        (b"[-Infinity]", "-Infinity is no JSON value"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "not JSON"),
    ],
)
def test_json_that_is_none(body, message):
    with pytest.raises(ValueError, match=message):
        make(body=body).json()


def test_weakly_referable_and_slotted():
    request = make()
    alive = weakref.ref(request)
    with pytest.raises(AttributeError):
        request.colour = "red"
    del request
    gc.collect()
    assert alive() is None
