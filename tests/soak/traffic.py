"""What clients do to the server: each scenario counts its requests and says what it did not expect."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Awaitable, Callable

import h2.config
import h2.connection
import h2.events
import h2.settings

CRLF = b"\r\n"
CLOSED = (ConnectionError, asyncio.IncompleteReadError, BrokenPipeError)


class Unexpected(Exception):
    """An answer that no fault of ours explains."""


class Peer:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None) -> Peer:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    async def reply(self, expected: int | tuple[int, ...] = 200) -> bytes:
        head = await self.reader.readuntil(CRLF * 2)
        status = int(head[9:12])
        fields = dict(line.split(b": ", 1) for line in head.split(CRLF)[1:] if line)
        if fields.get(b"transfer-encoding") == b"chunked":
            body = await self._chunks()
        else:
            body = await self.reader.readexactly(int(fields.get(b"content-length", b"0")))
        if status not in (expected if isinstance(expected, tuple) else (expected,)):
            raise Unexpected(f"{status} instead of {expected}")
        return body

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(CRLF), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(CRLF)
        return body

    def reset(self) -> None:
        """Leave with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


def get(path: str) -> bytes:
    """A request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """A request with a body."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Traffic:
    """The scenarios, drawn at random from one seed."""

    def __init__(self, plain: int, secure: int, seed: int = 0) -> None:
        self.plain, self.secure = plain, secure
        self.random = random.Random(seed)
        self.requests: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.context2 = ssl.create_default_context()
        self.context2.check_hostname = False
        self.context2.verify_mode = ssl.CERT_NONE
        self.context2.set_alpn_protocols(["h2"])
        self.scenarios: list[Callable[[], Awaitable[int]]] = [
            self.kept_alive,
            self.pipelined,
            self.chunked,
            self.uploads,
            self.cut_anywhere,
            self.reset_while_answered,
            self.half_closed,
            self.malformed,
            self.over_tls,
            self.over_http2,
            self.closed_windows,
            self.full_disk,
            self.clock,
            self.websocket,
            self.spinning,
            self.broken,
            self.failed_handshakes,
        ]

    async def one(self) -> None:
        """Play one scenario."""
        scenario = self.random.choice(self.scenarios)
        name = getattr(scenario, "__name__", "")
        try:
            self.requests[name] += await asyncio.wait_for(scenario(), 30)
        except (*CLOSED, Unexpected, OSError, TimeoutError) as error:
            self.errors[f"{name}: {type(error).__name__} {error}"[:100]] += 1

    async def kept_alive(self) -> int:
        peer = await Peer.connect(self.plain)
        paths = [self.random.choice(("/", "/json/7", "/stream", "/later", "/kept", "/fails")) for _ in range(10)]
        for path in paths:
            peer.writer.write(get(path))
            await peer.reply((200, 500) if path == "/fails" else 200)
        peer.close()
        return len(paths)

    async def pipelined(self) -> int:
        peer = await Peer.connect(self.plain)
        paths = [self.random.choice(("/", "/json/7", "/later", "/kept")) for _ in range(30)]
        peer.writer.write(b"".join(map(get, paths)))
        for _ in paths:
            await peer.reply()
        peer.close()
        return len(paths)

    async def chunked(self) -> int:
        peer = await Peer.connect(self.plain)
        pieces = [bytes(self.random.randrange(1, 3000)) for _ in range(5)]
        peer.writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            peer.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(0)
        peer.writer.write(b"0\r\n\r\n")
        if await peer.reply() != b"".join(pieces):
            raise Unexpected("another body")
        peer.close()
        return 1

    async def uploads(self) -> int:
        peer = await Peer.connect(self.plain)
        size = self.random.randrange(500_000)
        peer.writer.write(post("/upload", bytes(size)))
        body = await peer.reply((200, 500))  # 500: the handler found no descriptor for its file, as injected
        if body and int(body) != size:
            raise Unexpected("another size")
        peer.close()
        return 1

    async def full_disk(self) -> int:
        peer = await Peer.connect(self.plain)
        peer.writer.write(post("/full", bytes(self.random.randrange(1, 100_000))))
        await peer.reply(500)
        peer.close()
        return 1

    async def cut_anywhere(self) -> int:
        """Reset at any byte of any request."""
        peer = await Peer.connect(self.plain)
        request = self.random.choice((get("/stream") * 3, post("/echo", bytes(5000)), post("/upload", bytes(50_000))))
        peer.writer.write(request[: self.random.randrange(len(request))])
        await asyncio.sleep(self.random.random() * 0.02)
        peer.reset() if self.random.random() < 0.7 else peer.close()
        return 1

    async def reset_while_answered(self) -> int:
        """Reset at any byte of any answer."""
        peer = await Peer.connect(self.plain)
        peer.writer.write(get(self.random.choice(("/stream", "/later", "/kept"))))
        try:
            await asyncio.wait_for(peer.reader.readexactly(self.random.randrange(1, 60_000)), 0.02)
        except (TimeoutError, *CLOSED):
            pass
        peer.reset()
        return 1

    async def half_closed(self) -> int:
        """Send no more, read on: to the end, or to any byte."""
        peer = await Peer.connect(self.plain)
        peer.writer.write(get("/large"))
        peer.writer.write_eof()
        count = self.random.choice((5_000_000, self.random.randrange(1, 4_000_000)))
        with contextlib.suppress(asyncio.IncompleteReadError):  # no second descriptor was left, as injected
            await peer.reader.readexactly(count)
        peer.close()
        return 1

    async def malformed(self) -> int:
        peer = await Peer.connect(self.plain)
        good = get("/")
        at = self.random.randrange(len(good) - 4)
        peer.writer.write(good[:at] + bytes((self.random.randrange(32),)) + good[at:])
        try:
            await asyncio.wait_for(peer.reply((200, 400, 404, 501, 505)), 5)
        finally:
            peer.close()
        return 1

    async def over_tls(self) -> int:
        peer = await Peer.connect(self.secure, self.context)
        for path in ("/", "/stream", "/later"):
            peer.writer.write(get(path))
            await peer.reply()
        peer.close()
        return 3

    async def over_http2(self) -> int:
        tls = self.random.random() < 0.5
        peer = await Peer.connect(self.secure if tls else self.plain, self.context2 if tls else None)
        client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        client.initiate_connection()
        client.increment_flow_control_window(10_000_000)
        streams: set[int] = set()
        for path in ("/", "/json/1", "/stream", "/later", "/kept", "/fails", "/"):
            stream = client.get_next_available_stream_id()
            fields = [(":method", "GET"), (":path", path), (":scheme", "https" if tls else "http"), (":authority", "x")]
            client.send_headers(stream, fields, end_stream=True)
            streams.add(stream)
        dropped = self.random.choice(tuple(streams))
        if self.random.random() < 0.3:
            client.reset_stream(dropped)
            streams.discard(dropped)
        peer.writer.write(client.data_to_send())
        while streams:
            data = await peer.reader.read(65536)
            if not data:
                raise Unexpected("HTTP/2 closed")
            for event in client.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                    streams.discard(event.stream_id)
            peer.writer.write(client.data_to_send())
        peer.close()
        return 7

    async def closed_windows(self) -> int:
        """Ask for much over HTTP/2, take nothing of it, and say other things; then take it, or leave."""
        peer = await Peer.connect(self.plain)
        client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        client.initiate_connection()
        client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        streams: set[int] = set()
        for number in range(self.random.randrange(1, 60)):
            stream = client.get_next_available_stream_id()
            small = self.random.choice(("/", "/", "/large", "/stream", "/stream", "/later"))
            path = small if number else "/big"  # one, that the clients have done in their time
            fields = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "x")]
            client.send_headers(stream, fields, end_stream=True)
            streams.add(stream)
        asked = len(streams)
        storm = b"".join(struct.pack(">HL", 4, number % 2) for number in range(2000)) + struct.pack(">HL", 4, 0)
        for _ in range(self.random.randrange(1, 8)):
            client.ping(b"12345678")
            settings = len(storm).to_bytes(3, "big") + b"\x04" + bytes(5) + storm
            peer.writer.write(client.data_to_send() + settings)
            await asyncio.sleep(0.5)
        if self.random.random() < 0.5:
            peer.reset()
            return asked
        client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10_000_000})
        client.increment_flow_control_window(2_000_000_000)
        peer.writer.write(client.data_to_send())
        while streams and (data := await peer.reader.read(65536)):
            for event in client.receive_data(data):
                if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                    streams.discard(event.stream_id)
                elif isinstance(event, h2.events.DataReceived):
                    client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            peer.writer.write(client.data_to_send())
        peer.close()
        return asked

    async def clock(self) -> int:
        peer = await Peer.connect(self.plain)
        peer.writer.write(get("/clock"))
        await peer.reply()
        peer.close()
        return 1

    async def spinning(self) -> int:
        """Handlers that spin event loops, one inside the other, beside one that does not."""
        peers = [await Peer.connect(self.plain) for _ in range(self.random.randrange(1, 6))]
        for peer in peers:
            peer.writer.write(get("/") + get("/spins") + get("/"))
        for peer in peers:
            for _ in range(3):
                await peer.reply()
            peer.close()
        return 3 * len(peers)

    async def broken(self) -> int:
        """A handler raises what is no Exception: the peer has 500, or sees that the reply was cut."""
        peer = await Peer.connect(self.plain)
        way, pieces = self.random.choice(("now", "later", "generator", "generated")), self.random.randrange(3)
        peer.writer.write(get(f"/breaks/{way}/{pieces}"))
        with contextlib.suppress(*CLOSED):
            await peer.reply(500)
        peer.close()
        return 1

    async def failed_handshakes(self) -> int:
        """Burst connections whose TLS handshakes fail, in several ways; the port serves the next one."""
        if not self.secure:
            return 0
        peers = [await Peer.connect(self.secure) for _ in range(40)]
        for peer in peers:
            peer.writer.write(self.random.choice((b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01")))
            peer.close() if self.random.random() < 0.5 else peer.reset()
        return len(peers) + await self.over_tls()

    async def websocket(self) -> int:
        try:
            from websockets.asyncio.client import connect
        except ImportError:
            return 0
        path = self.random.choice(("/", "/live"))
        async with connect(f"ws://127.0.0.1:{self.plain}{path}", proxy=None) as peer:
            for number in range(5):
                await peer.send(str(number))
                if await peer.recv() != str(number):
                    raise Unexpected("another message")
            if self.random.random() < 0.3:
                peer.transport.abort()
        return 5
