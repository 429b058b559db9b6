"""The same application, requests and mistakes, here and under uvicorn: equal, or a row that says why not."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from qhttpserver_py import QHttpServer, asgi

from ..support.rawclient import RawClient, bound, wait_until

pytest.importorskip("uvicorn")

from ..support.uvicorn_server import uvicorn_serving

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


def start(status: Any = 200, *headers: Any, **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: Any = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


FIVE = (b"content-length", b"5")
CHUNKED = (b"transfer-encoding", b"chunked")

# What an application sends at its name as path. Then, of ours: what send() raises, the status, the body; None where
# the response is cut. Of uvicorn the same, only where it differs.
GOOD: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "plain": ([start(), body(b"x")], (None, 200, b"x")),
    "no-body-key": ([start(), {"type": "http.response.body"}], (None, 200, b"")),
    "pieces": ([start(), body(b"ab", True), body(b"", True), body(b"c")], (None, 200, b"abc")),
    "upper-case-names": ([start(200, (b"X-A", b"b")), body(b"x")], (None, 200, b"x")),
    "chunked-said": ([start(200, CHUNKED), body(b"x")], (None, 200, b"x")),
    "closing": ([start(200, (b"connection", b"close")), body(b"x")], (None, 200, b"x")),
    "length": ([start(200, FIVE), body(b"abcde")], (None, 200, b"abcde")),
    "length-in-pieces": ([start(200, FIVE), body(b"abc", True), body(b"de")], (None, 200, b"abcde")),
    "204": ([start(204), body()], (None, 204, b"")),
    "own-date": ([start(200, (b"date", b"now"), (b"server", b"me")), body(b"x")], (None, 200, b"x")),
}
MISUSE: dict[str, tuple[list[dict[str, Any]], Any, Any]] = {
    # A head waits for the first piece here, so that what is wrong before it is a 500.
    "two-starts": ([start(), start()], (RuntimeError, 500, b""), (RuntimeError, 200, None)),
    "body-first": ([body(b"x")], (RuntimeError, 500, b""), (RuntimeError, 500, b"Internal Server Error")),
    "body-after": ([start(), body(b"x"), body(b"y")], (RuntimeError, 200, b"x"), None),
    "start-after": ([start(), body(b"x"), start()], (RuntimeError, 200, b"x"), None),
    "start-inside": ([start(), body(b"x", True), start()], (RuntimeError, 200, None), None),
    "str-name": ([start(200, ("x-a", b"b")), body()], (TypeError, 500, b""), (TypeError, None, None)),
    "str-value": ([start(200, (b"x-a", "b")), body()], (TypeError, 500, b""), (TypeError, None, None)),
    "too-short": ([start(200, FIVE), body(b"abc")], (RuntimeError, 500, b""), (RuntimeError, 200, None)),
    "too-long": ([start(200, FIVE), body(b"abcdef")], (RuntimeError, 500, b""), (RuntimeError, 200, None)),
    "too-short-in-pieces": ([start(200, FIVE), body(b"ab", True), body(b"c")], (RuntimeError, 200, None), None),
    "too-long-in-pieces": ([start(200, FIVE), body(b"abc", True), body(b"def")], (RuntimeError, 200, None), None),
    "no-length": ([start(200, (b"content-length", b"x")), body()], (ValueError, 500, b""), (ValueError, None, None)),
    "two-lengths": (
        [start(200, FIVE, (b"content-length", b"3")), body(b"abcde")],
        (ValueError, 500, b""),
        (None, 200, None),
    ),
    "status-99": ([start(99), body()], (ValueError, 500, b""), (KeyError, None, None)),
    "status-100": ([start(100), body()], (ValueError, 500, b""), (None, 100, b"")),
    "status-600": ([start(600), body()], (ValueError, 500, b""), (KeyError, None, None)),
    "status-str": ([start("200"), body()], (ValueError, 500, b""), (KeyError, None, None)),
    "int-body": ([start(), body(5)], (TypeError, 500, b""), (TypeError, 200, None)),
    "str-body": ([start(), body("x")], (TypeError, 500, b""), (TypeError, 200, None)),
    "split-value": ([start(200, (b"x", b"a\r\nb: c")), body()], (ValueError, 500, b""), (RuntimeError, None, None)),
    "no-token": ([start(200, (b"a b", b"x")), body()], (ValueError, 500, b""), (RuntimeError, None, None)),
    "no-type": ([{}], (KeyError, 500, b""), (KeyError, 500, b"Internal Server Error")),
    "no-such": ([{"type": "no.such"}], (RuntimeError, 500, b""), (RuntimeError, 500, b"Internal Server Error")),
    "nothing": ([], (None, 500, b""), (None, 500, b"Internal Server Error")),
    "start-alone": ([start()], (None, 500, b""), (None, 200, None)),
    "unfinished": ([start(), body(b"x", True)], (None, 200, None), None),
    # What cannot have a body is sent without it, as servers of other languages do.
    "304-with-length": ([start(304, FIVE), body()], (None, 304, b""), (RuntimeError, 304, b"")),
    "204-with-body": ([start(204), body(b"x")], (None, 204, b""), (RuntimeError, 204, b"")),
    "304-with-body": ([start(304), body(b"x")], (None, 304, b""), (RuntimeError, 304, b"")),
}
EVENTS = {name: row[0] for name, row in {**GOOD, **MISUSE}.items()}


class Sending:
    """Sends the events that the path names, and keeps what ``send`` raised."""

    def __init__(self) -> None:
        self.ended: list[type[BaseException] | None] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        try:
            for event in EVENTS[scope["path"][1:]]:
                await send(event)
        except Exception as error:
            self.ended.append(type(error))
            raise
        self.ended.append(None)


@pytest.fixture(scope="module")
def peer():
    logging.disable(logging.CRITICAL)
    application = Sending()
    with uvicorn_serving(application) as port:
        yield application, port
    logging.disable(logging.NOTSET)


def outcome(application: Sending, port: int, name: str, method: str = "GET") -> tuple[Any, Any, Any]:
    application.ended.clear()
    client = RawClient(port)
    client.get(f"/{name}", "Connection: close", method=method)
    wait_until(lambda: application.ended and client.closed)
    head, found, rest = client.received.partition(b"\r\n\r\n")
    if not found:
        return application.ended[0], None, None
    client.received = head + found + rest
    status = int(head.split()[1])
    try:
        content = client.reply(head_only=method == "HEAD").body
    except (EOFError, AssertionError):
        return application.ended[0], status, None
    fields = head.lower().split(b"\r\n")
    cut = any(line.startswith(b"content-length: ") and int(line[16:]) > len(content) for line in fields)
    if method != "HEAD" and status not in (204, 304) and cut:
        content = None
    return application.ended[0], status, content


@pytest.fixture
def ours():
    server = QHttpServer()
    application = Sending()
    asgi.mount(server, "/", application, lifespan="off")
    yield application, bound(server)
    server.close()


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right(ours, peer, name) -> None:
    expected = GOOD[name][1]
    assert outcome(*ours, name) == expected
    assert outcome(*peer, name) == expected


@pytest.mark.parametrize("name", GOOD)
def test_head(ours, peer, name) -> None:
    assert outcome(*ours, name, "HEAD") == outcome(*peer, name, "HEAD") == (None, GOOD[name][1][1], b"")


@pytest.mark.parametrize("name", MISUSE)
def test_what_is_wrong(ours, peer, reported, name) -> None:
    _, expected, other = MISUSE[name]
    assert outcome(*ours, name) == expected
    assert outcome(*peer, name) == (other or expected)
    kind = expected[0] or (RuntimeError if name in ("nothing", "start-alone", "unfinished") else None)
    assert [type(error) for error in reported] == ([kind] if kind else [])


# ---- scopes

TARGETS = [
    (b"/", ""),
    (b"/a/b?x=1&y=%20", ""),
    (b"/a%20b/%C3%BC", ""),
    (b"/x%2Fy", ""),
    (b"/?", ""),
    (b"//double//", ""),
    (b"/sub/x?q", "/api"),
    (b"/%C3%BC", "/a b"),
]
COMPARED = ("type", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path", "headers")


class Keeping:
    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            self.scopes.append(scope)
            await send(start())
            await send(body())


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize(("target", "root"), TARGETS)
def test_scopes_are_equal(server, target, root, version) -> None:
    mounted, other = Keeping(), Keeping()
    asgi.mount(server, root or "/", mounted, lifespan="off")
    prefix = root.replace(" ", "%20").encode()
    fields = b"Host: h\r\nX-B: 1\r\nX-A: 2\r\nx-b: 3\r\nCookie: a=1\r\nX-Latin: \xe9\r\n\r\n"
    with uvicorn_serving(other, root_path=root) as port:
        # uvicorn's --root-path is what a proxy in front has taken away; here the prefix is there.
        for to, prepended in ((bound(server), prefix), (port, b"")):
            client = RawClient(to)
            client.send(b"GET " + prepended + target + b" " + version + b"\r\n" + fields)
            assert client.reply().status == 200
    ours, theirs = mounted.scopes[0], other.scopes[0]
    if " " in root:  # it does not encode what it prepends
        theirs["raw_path"] = theirs["raw_path"].replace(b" ", b"%20")
    assert {key: ours[key] for key in COMPARED} == {key: theirs[key] for key in COMPARED}
    assert ours["client"][0] == theirs["client"][0] == "127.0.0.1"
    assert type(ours["server"][1]) is type(theirs["server"][1]) is int
    assert ours["asgi"]["version"] == theirs["asgi"]["version"]
