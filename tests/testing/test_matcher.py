"""What matches a request, and how it differs if it does not."""

from __future__ import annotations

import re
from unittest.mock import ANY

import pytest
from PySide6.QtCore import QRegularExpression, QUrlQuery
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py import QHttpServerRequest
from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py.testing import METHOD_ALL, RequestMatcher

LOOPBACK = QHostAddress("127.0.0.1")
Method = QHttpServerRequest.Method


def make(target="/items", method="GET", headers=(), body=b""):
    message = Message(1, method, target.encode(), 11, [(b"host", b"x"), *headers])
    message.body = body
    message.complete = True
    return QHttpServerRequest._make(message, Peer(LOOPBACK, 1, LOOPBACK, 80))


class Even:
    def __init__(self, text):
        if int(text) % 2:
            raise ValueError(text)
        self.number = int(text)


class StartsWith:
    def match(self, uri):
        return uri.startswith("/it")


@pytest.mark.parametrize(
    "uri, path, matches",
    [
        ("", "/anything", True),
        (None, "/anything", True),
        ("/items", "/items", True),
        ("/items", "/items/", False),
        ("/items", "/items?page=2", True),
        ("/items?page=2", "/items?page=2", True),
        ("/items?page=2", "/items?page=3", False),
        ("/a b", "/a%20b", True),
        ("/a.b", "/axb", False),
        ("http://127.0.0.1:5/items", "/items", True),
        ("http://127.0.0.1:5/items?page=2", "/items?page=1", False),
        ("http://127.0.0.1:5", "/", True),
        (re.compile(r"/it\w+"), "/items", True),
        (re.compile(r"/it"), "/items", True),
        (re.compile(r"tems"), "/items", False),
        (QRegularExpression("^/i.*s$"), "/items", True),
        (QRegularExpression("^/j"), "/items", False),
        (StartsWith(), "/items", True),
        (StartsWith(), "/other", False),
        ("/item/<arg>", "/item/5", True),
        ("/item/<arg>", "/item/5/6", False),
        ("/item/<arg>", "/item/", False),
        ("/item/<arg>/of/<arg>", "/item/5/of/box", True),
        ("/files/.*<arg>", "/files/a/b", True),
    ],
)
def test_uri(uri, path, matches):
    assert RequestMatcher(uri).match(make(path)) is matches


@pytest.mark.parametrize(
    "types, path, captures",
    [
        ((), "/item/5", ("5",)),
        ((int,), "/item/5", (5,)),
        ((int,), "/item/x", None),
        ((float,), "/item/.5", (0.5,)),
        ((bytes,), "/item/x", (b"x",)),
        ((Even,), "/item/3", None),
    ],
)
def test_converters(types, path, captures):
    matcher = RequestMatcher("/item/<arg>", converters=types)
    request = make(path)
    assert matcher.match(request) is (captures is not None)
    assert matcher.captures(request) == (captures or ())


def test_a_class_as_converter():
    (even,) = RequestMatcher("/item/<arg>", converters=[Even]).captures(make("/item/4"))
    assert even.number == 4


@pytest.mark.parametrize(
    "method, sent, matches",
    [
        (None, "GET", True),
        (METHOD_ALL, "PURGE", True),
        ("get", "GET", True),
        ("POST", "GET", False),
        ("PURGE", "PURGE", True),
        (["GET", "POST"], "POST", True),
        (Method.Get | Method.Post, "POST", True),
        (Method.Get | Method.Post, "PUT", False),
        (Method.AnyKnown, "PUT", True),
    ],
)
def test_method(method, sent, matches):
    assert RequestMatcher("", method).match(make(method=sent)) is matches


def query():
    query = QUrlQuery()
    query.addQueryItem("a", "1")
    return query


