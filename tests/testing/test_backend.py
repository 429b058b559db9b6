"""The fake backend, over real sockets."""

from __future__ import annotations

import re
import time
import urllib.request

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkReply, QNetworkRequest

from qhttpserver_py import QHttpServerRequest, QHttpServerResponse
from qhttpserver_py.testing import ClientError, HandlerType, RequestMatcher, UriPattern

Error = QNetworkReply.NetworkError


@pytest.fixture
def server(make_qhttpserver):
    return make_qhttpserver(strict=False)


def elapsed_ms(call):
    began = time.monotonic()
    call()
    return (time.monotonic() - began) * 1000


# ---- answers


@pytest.mark.parametrize(
    "args, kwargs, status, content_type, body",
    [
        (("héllo",), {}, 200, "text/plain; charset=utf-8", "héllo".encode()),
        ((b"\0\1",), {}, 200, "application/octet-stream", b"\0\1"),
        (("<p>", 201), {"content_type": "text/html; charset=utf-8"}, 201, "text/html; charset=utf-8", b"<p>"),
        (("x",), {"mimetype": "text/css"}, 200, "text/css", b"x"),
        (("x", 404, {"Content-Type": "a/b"}), {}, 404, "a/b", b"x"),
        ((), {"status": 204}, 204, None, b""),
    ],
)
def test_respond_with_data(server, args, kwargs, status, content_type, body):
    server.expect_request("/").respond_with_data(*args, **kwargs)
    response = server.client.get("/")
    assert (response.status, response.body) == (status, body)
    if content_type is not None:
        assert response.headers["content-type"] == content_type


def test_respond_with_json(server):
    server.expect_request("/").respond_with_json({"b": [None, 1.5]}, 202, {"X-Page": "2"})
    response = server.client.get("/")
    assert (response.status, response.json()) == (202, {"b": [None, 1.5]})
    assert (response.headers["Content-Type"], response.headers["x-page"]) == ("application/json", "2")


@pytest.mark.parametrize(
    "result, status, body",
    [
        (QHttpServerResponse("text", status=201), 201, b"text"),
        ({"a": 1}, 200, b'{"a":1}'),
        (418, 418, b""),
        (("text", 203, {"x": "y"}), 203, b"text"),
    ],
)
def test_respond_with_response_again_and_again(server, result, status, body):
    server.expect_request("/").respond_with_response(result)
    for _ in range(2):
        response = server.client.get("/")
        assert (response.status, response.body) == (status, body)


async def later(number: int):
    return {"n": number}


def by_itself(number: int, request, responder):
    responder.write(b"%d" % number, b"text/plain")


def pieces(number: int):
    yield f"{number}"
    yield "!"


@pytest.mark.parametrize(
    "handler, body",
    [
        (lambda: "none", b"none"),
        (lambda number: f"text {number}", b"text 7"),
        (later, b'{"n":7}'),
        (by_itself, b"7"),
        (pieces, b"7!"),
    ],
)
def test_respond_with_handler(server, handler, body):
    server.expect_request("/item/<arg>").respond_with_handler(handler)
    assert server.client.get("/item/7").body == body


def test_a_handler_of_the_request_alone_works_with_a_pattern(server):
    def handler(request: QHttpServerRequest):
        return request.url().path()

    server.expect_request("/item/<arg>").respond_with_handler(handler)
    assert server.client.get("/item/7").text == "/item/7"


def test_the_types_of_the_handler_decide_what_matches(server):
    def numbers(number: int):
        return f"number {number + 1}"

    server.expect_request("/item/<arg>").respond_with_handler(numbers)
    server.expect_request("/item/<arg>").respond_with_handler(lambda text: f"text {text}")
    assert server.client.get("/item/7").text == "number 8"
    assert server.client.get("/item/x").text == "text x"


def test_a_handler_that_nothing_can_call_is_refused(server):
    with pytest.raises(TypeError, match="cannot handle"):
        server.expect_request("/").respond_with_handler(lambda one, two, three: "")


def test_respond_with_file(server, tmp_path):
    file = tmp_path / "page.html"
    file.write_text("<!DOCTYPE html>")
    server.expect_request("/").respond_with_file(file, headers={"x-a": "b"})
    response = server.client.get("/")
    assert (response.text, response.headers["content-type"]) == ("<!DOCTYPE html>", "text/html")
    with pytest.raises(FileNotFoundError):
        server.expect_request("/").respond_with_file(tmp_path / "missing")


