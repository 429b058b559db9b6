"""What a router finds for a request, and what its handlers are given."""

import gc
import weakref

import pytest
from PySide6.QtCore import QMetaType, QObject

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter

from .support.routing_fakes import Even, FakeResponder, add, ask, fixtures, make_message, make_request, number

Method = QHttpServerRequest.Method
Type = QMetaType.Type
server, router, logged = fixtures()


# ---- converters


def test_the_constructor_requires_its_argument(qapp):
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
    router._server.object()._answers.late = True
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
