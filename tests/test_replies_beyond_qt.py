"""405, JSON by a responder, cookies, and results that are nearly right."""

from __future__ import annotations

import pytest

from qhttpserver_py import QHttpServerRequest, QHttpServerResponder, QHttpServerResponse

from .support.rawclient import RawClient, bound, logged

pytestmark = pytest.mark.usefixtures("qapp")
Method = QHttpServerRequest.Method


def ask(server, path, *fields, method="GET"):
    client = RawClient(bound(server))
    client.get(path, *fields, method=method)
    return client.reply()


@pytest.mark.parametrize("custom", [False, True])
@pytest.mark.parametrize(
    ("path", "method", "enabled", "status", "allow"),
    [
        ("/item", "POST", True, 405, "GET, HEAD"),
        ("/item", "POST", False, 404, None),
        ("/item/7", "GET", True, 405, "DELETE, PUT"),
        ("/nothing", "POST", True, 404, None),
        ("/item", "GET", True, 200, None),
        ("/item", "HEAD", True, 200, None),
    ],
)
def test_a_wrong_method(server, path, method, enabled, status, allow, custom) -> None:
    server.route("/item", Method.Get, lambda: "x")
    server.route("/item/<arg>", Method.Put | Method.Delete, lambda number: number)
    if custom:
        server.setMissingHandler(server, lambda request, responder: responder.write(404))
    assert server.methodNotAllowed() is False
    server.setMethodNotAllowed(enabled)
    assert server.methodNotAllowed() is enabled
    client = RawClient(bound(server))
    client.get(path, method=method)
    reply = client.reply(head_only=method == "HEAD")
    assert (reply.status, reply.headers.get("allow")) == (status, allow)


@pytest.mark.parametrize("value", [{"b": 1, "a": [True, None]}, [1, "é"]])
def test_a_responder_writes_json(server, value) -> None:
    def handler(responder: QHttpServerResponder) -> None:
        responder.write(value, QHttpServerResponder.StatusCode.Created)

    server.route("/", handler)
    reply = ask(server, "/")
    assert (reply.status, reply.headers["content-type"]) == (201, "application/json")
    assert reply.body == QHttpServerResponse(value).data().data()


@pytest.mark.parametrize(
    ("field", "cookies"),
    [
        ([], {}),
        (["Cookie: a=1; b=two"], {"a": "1", "b": "two"}),
        (['Cookie: a="1"; a=2; =x; junk; c='], {"a": "1", "c": ""}),
        (["Cookie: t=a=b; u=%20"], {"t": "a=b", "u": "%20"}),
    ],
)
def test_cookies_of_a_request(server, field, cookies) -> None:
    server.route("/", lambda request: request.cookies())
    assert ask(server, "/", *field).body == QHttpServerResponse(cookies).data().data()


def test_cookies_of_a_response(server) -> None:
    def handler() -> QHttpServerResponse:
        response = QHttpServerResponse("x")
        response.setCookie("id", "7", max_age=60)
        response.setCookie("theme", "dark", http_only=False, secure=True, same_site="None", path="/app")
        return response

    server.route("/", handler)
    fields = [value for name, value in ask(server, "/").fields if name == "set-cookie"]
    assert fields == [
        "id=7; Path=/; Max-Age=60; HttpOnly; SameSite=Lax",
        "theme=dark; Path=/app; Secure; SameSite=None",
    ]


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        ("a b", "x", {}),
        ("", "x", {}),
        ("a", "x;y", {}),
        ("a", "x\r\ny", {}),
        ("a", "é", {}),
        ("a", "x", {"path": "no"}),
        ("a", "x", {"same_site": "lax"}),
        ("a", "x", {"same_site": "None"}),
    ],
)
def test_cookies_that_cannot_be_sent(name, value, options) -> None:
    with pytest.raises(ValueError, match=r".+"):
        QHttpServerResponse("x").setCookie(name, value, **options)


def test_a_mime_type_without_a_slash_is_warned_about() -> None:
    with logged() as lines:
        QHttpServerResponse("hello", "text/plain")
    assert any("the type comes first" in text for _, _, text in lines)


def test_headers_that_are_text_are_explained(server, monkeypatch) -> None:
    import sys

    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: seen.append(str(error)))
    server.route("/", lambda: ("x", 200, "text/html"))
    assert ask(server, "/").status == 500
    assert "a content type is {'content-type': 'text/html'}" in seen[0]


def test_a_server_that_does_not_listen_says_why(server) -> None:
    from PySide6.QtNetwork import QHostAddress, QTcpServer

    first, second = QTcpServer(), QTcpServer()
    assert first.listen(QHostAddress.SpecialAddress.LocalHost, 0)
    assert not second.listen(QHostAddress.SpecialAddress.LocalHost, first.serverPort())
    with logged() as lines:
        assert server.bind(second) is False
    texts = [text for _, _, text in lines]
    assert "is not listening." in texts[0]
    assert second.errorString() in texts[1]
