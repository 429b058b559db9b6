"""The path of a request target, against a table and against QUrl."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QUrl

from qhttpserver_py._protocol.path import decoded_path

DECODED = QUrl.ComponentFormattingOption.FullyDecoded

PATHS = [
    (b"/", "/"),
    (b"/a/b", "/a/b"),
    (b"/a?b", "/a"),
    (b"/a#b", "/a"),
    (b"/a?b#c", "/a"),
    (b"/a#b?c", "/a"),
    (b"/?", "/"),
    (b"/a%3Fb%23c", "/a?b#c"),
    (b"/a%2Fb", "/a/b"),
    (b"/%25", "/%"),
    (b"/%2541", "/%41"),
    (b"/a+b", "/a+b"),
    (b"/%ZZ", "/%ZZ"),
    (b"/%", "/%"),
    (b"/a%20b%zz", "/a%20b%zz"),
    (b"/a%20b?%zz", "/a b"),
    (b"/%FF", "/\ufffd"),
    (b"/\xff", "/\ufffd"),
    (b"/%ED%A0%80", "/\ufffd\ufffd\ufffd"),
    (b"/%C3%A9", "/é"),
    (b"/\xc3\xa9", "/é"),
    (b"/%F0%9F%98%80", "/😀"),
    (b"/%00%0A", "/\0\n"),
    (b"/../x/./y", "/../x/./y"),
    (b"/x;v=1", "/x;v=1"),
    # A proxy in front sees these as they stand, and so do the rules.
    (b"//x/y", "//x/y"),
    (b"//x", "//x"),
    (b"///", "///"),
    (b"http://h/a/b?c", "/a/b"),
    (b"HTTP://h:8/a%20b", "/a b"),
    (b"http://h", "/"),
    (b"http://h?q", "/"),
    (b"http://h//x", "//x"),
    (b"http:///x", "/x"),
    (b"*", "*"),
    (b"nolead", "nolead"),
    (b"", ""),
]


@pytest.mark.parametrize(("target", "path"), PATHS)
def test_decoded_path(target: bytes, path: str) -> None:
    assert decoded_path(target, "GET") == path


def test_connect_names_no_path() -> None:
    assert decoded_path(b"example.org:443", "CONNECT") == ""


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet=string.ascii_letters + "%25fFaC3zé/;+ ?#:@&=[]", max_size=20))
def test_the_decoded_path_is_that_of_qurl(text: str) -> None:
    target = "/x" + text
    assert decoded_path(target.encode(), "GET") == QUrl("http://h" + target).path(DECODED)