@pytest.mark.parametrize(
    "expected, sent, matches",
    [
        ("a=1&b=2", "a=1&b=2", True),
        ("b=2&a=1", "a=1&b=2", False),
        (b"a=1", "a=1", True),
        ("a=%20", "a=+", True),
        ({"a": 1, "b": "2"}, "b=2&a=1", True),
        ({"a": 1}, "b=2&a=1", False),
        ({"a": "1"}, "a=1&a=2", True),
        ({"a": [1, 2]}, "a=1&a=2", True),
        ({"a": [1]}, "a=1&a=2", False),
        ({"a": re.compile(r"\d+$")}, "a=12", True),
        ({"a": str.isdigit}, "a=x", False),
        ([("a", "1"), ("a", "2")], "a=1&a=2", True),
        (query(), "a=1", True),
        (lambda text: "a" in text, "a=1", True),
        ("", "", True),
        ("", "a=1", False),
        ({}, "a=1", False),
    ],
)
def test_query(expected, sent, matches):
    assert RequestMatcher("", query_string=expected).match(make(f"/?{sent}")) is matches


@pytest.mark.parametrize(
    "expected, matches",
    [
        ({"X-Token": "abc"}, True),
        ({"x-token": b"abc"}, True),
        ({"x-token": "ab"}, False),
        ({"x-token": re.compile("ab")}, True),
        ({"x-token": str.islower}, True),
        ({"x-token": None}, False),
        ({"x-missing": None}, True),
        ({"x-missing": "a"}, False),
        ({"accept": "a, b"}, True),
    ],
)
def test_headers(expected, matches):
    request = make(headers=[(b"x-token", b"abc"), (b"accept", b"a"), (b"accept", b"b")])
    assert RequestMatcher("", headers=expected).match(request) is matches


def test_a_header_value_matcher_decides():
    seen = []

    def compare(name, actual, expected):
        seen.append((name, actual, expected))
        return True

    matcher = RequestMatcher("", headers={"X-A": "1", "X-B": "2"}, header_value_matcher=compare)
    assert matcher.match(make(headers=[(b"x-a", b"one")]))
    assert seen == [("X-A", "one", "1"), ("X-B", None, "2")]


@pytest.mark.parametrize(
    "criteria, body, matches",
    [
        ({"data": "é"}, "é".encode(), True),
        ({"data": "é", "data_encoding": "latin-1"}, b"\xe9", True),
        ({"data": b"a"}, b"b", False),
        ({"data": re.compile("b+")}, b"abba", True),
        ({"data": re.compile(b"c")}, b"abba", False),
        ({"data": bytes.isdigit}, b"12", True),
        ({"data": {"user": "me", "password": "x y"}}, b"password=x+y&user=me", True),
        ({"data": {"user": "me"}}, b"user=you", False),
        ({"json": {"a": [1]}}, b'{"a": [1]}', True),
        ({"json": {"a": ANY}}, b'{"a": 5}', True),
        ({"json": None}, b"null", True),
        ({"json": None}, b"", False),
        ({"json": {}}, b"not json", False),
        ({"json": lambda value: value["a"] > 3}, b'{"a": 5}', True),
    ],
)
def test_body(criteria, body, matches):
    assert RequestMatcher("", **criteria).match(make(body=body)) is matches


def test_data_and_json_exclude_each_other():
    with pytest.raises(ValueError, match="data and json"):
        RequestMatcher("", data="", json={})


def test_an_invalid_pattern_is_refused():
    with pytest.raises(ValueError, match="no valid pattern"):
        RequestMatcher("/(<arg>")


def test_callables_decide():
    def is_small(request):
        assert len(request.body()) < 3, "too long"
        return True

    matcher = RequestMatcher("", matcher=is_small)
    assert matcher.match(make(body=b"12"))
    (mismatch,) = matcher.difference(make(body=b"123"))
    assert mismatch[:2] == ("matcher", is_small)
    assert str(mismatch.actual).startswith("too long")
    assert not RequestMatcher("", matcher=[is_small, lambda request: False]).match(make())


def test_every_difference_is_told():
    matcher = RequestMatcher("/a", "PUT", query_string="x=1", headers={"x": "1"}, json={})
    fields = [item.field for item in matcher.difference(make("/b", body=b"[]"))]
    assert fields == ["method", "path", "query", "header x", "json"]


def test_repr_reads_like_the_expectation():
    matcher = RequestMatcher("/a", ["PUT", "POST"], query_string={"q": "1"}, json={"b": 2})
    assert repr(matcher) == "PUT|POST /a query_string={'q': '1'} json={'b': 2}"
    assert repr(RequestMatcher()) == "any method any path"
    assert repr(RequestMatcher(re.compile("/a"))) == "any method re.compile('/a')"
