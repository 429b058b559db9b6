"""Python calls per request, counted with sys.setprofile: ``python -m tests.benchmarks.profile``.

No clock is involved, so the numbers are the same on every machine, idle or busy. The server runs in this
process; the client is a plain socket in another thread, which the profile does not see.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import PurePath
from types import FrameType

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest

from .load import read_reply
from .work import BROWSER

PACKAGE = "qhttpserver_py"
WARM_UP = 20
LIMIT = 60_000  # milliseconds


def hello(_request: QHttpServerRequest) -> str:
    return "Hello, world!"


numbers = itertools.count()


def fresh(_request: QHttpServerRequest) -> str:
    """Text that was never said before."""
    return f"Hello, {next(numbers)}!"


def fresh_json(_request: QHttpServerRequest) -> str:
    return json.dumps({"n": next(numbers), "rows": [1, 2.5, None, "text"]})


def item(number: int) -> str:
    return f"item {number}"


def echo(request: QHttpServerRequest) -> bytes:
    return request.body().data()


def request(method: str, target: str, *lines: str, body: bytes = b"") -> bytes:
    head = [f"{method} {target} HTTP/1.1", "Host: localhost", *lines]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


REQUESTS = {
    "hello": request("GET", "/hello"),
    "headers": request("GET", "/hello", *BROWSER),
    "varied": request("GET", "/hello?n=%d", *BROWSER),
    "fresh": request("GET", "/fresh?n=%d", *BROWSER, "X-Token: %d"),
    "fresh-json": request("GET", "/fresh-json?n=%d", *BROWSER, "X-Token: %d"),
    "typed": request("GET", "/item/12345"),
    "echo": request("POST", "/echo", body=b"x" * 1024),
    "missing": request("GET", "/nothing"),
}


class Counts:
    """Calls seen: Python functions and built-in ones, by where they are defined."""

    def __init__(self) -> None:
        self.python: Counter[str] = Counter()
        self.native: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        if event == "call":
            code = frame.f_code
            file = PurePath(code.co_filename).name
            self.python[f"{file}:{code.co_firstlineno} {code.co_qualname}"] += 1
        elif event == "c_call":
            owner = getattr(arg, "__self__", None)
            kind = type(owner).__name__ if owner is not None else getattr(arg, "__module__", "")
            self.native[f"{kind}.{getattr(arg, '__name__', arg)}"] += 1


def make_server() -> tuple[QHttpServer, int]:
    server = QHttpServer()
    handlers = {
        "/hello": hello,
        "/fresh": fresh,
        "/fresh-json": fresh_json,
        "/item/<arg>": item,
        "/echo": echo,
    }
    for path, handler in handlers.items():
        assert server.route(path, handler)
    listener = QTcpServer()
    assert listener.listen(QHostAddress("127.0.0.1"), 0)
    assert server.bind(listener)
    return server, server.serverPorts()[0]


def in_thread(work: Callable[[], None]) -> None:
    """Run *work* in a thread while this thread runs the Qt loop, until it is done."""
    loop = QEventLoop()
    done = threading.Event()

    def body() -> None:
        try:
            work()
        finally:
            done.set()

    poll = QTimer()
    poll.timeout.connect(lambda: loop.quit() if done.is_set() else None)
    poll.start(50)
    QTimer.singleShot(LIMIT, loop.quit)
    thread = threading.Thread(target=body)
    thread.start()
    loop.exec()
    thread.join()


def count(data: bytes, requests: int) -> Counts:
    """Calls made by the server's thread while *requests* copies of *data* were answered in turn."""
    _server, port = make_server()
    counts = Counts()
    with socket.create_connection(("127.0.0.1", port), 30) as peer:

        def ask(first: int, times: int) -> None:
            for number in range(first, first + times):
                peer.sendall(data.replace(b"%d", b"%d" % number))
                read_reply(peer)

        in_thread(lambda: ask(0, WARM_UP))
        gc.collect()  # objects that other tests left are not to be destroyed while this counts
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        sys.setprofile(counts)
        try:
            in_thread(lambda: ask(WARM_UP, requests))
        finally:
            sys.setprofile(None)
    return counts


def show(name: str, counts: Counts, requests: int) -> None:
    for title, counter in (("Python", counts.python), ("built-in", counts.native)):
        # What happens once, not once per request, is the loop's own.
        frequent = {what: number / requests for what, number in counter.items() if number >= requests * 0.5}
        print(f"{name}: {sum(frequent.values()):.1f} {title} calls per request")
        for what, number in sorted(frequent.items(), key=lambda pair: -pair[1]):
            print(f"    {number:5.2f}  {what}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profile", description=__doc__)
    parser.add_argument("--only", choices=sorted(REQUESTS), action="append")
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    application = QCoreApplication.instance() or QCoreApplication([])
    for name in options.only or REQUESTS:
        show(name, count(REQUESTS[name], options.requests), options.requests)
    del application


if __name__ == "__main__":
    main()
