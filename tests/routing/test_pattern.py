import re

import pytest

from qhttpserver_py._routing.pattern import INTEGER, REAL, REST, SEGMENT, PathExpression, placeholders

# pattern, converters, what the log shows
PLAIN = [
    ("/x", [], "/x"),
    ("/user/<arg>", [INTEGER], r"/user/([+-]?\d+)"),
    ("/user/", [INTEGER], r"/user/([+-]?\d+)"),
    ("/u/<arg>/h/", [SEGMENT, INTEGER], r"/u/([^/]+)/h/([+-]?\d+)"),
    ("/x", [SEGMENT], "/x([^/]+)"),
    ("/l0b/<arg>/<arg>", [INTEGER], r"/l0b/([+-]?\d+)/<arg>"),
    ("/pre<arg>suf", [SEGMENT], "/pre([^/]+)suf"),
    ("<arg>", [REST], "(.*)"),
    ("/<int:id>", [], "/<int:id>"),
    ("/g", ["(a)(b)?"], "/g((a)(b)?)"),
]


@pytest.mark.parametrize(("pattern", "converters", "plain"), PLAIN)
def test_the_expression_that_is_logged(pattern, converters, plain):
    assert PathExpression(pattern, converters).plain == plain


@pytest.mark.parametrize(
    ("pattern", "count"), [("/x", 0), ("<arg>", 1), ("/<arg>/<arg>", 2), ("/<int>", 0), ("/< arg>", 0)]
)
def test_placeholders(pattern, count):
    assert placeholders(pattern) == count


# pattern, converters, the only path, the prefix of every path
SHAPES = [
    ("/", [], "/", "/"),
    ("", [], "", ""),
    ("/plain/path", [], "/plain/path", "/plain/"),
    ("/with space", [], "/with space", "/"),
    ("/é😀", [], "/é😀", "/"),
    (r"/favicon\.ico", [], "/favicon.ico", "/"),
    ("/favicon.ico", [], None, "/"),
    ("/api/v1/<arg>", [INTEGER], None, "/api/v1/"),
    ("/api/v<arg>/x", [INTEGER], None, "/api/"),
    ("/api/", [INTEGER], None, "/api/"),
    ("/api", [INTEGER], None, "/"),
    ("<arg>", [REST], None, ""),
    ("/a/?", [], None, "/"),
    ("/a/b/*", [], None, "/a/"),
    ("/a/b/{,3}x", [], None, "/a/"),
    ("/a/b/$", [], None, "/a/"),
    ("/a/(b|c)", [], None, ""),
    ("/a/(bc)", [], None, "/a/"),
    ("/a/[bc]", [], None, "/a/"),
    ("/a|/b", [], None, ""),
    ("/a/b|c", [], None, ""),
    ("(?i)/a/b", [], None, ""),
    ("/a/b(?i)c", [], None, "/a/"),
    ("^/a/b", [], None, ""),
    (r"/a/b\Qc.d\E", [], None, "/a/"),
    ("relative", [], "relative", ""),
]


@pytest.mark.parametrize(("pattern", "converters", "exact", "prefix"), SHAPES)
def test_what_the_index_needs(pattern, converters, exact, prefix):
    expression = PathExpression(pattern, converters)
    assert (expression.exact, expression.prefix) == (exact, prefix)


PORTABLE = [
    ("/x.*", []),
    ("/a.c", []),
    ("/p(q)", []),
    ("/p[ab]/<arg>", [SEGMENT]),
    ("/re.*x(q)?", []),
    ("/alt|/ernative", []),
    ("/user/<arg>", [INTEGER]),
    ("/<arg>/<arg>/<arg>", [REAL, SEGMENT, INTEGER]),
    ("/<arg>", ["red|green"]),
    ("/<arg>", [r"\d{4}-\d\d-\d\d"]),
    ("/url/<arg>", [REST]),
    ("/<arg>", ["(a)(b)?"]),
    (r"/\d+/\w\S", []),
    ("/a{2,3}b{4}", []),
    ("/[^x]?", []),
]

