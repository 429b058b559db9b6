import functools
import gc
import weakref

import pytest
import shiboken6
from PySide6.QtCore import (
    QLoggingCategory,
    QMetaType,
    QObject,
    QRegularExpression,
    QThread,
    QtMsgType,
    qInstallMessageHandler,
)

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter
from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule

from .routing_fakes import FakeResponder, FakeServer, make_message, make_request

Method = QHttpServerRequest.Method
Type = QMetaType.Type


@pytest.fixture
def server(qapp):
    return FakeServer()


@pytest.fixture
def router(server):
    return QHttpServerRouter(server)


@pytest.fixture
def logged():
    lines = []
    former = qInstallMessageHandler(lambda kind, context, text: lines.append((kind, context.category, text)))
    yield lines
    qInstallMessageHandler(former)


def add(router, pattern, callback, methods=Method.AnyKnown, context=..., rule_type=QHttpServerRouterRule):
    if context is ...:
        context = router._server.object()
    return router._add_view(pattern, methods, context, callback, rule_type)


def ask(router, target, method="GET"):
    """Return whether a rule answered, and with what."""
    server = router._server.object()
    server.results.clear()
    handled = router.handleRequest(make_request(target, method), FakeResponder())
    return server.results[0] if handled and server.results else handled


def warnings_of(logged):
    assert all(category == "qt.httpserver.router.rule" for _, category, _ in logged)
    return [text for kind, _, text in logged if kind == QtMsgType.QtWarningMsg]


# ---- converters


def test_the_constructor_wants_its_argument(qapp):
    assert len(QHttpServerRouter(None).converters()) == 14
    with pytest.raises(TypeError):
        QHttpServerRouter()
    with pytest.raises(TypeError, match="QAbstractHttpServer or None, not int"):
        QHttpServerRouter(5)


def test_converters_by_meta_type_and_by_class(router):
    assert router.addConverter(QMetaType(Type.Bool), "true|false") is None
    assert router.addConverter(Type.QDate, "[0-9-]+") is None
    assert router.addConverter(complex, "[0-9j+]+") is True
    assert router.addConverter(complex, "[0-9j+]*") is True
    assert router.converters()[QMetaType(Type.Bool)] == "true|false"
    assert len(router.converters()) == 16
    router.removeConverter(QMetaType(Type.Bool))
    router.removeConverter(QMetaType(Type.Bool))
    router.removeConverter(Type.QDate)
    router.removeConverter(complex)
    assert len(router.converters()) == 14
    router.clearConverters()
    assert router.converters() == {}


def test_rules_keep_the_converters_they_were_made_with(router):
    def handler(number: int):
        return number

    assert add(router, "/a/<arg>", handler)
    router.clearConverters()
    assert ask(router, "/a/5") == 5
    assert add(router, "/plain", lambda: "plain")
    assert ask(router, "/plain") == "plain"
    assert add(router, "/b/<arg>", handler) is None


# ---- routing, as observed; our deliberate deviations are marked


def number(n: int):
    return n


def real(n: float):
    return n


def text(t: str):
    return t


def data(d: bytes):
    return d


ARGUMENTS = [
    (number, "+5", 5),
    (number, "-5", -5),
    (number, "0005", 5),
    (number, "%35", 5),
    (number, "0x10", False),
    (number, "5a", False),
    (number, "", False),
    (number, "5/", False),
    (number, "99999999999", 99999999999),  # C++ truncates
    (number, "5%0A", False),  # C++ takes it
    (number, "9" * 100, int("9" * 100)),
    (number, "9" * 5000, False),  # beyond sys.int_info.default_max_str_digits: too costly to convert
    (real, "1.5", 1.5),
    (real, ".5", 0.5),
    (real, "5.", 5.0),
    (real, "+2.50", 2.5),
    (real, "1e5", False),
    (real, "nan", False),
    (real, "inf", False),
    (text, "a%2Fb", False),
    (text, "a+b", "a+b"),
    (text, "%25", "%"),
    (text, "%2541", "%41"),
    (text, "%ZZ", "%ZZ"),
    (text, "%FF", "\ufffd"),
    (text, "%C3%A9", "é"),
    (text, "é", "é"),
    (text, "%00", "\0"),
    (text, "%0A", "\n"),
    (text, "%0D%0A", "\r\n"),
    (text, "x?b", "x"),
    (text, "x#f", "x"),
    (text, "%3F%23", "?#"),
    (text, "..", ".."),
    (text, "", False),
    (data, "%FF", b"\xef\xbf\xbd"),
]


