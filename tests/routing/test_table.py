import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._routing.pattern import INTEGER, SEGMENT, PathExpression
from qhttpserver_py._routing.table import HEAD_BY_GET, EveryMethod, Route, RouteTable, path_of


def message(target, method="GET"):
    return Message(0, method, target if isinstance(target, bytes) else target.encode(), 11, [])


def test_the_path_is_decoded_once():
    request = message("/%41")
    assert path_of(request) == "/A"
    request.target = b"/other"
    assert path_of(request) == "/A"


# ---- the table


def route(target, pattern, methods="GET", converters=(), convert=None, pure=True):
    expression = PathExpression(pattern, converters)
    compiled = re.compile(expression.plain)
    if expression.exact is not None:
        return Route(target, methods_of(methods), exact=expression.exact)
    return Route(
        target,
        methods_of(methods),
        prefix=expression.prefix,
        make=lambda: (compiled.fullmatch, convert),
        pure=pure,
    )


def methods_of(methods):
    tokens = frozenset(methods.split())
    return tokens | {HEAD_BY_GET} if "GET" in tokens and "HEAD" not in tokens else tokens


def table(*routes):
    made = RouteTable()
    for entry in routes:
        made.add(entry)
    return made


def target_of(found):
    return None if found is None else found[0]


def test_order_decides():
    made = table(route(1, "/a/.*"), route(2, "/a/b"), route(3, "/c"), route(4, "/c"), route(5, ".*"))
    assert [target_of(made.lookup(message(path))) for path in ("/a/b", "/a/x", "/c", "/z", "//")] == [1, 1, 3, 5, 5]


def test_an_empty_table_has_nothing():
    assert table().lookup(message("/")) is None
    assert table().methods_for("/") == set()


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", 1), ("POST", 2), ("HEAD", 1), ("PUT", None), ("get", None), ("", None), (HEAD_BY_GET, 1)],
)
def test_methods(method, target):
    # The marker is no token of RFC 9110 5.6.2, so that no peer can send it.
    made = table(route(1, "/x", "GET"), route(2, "/x", "POST GET"))
    assert target_of(made.lookup(message("/x", method))) == target


@pytest.mark.parametrize(
    ("methods", "target"),
    [
        (["GET"], 0),
        (["GET", "HEAD"], 1),
        (["GET", "GET HEAD POST"], 1),
        (["POST", "GET", "GET"], 1),
        (["POST"], None),
    ],
)
def test_head_prefers_who_takes_head(methods, target):
    made = table(*(route(index, "/x", tokens) for index, tokens in enumerate(methods)))
    assert target_of(made.lookup(message("/x", "HEAD"))) == target


def test_captures_are_converted_and_failure_means_the_next():
    def number(match):
        return None if match[1] == "13" else (int(match[1]),)

    made = table(route(1, "/n/<arg>", converters=[INTEGER], convert=number), route(2, "/n/<arg>", converters=[SEGMENT]))
    assert made.lookup(message("/n/12")) == (1, (12,))
    assert made.lookup(message("/n/13")) == (2, ())
    assert made.lookup(message("/n/x")) == (2, ())


def test_a_result_is_remembered_until_the_table_changes():
    calls = []

    def number(match):
        calls.append(match[1])
        return (int(match[1]),)

    made = table(route(1, "/n/<arg>", converters=[INTEGER], convert=number))
    request = message("/n/5")
    assert made.lookup(request) == made.lookup(request) == (1, (5,))
    assert calls == ["5"]
    made.add(route(2, "/other"))
    assert made.lookup(request) == (1, (5,))
    assert calls == ["5", "5"]
    made.remove(1)
    assert made.lookup(request) is None


def test_results_of_another_table_are_not_taken():
    request = message("/x")
    assert target_of(table(route(1, "/x")).lookup(request)) == 1
    assert target_of(table(route(2, "/x")).lookup(request)) == 2


def test_impure_captures_are_made_anew_each_time():
    made_objects = []

    def make(match):
        made_objects.append(object())
        return (made_objects[-1],)

    made = table(route(1, "/n/<arg>", converters=[SEGMENT], convert=make, pure=False))
    request = message("/n/5")
    assert made.lookup(request)[1][0] is not made.lookup(request)[1][0]
    assert len(made_objects) == 2


