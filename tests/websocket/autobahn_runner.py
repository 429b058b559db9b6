"""Runs one of Autobahn's cases against an echo on a route, and says whether it was right."""

from __future__ import annotations

import zlib

from PySide6.QtCore import QCoreApplication

from qhttpserver_py import QHttpServer
from qhttpserver_py.websocket import WebSocket

from ..support.rawclient import bound, spin
from ..support.wsclient import CLOSE, frame
from ..support.wsraw import WsClient
from .autobahn import Case


class EchoServer:
    """An echo with and without compression."""

    def __enter__(self) -> EchoServer:
        self.server = QHttpServer()

        @self.server.websocket("/ws")
        async def echo(socket: WebSocket) -> None:
            async for message in socket:
                await socket.send(message)

        self.port = bound(self.server)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()
        spin(lambda: False, 0.02)


class Frames:
    """Cuts frames of the server's as they come, and inflates them."""

    def __init__(self, agreed: str) -> None:
        self.rest = bytearray()
        self.found: list[tuple[int, bytes]] = []
        self._fresh = "server_no_context_takeover" in agreed
        self._inflate = zlib.decompressobj(wbits=-15)

    def feed(self, data: bytes) -> None:
        self.rest += data
        at = 0
        while len(self.rest) - at >= 2:
            size, begin = self.rest[at + 1], at + 2
            if size > 125:
                length = 2 if size == 126 else 8
                size, begin = int.from_bytes(self.rest[begin : begin + length], "big"), begin + length
            if len(self.rest) < begin + size or begin > len(self.rest):
                break
            self._add(self.rest[at], bytes(self.rest[begin : begin + size]))
            at = begin + size
        del self.rest[:at]

    def _add(self, first: int, payload: bytes) -> None:
        if first & 0x40:
            if self._fresh:
                self._inflate = zlib.decompressobj(wbits=-15)
            payload = self._inflate.decompress(payload + b"\0\0\xff\xff")
        self.found.append((first & 15, payload))

    def closes(self) -> int | None:
        codes = [
            int.from_bytes(payload[:2], "big") if payload else 1005 for first, payload in self.found if first == CLOSE
        ]
        return codes[0] if codes else None


def verdict(server: EchoServer, case: Case) -> str:
    """Return OK, NON-STRICT, or what was wrong."""
    client = WsClient(server.port, "/ws", Sec_WebSocket_Extensions=case.offer or None)
    agreed = {name.lower(): value for name, value in client.answer.fields}.get("sec-websocket-extensions", "")
    if bool(case.offer) != bool(agreed):
        return f"FAILED: {agreed!r} was agreed on"
    frames = Frames(agreed)

    def take() -> None:
        data, client.received = client.received, b""
        frames.feed(data)

    wire = b"".join(case.sent)
    for at in range(0, len(wire), case.chop or len(wire)):
        client.send(wire[at : at + (case.chop or len(wire))])
        if case.chop:
            QCoreApplication.processEvents()
    seconds = 60
    if not case.closes:
        spin(lambda: take() or len(frames.found) >= len(case.answers) or client.closed, seconds)
        client.send(frame(CLOSE, b"\x03\xe8"))
    ended = spin(lambda: take() or client.closed, seconds)
    take()
    client.close()
    answers = [entry for entry in frames.found if entry[0] != CLOSE]
    if not ended:
        return "FAILED: the connection stays"
    if frames.closes() not in (case.closes or {1000}):
        return f"FAILED: closed with {frames.closes()}"
    if answers == case.answers:
        return "NON-STRICT" if case.name in ("6.4.3", "6.4.4") else "OK"
    if case.lenient and answers == case.answers[: len(answers)]:
        return "NON-STRICT"
    return f"FAILED: {len(answers)} answers, {[entry[1][:20] for entry in answers[:3]]}"