@pytest.mark.parametrize(("handler", "written", "expected"), ARGUMENTS)
def test_arguments(router, handler, written, expected):
    add(router, "/arg/<arg>", handler)
    assert ask(router, "/arg/" + written) == expected


MATCHING = [
    ("/plain", "/plain", True),
    ("/plain", "/plain/", False),
    ("/plain", "/plain//", False),
    ("/plain", "/Plain", False),
    ("/plain", "/../plain", False),
    ("/plain", "/plain;v=1", False),
    ("/plain", "/plain%0A", False),  # C++ takes it
    ("/plain", "//plain", False),
    ("/plain", "//h/plain", False),  # C++ takes it
    ("//h/plain", "//h/plain", True),
    ("/plain", "http://y/plain", True),
    ("/", "http://y", True),
    ("nolead", "nolead", True),
    ("/a/b", "/a%2Fb", True),
    ("/with space", "/with%20space", True),
    ("/pct%20enc", "/pct%20enc", False),
    ("/pct%20enc", "/pct%2520enc", True),
    ("/a.c", "/abc", True),
    ("/p(q)", "/pq", True),
    ("/p(q)", "/p(q)", False),
    ("/x.*", "/xabc", True),
    ("/re.*x(q)?", "/re1xq", True),
    ("/alt|/ernative", "/alt", True),
    ("/alt|/ernative", "/altx", False),  # the wheel takes it: its anchors bind to one alternative each
    ("/<int:id>", "/<int:id>", True),
    (r"/\*", "/*", True),
    (r"\*", "*", True),
]


@pytest.mark.parametrize(("pattern", "target", "expected"), MATCHING)
def test_matching(router, pattern, target, expected):
    add(router, pattern, lambda: True)
    assert ask(router, target) is expected


def test_the_first_rule_that_fits_path_method_and_type_answers(router):
    add(router, "/order/<arg>", number)
    add(router, "/order/<arg>", text)
    add(router, "/order/5", lambda: "literal")
    add(router, "/m", lambda: "posted", Method.Post | Method.Put)
    add(router, "/m", lambda: "gotten", Method.Get)
    assert [ask(router, "/order/5"), ask(router, "/order/x")] == [5, "x"]
    assert [ask(router, "/m", method) for method in ("GET", "POST", "PUT", "DELETE")] == [
        "gotten",
        "posted",
        "posted",
        False,
    ]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "HEAD", "OPTIONS", "PATCH", "CONNECT"])
def test_all_known_methods_but_trace(router, method):
    add(router, ".*", lambda: "any")
    assert ask(router, "/", method) == "any"


@pytest.mark.parametrize("method", ["TRACE", "get", "FOO", ""])
def test_other_tokens_match_nothing(router, method):
    add(router, ".*", lambda: "any")
    assert ask(router, "/", method) is False


def test_trace_by_name(router):
    add(router, "/", lambda: "traced", Method.Trace)
    assert ask(router, "/", "TRACE") == "traced"


def test_head_runs_the_rule_for_get(router):
    add(router, "/a", lambda: "got", Method.Get)
    add(router, "/b", lambda: "got", Method.Get)
    add(router, "/b", lambda: "head", Method.Head)
    assert [ask(router, path, "HEAD") for path in ("/a", "/b", "/c")] == ["got", "head", False]
    assert router._methods_for(make_message("/a")) == {"GET", "HEAD"}
    assert router._would_match(make_message("/a", "HEAD"))
    assert not router._would_match(make_message("/a", "POST"))


