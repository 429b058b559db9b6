import re
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QByteArray, QMimeDatabase, QStandardPaths

from qhttpserver_py._content import mime

HEAD = mime.HEAD_SIZE


def by_qt(body):
    return QMimeDatabase().mimeTypeForData(QByteArray(body)).name().encode()


SAMPLES = [
    b"",
    b"hello",
    b"\xff\xfe\xe9 bad",
    b"\xef\xbb\xbftext",
    b"a\0b",
    b"x" * 200 + b"\0",
    b'{"a": 1}',
    b"[1]",
    b"<html>",
    b"<!DOCTYPE html>",
    b"<!-- c --><p>",
    b"<p>",
    b"<?xml version='1.0'?><a/>",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"%PDF-1.4",
    b"x" * 1000 + b"%PDF-1.4",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"\xff\xd8\xff\xe0",
    b"PK\x03\x04",
    b"#!/bin/sh\n",
    b"class A:",
    b"import os",
    b"BEGIN:VCARD",
    b"From: me",
    b"1",
    b"070701",
    b"GIF",
    b"\0" * 32769 + b"CD001",
]


@pytest.mark.parametrize("body", SAMPLES, ids=lambda body: repr(body[:24]))
def test_sniff_returns_what_qt_returns(body):
    assert mime.sniff(body) == by_qt(body)


@given(st.binary(max_size=64) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")))
@settings(max_examples=100, deadline=None)
def test_sniff_of_anything(body):
    assert mime.sniff(body) == by_qt(body)


@pytest.mark.parametrize("start", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"\0"])
@pytest.mark.parametrize("size", [HEAD - 1, HEAD, HEAD + 1, 1_000_000])
def test_sniff_of_large_bodies(start, size):
    body = start + b"x" * (size - len(start))
    assert mime.sniff(body) == by_qt(body)


def test_large_bodies_that_begin_alike_are_distinguished():
    archive = bytes(257) + b"ustar\0" + bytes(6000)
    zeros = bytes(len(archive))
    bodies = [zeros, archive, archive + bytes(100), archive[:-1], bytes(HEAD + 5), archive.ljust(HEAD + 5, b"\0")]
    expected = [by_qt(body) for body in bodies]
    assert len(set(expected)) > 1
    for _ in range(2):
        assert [mime.sniff(body) for body in bodies] == expected
        assert [mime.sniff(body) for body in reversed(bodies)] == expected[::-1]


def test_type_fields():
    assert mime.type_fields(b"a/b") == ((b"content-type", b"a/b"),)
    assert mime.type_fields(b"") == ()


@pytest.mark.parametrize(
    "name",
    ["a.txt", "a.css", "a.html", "a.js", "a.ts", "a.m", "a.unknown", "noextension", "Makefile", "a.tar.gz", "ü b.svg"],
)
@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"#import x", b"\0" * 100_000])
def test_for_file_returns_what_qt_returns(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert mime.for_file(str(path), content).decode() == QMimeDatabase().mimeTypeForFile(str(path)).name()


def reach(magic):
    """Return how far the rules of a compiled magic file look into a document (shared MIME-info 2.5)."""
    farthest = 0
    position = magic.index(b"\n") + 1
    while position < len(magic):
        if magic[position : position + 1] == b"[":
            position = magic.index(b"]\n", position) + 2
            continue
        head = re.compile(rb"\d*>(\d+)=").match(magic, position)
        (length,) = struct.unpack_from(">H", magic, head.end())
        position = head.end() + 2 + length
        if magic[position : position + 1] == b"&":
            position += 1 + length
        tail = re.compile(rb"(?:~\d+)?(?:\+(\d+))?\n").match(magic, position)
        farthest = max(farthest, int(head[1]) + int(tail[1] or 1) - 1 + length)
        position = tail.end()
    return farthest


def test_no_installed_rule_looks_beyond_the_head():
    folders = QStandardPaths.standardLocations(QStandardPaths.StandardLocation.GenericDataLocation)
    files = [path for folder in folders if (path := Path(folder, "mime", "magic")).is_file()]
    if not files:
        pytest.skip("Qt's built-in MIME database is in use")
    for path in files:
        assert 0 < reach(path.read_bytes()) <= HEAD
