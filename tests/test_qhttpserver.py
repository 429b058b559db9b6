"""QHttpServer: registration, what handlers may return, and the order of who is asked."""

from __future__ import annotations

import decimal
import gc
import http
import pathlib
import time
import weakref
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import QBuffer, QByteArray, QCoreApplication, QEventLoop, QJsonDocument, QObject, QTimer, QUrl
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py import (
    QHttpServer,
    QHttpServerRequest,
    QHttpServerResponder,
    QHttpServerResponse,
    QHttpServerRouterRule,
)

from .support.rawclient import RawClient, ask, bound, logged, reported, spin

pytestmark = pytest.mark.usefixtures("qapp")

Method = QHttpServerRequest.Method
Code = QHttpServerResponder.StatusCode
EMPTY = "application/x-empty"
FULLY_DECODED = QUrl.ComponentFormattingOption.FullyDecoded


# ---- results


def _file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "page.css"
    path.write_bytes(b"p {}")
    return path


@pytest.mark.parametrize(
    ("result", "status", "mime", "body"),
    [
        ("text", 200, "text/plain", b"text"),
        ("", 200, "application/x-zerosize", b""),
        (None, 200, "application/x-zerosize", b""),
        ("<!DOCTYPE html>", 200, "text/html", b"<!DOCTYPE html>"),
        ("\ufeffé", 200, "text/plain; charset=utf-8", "\ufeffé".encode()),
        (b"\0\1", 200, "application/octet-stream", b"\0\1"),
        (bytearray(b"ba"), 200, "text/plain", b"ba"),
        (memoryview(b"mv"), 200, "text/plain", b"mv"),
        (QByteArray(b"qba"), 200, "text/plain", b"qba"),
        ({"b": 1, "a": [1, 2.5, True, None]}, 200, "application/json", b'{"a":[1,2.5,true,null],"b":1}'),
        ([1, "é"], 200, "application/json", '[1,"é"]'.encode()),
        (QJsonDocument.fromJson(b"[1]").array(), 200, "application/json", b"[1]"),
        (QJsonDocument.fromJson(b'{ "x" : 1 }'), 200, "application/json", b'{"x":1}'),
        (Code.Accepted, 202, None, b""),
        (http.HTTPStatus.GONE, 410, None, b""),
        (418, 418, None, b""),
        (299, 299, None, b""),
        (("made", 201), 201, "text/plain", b"made"),
        (({"a": 1}, Code.Conflict), 409, "application/json", b'{"a":1}'),
        (("x", 200, {"Content-Type": "text/x"}), 200, "text/x", b"x"),
        (QHttpServerResponse(b"a/b", b"raw"), 200, "a/b", b"raw"),
        (QHttpServerResponse("t", status=Code.Created), 201, "text/plain", b"t"),
        (iter([b"one", "two"]), 200, "text/plain", b"onetwo"),
        ((str(i) for i in range(3)), 200, "text/plain", b"012"),
    ],
)
def test_results(result: Any, status: int, mime: str, body: bytes) -> None:
    server = QHttpServer()
    server.route("/", lambda: result)
    reply = ask(bound(server), "/")
    assert (reply.status, reply.headers.get("content-type"), reply.body) == (status, mime, body)


def test_a_path_is_sent_as_from_file(tmp_path: pathlib.Path) -> None:
    server = QHttpServer()
    server.route("/there", lambda: _file(tmp_path))
    server.route("/missing", lambda: tmp_path / "no")
    port = bound(server)
    there, missing = ask(port, "/there"), ask(port, "/missing")
    assert (there.status, there.headers["content-type"], there.body) == (200, "text/css", b"p {}")
    assert (missing.status, missing.headers["content-type"], missing.body) == (404, EMPTY, b"")


@pytest.mark.parametrize("result", [object(), True, 99, 600, 3.5, ("x", "y"), ("x", 200, 5), {1, 2}, 100, 101])
def test_results_that_cannot_be_sent_are_500_and_logged(result: Any) -> None:
    server = QHttpServer()
    server.route("/", lambda: result)
    with logged() as lines, reported():
        reply = ask(bound(server), "/")
    assert (reply.status, reply.body) == (500, b"")
    assert [line for line in lines if line[:2] == ("warning", "qt.httpserver")]


