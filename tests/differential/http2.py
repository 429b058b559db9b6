"""The comparison over HTTP/2: requests by an independent client (h2), answers as decoded fields and body."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from .exchange import OWN_DATE, Address, connect, secure

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Stream:
    """One request on a stream of its own."""

    label: str
    path: str
    method: str = "GET"
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    profile: str = "h2"

    def head(self) -> list[tuple[str, str]]:
        pseudo = [(":method", self.method), (":scheme", "https"), (":authority", "localhost:80"), (":path", self.path)]
        return [*pseudo, *self.fields]


@dataclass(frozen=True)
class Answer:
    """The decoded answer; ``reset`` is the error code of a reset stream."""

    fields: Fields
    body: bytes
    reset: int | None = None

    def compared(self) -> Answer:
        """Without what differs in every answer: the date, and the type of an empty one."""
        typed = [f for f in self.fields if f != (b"content-type", b"application/x-empty")]
        kept = tuple(f for f in typed if f[0] != b"date" or f[1].startswith(OWN_DATE))
        return Answer(kept, self.body, self.reset)

    def summary(self) -> str:
        """As differences.md states it."""
        status = dict(self.fields).get(b":status", b"").decode()
        return f"{status} {len(self.body)} octets" if self.reset is None else f"{status} reset {self.reset}".strip()


@dataclass
class Gathered:
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    reset: int | None = None


class Client:
    """One connection; requests one after another, each on the next stream."""

    def __init__(self, address: Address) -> None:
        self.peer = secure(connect(address, "127.0.0.1"), "h2")
        configuration = h2.config.H2Configuration(
            client_side=True, header_encoding=None, validate_inbound_headers=False
        )
        self.connection = h2.connection.H2Connection(configuration)
        self.connection.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.peer.sendall(self.connection.data_to_send())

    def ask(self, stream: Stream) -> Answer:
        number = self.connection.get_next_available_stream_id()
        self.connection.send_headers(number, stream.head(), end_stream=stream.body is None)
        if stream.body is not None:
            self.connection.send_data(number, stream.body, end_stream=True)
        self.flush()
        gathered = Gathered()
        while not self._receive(number, gathered):
            self.flush()
        self.flush()
        return Answer(tuple(gathered.fields), bytes(gathered.body), gathered.reset)

    def _receive(self, number: int, gathered: Gathered) -> bool:
        data = self.peer.recv(1 << 16)
        assert data, "the server closed the connection"
        ended = False
        for event in self.connection.receive_data(data):
            if getattr(event, "stream_id", None) != number:
                continue
            if isinstance(event, h2.events.ResponseReceived):
                gathered.fields = [(bytes(name), bytes(value)) for name, value in event.headers]
            elif isinstance(event, h2.events.DataReceived):
                gathered.body += event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length, number)
            elif isinstance(event, h2.events.StreamReset):
                gathered.reset = int(event.error_code)
                ended = True
            ended = ended or isinstance(event, h2.events.StreamEnded)
        return ended


def play_streams(streams: Iterable[Stream], addresses: dict[str, Address]) -> dict[str, Answer]:
    """Answers by label; a connection for each, so that a broken one spoils nothing else."""
    answers = {}
    for stream in streams:
        client = Client(addresses[stream.profile])
        with client.peer:
            answers[stream.label] = client.ask(stream)
    return answers


GETS = [
    "result/text",
    "result/empty",
    "result/utf8",
    "result/html",
    "result/json-text",
    "result/long",
    "swap/dict",
    "swap/png",
    "swap/mime-empty",
    "swap/created",
    "status/404",
    "status/418",
    "status/500",
    "file/style.css",
    "file/no-such-file",
    "after/duplicate",
    "after/two",
    "after/remove-type",
    "after/date",
    "plain",
    "nothing",
    "echo/method",
    "echo/url",
    "echo/query?a=1&b=2",
    "route-not/there",
]

STREAMS: list[Stream] = [
    *(Stream(f"h2/{path}", f"/{path}") for path in GETS),
    Stream("h2/headers", "/echo/headers", fields=(("x-a", "1"), ("cookie", "a=1"), ("x-a", "2"))),
    Stream("h2/body", "/echo/body", "POST", body=b"abc"),
    Stream("h2/body-empty", "/echo/body", "POST", body=b""),
    Stream("h2/body-with-length", "/echo/body", "PUT", (("content-length", "3"),), b"abc"),
    Stream("h2/options", "/echo/method", "OPTIONS"),
    Stream("h2/delete", "/echo/method", "DELETE"),
    Stream("h2/value-joined", "/echo/value?name=x-a", fields=(("x-a", "1"), ("x-a", "2"))),
    Stream("h2/address", "/echo/address"),
    Stream("h2/marked", "/result/text", fields=(("x-mark", "1"),)),
    Stream("h2/raise", "/raise"),
    Stream("h2/unknown-method", "/plain", "FOO"),
    Stream("h2/status-204", "/status/204"),
    Stream("h2/own-connection", "/after/connection-close"),
    Stream("h2/own-transfer-encoding", "/after/transfer-encoding"),
    Stream("h2/url-over", "/plain?" + "x" * 40, profile="h2-small"),
    Stream("h2/field-over", "/plain", fields=(("x-a", "v" * 60),), profile="h2-small"),
    Stream("h2/body-over", "/echo/body", "POST", body=b"x" * 20, profile="h2-small"),
]
