"""What a beginner registers wrongly, and what the log says about it."""

from __future__ import annotations

import asyncio
import datetime
import functools

import pytest
from PySide6.QtCore import QObject, QThread

from qhttpserver_py import QHttpServer, QHttpServerRequest, QHttpServerResponder, QHttpServerRouterRule

from ..support.rawclient import logged

pytestmark = pytest.mark.usefixtures("qapp")


def handler_of_two(a: int, b: int) -> str:
    return f"{a}{b}"


async def later(request: QHttpServerRequest) -> str:
    await asyncio.sleep(0)
    return "x"


def dated(day: datetime.date) -> str:
    return "x"


def swapped(responder, request):
    return "x"


def paged(page: int = 1) -> str:
    return "x"


class Thing(QObject):
    def answer(self) -> str:
        return "x"


REFUSED = [
    ("/user/<arg>", lambda: "x", "1 placeholder, 0 parameters", "each <arg> needs a parameter"),
    ("/<arg>/<arg>", lambda a: "x", "2 placeholders, 1 parameter", "each <arg> needs a parameter"),
    ("/user", lambda a, b, c: "x", "0 placeholders, 3 parameters", "write <arg> in the pattern"),
    ("/user/<arg>", lambda a, b, c, d: "x", "1 placeholder, 4 parameters", "write <arg> in the pattern"),
    ("/x/<arg>", lambda *, key: "x", "1 placeholder, 1 parameter", "give the parameter a default"),
    ("/x/<arg>", dated, "dated()", "addConverter(TheType"),
    ("/x", handler_of_two, "handler_of_two()", "write <arg> in the pattern"),
    ("/x/(", lambda: "x", "0 placeholders", "regular expression between its placeholders"),
    ("/x/[a", lambda: "x", "0 placeholders", "regular expression between its placeholders"),
    ("/x/*)", lambda: "x", "0 placeholders", "regular expression between its placeholders"),
]


@pytest.mark.parametrize(("pattern", "handler", "what", "remedy"), REFUSED)
def test_a_refused_rule_says_what_to_do(pattern, handler, what, remedy) -> None:
    server = QHttpServer()
    with logged() as lines:
        assert server.route(pattern, handler) is False
    texts = [text for _, category, text in lines if category == "qt.httpserver.router.rule"]
    assert len(texts) == 2
    assert f'at "{pattern}"' in texts[1]
    assert what in texts[1]
    assert remedy in texts[1]
    assert "test_hints.py:" in texts[1]


ACCEPTED = [
    ("/user/<int:id>", lambda: "x", 'route("/user/<arg>", ...) with def handler(id: int)'),
    ("/user/<id>", lambda: "x", 'route("/user/<arg>", ...) with def handler(id: str)'),
    ("/user/<int>", lambda: "x", 'route("/user/<arg>", ...) with def handler(value: int)'),
    ("/user/<float:amount>", lambda: "x", "def handler(amount: float)"),
    ("/user/<uuid:key>", lambda: "x", "def handler(key: uuid.UUID)"),
    ("/user/{id}", lambda: "x", 'route("/user/<arg>", ...) with def handler(id: str)'),
    ("/user/{id:int}", lambda: "x", "def handler(id: int)"),
    ("/user/{user_id}/items", lambda: "x", 'route("/user/<arg>/items", ...)'),
    ("/user/:id", lambda: "x", "def handler(id: str)"),
    ("user", lambda: "x", 'route("/user", ...)'),
    ("user/<arg>", lambda a: "x", "every path begins with"),
    ("/x", swapped, 'the parameter "responder" is given request'),
    ("/x/<arg>", lambda request: "x", 'the parameter "request" is given a value of the path'),
    ("/x", paged, "request.query()"),
]


@pytest.mark.parametrize(("pattern", "handler", "remedy"), ACCEPTED)
def test_an_accepted_rule_that_looks_wrong_is_warned_about(pattern, handler, remedy) -> None:
    server = QHttpServer()
    with logged() as lines:
        assert server.route(pattern, handler) is True
    texts = [text for _, category, text in lines if category == "qt.httpserver.router.rule"]
    assert any(remedy in text and f'at "{pattern}"' in text for text in texts), texts


RIGHT = [
    ("/", lambda: "x"),
    ("/user/<arg>", lambda name: name),
    ("/<arg>/x/<arg>", handler_of_two),
    ("/files/.*", lambda request: "x"),
    ("/(a|b)/x{2,3}", lambda: "x"),
    ("/y{2}", lambda: "x"),
    ("/(?<name>a)", lambda: "x"),
    (r"/\{id\}", lambda: "x"),
    ("/x", later),
    ("/x", lambda request, responder: responder.write()),
    ("/x", lambda name="bound": name),
    ("/x/<arg>", functools.partial(handler_of_two, b=2)),
    ("", lambda: "x"),
    ("/a:b", lambda: "x"),
]


@pytest.mark.parametrize(("pattern", "handler"), RIGHT)
def test_a_right_rule_is_accepted_in_silence(pattern, handler) -> None:
    server = QHttpServer()
    with logged() as lines:
        assert server.route(pattern, handler) is True
    assert [text for _, category, text in lines if category == "qt.httpserver.router.rule"] == []


def test_a_coroutine_that_was_called_already() -> None:
    server = QHttpServer()
    with pytest.raises(TypeError, match="give the function itself, without parentheses"):
        server.route("/", later(QHttpServerRequest.__new__(QHttpServerRequest)))


@pytest.mark.parametrize("handler", ["text", 5, {"a": 1}])
def test_what_cannot_be_called(handler) -> None:
    with pytest.raises(TypeError):
        QHttpServer().route("/", handler)


def test_contexts_that_cannot_be() -> None:
    server, thread, other = QHttpServer(), QThread(), QObject()
    other.moveToThread(thread)
    for context in (None, other):
        with logged() as lines:
            assert server.route("/", context, lambda: "x") is False
        assert any("give a QObject that lives" in text for _, _, text in lines)


def test_rules_without_types_take_text() -> None:
    server = QHttpServer()
    seen = []
    rule = QHttpServerRouterRule("/keyed/<arg>", lambda match, request, responder: seen.append(match.captured(1)))
    assert server.router().addRule(rule) is rule


@pytest.mark.parametrize(
    ("kind", "name", "remedy"),
    [
        (QHttpServer, "listen", "server.bind(tcp)"),
        (QHttpServer, "sslSetup", "QSslServer"),
        (QHttpServer, "afterRequest", "addAfterRequestHandler"),
        (QHttpServer, "no_such_thing", "no attribute"),
    ],
)
def test_names_of_earlier_versions(kind, name, remedy) -> None:
    with pytest.raises(AttributeError, match=r".*") as raised:
        getattr(kind(), name)
    assert remedy in str(raised.value)


def test_names_of_earlier_versions_of_responses() -> None:
    from qhttpserver_py import QHttpServerResponse

    with pytest.raises(AttributeError, match="setHeaders"):
        QHttpServerResponse("x").setHeader("a", "b")
    assert not hasattr(QHttpServerResponder, "writeBody")