@pytest.mark.parametrize("chunks", [["a", b"b", "", "c"], lambda: iter("abc")], ids=["list", "callable"])
def test_respond_with_stream(server, chunks):
    server.expect_request("/").respond_with_stream(chunks, interval_ms=20, status=201, content_type="text/x")
    for _ in range(2):
        response = None

        def get():
            nonlocal response
            response = server.client.get("/")

        assert elapsed_ms(get) >= 40
        assert (response.status, response.text, response.headers["content-type"]) == (201, "abc", "text/x")
        assert "content-length" not in response.headers
    assert server.log[-1].response.data().data() == b"abc"


def test_respond_with_sse(server):
    events = ["one\ntwo", ("tick", {"n": 1}), {"id": "7", "retry": 100, "data": ""}]
    server.expect_request("/").respond_with_sse(events)
    response = server.client.get("/")
    assert response.headers["content-type"] == "text/event-stream"
    assert response.text == ('data: one\ndata: two\n\nevent: tick\ndata: {"n": 1}\n\nid: 7\nretry: 100\ndata: \n\n')


def test_server_sent_events_can_stay_open(server, qtbot):
    server.expect_request("/").respond_with_sse(["one"], keep_open=True)
    manager = QNetworkAccessManager()
    reply = manager.get(QNetworkRequest(QUrl(server.url_for("/"))))
    with qtbot.waitSignal(reply.readyRead, timeout=2000):
        pass
    assert not reply.isFinished()
    reply.abort()


@pytest.mark.parametrize("location", ["/there", "absolute"])
def test_respond_with_redirect(server, location):
    target = server.url_for("/there") if location == "absolute" else location
    server.expect_request("/here").respond_with_redirect(target, 307)
    server.expect_request("/there", "POST", "body").respond_with_data("ok")
    assert server.client.post("/here", data="body").text == "ok"
    response = server.client.post("/here", data="body", follow_redirects=False)
    assert (response.status, response.headers["location"]) == (307, target)


def test_respond_with_sequence(server):
    server.expect_request("/").respond_with_sequence([503, ("busy", 429), lambda request: {"ok": True}])
    responses = [server.client.get("/") for _ in range(4)]
    assert [response.status for response in responses] == [503, 429, 200, 200]
    assert [response.body for response in responses[1:]] == [b"busy", b'{"ok":true}', b'{"ok":true}']
    with pytest.raises(ValueError, match="no answers"):
        server.expect_request("/").respond_with_sequence([])


def test_no_response_was_given(server):
    server.expect_request("/")
    assert server.client.get("/").status == 500
    with pytest.raises(AssertionError, match="never told what to respond"):
        server.check()


# ---- modifiers


def test_delay_lets_replies_overlap(server, qtbot):
    server.expect_request("/slow").respond_with_data("x").delay(150)
    manager = QNetworkAccessManager()
    began = time.monotonic()
    replies = [manager.get(QNetworkRequest(QUrl(server.url_for("/slow")))) for _ in range(4)]
    qtbot.waitUntil(lambda: all(reply.isFinished() for reply in replies))
    assert 0.14 <= time.monotonic() - began < 0.6


def test_throttle_keeps_the_length_and_the_pace(server):
    body = bytes(4000)
    server.expect_request("/").respond_with_data(body).throttle(20_000)
    responses = []
    assert 150 <= elapsed_ms(lambda: responses.append(server.client.get("/"))) < 1500
    assert responses[0].body == body
    assert responses[0].headers["content-length"] == "4000"


def test_throttle_a_stream(server):
    server.expect_request("/").respond_with_stream([bytes(1000), bytes(1000)]).throttle(20_000)
    responses = []
    assert elapsed_ms(lambda: responses.append(server.client.get("/"))) >= 80
    assert responses[0].body == bytes(2000)


def test_post_hooks(server):
    def mark(request, response):
        return QHttpServerResponse(response.data().data() + b"!", status=response.statusCode())

    server.expect_request("/").respond_with_data("a", 201).with_post_hook(mark).with_post_hook(mark)
    response = server.client.get("/")
    assert (response.status, response.text) == (201, "a!!")
    assert server.log[0].response.data().data() == b"a!!"


@pytest.mark.parametrize(
    "wrong", [lambda e: e.times(-1), lambda e: e.delay(-1), lambda e: e.throttle(0), lambda e: e.truncate(-1)]
)
def test_modifiers_refuse_what_makes_no_sense(server, wrong):
    with pytest.raises(ValueError):
        wrong(server.expect_request("/"))


# ---- faults

