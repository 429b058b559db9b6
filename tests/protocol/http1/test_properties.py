"""Property tests of the HTTP/1 engine: any octets, cut anywhere, remembered or not, mean the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from qhttpserver_py._protocol.engine import Limits, Message, Refusal
from qhttpserver_py._protocol.http1.engine import Http1Engine
from qhttpserver_py._protocol.http1.receiver import MAX_UNREAD

# Words a request is made of, and words that break it.
METHODS = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"FOO", b"get", b"", b"G T", b"G\x00T"]
TARGETS = [b"/", b"/a?b=c", b"*", b"http://h/p", b"h:80", b"//x", b"", b"/#f", b"/\xe9", b"/" + b"u" * 90]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1 ", b"", b"http/1.1"]
LINES = [
    b"Host: h",
    b"Host: ",
    b"Host: a, b",
    b"Content-Length: 3",
    b"Content-Length: 0",
    b"Content-Length: 3, 3",
    b"Content-Length: -1",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked",
    b"Connection: close",
    b"Connection: keep-alive, upgrade",
    b"Upgrade: websocket",
    b"Expect: 100-continue",
    b"Expect: tea",
    b"X-A: b \t",
    b"X-A:" + b" " * 70 + b"b",
    b"X-Long: " + b"v" * 90,
    b" folded",
    b"no colon",
    b"X-A: \x01",
    b"X-A: a\nb: c",
    b"X-A: a\rb: c",
    b": nameless",
]
BODIES = [
    b"",
    b"abc",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"3;a=b\r\nabc\r\n0\r\nT: v\r\n\r\n",
    b'3;a="b"\r\nabc\r\nff\r\n',
    b"0\r\n\r\n",
    b"-3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"3\nabc\n0\n\n",
    b"0\r\nContent-Length: 5\r\nX: y\r\n\r\n",
]
ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\n\r\n", b"\n\r\n"]


PLAIN = [
    b"",
    b"X-A: b",
    b"Connection: keep-alive",
    b"Expect: 100-continue",
    b"Connection: Upgrade\r\nUpgrade: websocket",
]
SIZED = [(b"Content-Length: 3", b"abc"), (b"Content-Length: 0", b"")]
CODED = [(b"Transfer-Encoding: chunked", body) for body in BODIES[2:]]


@st.composite
def broken_requests(draw: st.DrawFn) -> bytes:
    """One request, more or less valid."""
    pick = lambda words: draw(st.sampled_from(words))
    start = pick([b"", b"", b"", b"\r\n", b"\n", b"\r\n\r\n"])
    line = b" ".join(
        (pick(METHODS[:6] * 3 + METHODS), pick(TARGETS[:2] * 6 + TARGETS), pick(VERSIONS[:2] * 6 + VERSIONS))
    )
    host = pick([b"Host: h\r\n"] * 5 + [b""])
    fields = b"".join(field + pick(ENDS) for field in draw(st.lists(st.sampled_from(LINES), max_size=4)))
    return start + line + pick(ENDS) + host + fields + pick([b"\r\n"] * 8 + [b"\n", b""]) + pick(BODIES)


@st.composite
def good_requests(draw: st.DrawFn) -> bytes:
    """One request with a valid head."""
    pick = lambda words: draw(st.sampled_from(words))
    framing, body = pick([(b"", b""), *SIZED, *CODED])
    lines = [pick(METHODS[:4]) + b" " + pick(TARGETS[:2]) + b" HTTP/1.1", b"Host: h", pick(PLAIN), framing]
    return pick([b"", b"", b"\r\n"]) + b"".join(line + b"\r\n" for line in lines if line) + b"\r\n" + body


requests = lambda: st.one_of(good_requests(), good_requests(), broken_requests())
STREAMS = st.one_of(
    st.lists(requests(), min_size=1, max_size=4).map(b"".join),
    st.binary(max_size=200),
    st.tuples(st.lists(requests(), max_size=2).map(b"".join), st.binary(max_size=60)).map(b"".join),
)


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Octets, and the same octets in pieces."""
    data = draw(STREAMS)
    if draw(st.booleans()):
        return data, [data[i : i + 1] for i in range(len(data))]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return data, [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    made = Limits()
    made.url_size = draw(st.sampled_from([65536] * 5 + [40, 3, 0, -1]))
    made.header_size = draw(st.sampled_from([65536] * 5 + [120, 40, 0, -1]))
    made.field_size = draw(st.sampled_from([49152] * 5 + [60, 10, 0, -1]))
    made.field_count = draw(st.sampled_from([128] * 5 + [3, 1, 0, -1]))
    made.body_size = draw(st.sampled_from([1000] * 5 + [3, 2, 0, -1]))
    return made


def copy(source: Limits) -> Limits:
    made = Limits()
    for name in ("url_size", "header_size", "field_size", "field_count", "body_size"):
        setattr(made, name, getattr(source, name))
    return made


def outcome(event: object) -> tuple[object, ...]:
    if isinstance(event, Refusal):
        return ("refused", event.status)
    assert isinstance(event, Message)
    names = ("method", "target", "version", "headers", "body", "trailers", "websocket", "scheme", "authority", "raw")
    return tuple(getattr(event, name) for name in names)


def feed(engine: Http1Engine, pieces: list[bytes]) -> list[tuple[object, ...]]:
    """Return what the engine made of it, incomplete messages left out."""
    seen = []
    for piece in pieces:
        for event in engine.receive_data(piece):
            if not isinstance(event, Message) or event.complete:
                seen.append(outcome(event))
    return seen


@settings(max_examples=300, deadline=None)
@given(cut_streams(), limits())
def test_cuts_change_nothing(stream: tuple[bytes, list[bytes]], bounds: Limits) -> None:
    data, pieces = stream
    whole, cut = Http1Engine(bounds), Http1Engine(copy(bounds))
    assert feed(cut, pieces) == feed(whole, [data])
    assert cut.state.partial == whole.state.partial
    assert (cut._receiver._input, cut.unread()) == (whole._receiver._input, whole.unread())


@settings(max_examples=200, deadline=None)
@given(cut_streams(), limits())
def test_memory_changes_nothing(stream: tuple[bytes, list[bytes]], bounds: Limits) -> None:
    data, pieces = stream
    fresh = feed(Http1Engine(copy(bounds)), pieces)
    feed(Http1Engine(bounds), [data])  # teaches the memo
    feed(Http1Engine(bounds), pieces)
    assert feed(Http1Engine(bounds), pieces) == fresh


@settings(max_examples=300, deadline=None)
@given(STREAMS, limits())
def test_at_most_one_refusal_and_nothing_behind_it(data: bytes, bounds: Limits) -> None:
    engine = Http1Engine(bounds)
    events = engine.receive_data(data) + engine.receive_data(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
    refused = [index for index, event in enumerate(events) if isinstance(event, Refusal)]
    assert refused in ([], [len(events) - 1])
    if refused:
        assert engine.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n") == []
        assert engine.receive_eof() == []


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*BODIES, *LINES, b"GET / HTTP/1.1\r\n", b"\r\n", b"a" * 3000, b"\x00" * 50, b"1\r\nx\r\n"])
    )
)
def test_memory_is_bounded(pieces: list[bytes]) -> None:
    bounds = Limits()
    bounds.url_size = bounds.header_size = bounds.field_size = 500
    bounds.body_size = 1000
    engine = Http1Engine(bounds)
    for piece in pieces:
        engine.receive_data(piece)
        held = len(engine._receiver._unread) + (engine._receiver._body.tell() if engine._receiver._body else 0)
        held += len(engine._receiver._reader.buffer) if engine._receiver._reader else 0
        held += sum(map(len, engine._receiver.message.pieces)) if engine._receiver.message else 0
        assert held <= MAX_UNREAD + 3000


@settings(max_examples=300, deadline=None)
@given(cut_streams(), st.sampled_from([200, 204, 304, 404, 799]), st.booleans())
def test_replies_never_raise_and_end_when_they_must(
    stream: tuple[bytes, list[bytes]], status: int, streamed: bool
) -> None:
    engine = Http1Engine(Limits())
    for piece in stream[1]:
        for event in engine.receive_data(piece):
            if engine.state.should_close:
                break
            if isinstance(event, Refusal):
                engine.refuse(event)
                assert engine.state.should_close
            elif isinstance(event, Message) and event.complete:
                if streamed:
                    engine.send_headers(1, status, ((b"x", b"y"),), None)
                    engine.send_chunk(1, b"body")
                    engine.end_stream(1)
                else:
                    engine.send_response(1, status, ((b"x", b"y"),), b"body")
                assert engine.data_to_send().startswith(b"HTTP/1.")
    engine.receive_eof()
    engine.close()
    engine.data_to_send()
