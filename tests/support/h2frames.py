"""A client made of raw frames: it says what no well-behaved library lets one say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from h2.errors import ErrorCodes
from hpack import Decoder, Encoder

from qhttpserver_py._protocol.engine import Event, Limits, Message, Refusal
from qhttpserver_py._protocol.http2.engine import Http2Engine
from qhttpserver_py._protocol.http2.settings import Http2Settings

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
OPEN = END_HEADERS
"""A head without END_STREAM: a body follows."""
PADDED = 0x8
PRIORITIZED = 0x20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)
WIDEST = 2**31 - 1
BIG = WIDEST - 65535
"""The credit that makes the initial window of a connection the widest there is."""

NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED = list(ErrorCodes)[:8]
COMPRESSION = ErrorCodes.COMPRESSION_ERROR

Fields = list[tuple[bytes, bytes]]
GET: Fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/"), (b":authority", b"host")]
POST: Fields = [(b":method", b"POST"), *GET[1:]]
TEXT = ((b"content-type", b"text/plain"),)


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


def block(fields: Fields) -> bytes:
    """A header block that leaves the dynamic table alone."""
    out = bytearray()
    for name, value in fields:
        out += b"\x00" + string(name) + string(value)
    return bytes(out)


def string(text: bytes) -> bytes:
    size = len(text)
    if size < 127:
        return bytes((size,)) + text
    out = bytearray((127,))
    size -= 127
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out) + text


BLOCK = block(GET)


def headers(stream_id: int, fields: Fields = GET, flags: int = END_STREAM | END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream_id, block(fields))


def data(stream_id: int, payload: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, stream_id, payload)


def settings(*pairs: tuple[int, int], flags: int = 0) -> bytes:
    return frame(SETTINGS, flags, 0, b"".join(k.to_bytes(2, "big") + v.to_bytes(4, "big") for k, v in pairs))


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))


def rst_stream(stream_id: int, code: int = 8) -> bytes:
    return frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))


def ping(payload: bytes = b"12345678", flags: int = 0) -> bytes:
    return frame(PING, flags, 0, payload)


def priority(stream_id: int, depends_on: int = 0, weight: int = 15) -> bytes:
    return frame(PRIORITY, 0, stream_id, depends_on.to_bytes(4, "big") + bytes((weight,)))


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[4:8] if self.kind == GOAWAY else self.payload[:4], "big")

    @property
    def ends(self) -> bool:
        return bool(self.flags & END_STREAM)


def parse(wire: bytes) -> list[Frame]:
    """Cut what a server sent into frames; nothing may be left over."""
    frames = []
    while wire:
        size = int.from_bytes(wire[:3], "big")
        stream_id = int.from_bytes(wire[5:9], "big")
        assert len(wire) >= 9 + size
        frames.append(Frame(wire[3], wire[4], stream_id, wire[9 : 9 + size]))
        wire = wire[9 + size :]
    return frames


class Answer:
    """What arrived on one stream."""

    def __init__(self) -> None:
        self.heads: list[Fields] = []
        self.body = b""
        self.ended = False
        self.reset: int | None = None

    @property
    def status(self) -> int:
        return int(dict(self.heads[0])[b":status"])

    @property
    def fields(self) -> Fields:
        return [field for field in self.heads[0] if field[0] not in {b":status", b"date"}]


class Client:
    """An engine and its raw peer, past the exchange of prefaces unless told otherwise."""

    def __init__(
        self,
        limits: Limits | None = None,
        settings_: Http2Settings | None = None,
        clock: Callable[[], float] = lambda: 0.0,
        greet: bool = True,
    ) -> None:
        self.engine = Http2Engine(limits or Limits(), settings_ or Http2Settings(), clock)
        self.answers: dict[int, Answer] = {}
        self.events: list[Event] = []
        self.encoder = Encoder()
        self.decoder = Decoder()
        self._block = b""
        if greet:
            self.send(PREFACE + settings(), settings(flags=ACK))
            self.frames()

    def send(self, *frames: bytes) -> list[Event]:
        """Hand frames to the engine in one read; return the events."""
        events = self.engine.receive_data(b"".join(frames))
        self.events += events
        return events

    def get(self, stream_id: int, fields: Fields = GET) -> Message:
        (message,) = self.send(headers(stream_id, fields))
        assert isinstance(message, Message)
        return message

    def serve(self, stream_id: int, fields: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Ask, and have the engine answer with 200."""
        self.get(stream_id)
        self.engine.send_response(stream_id, 200, fields, body)

    def frames(self) -> list[Frame]:
        """Read what the engine sends, and note it under ``answers``."""
        frames = parse(bytes(self.engine.data_to_send()))
        for one in frames:
            self._note(one)
        return frames

    def _note(self, one: Frame) -> None:
        answer = self.answers.setdefault(one.stream_id, Answer()) if one.stream_id else Answer()
        if one.kind in {HEADERS, CONTINUATION}:
            self._block += one.payload
            if one.flags & END_HEADERS:
                answer.heads.append([(bytes(n), bytes(v)) for n, v in self.decoder.decode(self._block, raw=True)])
                self._block = b""
        if one.kind == DATA:
            assert answer.heads
            answer.body += one.payload
        if one.kind in {HEADERS, DATA} and one.ends:
            assert not answer.ended
            answer.ended = True
        if one.kind == RST_STREAM:
            answer.reset = one.code


