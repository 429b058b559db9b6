"""Rules of the application's own: overrides, and addRule."""

import functools

import pytest
import shiboken6
from PySide6.QtCore import QMetaType, QObject, QRegularExpression

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter
from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule

from .support.routing_fakes import (
    Even,
    FakeResponder,
    add,
    ask,
    fixtures,
    make_message,
    make_request,
    number,
    warnings_of,
)

Method = QHttpServerRequest.Method
Type = QMetaType.Type
server, router, logged = fixtures()


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
        (lambda handler: QHttpServerRouterRule("/x/<arg>/<arg>", handler), [int], "not enough types"),
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


def test_without_types_every_placeholder_is_text(router):
    seen = []
    assert router.addRule(QHttpServerRouterRule("/keyed/<arg>/x/<arg>", recorder(seen)))
    assert ask(router, "/keyed/a b/x/1") is True
    assert ask(router, "/keyed/a/y/x/1") is False
    assert len(seen) == 1


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
