"""What every benchmarked application answers, and how it is told what to serve."""

from __future__ import annotations

import argparse
import itertools
import json
import socket
import ssl

HELLO = "Hello, world!"
KILOBYTES_100 = "abcdefghij" * 10_000
MEGABYTE = "abcdefghij" * 104_858
ROUTES = 55
MEASURED_ROUTE = 50
PLAIN = ("http", "ws", "ws-deflate")
"""Kinds without TLS."""


_numbers = itertools.count(1)


def fresh() -> str:
    """A line that was never said before."""
    return f"Hello, visitor {next(_numbers)}!"


def fresh_100k() -> str:
    """As many characters as KILOBYTES_100, new each time."""
    return f"{next(_numbers):010}" + KILOBYTES_100[10:]


def table() -> str:
    """JSON text of ten rows, new each time."""
    number = next(_numbers)
    rows = [{"id": number + row, "name": f"sensor {row}", "value": number / 7, "valid": True} for row in range(10)]
    return json.dumps(rows)


def reply_to_json(body: bytes) -> str:
    """The JSON work: take an object apart, answer with another."""
    asked = json.loads(body)
    return json.dumps({"name": asked["name"], "sum": sum(asked["values"]), "ok": True})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", default="ours", help="qt_app.py: ours or wheel")
    parser.add_argument("--kind", choices=(*PLAIN, "https", "h2"), default="http")
    parser.add_argument("--certificate", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--busy", type=float, default=0.0, help="gui_app.py: milliseconds of work per tick")
    return parser.parse_args()


def announce(port: int) -> None:
    """The one line the harness waits for."""
    print(port, flush=True)


def listening_socket() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    return listener


def tls_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.kind in PLAIN:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    context.set_alpn_protocols(["h2"] if options.kind == "h2" else ["http/1.1"])
    return context
