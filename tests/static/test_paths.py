"""What may be looked up, and what may not."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttpserver_py._protocol.path import sent_path
from qhttpserver_py.static.paths import inside, is_hidden, join_url, split_path, target_query


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a/b?c=1?2", "/a/b", "?c=1?2"),
        ("/a%3Fb", "/a%3Fb", ""),
        ("/a#f?q", "/a", ""),
        ("http://host:1/a?b", "/a", "?b"),
        ("http://host", "/", ""),
        ("*", "*", ""),
        ("host:443", "host:443", ""),
        ("/", "/", ""),
    ],
)
def test_target(target: str, path: str, query: str) -> None:
    assert (sent_path(target.encode(), "GET"), target_query(target.encode())) == (path, query)


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        ("/", [""]),
        ("/a", ["a"]),
        ("/a/", ["a", ""]),
        ("/a/b.txt", ["a", "b.txt"]),
        ("/a%20b", ["a b"]),
        ("/%C3%A4", ["ä"]),
        ("/a%23b", ["a#b"]),
        ("/...", ["..."]),
        ("/..a", ["..a"]),
        ("/a..", ["a.."]),
        # Decoded once: these are odd names, not dots.
        ("/%252e%252e/a", ["%2e%2e", "a"]),
        ("/a%252fb", ["a%2fb"]),
        # A stray percent sign stays what it is.
        ("/100%", ["100%"]),
        ("/%zz", ["%zz"]),
    ],
)
def test_paths_that_may_be_looked_up(raw: str, segments: list[str]) -> None:
    assert split_path(raw, windows=False) == segments


HOSTILE = [
    "",
    "a",
    "*",
    "//",
    "//etc/passwd",
    "/a//b",
    "/.",
    "/..",
    "/../",
    "/a/../b",
    "/a/..",
    "/./a",
    "/%2e%2e/etc/passwd",
    "/%2E%2e/",
    "/.%2e/",
    "/..%2f..%2fetc/passwd",
    "/a%2fb",
    "/%2fetc/passwd",
    "/a%5cb",
    "/..\\..\\etc",
    "/..%5c..%5cetc",
    "/a%00.txt",
    "/a%0a",
    "/a%0d%0ax: y",
    "/%7f",
    "/%c2%85",
    "/C:/Windows/win.ini",
    "/c:%5cWindows",
    "/%63:/x",
    "/%ff",
    "/%c0%ae%c0%ae/x",
    "/%e0%80%af",
    "/%ed%a0%80",
]


@pytest.mark.parametrize("raw", HOSTILE)
@pytest.mark.parametrize("windows", [False, True])
def test_paths_that_must_not_be_looked_up(raw: str, windows: bool) -> None:
    assert split_path(raw, windows=windows) is None


@pytest.mark.parametrize(
    "name",
    [
        "NUL",
        "nul.txt",
        "con",
        "CON.a.b",
        "com1",
        "LPT9.log",
        "COM¹",
        "aux ",
        "prn.",
        "a.",
        "a ",
        "a::$DATA",
        "a:b",
        "a*",
        "a?",
        "a<",
        'a"',
        "a|",
        "CONIN$",
        "nul:",
    ],
)
def test_names_that_windows_reads_differently(name: str) -> None:
    raw = join_url([name])
    assert split_path(raw, windows=True) is None


@pytest.mark.parametrize("name", ["console", "nulls.txt", "com", "com10", "auxiliary", "lpt"])
def test_names_that_only_look_reserved(name: str) -> None:
    assert split_path("/" + name, windows=True) == [name]


@pytest.mark.parametrize(("name", "hidden"), [(".env", True), (".git", True), ("a.b", False), (".well-known", False)])
def test_hidden(name: str, hidden: bool) -> None:
    assert is_hidden(name) is hidden


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("/srv/www", "/srv/www", True),
        ("/srv/www", "/srv/www/a", True),
        ("/srv/www", "/srv/www2", False),
        ("/srv/www", "/srv", False),
        ("/", "/etc", True),
    ],
)
def test_inside(root: str, path: str, expected: bool) -> None:
    assert inside(root.replace("/", os.sep), path.replace("/", os.sep)) is expected


def test_url_cannot_name_another_host() -> None:
    assert join_url(["evil.example", ""]) == "/evil.example/"
    assert join_url(["a b", "ä#", ""]) == "/a%20b/%C3%A4%23/"


@settings(deadline=None, max_examples=500)
@given(raw=st.text(alphabet="/.%\\2eEfF5cC0aA:~ \x00ü", max_size=24).map(lambda text: "/" + text))
def test_nothing_joins_to_a_place_outside(raw: str) -> None:
    for windows in (True,) if os.name == "nt" else (False, True):
        segments = split_path(raw, windows=windows)
        if segments is not None:
            joined = os.path.normpath(os.path.join("/srv/www", *segments))
            assert inside("/srv/www", joined)
            assert not {"", ".", ".."} & set(segments[:-1])
            assert not any(char in segment for segment in segments for char in "/\\\0")


@settings(deadline=None, max_examples=200)
@given(names=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
def test_what_is_split_joins_to_itself(names: list[str]) -> None:
    try:
        url = join_url(names)
    except UnicodeEncodeError:  # lone surrogates are no names
        return
    segments = split_path(url, windows=False)
    assert segments is None or segments == names
