"""Sends a probe, reads what comes back, and judges it."""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

from .table import Probe

_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})[ \r]")
RANKS = ("PASS", "WARN", "FAIL")


class Answer(NamedTuple):
    """What a server did with a probe."""

    status: int  # 0: nothing came
    answers: int  # final ones
    closed: bool

    def __str__(self) -> str:
        several = f" x{self.answers}" if self.answers > 1 else ""
        return f"{self.status or 'none'}{several}{' closed' if self.closed else ''}"


def ask(port: int, request: bytes, patience: float) -> Answer:
    """Return what the server on *port* answers; it has *patience* seconds after its last byte."""
    received, closed = b"", False
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            connection.sendall(request)
        except (ConnectionError, TimeoutError):
            closed = True  # refused before all was sent; what it said may still be read
        connection.settimeout(patience)
        try:
            while data := connection.recv(65536):
                received += data
            closed = True
        except TimeoutError:
            pass
        except ConnectionError:
            closed = True
    final = [int(code) for code in _STATUS.findall(received) if not code.startswith(b"1")]
    return Answer(final[0] if final else 0, len(final), closed)


def judge(probe: Probe, answer: Answer) -> str:
    """Return PASS, WARN or FAIL."""
    if answer.answers > probe.answers:
        return "FAIL"
    if not answer.status:
        return "PASS" if (probe.closing and answer.closed) or (probe.waiting and not answer.closed) else "FAIL"
    if probe.closes and not answer.closed:
        return "FAIL"
    if answer.status in probe.passes:
        return "PASS"
    if answer.status in probe.warns:
        return "WARN" if answer.closed or not probe.warns_closing else "FAIL"
    return "FAIL"
