"""What pytest-httpserver's documentation shows, as docs/howto/pytest-httpserver.md says it works here."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from qhttpserver_py import QHttpServerResponse
from qhttpserver_py.testing import (
    Chain,
    Client,
    ClientError,
    FakeBackend,
    Garbage,
    HeaderValueMatcher,
    RequestMatcher,
    UriPattern,
    WaitingSettings,
)

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "pytest-httpserver.md"
ROWS = re.findall(r"^\| (.+?) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[1:]
ROWS = [row for row in ROWS if row != "---"]
TESTS = {}


def row(name):
    def add(function):
        assert name not in TESTS
        TESTS[name] = function
        return function

    return add


@pytest.fixture
def server(make_qhttpserver):
    return make_qhttpserver(strict=False)


def ok(server, path="/", method="GET", **options):
    return server.client.request(method, path, **options).status == 200


def accepts(server, good, bad, **criteria):
    """Check that requests with *good* options are expected and those with *bad* ones are not."""
    server.expect_request("/", **criteria).respond_with_data("x")
    for options in good:
        assert ok(server, **options), options
    for options in bad:
        assert not ok(server, **options), options


def test_each_row_has_a_test():
    assert len(ROWS) > 40
    assert list(TESTS) == ROWS


@pytest.mark.parametrize("name", ROWS)
def test_row(name, server, make_qhttpserver):
    function = TESTS[name]
    function(server, make_qhttpserver) if function.__code__.co_argcount == 2 else function(server)


@row("`expect_request`")
def _(server):
    server.expect_request("/a").respond_with_json({"a": 1})
    assert server.client.get("/a").json() == {"a": 1}


@row("`query_string`")
def _(server):
    server.expect_request("/b?c=1").respond_with_data("x")
    assert ok(server, "/b?c=1")
    accepts(server, [{"path": "/?a=1&b=2"}, {"path": "/?b=2&a=1"}], [{"path": "/?a=1"}], query_string={"a": 1, "b": 2})


@row("several values of one query key")
def _(server):
    accepts(server, [{"path": "/?a=1&a=2"}], [{"path": "/?a=2&a=1"}, {"path": "/?a=1"}], query_string={"a": ["1", "2"]})


@row("`data_form`")
def _(server):
    form = {"name": "Jane Doe", "flag": ""}
    bad = [{"method": "POST", "data": {"name": "Jane Doe"}}]
    accepts(server, [{"method": "POST", "data": dict(reversed(form.items()))}], bad, data=form)


@row("`json`")
def _(server):
    accepts(server, [{"method": "POST", "data": '{ "a":1}'}], [{"method": "POST", "data": "{"}], json={"a": 1})


@row("regular expression as URI")
def _(server):
    server.expect_request(re.compile("^/foo")).respond_with_data("x")
    assert [ok(server, path) for path in ("/foo", "/foobar", "/bar")] == [True, True, False]


@row("`URIPattern`")
def _(server):
    class Prefix(UriPattern):
        def match(self, uri):
            return uri.startswith("/p")

    server.expect_request(Prefix()).respond_with_data("x")
    assert [ok(server, path) for path in ("/p/q", "/q")] == [True, False]


@row("URI object with `__eq__`")
def _(server):
    class Either:  # noqa: PLW1641
        def __eq__(self, other):
            return other in ("/a", "/b")

    server.expect_request(Either()).respond_with_data("x")
    assert [ok(server, path) for path in ("/a", "/b", "/c")] == [True, True, False]


@row("`Authorization` in any order")
def _(server):
    expected = 'Digest username="M, f", realm="r", nc=1'
    good = ['Digest realm="r", nc=1, username="M, f"', 'digest nc="1",username="M, f",realm=r']
    bad = ['Basic realm="r", nc=1, username="M, f"', 'Digest realm="R", nc=1, username="M, f"', "Digest", ""]
    headers = {"Authorization": expected}
    as_options = lambda values: [{"headers": {"authorization": value}} for value in values]
    accepts(server, as_options(good), as_options(bad), headers=headers)
    server.clear()
    server.expect_request("/", headers={"authorization": "Basic dTpw=="}).respond_with_data("x")
    assert [ok(server, headers={"Authorization": f"Basic {text}"}) for text in ("dTpw==", "dTpW==")] == [True, False]


@row("`header_value_matcher`")
def _(server):
    same = lambda name, actual, expected: (actual or "").lower() == expected.lower()
    good, bad = [{"headers": {"x-a": "BAR"}}], [{}]
    accepts(server, good, bad, headers={"X-A": "bar"}, header_value_matcher=same)


@row("`HeaderValueMatcher`")
def _(server):
    lower = lambda actual, expected: (actual or "").lower() == expected
    own = HeaderValueMatcher({"x-a": lower})
    criteria = {"headers": {"X-A": "bar", "x-b": "b"}, "header_value_matcher": own}
    accepts(server, [{"headers": {"x-a": "BAR", "x-b": "b"}}], [{"headers": {"x-a": "BAR", "x-b": "B"}}], **criteria)
    server.clear()
    HeaderValueMatcher.DEFAULT_MATCHERS["X-Foo"] = lower
    try:
        accepts(server, [{"headers": {"x-foo": "BAR"}}], [{}], headers={"X-Foo": "bar"})
    finally:
        del HeaderValueMatcher.DEFAULT_MATCHERS["X-Foo"]


def send_raw(server, head):
    def talk():
        with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
            peer.sendall(f"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}\r\n".encode())
            return int(peer.makefile("rb").readline().split()[1])

    return server.call(talk)


@row("several values of one header")
def _(server):
    server.expect_request("/", headers={"X-A": ["1", "2"]}).respond_with_data("x")
    heads = ("X-A: 1\r\nx-a: 2\r\n", "X-A: 2\r\nX-A: 1\r\n", "X-A: 1\r\n", "")
    assert [send_raw(server, head) for head in heads] == [200, 500, 500, 500]


@row("`respond_with_handler`")
def _(server):
    server.expect_request("/").respond_with_handler(lambda request: QHttpServerResponse("x", status=201))
    assert server.client.get("/").status == 201


@row("`check`")
def _(server):
    def wrong(request):
        raise ValueError("in the handler")

    server.expect_request("/").respond_with_handler(wrong)
    server.client.get("/")
    with pytest.raises(ValueError, match="in the handler"):
        server.check()


@row("`with_check`")
def _(server):
    with pytest.raises(AssertionError, match="unexpected request: GET /a"), server.with_check():
        server.client.get("/a")
    with pytest.raises(KeyError), server.with_check():
        server.client.get("/b")
        raise KeyError


@row("`assertions`")
def _(server):
    server.expect_request("/e").respond_with_handler(lambda request: 1 / 0)
    server.client.get("/a")
    server.client.get("/e")
    assert ["/a" in str(error) for error in server.assertions] == [True]
    assert [type(error) for error in server.handler_errors] == [ZeroDivisionError]


@row("`add_assertion`")
def _(server):
    server.add_assertion("no good")
    with pytest.raises(AssertionError, match="no good"):
        server.check_assertions()


@row("`handlers`")
def _(server):
    permanent, oneshot = server.expect_request("/p"), server.expect_oneshot_request("/o").respond_with_data("x")
    ordered = server.expect_ordered_request("/r")
    assert (server.handlers, server.oneshot_handlers, server.ordered_handlers) == ([permanent], [oneshot], [ordered])
    server.client.get("/o")
    assert server.oneshot_handlers == []


@row("custom `RequestMatcher`")
def _(server):
    class Mine(RequestMatcher):
        def match(self, request):
            return super().match(request) and request.url().path() != "/x"

    server.expect(Mine("", method="GET")).respond_with_data("x")
    assert [ok(server, path) for path in ("/a", "/x")] == [True, False]


@row("`create_matcher`")
def _(server):
    server.expect(server.create_matcher("/a", method="PUT")).respond_with_data("x")
    assert ok(server, "/a", "PUT")


@row("`httpserver_listen_address`")
def _(server, make_qhttpserver):
    server.stop()
    assert make_qhttpserver(("127.0.0.1", server.port)).port == server.port


@row("`is_running()`")
def _(server):
    assert server.is_running is True


@row("`startup_timeout`")
def _(server):
    with socket.create_connection(("127.0.0.1", server.port), 5):
        pass


@row("`wait`")
def _(server):
    server.expect_oneshot_request("/").respond_with_data("x")
    with server.wait(raise_assertions=False, timeout=10) as waiting:
        pass
    assert not waiting.result
    with server.wait() as waiting:
        server.client.get("/")
    assert waiting.result


@row("`WaitingSettings`")
def _(server, make_qhttpserver):
    settings = WaitingSettings(raise_assertions=False, timeout=10)
    other = make_qhttpserver(strict=False, default_waiting_settings=settings)
    other.expect_oneshot_request("/")
    with other.wait() as waiting:
        pass
    assert not waiting.result
    with pytest.raises(AssertionError, match="after 10 ms"), other.wait(raise_assertions=True):
        pass


@row("connection refused")
def _(server):
    server.stop()
    with pytest.raises(ClientError, match="ConnectionRefused"):
        Client(server.url).get("/")


@row("timeout")
def _(server):
    server.expect_request("/").hang()
    with pytest.raises(TimeoutError):
        server.client.get("/", timeout=50)


@row("`httpserver_ssl_context`")
def _(server, make_qhttpserver):
    secure = make_qhttpserver(tls=True)
    secure.expect_request("/").respond_with_data("x")
    assert secure.url.startswith("https://")
    assert ok(secure)


@row("IPv6 address")
def _(server, make_qhttpserver):
    try:
        servers = [make_qhttpserver((host, 0)) for host in ("::1", "[::1]")]
    except OSError:
        pytest.skip("needs IPv6")
    for six in servers:
        six.expect_request("/").respond_with_data("x")
        assert six.url == f"http://[::1]:{six.port}"
        assert ok(six)


@row("host name as address")
def _(server, make_qhttpserver):
    named = make_qhttpserver(("localhost", 0))
    named.expect_request("/").respond_with_data("x")
    assert named.url_for("/") == f"http://localhost:{named.port}/"
    assert ok(named)
    with pytest.raises(OSError, match=r"cannot listen on nowhere\.invalid"):
        FakeBackend(("nowhere.invalid", 0)).start()


@row("`BlockingHTTPServer`")
def _(server):
    server.expect_request("/a").respond_with_data("x")
    server.client.get("/a")
    assert server.wait_for_request("/a").url().path() == "/a"


@row("`log`")
def _(server):
    server.expect_request("/a").respond_with_data("x")
    server.client.get("/a")
    ((request, response),) = server.log
    matcher = RequestMatcher("/a")
    assert list(server.iter_matching_requests(matcher)) == [(request, response)]
    assert server.get_matching_requests_count(matcher) == 1


@row("`assert_request_made`")
def _(server):
    server.assert_request_made(RequestMatcher("/a"), count=0)
    with pytest.raises(AssertionError, match="expected once, came never"):
        server.assert_request_made(RequestMatcher("/a"))


@row("`threaded`")
def _(server):
    server.expect_request("/first").hang()
    server.expect_request("/second").respond_with_data("x")
    with pytest.raises(TimeoutError):
        server.client.get("/first", timeout=20)
    assert ok(server, "/second")


@row("`with_post_hook`")
def _(server):
    other = QHttpServerResponse("other", status=202)
    for path, hook, expected in (
        ("/response", lambda request, response: other, (202, "other")),
        ("/none", lambda request, response: None, (200, "x")),
        ("/text", lambda request, response: "text", (200, "text")),
        ("/tuple", lambda request, response: ("text", 203), (203, "text")),
        ("/status", lambda request, response: 404, (404, "")),
    ):
        server.expect_request(path).respond_with_data("x").with_post_hook(hook)
        response = server.client.get(path)
        assert (response.status, response.text) == expected
        assert server.log[-1].response.statusCode().value == expected[0]
    server.expect_request("/wrong").respond_with_data("x").with_post_hook(lambda request, response: object())
    assert server.client.get("/wrong").status == 500
    with pytest.raises(TypeError, match="a post hook returns a response"):
        server.check_handler_errors()


def adds(text):
    return lambda request, response: QHttpServerResponse(response.data().data() + text)


@row("several post hooks")
def _(server):
    server.expect_request("/").with_post_hook(adds(b"1")).with_post_hook(adds(b"2")).respond_with_data("x")
    assert [server.client.get("/").text for _ in range(2)] == ["x12", "x12"]


@row("`hooks.Chain`")
def _(server):
    server.expect_request("/").with_post_hook(Chain(adds(b"1"), adds(b"2"))).respond_with_data("x")
    assert server.client.get("/").text == "x12"


@row("`hooks.Delay`")
def _(server):
    server.expect_request("/").respond_with_data("x").delay(100)
    with pytest.raises(TimeoutError):
        server.client.get("/", timeout=20)


@row("`hooks.Garbage`")
def _(server):
    server.expect_request("/").with_post_hook(Garbage(3, 4)).respond_with_data("x")
    body = server.client.get("/").body
    assert (len(body), body[3:4]) == (8, b"x")
    with pytest.raises(ValueError, match="negative"):
        Garbage(-1)


@row("`bake`")
def _(server):
    posts = server.bake(method="POST").bake(headers={"x-a": "1"})
    posts.expect_oneshot_request("/").respond_with_data("x")
    assert [ok(server, method="POST", headers={"x-a": "1"}), ok(server)] == [True, False]


@row("`bake().url_for`")
def _(server):
    baked = server.bake(method="POST")
    assert baked.url_for("/a") == server.url_for("/a")
    baked.check_assertions()
    assert baked.log == []


@row("`no_handler_status_code`")
def _(server):
    server.no_handler_status_code = 404
    assert server.client.get("/").status == 404


@row("`clear`")
def _(server):
    server.expect_request("/").respond_with_data("x")
    server.client.get("/")
    server.clear()
    assert (server.log, server.handlers) == ([], [])


NEARLY = [
    ("/items", {"path": "/items/"}, "only a slash at the end differs"),
    ("/items", {"path": "/Items"}, "only upper and lower case differs"),
    ("/items", {"path": "/itmes"}, "nearly right: look for a typing error"),
    ("/?a=1&b=2", {"path": "/?b=2&a=1"}, "only the order differs: give a mapping"),
]


@row("message of an unexpected request")
def _(server):
    for expected, came, hint in NEARLY:
        server.clear()
        for number in range(5):
            server.expect_request(f"/{number}{number}{number}")
        server.expect_request(expected)
        assert hint in server.client.get(came["path"]).text


@row("message of an expectation that is not met")
def _(server):
    server.expect_oneshot_request("/items", "POST").respond_with_data("x")
    server.client.get("/items")
    server.client.get("/elsewhere")
    with pytest.raises(AssertionError, match=r"(?s)came never: POST /items.*nearly right: GET /items\n +method"):
        server.check_expectations()
