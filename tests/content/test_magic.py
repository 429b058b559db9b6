"""The rules of the installed MIME database, and a user's own: what they tell is what Qt tells, near misses included."""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QByteArray, QMimeDatabase

from qhttpserver_py import QHttpServer
from qhttpserver_py._content import magic, mime
from qhttpserver_py._serving.results import text_reply

from ..support.rawclient import ask, bound

TABLE = mime.read_table(mime.mime_directories())
needs_database = pytest.mark.skipif(TABLE is None, reason="Qt's built-in MIME database is in use, and is asked")


def rules() -> list[magic.Rule]:
    found = []
    for directory in mime.mime_directories():
        cache = directory / "mime.cache"
        if cache.is_file():
            found += magic.read_rules(cache.read_bytes())
    return found


def by_qt(body: bytes) -> bytes:
    return QMimeDatabase().mimeTypeForData(QByteArray(body[: mime.HEAD_SIZE])).name().encode()


def examples(matchlet: magic.Matchlet, chance: random.Random) -> list[bytes]:
    """Return a body that *matchlet* matches, and bodies that it nearly matches."""

    def put(body: bytearray, one: magic.Matchlet, at: int) -> None:
        body.extend(b" " * (at + len(one.value) - len(body)))
        body[at : at + len(one.value)] = one.value
        if one.children:
            child = chance.choice(one.children)
            put(body, child, child.start)

    last = matchlet.start + max(matchlet.length, 1) - 1
    made = []
    for at in {matchlet.start, last, last + 1, max(matchlet.start - 1, 0)}:
        body = bytearray()
        put(body, matchlet, at)
        made.append(bytes(body))
    whole = made[0]
    spot = matchlet.start + chance.randrange(len(matchlet.value) or 1)
    flipped = bytearray(whole)
    flipped[spot % len(flipped)] ^= 0x20
    return [*made, bytes(flipped), whole[:-1], whole + b"\nmore text", whole.lower(), whole.upper()]


@needs_database
def test_every_rule_and_what_is_nearly_one() -> None:
    chance = random.Random(17)
    wrong = []
    for rule in rules():
        for body in examples(rule.matchlet, chance):
            if mime.sniff(body) != by_qt(body):
                wrong.append((rule.mime, body[:80], mime.sniff(body), by_qt(body)))
    assert not wrong


PIECES = [
    b"<",
    b"<html",
    b"<?xml ",
    b"[",
    b"{",
    b"import Q",
    b"use ",
    b"\n[",
    b"%PDF-",
    b"\0",
    b"ftyp",
    b"#!",
    b"/bin/",
    b"\x01",
]


@needs_database
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=40) | st.text(max_size=60).map(str.encode), max_size=12))
@settings(max_examples=300, deadline=None)
def test_anything(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    assert mime.sniff(body) == by_qt(body)


@needs_database
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
@settings(max_examples=200, deadline=None)
def test_the_short_way_of_text_has_the_same_result(text: str) -> None:
    fields, body = text_reply(text)
    kind = by_qt(body)
    if not text.isascii() and kind.startswith(b"text/"):
        kind += b"; charset=utf-8"
    assert fields == ((b"content-type", kind),)


USER_RULES = [
    ("text/x-low", 40, 'value="&lt;?php" offset="0"'),
    ("text/x-high", 90, 'value="%PDF-" offset="0"'),
    ("text/x-equal", 50, 'value="&lt;html" offset="0:256"'),
    ("text/x-own", 50, 'value="own!" offset="3"'),
    ("text/x-far", 50, 'value="far!" offset="0:5000"'),
    ("text/x-mask", 50, 'value="MaSk" mask="0xdfdfdfdf" offset="0:9"'),
]
USER = '<?xml version="1.0"?><mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">{}</mime-info>'.format(
    "".join(
        f'<mime-type type="{name}"><comment>x</comment><magic priority="{priority}">'
        f'<match type="string" {match}/></magic></mime-type>'
        for name, priority, match in USER_RULES
    )
)
ASK = """
import json, sys
from PySide6.QtCore import QMimeDatabase, QByteArray
from qhttpserver_py._content import mime
bodies = [bytes.fromhex(text) for text in json.loads(sys.argv[1])]
ours = [mime.sniff(body).decode() for body in bodies]
print(json.dumps([ours, [QMimeDatabase().mimeTypeForData(QByteArray(b)).name() for b in bodies], mime._table is None]))
"""
BODIES = [
    b"<?php x",
    b"%PDF-1.4",
    b"<html>",
    b"   own!",
    b"  own!",
    b"x" * 4999 + b"far!",
    b"x" * 5002 + b"far!",
    b"12mask",
    b"12MASK",
    b"1234mas",
    b"hello",
]


@pytest.mark.skipif(shutil.which("update-mime-database") is None, reason="needs shared-mime-info")
@pytest.mark.parametrize(
    ("compiled", "variables", "asks_qt"),
    [(True, {}, False), (False, {}, True), (True, {"QT_NO_MIME_CACHE": "1"}, True)],
)
def test_rules_of_the_user(tmp_path: Path, compiled: bool, variables: dict[str, str], asks_qt: bool) -> None:
    packages = tmp_path / "mime" / "packages"
    packages.mkdir(parents=True)
    (packages / "user.xml").write_text(USER)
    if compiled:
        subprocess.run(["update-mime-database", str(tmp_path / "mime")], check=True, capture_output=True, timeout=60)
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps([body.hex() for body in BODIES])],
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2]), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ours, theirs, asked = json.loads(done.stdout)
    assert ours == theirs
    assert asked is asks_qt


def test_without_a_database_qt_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert mime.read_table([]) is None
    monkeypatch.setattr(mime, "_table", None)
    monkeypatch.setattr(mime, "_loaded", True)
    for body in (b"", b"hello", b"<html>", b"\x89PNG\r\n\x1a\n", b"a\0b"):
        assert mime.sniff(body) == by_qt(body)


VERSION = b"\0\1\0\2"


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0" * 64, VERSION + b"\xff" * 60, VERSION + b"\0" * 20 + b"\0\0\0\x1c" + b"\xff" * 8],
)
def test_a_damaged_cache_is_not_used(tmp_path: Path, damage: bytes) -> None:
    with pytest.raises(magic.UnknownCacheError):
        list(magic.read_rules(damage))
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "freedesktop.org.xml").touch()
    (tmp_path / "mime.cache").write_bytes(damage)
    assert mime.read_table([tmp_path]) is None


@needs_database
def test_a_thousand_fresh_replies_ask_qt_nothing_and_leave_no_text(qapp, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(mime, "_ask", lambda head: asked.append(head) or b"x/y")
    server = QHttpServer()
    server.route("/<arg>", lambda number: f"a secret of its own, {number}: {'x' * 64}")
    port = bound(server)
    for number in range(1000 // 10):
        assert b"secret" in ask(port, f"/{number}").body
    assert not asked
    gc.collect()
    kept = [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, dict)
        and any(
            isinstance(key, (str, bytes))
            and ("secret of its own" if isinstance(key, str) else b"secret of its own") in key
            for key in thing
        )
    ]
    assert not kept
    server.close()