def limits(**values: int) -> Limits:
    """Limits of which some are set."""
    result = Limits()
    for name, value in values.items():
        setattr(result, name, value)
    return result


def wide(client: Client) -> None:
    """Open the client's windows as far as they go."""
    client.send(settings((INITIAL_WINDOW_SIZE, WIDEST)), window_update(0, BIG))


def ended_by(client: Client, code: ErrorCodes) -> bool:
    """Whether the connection ended with GOAWAY *code*, and nothing after it is listened to."""
    last = client.frames()[-1]
    assert client.engine.state.should_close
    assert client.engine.state.linger
    assert client.engine.receive_data(headers(1001)) == []
    assert client.engine.data_to_send() == b""
    return last.kind == GOAWAY and last.code == code


def alive(client: Client) -> bool:
    """Whether the connection still answers PING."""
    client.send(ping(b"alive???"))
    return Frame(PING, ACK, 0, b"alive???") in client.frames() and not client.engine.state.should_close


def connection_error(code: ErrorCodes, *frames: bytes, client: Client | None = None) -> None:
    client = client or Client()
    events = client.send(*frames)
    assert [type(event) for event in events][-1] is Refusal
    assert not any(isinstance(event, Message) for event in events)
    assert ended_by(client, code)


def stream_error(code: ErrorCodes, *frames: bytes, client: Client | None = None, stream_id: int = 1) -> None:
    client = client or Client()
    events = client.send(*frames)
    assert [(type(event), event.stream_id) for event in events][-1] == (Refusal, stream_id)
    assert not any(isinstance(event, Message) and event.stream_id == stream_id for event in events)
    resets = [one for one in client.frames() if one.kind == RST_STREAM]
    assert [(one.stream_id, one.code) for one in resets] == [(stream_id, code)]
    assert alive(client)
    assert client.get(1001)


def requested(stream_id: int = 1) -> Client:
    """A client whose request waits for its reply: half-closed (remote)."""
    client = Client()
    client.get(stream_id)
    return client


def closed(stream_id: int = 1) -> Client:
    """A client whose exchange is over."""
    client = requested(stream_id)
    client.engine.send_response(stream_id, 200, (), b"")
    client.frames()
    return client


def uploading(fields: Fields = POST) -> Client:
    client = Client()
    client.send(headers(1, fields, END_HEADERS))
    return client