def test_what_follows_an_impure_failure_is_not_remembered():
    answers = iter([None, ("now",)])
    made = table(
        route(1, "/n/<arg>", converters=[SEGMENT], convert=lambda match: next(answers), pure=False),
        route(2, "/n/5"),
    )
    request = message("/n/5")
    assert [made.lookup(request), made.lookup(request)] == [(2, ()), (1, ("now",))]


def test_changing_the_table_inside_a_conversion_counts_from_the_next_look_up():
    made = table()

    def convert(match):
        made.clear()
        made.add(route(3, "/n/5"))
        return

    made.add(route(1, "/n/<arg>", converters=[SEGMENT], convert=convert, pure=False))
    made.add(route(2, "/n/<arg>", converters=[SEGMENT]))
    request = message("/n/5")
    assert [made.lookup(request), made.lookup(request)] == [(2, ()), (3, ())]


def test_a_dynamic_route_is_reached_in_order_for_any_method():
    made = table(route(1, "/a"), Route(2, EveryMethod(), pure=False), route(3, "/b"))
    assert [target_of(made.lookup(message(path, "FOO"))) for path in ("/a", "/b", "/c")] == [2, 2, 2]
    assert [target_of(made.lookup(message(path))) for path in ("/a", "/b", "/c")] == [1, 2, 2]
    request = message("/b")
    made.lookup(request)
    assert request.route is None


def test_methods_for_and_would_match():
    made = table(
        route(1, "/x", "GET"),
        route(2, "/x", "POST PUT"),
        route(3, "/n/<arg>", "PUT", converters=[INTEGER], convert=lambda match: None),
        route(4, "/i/<arg>", "PUT", converters=[SEGMENT], convert=pytest.fail, pure=False),
    )
    assert made.methods_for("/x") == {"GET", "HEAD", "POST", "PUT"}
    assert made.methods_for("/n/1") == set()
    assert made.methods_for("/i/1") == {"PUT"}
    asked = [("/x", "HEAD"), ("/x", "DELETE"), ("/n/1", "PUT"), ("/i/1", "PUT"), ("/i/1", "GET"), ("/z", "GET")]
    assert [made.would_match(message(path, method)) for path, method in asked] == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]
    made.add(Route(5, EveryMethod(), pure=False))
    assert made.would_match(message("/z", "FOO"))
    assert made.methods_for("/z") == set()


def test_hostile_paths_are_looked_up_in_no_time():
    made = table(*(route(index, f"/deep/{index}/<arg>", converters=[SEGMENT]) for index in range(50)))
    path = "/" * 60000
    assert made.lookup(message(path)) is None
    assert len(made.candidates(path)) == 0


SEGMENTS = st.sampled_from(["a", "b", "ab", "<arg>", ".*", "[ab]+", "a?", ""])
PATTERNS = st.lists(SEGMENTS, max_size=3).map(lambda parts: "/" + "/".join(parts)) | st.sampled_from(
    ["", "a", ".*", "/a|/b", "/a/b|b", "(/a)+", "<arg>", "/(a|b)/a", "/a/?", "/a/b*"]
)
ROUTES = st.lists(st.tuples(PATTERNS, st.sampled_from(["GET", "POST", "GET POST", "GET HEAD", "HEAD"])), max_size=8)
ASKED = st.lists(st.sampled_from(["a", "b", "ab", "aa", "c", ""]), max_size=4).map(lambda parts: "/" + "/".join(parts))


def naive(routes, path, method):
    """The rule of decision, and nothing else: each in turn, HEAD by GET only if none takes HEAD."""
    for token in [method] if method != "HEAD" else ["HEAD", HEAD_BY_GET]:
        for index, (pattern, methods) in enumerate(routes):
            expression = pattern.replace("<arg>", "([^/]+)")
            if token in methods_of(methods) and re.fullmatch(expression, path):
                return index
    return None


@settings(deadline=None, max_examples=300)
@given(ROUTES, st.lists(ASKED | st.sampled_from(["", "a", "b"]), min_size=1, max_size=5))
def test_the_index_changes_nothing(routes, paths):
    made = table(
        *(
            route(index, pattern, methods, [SEGMENT] * pattern.count("<arg>"))
            for index, (pattern, methods) in enumerate(routes)
        )
    )
    for path in paths * 2:
        for method in ("GET", "POST", "HEAD"):
            assert target_of(made.lookup(message(path, method))) == naive(routes, path, method)
            expected = {token for token in ("GET", "POST", "HEAD") if naive(routes, path, token) is not None}
            assert made.methods_for(path) == expected
            assert made.would_match(message(path, method)) == (method in expected)