NOT_PORTABLE = [
    # what Python does not know, or reads in another way
    ("/(?<n>a)", []),
    ("/(?P<n>a)", []),
    (r"/\p{L}", []),
    ("(?i)/x", []),
    ("/a++", []),
    ("/[[:alpha:]]", []),
    ("/[a&&b]", []),
    ("/[]a]", []),
    (r"/\z", []),
    (r"/\Z", []),
    ("/x$", []),
    ("^/x", []),
    (r"/(a)\1", []),
    ("/a{,3}", []),
    ("/(?=a)", []),
    (r"/\_", []),
    ("/[<arg>]", [SEGMENT]),
    # what may leave a placeholder out
    ("/(<arg>)?", [SEGMENT]),
    ("/a/<arg>|/b/<arg>", [SEGMENT, SEGMENT]),
    # what may take Python too long
    ("/(a+)+b", []),
    ("/(ab)*", []),
    ("/a*a*", []),
    ("/<arg>-<arg>", [SEGMENT, SEGMENT]),
    ("/.*/.*", []),
    ("/[^x]*/[^x]*", []),
    ("/<arg>/x/<arg>", [REST, REST]),
    ("/<arg>", ["a+b+"]),
    # what is no expression at all
    ("/(", []),
    ("/)", []),
    ("/a)(b", []),
    ("/**", []),
    ("*", []),
    ("/(*)", []),
    ("/(|*)", []),
    ("/a{3,2}", []),
    ("/[b-a]", []),
    ("/[b-a]+", []),
    # what only one of the two may take
    ("/a{99999}", []),
    ("/a{99999999999999999999}", []),
    ("(" * 150 + ")" * 150, []),
    ("(" * 5000 + ")" * 5000, []),
    ("/a?" * 5000, []),
    # what needs no expression
    ("/x", []),
]


@pytest.mark.parametrize(("pattern", "converters"), PORTABLE)
def test_python_may_match(pattern, converters):
    assert PathExpression(pattern, converters).python is not None


@pytest.mark.parametrize(("pattern", "converters"), NOT_PORTABLE)
def test_python_may_not_match(pattern, converters):
    assert PathExpression(pattern, converters).python is None


@pytest.mark.parametrize(
    ("pattern", "converters", "path", "captures"),
    [
        ("/grp(a|b)x/<arg>", [SEGMENT], "/grpax/1", None),
        ("/grp(a)/<arg>", [SEGMENT], "/grpa/1", ("1",)),
        ("/<arg>/<arg>", ["(a)(b)?", SEGMENT], "/ab/c", ("ab", "c")),
        ("/<arg>/<arg>", ["(?:a)(b)?", SEGMENT], "/a/c", ("a", "c")),
        ("/<arg>", [r"[(]\(\)"], "/(()", ("(()",)),
        ("/x", ["true|false"], "/xfalse", ("false",)),
        ("/x", ["true|false"], "/xfals", None),
    ],
)
def test_each_placeholder_is_one_capture(pattern, converters, path, captures):
    expression = PathExpression(pattern, converters)
    if expression.python is None:
        assert captures is None
        return
    match = expression.python.fullmatch(path)
    assert (match and tuple(match[group] for group in expression.groups())) == captures


@pytest.mark.parametrize(
    ("converter", "named"),
    [
        ("(a)(b)?", "(?:a)(?:b)?"),
        ("(?<n>a)(?P<m>b)(?'k'c)", "(?:a)(?:b)(?:c)"),
        ("(?=a)(?<!b)(?:c)(?>d)", "(?=a)(?<!b)(?:c)(?>d)"),
        (r"\([(](a)", r"\([(](?:a)"),
        (r"\Q(x)\E(a)", r"\Q(x)\E(?:a)"),
        ("[]()](a)", "[]()](?:a)"),
        (r"(a|b)x\1", r"(a|b)x\g{-1}"),
        (r"(a)(b)\1\2", r"(a)(b)\g{-2}\g{-1}"),
        (r"(a)\7", r"(a)\7"),
    ],
)
def test_groups_of_a_converter_do_not_count(converter, named):
    assert PathExpression("", [converter]).named == f"(?<_arg0>{named})"


def test_default_expressions_stay_inside_a_segment_and_are_what_they_claim():
    assert [re.fullmatch(REAL, text) is not None for text in ("1.5", ".5", "5.", "+2.50", "1e5", "nan", "")] == [
        *[True] * 4,
        *[False] * 3,
    ]
    assert [re.fullmatch(INTEGER, text) is not None for text in ("5", "+5", "-5", "0x10", "5a", "")] == [
        *[True] * 3,
        *[False] * 3,
    ]
