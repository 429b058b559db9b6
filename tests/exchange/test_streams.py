"""Sources of streamed replies: what is one, iterators, asynchronous iterators."""

from __future__ import annotations

import asyncio
import io

import pytest
from PySide6.QtCore import QByteArray, QCoreApplication

from qhttpserver_py._exchange.streams import AsyncSource, IteratorSource, make_source

from ..support.rawclient import wait_until
from ..support.sourcereader import LIMIT, Reader

pytestmark = pytest.mark.usefixtures("own_loop")


# ---- what is a source


@pytest.mark.parametrize("result", [None, 3, "text", b"bytes", [b"a"], {"a": 1}, object(), (b"a",), range(3)])
def test_other_things_are_no_source(result):
    assert make_source(result) is None


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], b""),
        ([b"a", b"bc"], b"abc"),
        (["ä", "b"], "äb".encode()),
        ([bytearray(b"a"), memoryview(b"b"), QByteArray(b"c")], b"abc"),
        ([b"", b"a", "", b"b"], b"ab"),
        ([b"x" * 200_000, b"y"], b"x" * 200_000 + b"y"),
    ],
)
def test_iterators_are_read_to_their_end(items, expected):
    reader = Reader(make_source(iter(items)))
    assert reader.ended
    assert reader.data == expected
    assert reader.source.size is None


def test_many_empty_items_leave_qt_its_turns():
    items = (b"" if n < 1000 else b"end" for n in range(1001))
    reader = Reader(make_source(items))
    assert not reader.finished
    assert reader.wait().data == b"end"


@pytest.mark.parametrize("mode", ["rb", "r"])
def test_python_files_are_read_and_closed(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"line\n" * 40_000)
    file = path.open(mode)
    reader = Reader(make_source(file))
    assert reader.data == b"line\n" * 40_000
    assert file.closed


def test_a_python_buffer_is_closed_when_the_peer_leaves():
    file = io.BytesIO(b"abc")
    make_source(file).close()
    assert file.closed


def test_the_classes_are_what_they_say():
    assert isinstance(make_source(iter([])), IteratorSource)
    source = make_source(numbers())
    assert isinstance(source, AsyncSource)
    source.close()


# ---- iterators


def test_a_generator_is_not_read_ahead():
    made = []

    def items():
        for n in range(3):
            made.append(n)
            yield b"x"

    source = make_source(items())
    source.start(lambda: None)
    assert not made
    assert source.read(LIMIT) == b"x"
    assert made == [0]
    source.close()


def test_closing_closes_a_generator():
    ended = []

    def items():
        try:
            yield b"x"
            yield b"y"
        finally:
            ended.append(True)

    source = make_source(items())
    source.read(LIMIT)
    source.close()
    source.close()
    assert ended == [True]
    assert source.read(LIMIT) == b""


def test_an_exception_of_a_generator_comes_out_of_read():
    def items():
        yield b"x"
        raise ValueError("mine")

    reader = Reader(make_source(items()))
    assert str(reader.error) == "mine"
    assert reader.data == b"x"


def test_an_item_that_is_no_bytes_closes_the_generator():
    ended = []

    def items():
        try:
            yield 3
        finally:
            ended.append(True)

    reader = Reader(make_source(items()))
    assert isinstance(reader.error, TypeError)
    assert "int" in str(reader.error)
    assert ended


def test_an_exception_on_closing_is_reported(reported):
    def items():
        try:
            yield b"x"
        finally:
            raise ValueError("closing")

    source = make_source(items())
    source.read(LIMIT)
    source.close()
    assert [str(error) for error in reported] == ["closing"]


def test_closing_from_inside_the_generator_waits_for_it():
    ended = []

    def items():
        try:
            source.close()  # the peer left during a nested event loop
            assert source.read(LIMIT) in (b"", None)
            yield b"late"
            ended.append("went on")
        finally:
            ended.append("closed")

    source = make_source(items())
    assert source.read(LIMIT) == b""
    assert ended == ["closed"]


def test_reading_from_inside_the_generator_gives_nothing():
    seen = []

    def items():
        seen.append(source.read(LIMIT))
        yield b"x"

    source = make_source(items())
    assert source.read(LIMIT) == b"x"
    assert seen == [None]


# ---- asynchronous iterators


async def numbers(count=3, delay=0.001):
    for n in range(count):
        await asyncio.sleep(delay)
        yield str(n)


def test_an_async_generator_is_read_to_its_end():
    reader = Reader(make_source(numbers())).wait()
    assert reader.ended
    assert reader.data == b"012"


def test_a_long_item_of_an_async_generator_is_cut():
    async def items():
        yield b"x" * 200_000
        yield b""
        yield b"y"

    assert Reader(make_source(items())).wait().data == b"x" * 200_000 + b"y"


def test_an_async_iterable_is_enough():
    class Items:
        def __aiter__(self):
            return numbers(2)

    assert Reader(make_source(Items())).wait().data == b"01"


def test_an_async_generator_is_one_item_ahead_at_most():
    made = []

    async def items():
        for n in range(10):
            made.append(n)
            yield b"x"

    source = make_source(items())
    ready = []
    source.start(lambda: ready.append(1))
    wait_until(lambda: ready)
    for _ in range(5):
        QCoreApplication.processEvents()
    assert made == [0]
    assert source.read(LIMIT) == b"x"
    assert source.read(LIMIT) is None
    wait_until(lambda: len(ready) == 2)
    assert made == [0, 1]
    source.close()


@pytest.mark.parametrize("taken", [False, True])
def test_closing_ends_an_async_generator(taken):
    ended = []

    async def items():
        try:
            yield b"x"
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    source = make_source(items())
    ready = []
    source.start(lambda: ready.append(1))
    wait_until(lambda: ready)
    if taken:
        source.read(LIMIT)
        for _ in range(5):
            QCoreApplication.processEvents()
    source.close()
    source.close()
    wait_until(lambda: ended)
    assert source.read(LIMIT) == b""
    assert len(ready) == 1


def test_an_async_generator_that_was_never_started_is_closed_silently():
    make_source(numbers()).close()


@pytest.mark.parametrize(("item", "kind"), [(None, ValueError), (3, TypeError)])
def test_an_exception_of_an_async_generator_comes_out_of_read(item, kind, reported):
    async def items():
        yield b"x"
        if item is None:
            raise ValueError
        yield item

    reader = Reader(make_source(items())).wait()
    assert isinstance(reader.error, kind)
    assert reader.data == b"x"
    assert not reported