class Even:
    """Made anew for each request, of text that may be refused."""

    made = 0

    def __init__(self, written):
        Even.made += 1
        if int(written) % 2:
            raise ValueError(written)
        self.value = int(written)


def test_a_class_that_refuses_the_text_leaves_it_to_the_next_rule(router):
    router.addConverter(Even, r"\d+")

    def even(number: Even):
        return number

    Even.made = 0
    add(router, "/n/<arg>", even)
    add(router, "/n/<arg>", lambda t: "odd")
    message = make_message("/n/4")
    first, second = router._lookup(message), router._lookup(message)
    assert first[1][0].value == second[1][0].value == 4
    assert first[1][0] is not second[1][0]
    assert Even.made == 2
    assert ask(router, "/n/3") == "odd"
    assert Even.made == 3


class Failing:
    def __init__(self, written):
        raise KeyError(written)


def one_failing(a: Failing):
    pass


def two_failing(a: Failing, b):
    pass


def failing_and_request(a: Failing, b, request):
    pass


def failing_last(request: QHttpServerRequest, a: Failing):
    pass


@pytest.mark.parametrize(
    ("pattern", "handler"),
    [
        ("/x/<arg>", one_failing),
        ("/x/<arg>/<arg>", two_failing),
        ("/x/<arg>/<arg>", failing_and_request),
        ("/x/<arg>", failing_last),
    ],
)
def test_a_converter_that_fails_is_a_handler_that_fails(router, pattern, handler):
    router.addConverter(Failing, "[^/]+")
    add(router, pattern, handler)
    rule, captures = router._lookup(make_message(pattern.replace("<arg>", "1")))
    with pytest.raises(KeyError):
        rule._binding.call(captures, "request", None)
    with pytest.raises(KeyError):
        ask(router, pattern.replace("<arg>", "1"))


def test_groups_shift_nothing(router):
    class Pair(str):
        pass

    router.addConverter(Pair, "(a)(b)?")

    def two(first: Pair, second):
        return first, second

    add(router, "/grp(x|y)/<arg>/<arg>", two)
    assert ask(router, "/grpy/ab/c") == ("ab", "c")


def test_registering_from_a_handler_counts_from_the_next_request(router):
    def handler(request):
        add(router, "/new", lambda: "new")
        return ask(router, "/new")

    add(router, "/", handler)
    assert ask(router, "/new") is False
    assert ask(router, "/") == "new"


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


def test_success_is_logged_for_who_wants_to_know(router, logged):
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


# ---- handleRequest


def writes(responder: QHttpServerResponder):
    return responder


def test_a_handler_with_a_responder_answers_by_itself(router):
    rule = add(router, "/x", writes)
    responder = FakeResponder()
    assert router.handleRequest(make_request("/x"), responder)
    assert router._server.object().results == [("awaited", responder)]
    assert responder._exchange.label == rule.label == 'writes at "/x"'


def test_a_late_answer_keeps_the_responder(router):
    add(router, "/x", lambda: "later")
    router._server.object().late = True
    responder = FakeResponder()
    exchange, gone = responder._exchange, weakref.ref(responder)
    router.handleRequest(make_request("/x"), responder)
    del responder
    gc.collect()
    assert gone() is not None
    (hook,) = exchange.hooks
    hook()
    exchange.hooks.clear()
    del hook
    gc.collect()
    assert gone() is None


def test_without_a_server_the_handler_is_called_all_the_same(qapp):
    router, seen = QHttpServerRouter(None), []
    context = QObject()
    router._add_view("/x/<arg>", Method.AnyKnown, context, seen.append)
    assert router.handleRequest(make_request("/x/5"), FakeResponder())
    assert seen == ["5"]


def test_an_empty_request_matches_nothing(router):
    add(router, ".*", lambda: "any")
    assert router.handleRequest(QHttpServerRequest(), FakeResponder()) is False


# ---- rules of the application's own


