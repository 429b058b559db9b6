"""What a router refuses, and how long its rules, contexts and callables live."""

import gc
import weakref

import pytest
import shiboken6
from PySide6.QtCore import QLoggingCategory, QMetaType, QObject, QThread

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter
from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule

from .support.routing_fakes import FakeServer, add, ask, fixtures, make_message, number, warnings_of

Method = QHttpServerRequest.Method
Type = QMetaType.Type
server, router, logged = fixtures()


# ---- refusals


@pytest.mark.parametrize(
    ("pattern", "handler", "warning"),
    [
        (
            "/x/<arg>",
            lambda: "",
            'not enough types or one of the types is not supported, regexp: "/x/<arg>" , '
            'pattern: "/x/<arg>" , types: std::initializer_list(QMetaType(void))',
        ),
        (
            "/l0b/<arg>/<arg>",
            number,
            "not enough types or one of the types is not supported, regexp: "
            '"/l0b/([+-]?\\\\d+)/<arg>" , pattern: "/l0b/<arg>/<arg>" , '
            "types: std::initializer_list(QMetaType(int))",
        ),
        ("/x", lambda a, b, c: a, 'nothing to give the parameter "c", pattern: "/x"'),
        ("/x/<arg>", lambda *, key: key, 'nothing to give the parameter "key", pattern: "/x/<arg>"'),
        ("/x/(", lambda: "", "invalid regular expression: missing closing parenthesis"),
    ],
)
def test_rules_that_cannot_work_are_refused(router, logged, pattern, handler, warning):
    assert add(router, pattern, handler) is None
    (line,) = warnings_of(logged)
    assert warning in line
    assert router._lookup(make_message("/x/(")) is None


def test_a_type_without_converter(router, logged):
    def handler(flag: bool):
        return flag

    assert add(router, "/x/<arg>", handler) is None
    assert warnings_of(logged) == ["Can not find converter for type: bool"]
    router.addConverter(QMetaType(Type.Bool), "true|false")
    assert add(router, "/x/<arg>", handler)
    assert [ask(router, "/x/true"), ask(router, "/x/false")] == [True, False]


def test_no_methods_are_refused_in_silence(router, logged):
    assert add(router, "/x", lambda: "", Method.Unknown) is None
    assert logged == []


def test_a_null_context_is_refused(router, logged):
    assert add(router, "/x", lambda: "", context=None) is None
    assert warnings_of(logged) == ['the context object must not be null, pattern: "/x"']


def test_a_destroyed_context_is_refused(router, logged):
    context = QObject()
    rule = QHttpServerRouterRule("/x", context, lambda match, request, responder: None)
    shiboken6.delete(context)
    assert router.addRule(rule) is None
    assert warnings_of(logged) == ['the context object is destroyed, pattern: "/x"']


@pytest.mark.parametrize("make", [QHttpServerRouter, lambda server: QHttpServerRouter(None)])
def test_a_context_of_another_thread_is_refused(server, logged, make):
    thread, context = QThread(), QObject()
    context.moveToThread(thread)
    assert make(server)._add_view("/x", Method.AnyKnown, context, lambda: "") is None
    assert warnings_of(logged) == ["QHttpServerRouter: the context object must reside in the same thread"]


@pytest.mark.parametrize(
    ("callback", "rule_type", "error"),
    [
        ("text", QHttpServerRouterRule, "a handler is callable"),
        (print, int, "Rule is a subclass"),
        (print, None, "Rule"),
    ],
)
def test_misuse_raises(router, callback, rule_type, error):
    with pytest.raises(TypeError, match=error):
        add(router, "/x", callback, rule_type=rule_type)


def test_success_is_a_debug_message(router, logged):
    QLoggingCategory.setFilterRules("qt.httpserver.router.rule.debug=true")
    try:
        add(router, "/x/<arg>", number)
    finally:
        QLoggingCategory.setFilterRules("")
    assert [text for _, _, text in logged] == ['url pathRegexp: "^/x/([+-]?\\\\d+)$"']


# ---- contexts and lifetime


class Page(QObject):
    def handler(self, request):
        return "page"


@pytest.mark.parametrize("bound", [True, False])
def test_a_rule_goes_with_its_context_and_does_not_keep_it(router, bound):
    page = Page()
    rule = add(router, "/x", page.handler if bound else (lambda request: "page"), context=page)
    add(router, "/x", lambda: "next")
    assert rule.contextObject() is page
    assert ask(router, "/x") == "page"
    kept, remembered = weakref.ref(page), make_message("/x")
    assert router._lookup(remembered)[0] is rule
    del page
    assert kept() is None
    assert ask(router, "/x") == "next"
    assert router._lookup(remembered)[0] is not rule
    assert rule.contextObject() is None
    assert rule._binding is None


def test_a_context_that_is_deleted_in_its_own_handler(router):
    page = Page()

    def handler():
        shiboken6.delete(page)
        return "last"

    add(router, "/x", handler, context=page)
    assert [ask(router, "/x"), ask(router, "/x")] == ["last", False]


def test_callables_live_as_long_as_the_context(router):
    context = QObject()

    def handler():
        return "here"

    alive = weakref.ref(handler)
    add(router, "/x", handler, context=context)
    del handler
    gc.collect()
    assert ask(router, "/x") == "here"
    shiboken6.delete(context)
    gc.collect()
    assert alive() is None


def test_callables_go_with_the_server(qapp):
    server = FakeServer()
    router = QHttpServerRouter(server)

    def handler():
        return "here"

    alive = weakref.ref(handler)
    add(router, "/x", handler)
    del handler
    shiboken6.delete(server)
    gc.collect()
    assert alive() is None
    assert router._lookup(make_message("/x")) is None


def test_a_router_is_not_kept_by_its_server_nor_by_contexts(server):
    context = QObject()
    router = QHttpServerRouter(server)
    add(router, "/x", lambda: "", context=context)
    gone = weakref.ref(router)
    del router
    gc.collect()
    assert gone() is None
    assert context.receivers("2destroyed()") == 0


def test_a_method_of_the_server_makes_no_cycle(qapp):
    class Served(FakeServer):
        def handler(self, request):
            return "mine"

    server = Served()
    router = QHttpServerRouter(server)
    add(router, "/x", server.handler)
    assert ask(router, "/x") == "mine"
    gone = weakref.ref(server)
    gc.collect()
    gc.disable()
    try:
        del server
        assert gone() is None
    finally:
        gc.enable()