FAULTS = {
    "reset": (lambda e: e.reset(), Error.RemoteHostClosedError, None),
    "garbage": (lambda e: e.garbage(), Error.RemoteHostClosedError, None),
    "malformed_chunk": (lambda e: e.malformed_chunk(), Error.RemoteHostClosedError, b"hellohello"),
    "truncate": (lambda e: e.truncate(10), Error.RemoteHostClosedError, bytes(10)),
    "truncate head": (lambda e: e.truncate(0), Error.RemoteHostClosedError, b""),
    "truncate data": (lambda e: e.respond_with_data("hello").truncate(2), Error.RemoteHostClosedError, b"he"),
    "truncate stream": (
        lambda e: e.respond_with_stream(["he", "llo"]).truncate(3),
        Error.RemoteHostClosedError,
        b"hel",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(server, name):
    apply, code, body = FAULTS[name]
    expectation = apply(server.expect_request("/"))
    with pytest.raises(ClientError) as info:
        server.client.get("/")
    assert info.value.code == code
    assert (info.value.response.body if info.value.response else None) == body
    # QNetworkAccessManager asks again by itself where a connection closed without a response.
    assert len(server.log) == expectation.call_count >= 1
    server.check()


@pytest.mark.parametrize("fault", ["reset", "garbage", "malformed_chunk", "truncate", "hang"])
@pytest.mark.qhttpserver(h2=True, strict=False)
def test_faults_over_http2(qhttpserver, fault):
    expectation = qhttpserver.expect_request("/")
    expectation.truncate(10) if fault == "truncate" else getattr(expectation, fault)()
    with pytest.raises((ClientError, TimeoutError)):
        qhttpserver.client.get("/", timeout=300)


def test_reset_is_a_tcp_reset(server):
    server.expect_request("/").reset()
    with pytest.raises(ConnectionResetError):
        server.call(urllib.request.urlopen, server.url_for("/"))


def test_garbage_of_ones_own(server):
    server.expect_request("/").garbage(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    assert server.client.get("/").text == "ok"


def test_hang_until_the_client_gives_up(server):
    expectation = server.expect_request("/").hang()
    with pytest.raises(TimeoutError, match="within 100 ms"):
        server.client.get("/", timeout=100)
    assert expectation.calls == [(server.last_request, None)]
    server.check()


# ---- which expectation


def test_ordered_before_oneshot_before_permanent(server):
    server.expect_request("/").respond_with_data("permanent")
    server.expect_oneshot_request("/").respond_with_data("oneshot 1")
    server.expect_oneshot_request("/").respond_with_data("oneshot 2")
    server.expect_ordered_request("/").respond_with_data("ordered")
    texts = [server.client.get("/").text for _ in range(5)]
    assert texts == ["ordered", "oneshot 1", "oneshot 2", "permanent", "permanent"]


def test_ordered_requests_out_of_order(server):
    server.expect_ordered_request("/a").respond_with_data("a")
    server.expect_ordered_request("/b").respond_with_data("b")
    assert server.client.get("/b").status == 500
    assert [server.client.get(path).text for path in ("/a", "/b")] == ["a", "b"]
    with pytest.raises(AssertionError, match="comes later in the expected order"):
        server.check_assertions()


def test_the_first_that_fits_answers(server):
    server.expect_request("/").respond_with_data("first")
    server.expect_request("/").respond_with_data("second")
    assert server.client.get("/").text == "first"


def test_times_leaves_later_requests_to_others(server):
    first = server.expect_request("/").times(2).respond_with_data("first")
    server.expect_request("/").respond_with_data("second")
    assert [server.client.get("/").text for _ in range(3)] == ["first", "first", "second"]
    assert (first.called, first.call_count, len(first.calls)) == (True, 2, 2)
    server.check()


def test_expect_takes_matchers_and_callables(server):
    class Prefix(UriPattern):
        def match(self, uri):
            return uri.startswith("/p")

    server.expect(lambda request: request.url().path() == "/c").respond_with_data("callable")
    server.expect(server.create_matcher("/m", method="GET"), HandlerType.ONESHOT).respond_with_data("matcher")
    server.expect_request(Prefix()).respond_with_data("prefix")
    assert [server.client.get(path).text for path in ("/c", "/m", "/p/q")] == ["callable", "matcher", "prefix"]
    with pytest.raises(TypeError, match="RequestMatcher"):
        server.expect("/c")


def test_bake(server):
    api = server.bake(headers={"x-key": "k"}, method="POST")
    api.expect_request("/").respond_with_data("with a key")
    api.bake(method="PUT").expect_request("/").respond_with_data("put")
    assert server.client.post("/", headers={"X-Key": "k"}).text == "with a key"
    assert server.client.put("/", headers={"X-Key": "k"}).text == "put"
    assert server.client.post("/").status == 500


def test_routes_answer_what_is_not_expected(server):
    server.route("/item/<arg>", lambda number: f"route {number}")
    server.expect_request("/item/1").respond_with_data("expected")
    assert [server.client.get(f"/item/{number}").text for number in (1, 2)] == ["expected", "route 2"]
    assert [entry.response.statusCode().value for entry in server.log] == [200, 200]
    server.check()


def test_an_own_missing_handler(server):
    server.setMissingHandler(server, lambda request, responder: responder.write(QHttpServerResponse.StatusCode.Gone))
    assert server.client.get("/").status == 410
    server.check()


def test_clear(server):
    server.expect_request("/").respond_with_data("")
    server.client.get("/")
    server.client.get("/other")
    server.clear()
    assert (server.log, server.requests, server.last_request) == ([], [], None)
    server.check()
    assert server.client.get("/").status == server.no_handler_status_code


# ---- what came


def test_log_and_requests(server):
    server.expect_request("/a").respond_with_json({"ok": True})
    server.client.get("/a")
    server.client.post("/b", data="body")
    (first, response), (second, refused) = server.log
    assert server.requests == [first, second]
    assert server.last_request is second
    assert (first.url().path(), bytes(second.body().data())) == ("/a", b"body")
    assert (response.data().data(), refused.statusCode().value) == (b'{"ok": true}', 500)


def test_matching_requests(server):
    server.expect_request(re.compile("/")).respond_with_data("")
    for path in ("/a", "/b", "/a"):
        server.client.get(path)
    matcher = server.create_matcher("/a")
    assert server.get_matching_requests_count(matcher) == 2
    assert [entry.request.url().path() for entry in server.iter_matching_requests(matcher)] == ["/a", "/a"]
    server.assert_request_made(matcher, count=2)
    server.assert_request_made(RequestMatcher("/c"), count=0)


def test_assert_request_made_tells_what_came_instead(server):
    server.expect_request("/a").respond_with_data("")
    server.client.post("/a", json={"name": "other"})
    with pytest.raises(AssertionError) as info:
        server.assert_request_made(RequestMatcher("/a", "POST", json={"name": "mine"}))
    assert str(info.value) == (
        "expected once, came never: POST /a json={'name': 'mine'}\n"
        "  similar: POST /a\n"
        "    json: expected {'name': 'mine'}\n"
        "              came {'name': 'other'}\n"
        "requests that came:\n"
        "  1. POST /a -> 200"
    )


def test_an_unexpected_request_is_compared_with_the_closest(server):
    server.expect_request("/items", "PUT", json={"id": 1, "tags": ["a", "b"]}).respond_with_data("")
    server.expect_request("/other").respond_with_data("")
    text = server.client.post("/items?x=1", json={"id": 2}).text
    with pytest.raises(AssertionError, match=re.escape(text)):
        server.check_assertions()
    assert re.sub(r"\(.*?:\d+\)", "(here)", text) == (
        "unexpected request: POST /items?x=1\n"
        "  with body {'id': 2}\n"
        "  expected PUT /items json={'id': 1, 'tags': ['a', 'b']} (here)\n"
        "    method: expected 'PUT'\n"
        "                came 'POST'\n"
        "    json: expected {'id': 1, 'tags': ['a', 'b']}\n"
        "              came {'id': 2}\n"
        "  expected any method /other (here)\n"
        "    path: expected '/other'\n"
        "              came '/items'"
    )


def test_long_documents_are_compared_line_by_line(server):
    expected = {f"field {number}": "value" * 5 for number in range(9)}
    server.expect_request("/", json=expected).respond_with_data("")
    text = server.client.post("/", json={**expected, "field 3": "wrong"}).text
    assert "-  'field 3': 'valuevaluevaluevaluevalue'" in text
    assert "+  'field 3': 'wrong'" in text


def test_add_assertion(server):
    server.add_assertion("wrong")
    with pytest.raises(AssertionError, match="wrong"):
        server.check_assertions()


def test_handler_errors_are_kept_apart_from_assertions(server):
    server.expect_request("/").respond_with_handler(lambda request: 1 / 0)
    assert server.client.get("/").status == 500
    server.check_assertions()
    with pytest.raises(ZeroDivisionError):
        server.check_handler_errors()
    with pytest.raises(ZeroDivisionError):
        server.check()


def test_errors_of_matchers_hooks_and_generators(server):
    def broken():
        yield "a"
        raise KeyError("generator")

    server.expect_request("/matcher", matcher=lambda request: {}["matcher"]).respond_with_data("")
    server.expect_request("/hook").respond_with_data("").with_post_hook(lambda request, response: {}["hook"])
    server.expect_request("/stream").respond_with_stream(broken)
    assert [server.client.get(path).status for path in ("/matcher", "/hook")] == [500, 500]
    server.clear_all_handlers()
    server.expect_request("/stream").respond_with_stream(broken)
    with pytest.raises(ClientError):
        server.client.get("/stream")
    assert [str(error) for error in server.problems()] == ["'matcher'", "'matcher'", "'generator'"]