class Recording(QHttpServerRouterRule):
    """Notes what it is asked, and leaves the decision to the base."""

    asked: list = []

    def matches(self, request, match):
        Recording.asked.append(request._message.target)
        return super().matches(request, match)


def test_an_override_is_asked_in_order_for_every_request_that_reaches_it(router):
    Recording.asked = []
    add(router, "/a", lambda: "a")
    assert isinstance(add(router, "/b/<arg>", number, rule_type=Recording), Recording)
    add(router, "/c", lambda: "c")
    assert [ask(router, path) for path in ("/a", "/b/5", "/c", "/d", "/c")] == ["a", 5, "c", False, "c"]
    assert Recording.asked == [b"/b/5", b"/c", b"/d", b"/c"]
    assert router._lookup(make_message("/c"))[0]._binding is None
    assert router._would_match(make_message("/d"))


def test_an_override_and_head(router):
    Recording.asked = []
    add(router, "/x", lambda: "got", Method.Get)
    add(router, "/x", lambda: "mine", Method.Post, rule_type=Recording)
    assert ask(router, "/x", "HEAD") == "got"
    assert Recording.asked == [b"/x"]


class Always(QHttpServerRouterRule):
    def matches(self, request, match):
        return True


class Foreign(QHttpServerRouterRule):
    def matches(self, request, match):
        match.swap(QRegularExpression("/(.*)/(.*)").match(request.url().path()))
        return match.hasMatch()


def test_captures_are_those_an_override_puts_in_place(router):
    add(router, "/never/<arg>/<arg>", lambda a, b: (a, b), rule_type=Foreign)
    add(router, "/never", lambda: "none", rule_type=Always)
    assert ask(router, "/p/q", "FOO") == ("p", "q")
    assert ask(router, "/p") == "none"


def test_captures_an_override_cannot_give_are_no_match(router):
    add(router, "/never/<arg>", number, rule_type=Always)
    add(router, "/x", lambda: "next")
    assert ask(router, "/x") == "next"


def test_rules_that_go_while_others_are_asked_are_skipped(router):
    context, seen = QObject(), []

    class Deleting(QHttpServerRouterRule):
        def matches(self, request, match):
            shiboken6.delete(context)
            return False

    add(router, "/x", lambda: "first", rule_type=Deleting)
    add(router, "/x", lambda: "view", context=context)
    router.addRule(QHttpServerRouterRule("/x", context, recorder(seen)))
    add(router, "/x", lambda: "last")
    assert ask(router, "/x") == "last"
    assert seen == []


def test_an_override_whose_context_goes_while_it_decides(router):
    context = QObject()

    class Deleting(QHttpServerRouterRule):
        def matches(self, request, match):
            shiboken6.delete(context)
            return True

    add(router, "/x", lambda: "never", context=context, rule_type=Deleting)
    assert ask(router, "/x") is False


class Counting(QHttpServerRouterRule):
    def __init__(self, pattern, methods, context, slot):
        self.arguments = (pattern, methods, context)
        self.calls = 0

        def counted(match, request, responder):
            self.calls += 1
            slot(match, request, responder)

        super().__init__(pattern, methods, context, counted)


def test_a_subclass_is_built_as_documented_and_may_wrap_the_slot(router):
    rule = add(router, "/x/<arg>", number, Method.Get, rule_type=Counting)
    assert rule.arguments == ("/x/<arg>", Method.Get, router._server.object())
    assert [ask(router, "/x/5"), ask(router, "/x/y"), ask(router, "/x/6", "HEAD")] == [5, False, 6]
    assert rule.calls == 2
    assert rule._binding is None


class Plain(QHttpServerRouterRule):
    pass


def test_a_subclass_that_overrides_nothing_is_as_fast_as_the_base(router):
    rule = add(router, "/x", lambda: "x", rule_type=Plain)
    assert router._lookup(make_message("/x")) == (rule, ())
    assert rule._binding is not None


class OwnExec(QHttpServerRouterRule):
    def exec(self, request, responder):
        return request._message.target == b"/mine"


