"""Whatever frames come: an event, a refusal or a wait; never an exception, never growth."""

from __future__ import annotations

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttpserver_py._protocol.engine import Limits, Message, Refusal, Reset
from qhttpserver_py._protocol.http2.engine import Http2Engine
from qhttpserver_py._protocol.http2.frames import ConnectionFault
from qhttpserver_py._protocol.http2.hpack_decoder import HeaderDecoder
from qhttpserver_py._protocol.http2.hpack_encoder import HeaderEncoder
from qhttpserver_py._protocol.http2.settings import Http2Settings

from ...support import h2frames
from ...support.h2frames import GET, POST, PREFACE, Client, block, frame, parse

STREAMS = st.sampled_from([0, 1, 2, 3, 5, 7, 9, 2**31 - 1])
NAMES = st.sampled_from([b"x", b"cookie", b"te", b"host", b"content-length", b":path", b"X", b"expect", b""])
VALUES = st.one_of(st.sampled_from([b"", b"3", b"trailers", b"host", b"100-continue", b"a\n"]), st.binary(max_size=8))
FIELDS = st.builds(
    lambda base, extra: base + extra,
    st.sampled_from([GET, POST, GET[:2], []]),
    st.lists(st.tuples(NAMES, VALUES), max_size=3),
)
PAYLOADS = st.one_of(
    st.binary(max_size=20),
    FIELDS.map(block),
    st.sampled_from([b"", b"\0\0\0\0", b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\0\4\0\0\0\0", b"\0" * 8, b"x" * 5000]),
)
RAW = st.builds(frame, st.integers(0, 11), st.integers(0, 0x2F), STREAMS, PAYLOADS)
SANE = st.one_of(
    st.builds(h2frames.headers, STREAMS, st.sampled_from([GET, POST]), st.sampled_from([4, 5])),
    st.builds(h2frames.data, STREAMS, st.binary(max_size=30), st.sampled_from([0, 1])),
    st.builds(h2frames.rst_stream, STREAMS),
    st.builds(h2frames.window_update, STREAMS, st.sampled_from([1, 1000, 2**30])),
    st.builds(h2frames.settings, st.tuples(st.integers(0, 7), st.sampled_from([0, 1, 100, 16384, 65536]))),
    st.builds(h2frames.ping),
)
REPLIES = st.sampled_from(["response", "large", "stream", "trailers", "abort", "late", "refuse", "close"])


class Connection:
    """What a connection does with an engine, and what it may rely on."""

    def __init__(self, engine: Http2Engine) -> None:
        self.engine = engine
        self.known: set[int] = set()
        self.sent = b""
        self.late: list[int] = []

    def receive(self, wire: bytes, reply: str) -> None:
        for event in self.engine.receive_data(wire):
            if isinstance(event, Message):
                self.take(event, reply)
            elif isinstance(event, Refusal):
                assert event.detail
                self.engine.refuse(event)
            else:
                assert isinstance(event, Reset)
                assert event.stream_id in self.known, "reset of a request nobody heard of"
        if reply == "close":
            self.engine.close()
        self.sent += self.engine.data_to_send()
        assert self.engine.state.partial in {0, 1, 2}
        assert self.engine._receiver._reader.holds <= 16384 + 9
        assert len(self.engine._streams.open) <= 100
        assert self.engine.held == sum(self.engine.backlog(one) for one in self.engine._streams.open)
        assert self.engine._streams.uploads == sum(s.upload is not None for s in self.engine._streams.open.values())

    def take(self, message: Message, reply: str) -> None:
        stream_id = message.stream_id
        self.known.add(stream_id)
        if not message.complete:
            message.streaming = reply in {"stream", "late"}
            self.engine.send_continue(stream_id)
            return
        self.engine.consumed(stream_id, 100)
        if reply == "late":
            self.late.append(stream_id)
        elif reply in {"response", "large", "close"}:
            self.answer(stream_id, b"ok" if reply != "large" else b"x" * 100_000)
        elif reply == "refuse":
            self.engine.refuse(Refusal(stream_id, 429, "no"))
        else:
            self.stream(stream_id, reply)

    def answer(self, stream_id: int, body: bytes) -> None:
        stream = self.engine._streams.open.get(stream_id)
        if stream is not None and stream.reply is None:
            self.engine.send_response(stream_id, 200, [(b"content-type", b"text/plain")], body)

    def stream(self, stream_id: int, reply: str) -> None:
        self.engine.send_headers(stream_id, 200, [], None)
        self.engine.send_chunk(stream_id, b"one")
        if reply == "abort":
            self.engine.abort(stream_id)
        else:
            self.engine.end_stream(stream_id, [(b"x", b"y")] if reply == "trailers" else ())


@given(
    st.lists(st.tuples(st.one_of(SANE, SANE, RAW), REPLIES), max_size=30),
    st.integers(1, 200),
    st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_any_sequence_of_frames(sequence: list[tuple[bytes, str]], cut: int, greets: bool) -> None:
    engine = Http2Engine(Limits(), Http2Settings(), lambda: 0.0)
    connection = Connection(engine)
    if greets:
        connection.receive(PREFACE + h2frames.settings(), "response")
    for wire, reply in sequence:
        for start in range(0, len(wire), cut * 50):
            connection.receive(wire[start : start + cut * 50], reply)
    for stream_id in connection.late:
        connection.answer(stream_id, b"late")
    connection.sent += engine.data_to_send()
    check_sent(connection.sent)
    if engine.state.should_close:
        engine.receive_eof()


def check_sent(wire: bytes) -> None:
    """A client with no mercy: what the server says is in order."""
    reader = Client(greet=False)
    over: set[int] = set()
    for one in parse(wire):
        reader._note(one)
        if one.kind in {h2frames.DATA, h2frames.HEADERS}:
            assert one.stream_id not in over
        if one.kind == h2frames.RST_STREAM:
            over.add(one.stream_id)


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_bytes(wire: bytes, greets: bool) -> None:
    connection = Connection(Http2Engine(Limits(), Http2Settings(), lambda: 0.0))
    connection.receive((PREFACE if greets else b"") + wire, "response")


HEADER_LISTS = st.lists(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from([b"x", b"cookie", b":path", b"accept"]), st.binary(min_size=1, max_size=5)),
            st.one_of(st.sampled_from([b"", b"1", b"y" * 1500]), st.binary(max_size=200)),
        ),
        max_size=6,
    ),
    max_size=8,
)


