"""Frames of a WebSocket's client, beside what the package ``websockets`` makes of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from websockets.server import ServerProtocol

from qhttpserver_py._websocket.deflate import extension
from qhttpserver_py._websocket.protocol import WebSocketProtocol

from ..support.wsclient import BINARY, CLOSE, PING, PONG, TEXT, frame

HANDSHAKE = [
    (b"host", b"h"),
    (b"upgrade", b"websocket"),
    (b"connection", b"upgrade"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
]
DEFLATE = (b"sec-websocket-extensions", b"permessage-deflate")
LARGEST = 300
QUIET = logging.getLogger(__name__)
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False

SEEDS = [
    b"\0\0" + frame(TEXT, "aé".encode()) + frame(PING, b"p") + frame(CLOSE, b"\x03\xe8"),
    b"\1\0" + frame(TEXT, b"\xc3", fin=False) + frame(PONG) + frame(0, b"\xa9") + frame(BINARY, b"x" * 200),
    b"\3\0" + frame(BINARY, b"x" * 200, fin=False) * 2,
    b"\0\1" + frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", reserved=4) * 2,
    b"\5\1" + frame(TEXT, b"\xf2\x48", fin=False, reserved=4) + frame(0, b"\xcd\xc9\xc9\x07\x00") + frame(CLOSE),
    b"\2\0" + frame(3) + frame(TEXT, b"x", masked=False),
]


def pieces(octets: bytes, step: int) -> Iterator[bytes]:
    for start in range(0, len(octets), step or len(octets) or 1):
        yield octets[start : start + (step or len(octets))]


def opened(deflate: bool) -> WebSocketProtocol:
    protocol = WebSocketProtocol(LARGEST, compression=deflate)
    protocol.accept([*HANDSHAKE, DEFLATE] if deflate else HANDSHAKE, "")
    return protocol


def taken(protocol: WebSocketProtocol, parts: Iterator[bytes]) -> list[Any]:
    """Return the messages in *parts*; what is held and what is answered is bounded."""
    found: list[Any] = []
    for part in parts:
        protocol.feed(part)
        while True:
            message = protocol.next_message()
            if message is not None:
                found.append(message)
            elif not protocol.pongs:
                break
            protocol.pongs = []
        held = protocol._frames
        assert len(held._data) + sum(map(len, held._parts)) <= LARGEST + 14 + len(part)
        assert sum(map(len, protocol.take())) <= 2 * len(part) + 200
    return found


def websocket(octets: bytes) -> None:
    """Cutting changes nothing; messages are those of the package; a fault is the end."""
    if len(octets) < 2:
        return
    step, deflate, wire = octets[0], bool(octets[1] & 1), octets[2:]
    whole, cut = opened(deflate), opened(deflate)
    found = taken(whole, iter((wire,)))
    assert taken(cut, pieces(wire, step)) == found
    assert (cut.close_code, cut.fault, cut.ends) == (whole.close_code, whole.fault, whole.ends)
    assert whole.close_code in (1000, 1002, 1005, 1006, 1007, 1009) or whole.is_agreed
    assert all(len(message) <= LARGEST for message in found)
    expected = by_the_package(wire, deflate)
    if expected is None:
        return
    octets_of = [message.encode() if isinstance(message, str) else message for message in found]
    assert octets_of == expected[: len(found)]
    assert len(found) == len(expected) or whole.fault


def by_the_package(wire: bytes, deflate: bool) -> list[bytes] | None:
    """Return the messages that ServerProtocol finds.

    None where a block was the final one: it finds nothing in what is deflated behind that (RFC 7692 7.2.3.4).
    """
    protocol: Any = ServerProtocol(extensions=[extension()] if deflate else None, max_size=LARGEST, logger=QUIET)
    lines = [b"%b: %b" % field for field in ([*HANDSHAKE, DEFLATE] if deflate else HANDSHAKE)]
    protocol.receive_data(b"\r\n".join([b"GET / HTTP/1.1", *lines, b"", b""]))
    protocol.send_response(protocol.accept(protocol.events_received()[0]))
    protocol.receive_data(wire)
    messages: list[bytes] = []
    joined = b""
    for event in protocol.events_received():
        if event.opcode in (0, 1, 2):
            joined += bytes(event.data)
            if event.fin:
                messages.append(joined)
                joined = b""
    if protocol.extensions and protocol.extensions[0].decoder.eof:
        return None
    return messages