def test_exec_may_be_overridden_too(router):
    add(router, "/x", lambda: "never", rule_type=OwnExec)
    assert [ask(router, "/mine"), ask(router, "/x")] == [True, False]


# ---- addRule


def recorder(seen):
    return lambda match, request, responder: seen.append(
        [match.captured(i) for i in range(match.lastCapturedIndex() + 1)]
    )


@pytest.mark.parametrize(
    "types", [[int], (int,), number, functools.partial(number), [QMetaType(Type.Int)], [Type.LongLong]]
)
def test_add_rule_takes_the_types_from_a_callable_or_a_sequence(router, types):
    seen = []
    rule = QHttpServerRouterRule("/x/<arg>", recorder(seen))
    assert router.addRule(rule, types) is rule
    assert [ask(router, "/x/5"), ask(router, "/x/y")] == [True, False]
    assert seen == [["/x/5", "5"]]


def test_rules_of_all_kinds_keep_their_order(router):
    seen = []
    add(router, "/a", lambda: "view")
    router.addRule(QHttpServerRouterRule("/.*", Method.Get, recorder(seen)))
    add(router, "/b", lambda: "hidden")
    router.addRule(QHttpServerRouterRule("/c", Method.Post, recorder(seen)))
    assert [ask(router, "/a"), ask(router, "/b"), ask(router, "/c", "POST"), ask(router, "/d", "POST")] == [
        "view",
        True,
        True,
        False,
    ]
    assert seen == [["/b"], ["/c"]]
    assert ask(router, "/z", "HEAD") is True


def test_text_a_rule_handler_gets_is_not_converted(router):
    router.addConverter(Even, r"\d+")
    seen = []
    Even.made = 0
    router.addRule(QHttpServerRouterRule("/x/<arg>", recorder(seen)), [Even])
    assert ask(router, "/x/3") is True
    assert Even.made == 0


@pytest.mark.parametrize(
    ("rule", "types", "warning"),
    [
        (lambda handler: QHttpServerRouterRule("/x/<arg>", handler), None, "not enough types"),
        (lambda handler: QHttpServerRouterRule("/x/<arg>", handler), [bool], "Can not find converter for type: bool"),
        (lambda handler: QHttpServerRouterRule("/x", handler), [int, int], "more than one type"),
        (lambda handler: QHttpServerRouterRule("/x", None, handler), None, "must not be null"),
        (lambda handler: QHttpServerRouterRule("/x", Method.Get, None, handler), None, "must not be null"),
        (lambda handler: QHttpServerRouterRule("/(", handler), None, "invalid regular expression"),
        (lambda handler: QHttpServerRouterRule("/x", handler), lambda a, b, c: a, "nothing to give"),
    ],
)
def test_add_rule_refuses(router, logged, rule, types, warning):
    assert router.addRule(rule(recorder([])), types) is None
    (line,) = warnings_of(logged)
    assert warning in line


def test_add_rule_refuses_in_silence_a_rule_without_methods(router, logged):
    assert router.addRule(QHttpServerRouterRule("/x", Method.Unknown, recorder([]))) is None
    assert logged == []


def test_a_rule_is_added_once(router, logged):
    rule = QHttpServerRouterRule("/x", recorder([]))
    assert router.addRule(rule) is rule
    assert router.addRule(rule) is None
    assert QHttpServerRouter(None).addRule(rule) is None
    assert warnings_of(logged) == ['the rule was added before, pattern: "/x"'] * 2


def test_only_rules_are_added(router):
    with pytest.raises(TypeError, match="a QHttpServerRouterRule, not str"):
        router.addRule("/x")


def test_a_rule_with_a_receiver_goes_with_it(router):
    receiver, seen = QObject(), []
    rule = QHttpServerRouterRule("/x", receiver, recorder(seen))
    router.addRule(rule)
    assert ask(router, "/x") is True
    shiboken6.delete(receiver)
    assert ask(router, "/x") is False
    assert rule.exec(make_request("/x"), FakeResponder()) is False
    assert seen == [["/x"]]
