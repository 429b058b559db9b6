"""Plays a case against a server over a raw socket and records what comes back."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from .cases import ANSWER, SENTINEL, Case

PATIENCE = 2.5  # seconds a silent server is waited for; only the wheel's hangs cost that much
AT_ONCE = 24

OWN_DATE = rb"Sun, 06 Nov 1994"  # one that a handler set: no date of the server's
DATE = re.compile(rb"\r\ndate: (?!" + OWN_DATE + rb")[^\r]+(?=\r\n)")
NO_TYPE = re.compile(rb"\r\ncontent-type: application/x-empty(?=\r\n)")
STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d) [^\r\n]*\r\n")

Address = tuple[str, int] | str
"""Host and port, or the name of a local socket."""


@dataclass(frozen=True)
class Outcome:
    """All octets received on the connection, and whether the server ended it."""

    data: bytes
    closed: bool

    def compared(self) -> Outcome:
        """Without what differs in every answer: the date, and the type of an empty one."""
        return Outcome(NO_TYPE.sub(b"", DATE.sub(b"", self.data)), self.closed)

    def summary(self) -> str:
        """Statuses in order and the end of the connection: what differences.md states."""
        words = [code.decode() for code in STATUS.findall(self.data)]
        return " ".join([*words, "closed" if self.closed else "open"])


def secure(peer: socket.socket, protocol: str) -> ssl.SSLSocket:
    """TLS without asking who it is: the server is ours and made for the session."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(peer)


def connect(address: Address, source: str) -> socket.socket:
    if isinstance(address, str):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(PATIENCE)
        peer.connect(address)
        return peer
    return socket.create_connection(address, PATIENCE, (source, 0))


class Player:
    """One connection being played; a reset counts as a close."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.data = bytearray()
        self.closed = False

    def send(self, data: bytes) -> None:
        try:
            self.peer.sendall(data)
        except OSError:
            self.closed = True

    def receive(self) -> bool:
        """Wait for octets; false when there are none to come."""
        if self.closed:
            return False
        try:
            data = self.peer.recv(1 << 20)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        self.data += data
        self.closed = not data
        return bool(data)

    def outcome(self) -> Outcome:
        while self.receive():
            pass
        return Outcome(bytes(self.data), self.closed)


def play(address: Address, case: Case) -> Outcome:
    with ExitStack() as stack:
        for _ in range(case.held):
            stack.enter_context(connect(address, case.source))
        peer = connect(address, case.source)
        player = Player(stack.enter_context(secure(peer, "http/1.1") if case.profile == "tls" else peer))
        for step in case.steps:
            if isinstance(step, bytes):
                player.send(step)
            elif step == ANSWER:
                player.receive()
            else:
                time.sleep(step)
        if case.follow and player.receive():
            player.send(SENTINEL)
        return player.outcome()


def play_all(cases: Iterable[Case], addresses: dict[str, Address]) -> dict[str, Outcome]:
    """Outcomes by label; profiles that a missing setting makes meaningless are not in *addresses*."""
    cases = [case for case in cases if case.profile in addresses]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = pool.map(lambda case: play(addresses[case.profile], case), cases)
        return dict(zip((case.label for case in cases), outcomes, strict=True))
