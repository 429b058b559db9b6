"""Handshakes of WebSockets: which are valid, what the client offers, and the reply that refuses one."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING

from qhttpserver_py._protocol.engine import Headers
from qhttpserver_py._protocol.wire import PHRASES, date_field
from qhttpserver_py._qt import log

if TYPE_CHECKING:
    from qhttpserver_py._exchange.channel import Channel
    from qhttpserver_py._protocol.engine import Message

MAXIMUM_PHRASE = 256
"""Longest reason phrase; a longer message of a refusal is in the body only."""


def stay_http(connection: Channel) -> None:
    """Go on with HTTP, because the upgrade is refused: the connection ends after one reply."""
    if not connection.engine.interleaves:
        connection.engine.resume()  # type: ignore[attr-defined]
        connection.hold_upgrade(False)


def handshake_fault(message: Message) -> tuple[int, str] | None:
    """Return status and reason where the request is no valid opening handshake (RFC 6455 4.2.1), else None."""
    # The engine has checked method, HTTP version, Host, Upgrade, Connection and that there is no body.
    if fields_named(message, b"sec-websocket-version") != [b"13"]:
        return 426, "only version 13 of the WebSocket protocol is supported"
    if message.protocol:  # RFC 8441 5: no key
        return None
    keys = [value for name, value in message.headers if name == b"sec-websocket-key"]
    if len(keys) != 1 or not _is_key(keys[0]):
        return 400, "Sec-WebSocket-Key is missing or is not the base64 of 16 bytes"
    return None


def offered_subprotocols(message: Message) -> list[str]:
    """Return the sub-protocols that the client offers, in its order of preference (RFC 6455 4.1)."""
    return [name.decode("latin-1") for name in fields_named(message, b"sec-websocket-protocol")]


def fields_named(message: Message, wanted: bytes) -> list[bytes]:
    """Return the elements of all fields of that name, which are one list (RFC 9110 5.6.1)."""
    values = [value for name, value in message.headers if name == wanted]
    return [element for part in b",".join(values).split(b",") if (element := part.strip(b" \t"))]


def _is_key(key: bytes) -> bool:
    try:
        return len(key) == 24 and len(b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def refusal_reply(status: int, text: bytes, fields: Headers = ()) -> bytes:
    """Return the whole reply that refuses an upgrade: *text* is the body and, where that is possible, the reason
    phrase.
    """
    printable = 0 < len(text) <= MAXIMUM_PHRASE and all(31 < octet < 127 for octet in text)
    phrase = text if printable else PHRASES.get(status, b"")
    options = b"close"
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, phrase), b"content-type: text/plain\r\n", date_field()]
    if status == 426:  # RFC 9110 15.5.22 and 7.8; RFC 6455 4.4
        options = b"upgrade, close"
        lines.append(b"upgrade: websocket\r\nsec-websocket-version: 13\r\n")
    lines += [b"%s: %s\r\n" % field for field in fields]
    lines.append(b"content-length: %d\r\nconnection: %s\r\n\r\n" % (len(text), options))
    lines.append(text)
    return b"".join(lines)


def log_refused(status: int, detail: str) -> None:
    """Log why an upgrade was refused."""
    log.info(log.HTTP1, f"WebSocket upgrade refused with {status}: {detail!r}")