def test_tuple_headers_are_checked() -> None:
    server = QHttpServer()
    server.route("/", lambda: ("x", 200, [("X-A", "1\r\nX-B: 2")]))
    with reported() as errors:
        reply = ask(bound(server), "/")
    assert reply.status == 500
    assert "x-b" not in reply.headers
    assert isinstance(errors[0], ValueError)


def test_exception_is_reported_and_500_without_details() -> None:
    server = QHttpServer()
    server.route("/", lambda: {}["secret"])
    server.route("/ok", lambda: "ok")
    port = bound(server)
    client = RawClient(port)
    with logged() as lines, reported() as errors:
        client.get("/")
        reply = client.reply()
    assert (reply.status, reply.headers.get("content-type"), reply.body) == (500, None, b"")
    assert isinstance(errors[0], KeyError)
    assert any("KeyError" in text for _, category, text in lines if category == "qt.httpserver")
    client.get("/ok")  # the connection goes on
    assert client.reply().body == b"ok"


# ---- registration


def test_route_forms() -> None:
    server = QHttpServer()
    context = QObject()
    assert server.route("/1", lambda: "1") is True
    assert server.route("/2", Method.Post, lambda: "2") is True
    assert server.route("/3", context, lambda: "3") is True
    assert server.route("/4", Method.Get | Method.Put, context, lambda: "4") is True
    port = bound(server)
    assert ask(port, "/1", method="PUT").body == b"1"
    assert ask(port, "/2", method="POST").body == b"2"
    assert ask(port, "/2").status == 404
    assert ask(port, "/3").body == b"3"
    assert ask(port, "/4", method="PUT").body == b"4"


def test_route_as_decorator_returns_the_function() -> None:
    server = QHttpServer()
    context = QObject()

    def plain() -> str:
        return "plain"

    assert server.route("/1")(plain) is plain
    assert server.route("/2", Method.Post)(plain) is plain
    assert server.route("/3", context)(plain) is plain
    assert server.route("/4", Method.Post, context)(plain) is plain
    port = bound(server)
    assert ask(port, "/1").body == b"plain"
    assert ask(port, "/4", method="POST").body == b"plain"


@pytest.mark.parametrize(
    "args",
    [
        (1, print),
        ("/", 5),
        ("/", "GET", print),
        ("/", print, print),
        ("/", Method.Get, None, 7),
        ("/", QObject(), 3),
        ("/", None),
    ],
)
def test_route_wrong_arguments(args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="route"):
        QHttpServer().route(*args)


@pytest.mark.parametrize(
    ("pattern", "method", "handler"),
    [
        ("/a/<arg>", Method.AnyKnown, lambda: ""),
        ("/a(", Method.AnyKnown, lambda: ""),
        ("/a", Method.Unknown, lambda: ""),
    ],
)
def test_refused_rules(pattern: str, method: Method, handler: Any) -> None:
    server = QHttpServer()
    with logged():
        assert server.route(pattern, method, handler) is False
    assert ask(bound(server), "/a").status == 404


def test_callables_are_kept() -> None:
    class Owner:
        def method(self) -> str:
            return "method"

    server = QHttpServer()
    server.route("/lambda", lambda _request: "lambda")
    server.route("/bound", Owner().method)
    server.addAfterRequestHandler(server, lambda _request, response: response.setHeaders(QHttpHeaders()))
    gc.collect()
    port = bound(server)
    for _ in range(3):
        assert ask(port, "/lambda").body == b"lambda"
        assert ask(port, "/bound").body == b"method"


def test_callables_die_with_the_server() -> None:
    class Handler:
        def __call__(self) -> str:
            return ""

    server, handler = QHttpServer(), Handler()
    server.route("/", handler)
    alive = weakref.ref(handler)
    del handler, server
    gc.collect()
    assert alive() is None


def test_a_rule_ends_with_its_context() -> None:
    server = QHttpServer()
    context = QObject()
    server.route("/x", context, lambda: "context")
    server.route("/x", lambda: "after")
    port = bound(server)
    assert ask(port, "/x").body == b"context"
    shiboken6.delete(context)
    assert ask(port, "/x").body == b"after"


def test_null_context_is_refused() -> None:
    server = QHttpServer()
    with logged() as lines:
        assert server.route("/x", None, lambda: "") is False
    assert lines


