"""A head that repeats the one before it: it means what the parser would make of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttpserver_py._protocol.engine import Limits, Message, Refusal
from qhttpserver_py._protocol.http1.engine import Http1Engine
from qhttpserver_py._protocol.http1.head import ASKED, CLOSE, HEAD, parse_head
from qhttpserver_py._protocol.http1.repeated import LARGEST, Repeated

from .test_properties import copy, limits, outcome

FIELDS = [b"Host: h", b"User-Agent: a", b"Cookie: c=1", b"Cookie: d=2", b"Accept: */*"]


def head(line: bytes = b"GET /a HTTP/1.1", *fields: bytes) -> bytes:
    return b"\r\n".join([line, *(fields or FIELDS), b"", b""])


def changed(index: int, field: bytes) -> list[bytes]:
    return [*FIELDS[:index], field, *FIELDS[index + 1 :]]


def plainly(data: bytes, bounds: Limits | None = None) -> list[tuple[object, ...]]:
    """Return what an engine that has seen nothing makes of it, and what it then expects."""
    engine = Http1Engine(bounds or Limits())
    return [*map(told, engine.receive_data(data)), state(engine)]


def told(event: object) -> tuple[object, ...]:
    if isinstance(event, Refusal):
        return (event.status, event.detail)
    assert isinstance(event, Message)
    return (*outcome(event), event.complete, event.expects_continue)


def state(engine: Http1Engine) -> tuple[object, ...]:
    return (engine._receiver._input, engine.state.partial, list(engine._owed)[-1:], engine._receiver._left)


def after(data: bytes, *before: bytes, bounds: Limits | None = None) -> list[tuple[object, ...]]:
    engine = Http1Engine(bounds or Limits())
    for earlier in before:
        engine.receive_data(earlier)
        engine._owed.clear()
    events = engine.receive_data(data)
    return [*map(told, events), state(engine)]


def recalled(data: bytes, first: bytes | None = None) -> bool:
    """Whether *data* needs no parser behind *first*."""
    engine = Http1Engine(Limits())
    engine.receive_data(first or head())
    return engine._receiver.known.recall(data, 0) is not None


@pytest.mark.parametrize(
    "data",
    [
        head(),
        head(b"GET /b?c=d HTTP/1.1"),
        head(b"HEAD /a HTTP/1.1"),
        head(b"DELETE /a HTTP/1.1"),
        head(b"GET /\xe9 HTTP/1.1"),
        head(b"GET /b HTTP/1.1", *changed(1, b"user-agent:\tb, c:d")),
        head(b"GET /a HTTP/1.1", *changed(2, b"Cookie: ")),
        head(b"GET /a HTTP/1.1", *changed(3, b"COOKIE:e \t")),
        head(b"GET /a HTTP/1.1", *changed(4, b"Accept: \x80")),
    ],
)
def test_what_needs_no_parser(data: bytes) -> None:
    assert recalled(data)
    assert after(data, head()) == plainly(data)
    assert after(data, head(), data, head()) == plainly(data)
    assert after(data * 3, head()) == plainly(data * 3)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n" + head(),
        head(b"GET /a HTTP/1.0"),
        head(b"GET /a HTTP/1.2"),
        head(b"GET /a HTTP/1.1 "),
        head(b"GET  /a HTTP/1.1"),
        head(b"GET /a#b HTTP/1.1"),
        head(b"GET /a\tb HTTP/1.1"),
        head(b"GET /a\nb HTTP/1.1"),
        head(b"get /a HTTP/1.1"),
        head(b"FOO /a HTTP/1.1"),
        head(b"OPTIONS * HTTP/1.1"),
        head(b"CONNECT h:1 HTTP/1.1"),
        head(b"GET http://other/ HTTP/1.1"),
        head(b""),
        head()[:-2],
        head(b"GET /b HTTP/1.1", *FIELDS[:-1]),
        head(b"GET /b HTTP/1.1", *FIELDS, b"More: 1"),
        head(b"GET /b HTTP/1.1", *FIELDS, b"Transfer-Encoding: chunked"),
        *(head(b"GET /b HTTP/1.1", *changed(0, field)) for field in (b"Host: i", b"Host: h ", b"Host: a, b", b"X: h")),
        *(
            head(b"GET /b HTTP/1.1", *changed(1, field))
            for field in (
                b"Content-Length: 3",
                b"Connection: close",
                b"Transfer-Encoding: chunked",
                b"Expect: tea",
                b"Upgrade: websocket",
                b"Host: h",
                b"Cookie: a",
                b"User-Agent : a",
                b" folded",
                b"User-Agent: \x00",
                b"User-Agent: a\rb",
                b"User-Agent: a\nb",
                b"User-Agent: a\x7f",
                b"User-Agent",
                b"",
            )
        ),
        head(b"GET /" + b"u" * LARGEST + b" HTTP/1.1"),
        head(b"GET /b HTTP/1.1", *changed(2, b"Cookie: " + b"c" * LARGEST)),
    ],
)
def test_what_is_left_to_the_parser(data: bytes) -> None:
    assert not recalled(data)
    assert after(data, head()) == plainly(data)


@pytest.mark.parametrize(
    "first",
    [
        head(b"GET /a HTTP/1.0", b"Host: h", b"Connection: keep-alive"),
        head(b"GET http://h/ HTTP/1.1"),
        head(b"OPTIONS * HTTP/1.1"),
        head(b"FOO /a HTTP/1.1"),
        head(b"GET /a HTTP/1.1", b"Host: h", b"Upgrade: h2c"),
        head(b"GET /a HTTP/1.1", b"Host: h", b"Expect: 100-continue"),
    ],
)
def test_heads_behind_which_nothing_is_recognised(first: bytes) -> None:
    data = b"GET /b" + first[first.index(b" HTTP") :]
    assert not recalled(data, first)
    assert after(data, first) == plainly(data)


@pytest.mark.parametrize(
    ("fields", "bodies"),
    [
        ([b"Content-Length: 3"], (b"abc", b"\r\n\r", b"ab")),
        ([b"Transfer-Encoding: chunked"], (b"3\r\nabc\r\n0\r\n\r\n", b"0\r\n\r\n", b"3\r\n", b"x\r\n")),
        ([b"Content-Length: 0"], (b"",)),
    ],
)
def test_bodies_behind_a_head_that_is_known(fields: list[bytes], bodies: tuple[bytes, ...]) -> None:
    same = head(b"POST /a HTTP/1.1", *FIELDS, *fields)
    for body in bodies:
        for data in (same, same.replace(b"/a", b"/b"), same.replace(b"POST", b"PUT").replace(b"c=1", b"c=7")):
            assert after(data + body, same + bodies[0]) == plainly(data + body)
            assert after(data + body + head(), same + bodies[0]) == plainly(data + body + head())


def test_the_end_that_the_peer_asks_for_is_known_too() -> None:
    closing = head(b"GET /a HTTP/1.1", *FIELDS, b"Connection: close")
    known = Repeated(Limits())
    known.learn(closing, *parse_head(closing, Limits()))
    data = closing.replace(b"GET", b"HEAD")
    found = known.recall(data, 0)
    assert found is not None
    assert found[1] == CLOSE | ASKED | HEAD == parse_head(data, Limits())[1]


def test_nothing_is_recognised_after_forget() -> None:
    engine = Http1Engine(Limits())
    engine.receive_data(head())
    engine._receiver.known.forget()
    assert engine._receiver.known.recall(head(b"GET /b HTTP/1.1"), 0) is None
    assert told(engine.receive_data(head(b"GET /b HTTP/1.1"))[0]) == plainly(head(b"GET /b HTTP/1.1"))[0]


LINES = st.sampled_from(
    [b"GET /a HTTP/1.1", b"HEAD /b HTTP/1.1", b"POST /c?d HTTP/1.1", b"GET /e HTTP/1.0", b"GET h HTTP/1.1", b"G\n /"]
)
VALUES = st.sampled_from(
    [b"h", b"a", b"", b" b\t", b"3", b"0", b"close", b"chunked", b"websocket", b"\x00", b"\xe9", b"a\nb"]
)
NAMES = st.sampled_from(
    [b"Host", b"host", b"Cookie", b"Accept", b"Content-Length", b"Connection", b"Transfer-Encoding", b"Upgrade", b"X "]
)
FIELD = st.tuples(NAMES, st.sampled_from([b":", b": ", b""]), VALUES).map(b"".join)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Heads of one connection, each made from the one before it by a change or two; and one more."""
    line, fields = draw(LINES), [b"Host: h", *draw(st.lists(FIELD, max_size=4))]
    made = []
    for _ in range(draw(st.integers(2, 4))):
        made.append(b"\r\n".join([line, *fields, b"", b""]))
        for _ in range(draw(st.integers(0, 2))):
            kind = draw(st.sampled_from(["line", "field", "field", "octet", "drop", "add"]))
            if kind == "line":
                line = draw(LINES)
            elif kind == "add":
                fields = [*fields, draw(FIELD)]
            elif fields:
                at = draw(st.integers(0, len(fields) - 1))
                put = [] if kind == "drop" else [draw(FIELD)] if kind == "field" else [fields[at] + draw(VALUES)]
                fields = [*fields[:at], *put, *fields[at + 1 :]]
    return made[:-1], made[-1] + draw(st.sampled_from([b"", b"", b"abc", b"0\r\n\r\n", head()]))


@settings(max_examples=500, deadline=None)
@given(mutated(), limits())
def test_mutated_heads_mean_the_same(heads: tuple[list[bytes], bytes], bounds: Limits) -> None:
    before, data = heads
    engine = Http1Engine(copy(bounds))
    for earlier in before:
        engine.receive_data(earlier)
        if engine._receiver._input:  # in a body, or deaf: what comes is no head
            return
        engine._owed.clear()
    assert [*map(told, engine.receive_data(data)), state(engine)] == plainly(data, copy(bounds))
