"""What a comparison case is, and the few helpers that write requests."""

from __future__ import annotations

from dataclasses import dataclass

HOST = "Host: localhost:80"
SENTINEL = b"GET /plain HTTP/1.1\r\nHost: localhost:80\r\nConnection: close\r\n\r\n"

Step = bytes | float
"""Octets to send at once, or seconds to wait; 0.0 waits for octets from the server instead."""

ANSWER = 0.0


@dataclass(frozen=True)
class Case:
    """One connection: what is sent on it. ``label`` names it in differences.md."""

    label: str
    steps: tuple[Step, ...]
    profile: str = "default"
    source: str = "127.0.0.1"
    follow: bool = True
    """Whether a plain closing request follows, to see that the connection is in step."""
    held: int = 0
    """How many connections the same client holds open meanwhile."""


def words(text: str) -> list[str]:
    return text.split()


def octets(text: str) -> bytes:
    return text.encode("latin-1")


def head(method: str, target: str, *lines: str, version: str = "HTTP/1.1", host: str | None = HOST) -> bytes:
    fields = ([host] if host is not None else []) + list(lines)
    return octets("".join(f"{line}\r\n" for line in (f"{method} {target} {version}", *fields)) + "\r\n")


def get(target: str, *lines: str, version: str = "HTTP/1.1", host: str | None = HOST) -> bytes:
    return head("GET", target, *lines, version=version, host=host)


def post(target: str, body: bytes, *lines: str, method: str = "POST") -> bytes:
    return head(method, target, *lines, f"Content-Length: {len(body)}") + body


def chunked(target: str, body: bytes, *lines: str) -> bytes:
    """*body* is sent as it is, behind a head that announces chunks."""
    return head("POST", target, *lines, "Transfer-Encoding: chunked") + body


def case(label: str, *steps: Step, **rest: object) -> Case:
    return Case(label, steps, **rest)  # type: ignore[arg-type]
