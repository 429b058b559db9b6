import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QRegularExpression

from qhttpserver_py._routing.converters import Converter, ConverterTable
from qhttpserver_py._routing.matcher import PathMatcher, RefusedError, compile_path, quoted
from qhttpserver_py._routing.pattern import PathExpression

TABLE = ConverterTable()

# Patterns in both dialects, and in Qt's alone. QRegularExpression decides about all of them.
DIALECTS = [
    "/x",
    "/x.*",
    "/a.c",
    "/p(q)",
    "/re.*x(q)?",
    "/alt|/ernative",
    "/[ab]+",
    "/[^ab]",
    "/[a-c.]",
    r"/[\d.]",
    r"/\d",
    r"/\w\W\s\S\D",
    "/a??b",
    "/a{2}",
    "/a{2,}",
    "/a{1,2}?b",
    "/{",
    "/a{b",
    "/a{,3}",
    "/]}",
    "/<int:id>",
    "/%41",
    r"/\.\*\(\)\[\]\{\}\+\?\^\$\|\\\/",
    "/x$",
    "^/x",
    "/x\n",
    r"/x\n",
    r"/\Qa.b\E",
    r"/\p{Lu}",
    r"/\x{41}",
    r"/\h\R",
    "(?i)/É",
    "/(?<n>a)(?P=n)",
    r"/(?<n>a)\k<n>",
    r"/(a)\1",
    r"/(a|b)\g{1}",
    "/a++b",
    "/(?>a|ab)c",
    "/(?|(a)|(b))",
    "/(?=a)a",
    "/(?!a)[ab]",
    "/(?<=/)a",
    r"/a\z",
    r"/a\Z",
    r"/\Ka",
    "/[[:alpha:]]",
    "/[]a]",
    "/[a&&b]",
    "/[a--b]",
    "/(a*)*b",
    "/((a)|b)+",
    "/(?x) a # c",
    "/(?s).",
    "/a|",
    "",
    ".*",
    "relative",
]
PATHS = [
    *("", "/", "/x", "/x\n", "/xabc", "/a.c", "/abc", "/a\nc", "/a\rc", "/a\u2028c", "/p(q)", "/pq", "/rex", "/re--xq"),
    *(
        "/alt",
        "/altx",
        "/ernative",
        "x/ernative",
        "/a",
        "/b",
        "/ab",
        "/ba",
        "/c",
        "/1",
        "/٣",
        "/é",
        "/É",
        "/😀",
        "/A",
        "/^",
    ),
    *(
        "/aa",
        "/aaa",
        "/aab",
        "/{",
        "/a{b",
        "/a{,3}",
        "/]}",
        "/<int:id>",
        "/%41",
        "/.*()[]{}+?^$|\\/",
        "/ \n",
        "/bb",
        "/a-b",
    ),
    *("/[a&&b]", "/a&", "/&", "/-", "/a_ x1", "/a! x.", "/aaaab", "/\n", "/\0", "/l]", "relative", "/abab"),
]


@pytest.mark.parametrize("pattern", DIALECTS)
def test_qregularexpression_decides(pattern):
    anchored = QRegularExpression(QRegularExpression.anchoredPattern(pattern))
    if not QRegularExpression(pattern).isValid():
        with pytest.raises(RefusedError, match="invalid regular expression"):
            compile_path(TABLE, pattern, ())
        return
    test = compile_path(TABLE, pattern, ()).test
    for path in PATHS:
        assert (test(path) is not None) == anchored.match(path).hasMatch(), path


ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "/",
        ".",
        "[ab]",
        "[^a]",
        "[^/]",
        r"\d",
        r"\w",
        r"\.",
        "\n",
        "é",
        "(a)",
        "(?:b|a)",
        "(",
        ")",
        "|",
        "^",
        "$",
    ]
)
QUANTIFIERS = st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{1,}", "*?", "++"])
EXPRESSIONS = st.lists(st.tuples(ATOMS, QUANTIFIERS).map("".join), max_size=7).map("".join)


@settings(deadline=None, max_examples=400)
@given(EXPRESSIONS, st.lists(st.text(alphabet="ab/.\n1é", max_size=8), min_size=1, max_size=6))
def test_where_python_matches_it_agrees(pattern, paths):
    if not QRegularExpression(pattern).isValid():
        assert PathExpression(pattern, ()).python is None
        return
    matcher = compile_path(TABLE, pattern, ())
    for path in paths:
        assert (matcher.test(path) is not None) == matcher.match(path).hasMatch()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([int, float, str, bytes]), min_size=1, max_size=3), st.data())
def test_captures_are_the_same_by_both(kinds, data):
    separator = data.draw(st.sampled_from(["/", "-", "", "(x)?"]))
    matcher = compile_path(TABLE, "/" + separator.join("<arg>" for _ in kinds), kinds)
    path = "/" + data.draw(st.text(alphabet="01+-./x", max_size=10))
    regular = matcher.match(path)
    found = matcher.test(path)
    assert (found is not None) == regular.hasMatch()
    convert = matcher.convert()
    if found is not None and convert is not None:
        assert convert(found) == matcher.captures(regular)


def captures(pattern, types, path):
    matcher = compile_path(TABLE, pattern, types)
    found = matcher.test(path)
    convert = matcher.convert()
    return None if found is None else () if convert is None else convert(found)