@given(HEADER_LISTS, st.booleans(), st.lists(st.sampled_from([0, 50, 1000, 4096]), max_size=8))
@settings(max_examples=200, deadline=None)
def test_our_decoder_reads_what_hpack_writes(lists: list[h2frames.Fields], huffman: bool, sizes: list[int]) -> None:
    encoder, decoder = Encoder(), HeaderDecoder(2**20)
    for number, fields in enumerate(lists):
        if number < len(sizes):
            encoder.header_table_size = sizes[number]
        assert decoder.decode(encoder.encode(fields, huffman=huffman)) == fields


@given(st.lists(st.binary(max_size=40), max_size=5))
@settings(max_examples=500, deadline=None)
def test_our_decoder_agrees_with_hpack_on_junk(blocks: list[bytes]) -> None:
    theirs, ours = Decoder(2**20), HeaderDecoder(2**20)
    for junk in blocks:
        try:
            expected = [(bytes(n), bytes(v)) for n, v in theirs.decode(junk, raw=True)]
        except HPACKError:
            expected = None
        try:
            got = ours.decode(junk)
        except ConnectionFault:
            got = None
        assert got == expected
        if got is None:
            return


CLEAN = st.lists(
    st.tuples(
        st.sampled_from([b"content-type", b"x-a", b"etag", b"set-cookie", b"date", b"cache-control"]),
        st.one_of(st.sampled_from([b"text/plain", b"1", b"y" * 1500, b"no-cache"]), st.binary(max_size=0)),
    ),
    max_size=4,
)


@given(
    st.lists(st.tuples(st.sampled_from([200, 404, 418]), CLEAN, st.sampled_from([-1, -1, 0, 100, 4096])), max_size=20),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_hpack_reads_what_our_encoder_writes(replies: list[tuple[int, h2frames.Fields, int]], huffman: bool) -> None:
    encoder, decoder = HeaderEncoder(huffman), Decoder(2**20)
    for status, fields, resize in replies:
        if resize >= 0:
            encoder.resize(resize)
            decoder.max_allowed_table_size = resize
        head = encoder.head(status, tuple(fields))
        wire = head.block + encoder.content_length(status)
        expected = [(b":status", b"%d" % status), *fields, (b"content-length", b"%d" % status)]
        assert [(bytes(n), bytes(v)) for n, v in decoder.decode(wire, raw=True)] == expected