def test_a_rule_class_of_ones_own() -> None:
    made: list[Any] = []

    class Rule(QHttpServerRouterRule):
        def __init__(self, *args: Any) -> None:
            made.append(args)
            super().__init__(*args)

    server = QHttpServer()
    assert server.route("/<arg>", Method.Get, lambda name: f"hi {name}", Rule=Rule)
    assert (made[0][0], made[0][1], made[0][2]) == ("/<arg>", Method.Get, server)
    assert ask(bound(server), "/you").body == b"hi you"


def test_registering_inside_a_handler_counts_from_the_next_request() -> None:
    server = QHttpServer()

    @server.route("/add")
    def add() -> str:
        server.route("/new", lambda: "new")
        return "added"

    port = bound(server)
    assert ask(port, "/new").status == 404
    assert ask(port, "/add").body == b"added"
    assert ask(port, "/new").body == b"new"


# ---- arguments


def test_typed_arguments_and_positions() -> None:
    server = QHttpServer()

    @server.route("/sum/<arg>/<arg>")
    def total(one: int, two: float, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        responder.write(f"{one + two} {request.url().path()}".encode(), b"text/plain")

    @server.route("/turned/<arg>")
    def turned(name: str, responder: QHttpServerResponder, request: QHttpServerRequest) -> None:
        responder.write(f"{name} {request.method().name}".encode(), b"text/plain")

    @server.route("/user/")
    def user(number: int) -> str:
        return f"user {number!r}"

    @server.route("/one")
    def one(thing) -> str:  # type: ignore[no-untyped-def]
        return type(thing).__name__

    port = bound(server)
    assert ask(port, "/sum/1/2.5").body == b"3.5 /sum/1/2.5"
    assert ask(port, "/turned/a%20b").body == b"a b Get"
    assert ask(port, "/user/99999999999999999999").body == b"user 99999999999999999999"
    assert ask(port, "/user/x").status == 404
    assert ask(port, "/one").body == b"QHttpServerRequest"


def test_converter_of_ones_own() -> None:
    class Even:
        def __init__(self, text: str) -> None:
            if int(text) % 2:
                raise ValueError(text)
            self.value = int(text)

    server = QHttpServer()
    assert server.router().addConverter(Even, r"\d+")
    server.route("/n/<arg>", lambda even: f"even {even}")  # str: after the typed one in order

    def typed(even: Even) -> str:
        return f"Even({even.value})"

    other = QHttpServer()
    other.router().addConverter(Even, r"\d+")
    other.route("/n/<arg>", typed)
    other.route("/n/<arg>", lambda text: f"odd {text}")
    port = bound(other)
    assert ask(port, "/n/4").body == b"Even(4)"
    assert ask(port, "/n/5").body == b"odd 5"


def test_a_decimal_that_is_none_does_not_match() -> None:
    server = QHttpServer()
    server.router().addConverter(decimal.Decimal, ".+")

    def exact(number: decimal.Decimal) -> str:
        return str(number * 2)

    server.route("/<arg>", exact)
    port = bound(server)
    assert [ask(port, path).status for path in ("/1.50", "/many")] == [200, 404]


# ---- methods


def test_head_runs_the_get_rule_and_has_no_body() -> None:
    server = QHttpServer()
    server.route("/", Method.Get, lambda: "body")
    client = RawClient(bound(server))
    client.get("/", method="HEAD")
    client.get("/")
    head = client.reply(head_only=True)
    assert (head.status, head.headers["content-length"]) == (200, "4")
    assert client.reply().body == b"body"


@pytest.mark.parametrize(("method", "status"), [("BREW", 501), ("get", 501), ("GET", 404), ("OPTIONS", 404)])
def test_default_missing_handler(method: str, status: int) -> None:
    server = QHttpServer()
    reply = ask(bound(server), "/no", method=method)
    assert (reply.status, reply.headers.get("content-type"), reply.headers["content-length"]) == (status, None, "0")


def test_options_about_the_server() -> None:
    server = QHttpServer()
    server.route("/a", Method.Get, lambda: "a")
    server.route("/b", Method.Put | Method.Delete, lambda: "b")
    reply = ask(bound(server), "*", method="OPTIONS")
    assert (reply.status, reply.headers["content-length"]) == (200, "0")
    assert reply.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"


def test_a_missing_handler_of_ones_own_is_asked_about_the_server_too() -> None:
    server = QHttpServer()
    server.setMissingHandler(server, lambda request, responder: responder.write(request.url().path().encode(), b"a/b"))
    assert ask(bound(server), "*", method="OPTIONS").body == b"*"


@pytest.mark.parametrize(
    ("target", "path"), [(b"/x\xe9", "/x\ufffd"), (b"/x\xc3\xa9", "/x\xe9"), (b"/x%FF\xff", "/x\ufffd\ufffd")]
)
def test_octets_of_a_target_that_should_have_been_escaped(target: bytes, path: str) -> None:
    server = QHttpServer()
    seen: list[str] = []
    server.route("/<arg>", lambda text, request: seen.extend((f"/{text}", request.url().path(FULLY_DECODED))) or "")
    client = RawClient(bound(server))
    client.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.reply().status == 200
    assert seen == [path, path]


@pytest.mark.parametrize("request_made", [None, "text", QHttpServerRequest()])
def test_only_what_a_handler_was_given_can_be_served(request_made: Any) -> None:
    server = QHttpServer()
    rule = QHttpServerRouterRule("", print)
    for call in (server.handleRequest, server.missingHandler, server.router().handleRequest, rule.exec):
        with pytest.raises(TypeError, match="what a handler was given"):
            call(request_made, None)  # type: ignore[arg-type]


# ---- missing handler


def test_missing_handler_is_one_at_a_time() -> None:
    server = QHttpServer()
    context = QObject()
    port = bound(server)
    server.setMissingHandler(server, lambda _request, responder: responder.write(b"first", b"a/b"))
    assert ask(port, "/").body == b"first"
    server.setMissingHandler(context, lambda request, responder: responder.write(b"second", b"a/b", Code.Gone))
    assert (ask(port, "/").status, ask(port, "/").body) == (410, b"second")
    shiboken6.delete(context)
    assert ask(port, "/").status == 404
    server.setMissingHandler(server, lambda request: "by result")
    assert ask(port, "/").body == b"by result"
    server.clearMissingHandler()
    assert ask(port, "/").status == 404


def test_missing_handler_that_does_not_answer_gives_500() -> None:
    server = QHttpServer()
    server.setMissingHandler(server, lambda _request, _responder: None)
    with logged() as lines:
        assert ask(bound(server), "/").status == 500
    assert any("dropped without a reply" in text for *_, text in lines)


# ---- after-request handlers


def test_after_request_handlers_run_in_order_on_returned_responses_and_the_default_404() -> None:
    server = QHttpServer()
    seen: list[str] = []
    server.route("/value", lambda: "v")
    server.route("/responder", lambda _request, responder: responder.write(b"r", b"a/b"))

    def first(request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        seen.append(f"1{request.url().path()}")
        headers = response.headers()
        headers.append("X-First", "1")
        response.setHeaders(headers)

    def second(_request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        seen.append(f"2{response.headers().value('x-first')}")

    server.addAfterRequestHandler(server, first)
    server.addAfterRequestHandler(server, second)
    port = bound(server)
    assert ask(port, "/value").headers["x-first"] == "1"
    assert ask(port, "/missing").headers["x-first"] == "1"
    assert "x-first" not in ask(port, "/responder").headers
    assert [entry[:1] for entry in seen] == ["1", "2", "1", "2"]


def test_swap_inside_an_after_request_handler_replaces_the_reply() -> None:
    server = QHttpServer()
    server.route("/", lambda _request: "old")
    server.addAfterRequestHandler(
        server, lambda _request, response: response.swap(QHttpServerResponse(b"a/b", b"new", Code.ImATeapot))
    )
    reply = ask(bound(server), "/")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (418, b"new", "a/b")


def test_exception_in_an_after_request_handler_leaves_the_reply() -> None:
    server = QHttpServer()
    server.route("/", lambda: "fine")
    server.addAfterRequestHandler(server, lambda _request, _response: 1 / 0)
    with reported() as errors:
        assert ask(bound(server), "/").body == b"fine"
    assert isinstance(errors[0], ZeroDivisionError)


def test_after_request_handler_ends_with_its_context() -> None:
    server = QHttpServer()
    context = QObject()
    server.route("/", lambda: "x")
    server.addAfterRequestHandler(context, lambda _request, response: response.swap(QHttpServerResponse("y")))
    port = bound(server)
    assert ask(port, "/").body == b"y"
    shiboken6.delete(context)
    assert ask(port, "/").body == b"x"
    assert not server._answers.after.items


def test_after_request_handler_sees_streams() -> None:
    server = QHttpServer()
    server.route("/", lambda: (piece for piece in (b"a", b"b")))

    def add(_request: QHttpServerRequest, response: QHttpServerResponse) -> None:
        headers = response.headers()
        headers.append("X-A", "1")
        response.setHeaders(headers)

    server.addAfterRequestHandler(server, add)
    reply = ask(bound(server), "/")
    assert (reply.body, reply.headers["x-a"]) == (b"ab", "1")


@pytest.mark.parametrize(
    "name",
    ["addAfterRequestHandler", "setMissingHandler", "addBeforeRequestHandler", "addWebSocketUpgradeVerifier"],
)
def test_handlers_with_context_check_their_arguments(name: str) -> None:
    server = QHttpServer()
    with pytest.raises(TypeError, match="QObject"):
        getattr(server, name)("context", print)
    with pytest.raises(TypeError, match="cannot be called"):
        getattr(server, name)(server, 5)
    with pytest.raises(TypeError, match="cannot be called"):
        getattr(server, name)(server, None)


def test_handlers_with_context_as_decorators() -> None:
    server = QHttpServer()

    @server.addAfterRequestHandler(server)
    def after(_request: Any, response: Any) -> None:
        response.swap(QHttpServerResponse("after"))

    @server.setMissingHandler(server)
    def missing(_request: Any, responder: Any) -> None:
        responder.write(b"missing", b"a/b")

    server.route("/", lambda: "x")
    port = bound(server)
    assert ask(port, "/").body == b"after"
    assert ask(port, "/no").body == b"missing"


# ---- virtual methods and re-entrancy


def test_subclass_may_override_the_virtual_methods() -> None:
    class Guarded(QHttpServer):
        def handleRequest(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
            if request.value(b"x-key").data() != b"k":
                responder.write(Code.Forbidden)
                return True
            return super().handleRequest(request, responder)

        def missingHandler(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
            responder.write(b"mine", b"a/b", Code.NotFound)

    server = Guarded()
    server.route("/", lambda: "in")
    server.route("/late/<arg>", lambda n, _request, responder: responder.write(str(n).encode(), b"a/b"))
    port = bound(server)
    assert ask(port, "/").status == 403
    assert ask(port, "/", "X-Key: k").body == b"in"
    assert ask(port, "/late/7", "X-Key: k").body == b"7"
    assert ask(port, "/no", "X-Key: k").body == b"mine"


def test_nested_event_loop_serves_others_and_keeps_the_order_of_one_connection() -> None:
    server = QHttpServer()
    order: list[str] = []
    nested = QEventLoop()

    @server.route("/modal")
    def modal() -> str:
        QTimer.singleShot(5000, nested.quit)
        nested.exec()
        order.append("modal")
        return "modal"

    server.route("/other", lambda: order.append("other") or "other")
    server.route("/quit", lambda: QTimer.singleShot(0, nested.quit) or "quit")
    port = bound(server)
    first, second = RawClient(port), RawClient(port)
    first.get("/modal")
    first.get("/other")
    second.get("/quit")
    assert spin(lambda: b"quit" in second.received)
    assert first.reply().body == b"modal"
    assert first.reply().body == b"other"
    assert order == ["modal", "other"]


def test_bytes_that_come_during_a_nested_loop_are_served() -> None:
    server = QHttpServer()
    port = bound(server)
    client = RawClient(port)

    @server.route("/busy")
    def busy() -> str:
        client.get("/next")
        for _ in range(50):
            QCoreApplication.processEvents()
        return "busy"

    server.route("/next", lambda: "next")
    client.get("/busy")
    assert client.reply().body == b"busy"
    assert client.reply().body == b"next"


def test_pipelined_requests_are_answered_in_order_whatever_comes_first() -> None:
    server = QHttpServer()

    @server.route("/wait/<arg>")
    def wait(ms: int, responder: QHttpServerResponder) -> None:
        QTimer.singleShot(ms, lambda: responder.write(str(ms).encode(), b"a/b"))

    server.route("/now", lambda: "now")
    client = RawClient(bound(server))
    for target in ("/wait/60", "/now", "/wait/1", "/now"):
        client.get(target)
    assert [client.reply().body for _ in range(4)] == [b"60", b"now", b"1", b"now"]


def test_hundreds_of_pipelined_requests_in_one_packet() -> None:
    server = QHttpServer()
    numbers: list[int] = []

    @server.route("/n/<arg>")
    def number(value: int) -> str:
        numbers.append(value)
        return str(value)

    client = RawClient(bound(server))
    client.send(b"".join(b"GET /n/%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(500)))
    assert [int(client.reply().body) for _ in range(500)] == list(range(500))
    assert numbers == list(range(500))


def test_device_results_are_streamed() -> None:
    server = QHttpServer()

    @server.route("/")
    def device() -> QBuffer:
        buffer = QBuffer()
        buffer.setData(b"x" * 300000)
        return buffer

    reply = ask(bound(server), "/")
    assert (reply.headers["content-length"], len(reply.body)) == ("300000", 300000)


def test_continue_is_sent_before_the_body_and_not_without_a_handler() -> None:
    server = QHttpServer()
    server.route("/up", Method.Post, lambda request: f"{request.body().size()}")
    port = bound(server)
    client = RawClient(port)
    client.get("/up", "Content-Length: 3", "Expect: 100-continue", method="POST")
    assert spin(lambda: client.received == b"HTTP/1.1 100 Continue\r\n\r\n")
    client.received = b""
    client.send(b"abc")
    assert client.reply().body == b"3"
    other = RawClient(port)
    other.get("/nobody", "Content-Length: 3", "Expect: 100-continue", method="POST")
    reply = other.reply()
    assert (reply.status, reply.headers["connection"]) == (404, "close")
    assert other.wait_closed()


def test_observers_see_each_reply() -> None:
    server = QHttpServer()
    seen: list[Any] = []
    server._answers.observers.append(
        lambda request, status, size, took: seen.append((request.url().path(), status, size, took))
    )
    server.route("/a", lambda: "abc")
    server.route("/b", lambda _request, responder: responder.write(b"12345", b"a/b", Code.Created))
    port = bound(server)
    for target in ("/a", "/b", "/c"):
        ask(port, target)
    assert [entry[:3] for entry in seen] == [("/a", 200, 3), ("/b", 201, 5), ("/c", 404, 0)]
    assert all(0 <= entry[3] < 10 for entry in seen)


# ---- handlers that block, and second names


def test_a_handler_that_blocks_is_named_once() -> None:
    server = QHttpServer()
    assert server.slowHandlerThreshold() == 100
    server.setSlowHandlerThreshold(5)

    def blocks() -> str:
        end = time.monotonic() + 0.02
        while time.monotonic() < end:
            pass
        return "slow"

    server.route("/blocks", blocks)
    port = bound(server)
    with logged() as lines:
        for _ in range(3):
            assert ask(port, "/blocks").body == b"slow"
        server.setSlowHandlerThreshold(0)
    texts = [text for *_, text in lines if "held the event loop" in text]
    assert len(texts) == 1
    assert "/blocks" in texts[0]
    assert server.slowHandlerThreshold() == 0


def test_a_handler_that_spins_a_loop_does_not_block() -> None:
    server = QHttpServer()
    server.setSlowHandlerThreshold(30)

    @server.route("/modal")
    def modal() -> str:
        loop = QEventLoop()
        QTimer.singleShot(60, lambda: ask(port, "/other") and loop.quit())
        loop.exec()
        return "modal"

    server.route("/other", lambda: "other")
    port = bound(server)
    with logged() as lines:
        assert ask(port, "/modal").body == b"modal"
    assert not [text for *_, text in lines if "held the event loop" in text]


def test_snake_case_names_are_the_same_methods() -> None:
    class Snake(QHttpServer):
        def handle_request(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> bool:
            responder.write(b"snake", b"text/plain")
            return True

    server = Snake()
    assert server.server_ports() == []
    assert server.add_after_request_handler == server.addAfterRequestHandler
    assert QHttpServerResponder.write_begin_chunked is QHttpServerResponder.writeBeginChunked
    assert ask(bound(server), "/").body == b"snake"
