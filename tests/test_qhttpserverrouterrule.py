import weakref

import pytest
from PySide6.QtCore import QObject, QRegularExpression, QRegularExpressionMatch, QUrl

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter
from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule, method_tokens

from .support.routing_fakes import FakeResponder, make_request

Method = QHttpServerRequest.Method


def nothing(match, request, responder):
    pass


@pytest.fixture
def owner(qapp):
    return QObject()


@pytest.mark.parametrize("methods", [(), (Method.Get | Method.Post,)])
@pytest.mark.parametrize("with_receiver", [True, False])
def test_constructors(owner, methods, with_receiver):
    receiver = (owner,) if with_receiver else ()
    rule = QHttpServerRouterRule("/x", *methods, *receiver, nothing)
    assert rule.hasValidMethods()
    assert rule.contextObject() is (owner if with_receiver else None)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("/x",),
        (5, nothing),
        ("/x", "text"),
        ("/x", Method.Get),
        ("/x", nothing, Method.Get),
        ("/x", "context", nothing),
        ("/x", Method.Get, None, nothing, 1),
    ],
)
def test_other_arguments_are_refused(arguments):
    with pytest.raises(TypeError):
        QHttpServerRouterRule(*arguments)


def test_a_handler_that_is_an_object_is_no_receiver(qapp):
    class Callable(QObject):
        def __call__(self, match, request, responder):
            pass

    assert QHttpServerRouterRule("/x", Callable()).contextObject() is None


@pytest.mark.parametrize(
    ("methods", "tokens"),
    [
        (Method.Unknown, ""),
        (Method.Get, "GET"),
        (Method.Get | Method.Put, "GET PUT"),
        (Method.Trace, "TRACE"),
        (Method.AnyKnown, "GET PUT DELETE POST HEAD OPTIONS PATCH CONNECT"),
    ],
)
def test_methods(methods, tokens):
    assert method_tokens(methods) == frozenset(tokens.split())
    assert QHttpServerRouterRule("/x", methods, nothing).hasValidMethods() is bool(tokens)


def installed(pattern, *arguments, types=()):
    rule = QHttpServerRouterRule(pattern, *arguments)
    router = QHttpServerRouter(None)
    assert router.addRule(rule, types) is rule
    return rule, router


@pytest.mark.parametrize(
    ("target", "method", "captured"),
    [("/x/5", "GET", "5"), ("/x/5", "POST", None), ("/x/y", "GET", None), ("/x/5", "HEAD", None)],
)
def test_matches_checks_path_and_method(target, method, captured):
    rule, _router = installed("/x/<arg>", Method.Get, nothing, types=[int])
    match = QRegularExpressionMatch()
    assert rule.matches(make_request(target, method), match) is (captured is not None)
    assert match.hasMatch() is (captured is not None)
    assert match.captured(1) == (captured or "")


def test_exec_calls_the_handler_with_the_match():
    seen = []
    rule, _router = installed("/x/<arg>", lambda *arguments: seen.append(arguments), types=[str])
    request, responder = make_request("/x/y"), FakeResponder()
    assert rule.exec(request, responder)
    ((match, *others),) = seen
    assert match.captured(1) == "y"
    assert others == [request, responder]
    assert not rule.exec(make_request("/z"), responder)
    assert len(seen) == 1


def test_exec_calls_the_override():
    class Mine(QHttpServerRouterRule):
        def matches(self, request, match):
            return True

    seen = []
    rule = Mine("/x", lambda match, request, responder: seen.append((match.hasMatch(), match.capturedTexts())))
    assert rule.exec(make_request("/any", "FOO"), FakeResponder())
    assert seen == [(False, [])]


def test_an_exception_of_the_handler_passes():
    rule, _router = installed("/x", lambda match, request, responder: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        rule.exec(make_request("/x"), FakeResponder())


def test_a_method_of_the_receiver_does_not_keep_it(qapp):
    class Page(QObject):
        def handler(self, match, request, responder):
            seen.append(self)

    seen = []
    page = Page()
    rule, router = installed("/x", page, page.handler)
    assert rule.exec(make_request("/x"), FakeResponder())
    assert seen == [page]
    seen.clear()
    gone = weakref.ref(page)
    del page
    assert gone() is None
    assert not router.handleRequest(make_request("/x"), FakeResponder())


def test_rules_can_be_configured_further():
    rule = QHttpServerRouterRule("/x", nothing)
    assert rule.streaming is None
    rule.streaming = rule.note = "set"
    assert rule.label == 'rule "/x"'


# ---- bindCaptured


def matched(expression, subject):
    return QRegularExpression(expression).match(subject)


def typed(number: int, url: QUrl, request):
    return number, url, request


def swapped(number: int, responder: QHttpServerResponder, request: QHttpServerRequest):
    return number, responder, request


@pytest.mark.parametrize(
    ("slot", "match", "expected"),
    [
        (typed, matched("/(.*)/(.*)", "/5/p"), (5, QUrl("p"), "request")),
        (swapped, matched("/(.*)", "/5"), (5, "responder", "request")),
        (lambda a: a, matched("/(.*)", "/5"), "5"),
        (lambda: "none", QRegularExpressionMatch(), "none"),
        (lambda request: request, QRegularExpressionMatch(), "request"),
    ],
)
def test_bind_captured(owner, slot, match, expected):
    assert QHttpServerRouterRule.bindCaptured(owner, slot, match)("request", "responder") == expected


def test_bind_captured_takes_any_class(qapp):
    def slot(value: complex):
        return value

    assert QHttpServerRouterRule.bindCaptured(None, slot, matched("(.*)", "1j"))("request") == 1j


def number(value: int):
    return value


def test_bind_captured_says_what_is_wrong(owner):
    with pytest.raises(ValueError, match="invalid literal"):
        QHttpServerRouterRule.bindCaptured(owner, number, matched("(.*)", "x"))
    with pytest.raises(TypeError, match="takes more captures than the 0 there are"):
        QHttpServerRouterRule.bindCaptured(owner, number, QRegularExpressionMatch())
    with pytest.raises(TypeError, match='nothing to give the parameter "c"'):
        QHttpServerRouterRule.bindCaptured(owner, lambda a, b, c: a, QRegularExpressionMatch())


def test_bind_captured_does_not_keep_the_receiver(qapp):
    class Page(QObject):
        def slot(self, value: int, request):
            return value

    page = Page()
    bound = QHttpServerRouterRule.bindCaptured(page, page.slot, matched("(.*)", "5"))
    assert bound("request") == 5
    gone = weakref.ref(page)
    del page
    assert gone() is None


def test_a_rule_without_placeholders_works_by_itself():
    paths = []
    rule = QHttpServerRouterRule("/a(b|c)", lambda match, _request, _responder: paths.append(match.captured(1)))
    answers = [rule.exec(make_request(path), FakeResponder()) for path in ("/ab", "/a", "/ac", "/abc")]
    assert (answers, paths) == ([True, False, True, False], ["b", "c"])


@pytest.mark.parametrize("pattern", ["/<arg>", "/("])
def test_by_itself_a_rule_with_placeholders_matches_nothing(pattern):
    rule = QHttpServerRouterRule(pattern, print)
    assert not rule.matches(make_request("/5"), QRegularExpressionMatch())