@pytest.mark.parametrize(
    ("pattern", "types", "path", "expected"),
    [
        ("/i/<arg>", [int], "/i/5", (5,)),
        ("/i/<arg>", [int], "/i/5\n", None),
        ("/x", [], "/x\n", None),
        ("/grp(a|b)/<arg>", [str], "/grpa/z", ("z",)),
        ("/a/(?:<arg>)?", [str], "/a/", ("",)),
        ("/a/(?:<arg>)?", [int], "/a/", None),
        ("/a/<arg>|/b/<arg>", [str, str], "/b/q", ("", "q")),
        ("/<arg>-<arg>", [int, int], "/1-2", (1, 2)),
        ("/l2/<arg>", [int, int], "/l2/5+6", (5, 6)),
        ("/l2/<arg>", [int, int], "/l2/56", (5, 6)),
        ("/l2/<arg>", [int, int], "/l2/5/6", None),
        ("/(?<name>a)/<arg>", [str], "/a/q", ("q",)),
        (r"/(?n)(a)/<arg>", [str], "/a/q", ("q",)),
    ],
)
def test_captures(pattern, types, path, expected):
    assert captures(pattern, types, path) == expected


def test_one_text_that_cannot_be_converted_is_enough():
    table = ConverterTable()
    table.add(int, "[a-f0-9]+")
    matcher = compile_path(table, "/<arg>/<arg>", [int, int])
    convert = matcher.convert()
    assert convert(matcher.test("/1/2")) == (1, 2)
    assert convert(matcher.test("/1/f")) is None


def test_a_reference_inside_a_converter_means_its_own_group():
    table = ConverterTable()
    table.add(Double, r"(a|b)x\1")
    matcher = compile_path(table, "/(z)/<arg>/<arg>", [Double, str])
    assert matcher.captures(matcher.match("/z/axa/q")) == (Double("axa"), "q")
    assert matcher.test("/z/axb/q") is None


class Double(str):
    pass


@pytest.mark.parametrize(
    ("pattern", "types", "warning"),
    [
        (
            "/l0b/<arg>/<arg>",
            [int],
            "not enough types or one of the types is not supported, "
            'regexp: "/l0b/([+-]?\\\\d+)/<arg>" , pattern: "/l0b/<arg>/<arg>" , '
            "types: std::initializer_list(QMetaType(int))",
        ),
        (
            "/x/<arg>",
            [],
            'not enough types or one of the types is not supported, regexp: "/x/<arg>" , '
            'pattern: "/x/<arg>" , types: std::initializer_list(QMetaType(void))',
        ),
        ("/x/<arg>", [bool], "Can not find converter for type: bool"),
        ("/x/<arg>", [Double], "Can not find converter for type: Double"),
        (
            "/x/",
            [int, str],
            'more than one type beyond the placeholders, regexp: "/x/([+-]?\\\\d+)([^/]+)" , '
            'pattern: "/x/" , types: std::initializer_list(QMetaType(int), QMetaType(QString))',
        ),
        (
            "/(",
            [],
            'invalid regular expression: missing closing parenthesis at 2, regexp: "/(" , pattern: "/("',
        ),
        (
            "/a)(b",
            [],
            'invalid regular expression: unmatched closing parenthesis at 3, regexp: "/a)(b" , pattern: "/a)(b"',
        ),
    ],
)
def test_refusals_log_the_line_of_the_original(pattern, types, warning):
    with pytest.raises(RefusedError) as refused:
        compile_path(TABLE, pattern, types)
    assert str(refused.value) == warning


def test_a_broken_converter_is_found_when_it_is_used():
    table = ConverterTable()
    table.add(Double, "(")
    with pytest.raises(RefusedError, match="invalid regular expression"):
        compile_path(table, "/<arg>", [Double])


def test_the_regular_expression_is_made_when_asked_for_and_kept():
    matcher = compile_path(TABLE, "/i/<arg>", [int])
    assert matcher.regular_expression() is matcher.regular_expression()
    assert matcher.match("/i/7").captured(1) == "7"


def test_captures_of_a_foreign_match_go_by_position():
    matcher = compile_path(TABLE, "/i/<arg>/<arg>", [int, str])
    assert matcher.captures(QRegularExpression("(1)-(b)").match("1-b")) == (1, "b")
    with pytest.raises(ValueError, match="invalid literal"):
        matcher.captures(QRegularExpression("(x)").match("x"))


def test_purity_is_that_of_the_converters():
    pure, impure = Converter("a", ".", int, pure=True), Converter("b", ".", Double, pure=False)
    expression = PathExpression("", [".", "."])
    assert PathMatcher(expression, [pure, pure]).pure
    assert not PathMatcher(expression, [pure, impure]).pure


@pytest.mark.parametrize(
    ("pattern", "types", "path"),
    [
        ("/(a+)+b", [], "/" + "a" * 50000),
        ("/(a|a)*b", [], "/" + "a" * 50000),
        ("/<arg>-<arg>-<arg>x", [str, str, str], "/" + "-" * 50000),
        ("/.*/b.*/c.*/d", [], "/" + "/b/c" * 10000),
        ("/<arg>/<arg>", [float, float], "/" + "1" * 50000),
        ("/<arg>x", [int], "/" + "1" * 50000),
    ],
)
def test_no_path_keeps_a_pattern_busy(pattern, types, path):
    matcher = compile_path(TABLE, pattern, types)
    began = time.process_time()
    assert matcher.test(path) is None
    assert time.process_time() - began < 2


@pytest.mark.parametrize(("text", "shown"), [("a", '"a"'), ('\\d"', '"\\\\d\\""'), ("a\nb", '"a\\nb"')])
def test_quoted(text, shown):
    assert quoted(text) == shown
