"""Requests that tell how strictly a server reads HTTP/1.1, and what each answer is worth.

The cases are those of public HTTP/1.1 probes (compliance, smuggling, malformed input,
normalization); each names the section that decides. PASS is what the RFC asks for, or the
strictest of what it allows; WARN is allowed and lenient; FAIL breaks a requirement.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

HOST = b"Host: localhost"
OK = frozenset(range(200, 300))
BAD = frozenset((400,))
NOT_FOUND = frozenset((404,))


class Probe(NamedTuple):
    """One request on a connection of its own."""

    group: str
    name: str
    section: str
    request: bytes
    passes: frozenset[int] = BAD
    warns: frozenset[int] = frozenset()
    closing: bool = True  # closing without a word passes as well
    waiting: bool = False  # and so does waiting for more
    closes: bool = False  # the connection must be closed after the answer
    answers: int = 1  # more than these means that one request was taken for two
    warns_closing: bool = False  # the lenient answer must be followed by a close


def head(method: bytes, *fields: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1") -> bytes:
    """A request head with a Host."""
    return b"\r\n".join([b"%b %b %b" % (method, target, version), HOST, *fields, b"", b""])


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """A POST request."""
    return head(b"POST", *fields) + body


def chunked(body: bytes, *fields: bytes) -> bytes:
    """A POST request whose body is framed by *body* itself."""
    return post(b"Transfer-Encoding: chunked", *fields, body=body)


def raw(*lines: bytes) -> bytes:
    """Lines with CRLF, and the empty one."""
    return b"\r\n".join([*lines, b"", b""])


def compliance() -> Iterator[Probe]:
    """What every server has to do, and has to refuse."""

    def serve(name: str, section: str, request: bytes, **more: object) -> Probe:
        return Probe("compliance", name, section, request, **{"passes": OK, "closing": False, **more})  # type: ignore[arg-type]

    def refuse(name: str, section: str, request: bytes, **more: object) -> Probe:
        return Probe("compliance", name, section, request, **more)  # type: ignore[arg-type]

    upgrade = (b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    yield serve("baseline", "9112 3", head(b"GET"))
    yield serve("leading-crlf", "9112 2.2", b"\r\n" + head(b"GET"))
    yield serve("options-star", "9112 3.2.4", head(b"OPTIONS", target=b"*"), passes=OK | {405}, warns=NOT_FOUND | {501})
    yield serve("absolute-form", "9112 3.2.2", head(b"GET", target=b"http://localhost/"))
    yield serve("post-length", "9112 6.2", post(b"Content-Length: 5", body=b"hello"))
    yield serve("post-zero", "9112 6.2", post(b"Content-Length: 0"))
    yield serve("post-nothing", "9112 6.3", post())
    yield serve("get-with-body", "9110 9.3.1", head(b"GET", b"Content-Length: 5") + b"hello", passes=OK | BAD | {413})
    yield serve("chunked", "9112 7.1", chunked(b"5\r\nhello\r\n0\r\n\r\n"))
    yield serve("chunked-many", "9112 7.1", chunked(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"))
    yield serve("chunked-empty", "9112 7.1", chunked(b"0\r\n\r\n"))
    yield serve("chunked-upper-hex", "9112 7.1", chunked(b"A\r\nhellohello\r\n0\r\n\r\n"))
    yield serve("chunked-trailer", "9112 7.1.2", chunked(b"5\r\nhello\r\n0\r\nX-T: v\r\n\r\n"))
    yield serve("chunked-extension", "9112 7.1.1", chunked(b"5;ext=value\r\nhello\r\n0\r\n\r\n"))
    yield serve("connection-close", "9112 9.6", head(b"GET", b"Connection: close"), closes=True)
    yield serve("1.0-closes", "9112 9.3", head(b"GET", version=b"HTTP/1.0"), closes=True)
    yield serve("1.0-no-host", "9112 3.2", raw(b"GET / HTTP/1.0"), passes=OK | BAD)
    yield serve("1.2", "9112 2.3", head(b"GET", version=b"HTTP/1.2"), passes=OK | {505})
    yield serve("upgrade-post", "6455 4.1", post(b"Connection: Upgrade", *upgrade), passes=OK | BAD | {405, 426})
    yield serve("upgrade-no-option", "9110 7.8", head(b"GET", *upgrade, b"Sec-WebSocket-Version: 13"))
    yield serve("upgrade-unknown", "9110 7.8", head(b"GET", b"Connection: Upgrade", b"Upgrade: x/1"), passes=OK | BAD)
    yield serve(
        "upgrade-version",
        "6455 4.4",
        head(b"GET", b"Connection: Upgrade", *upgrade, b"Sec-WebSocket-Version: 99"),
        passes=OK | BAD | NOT_FOUND | {426},
    )
    yield serve("expect-unknown", "9110 10.1.1", head(b"GET", b"Expect: tea"), passes=frozenset((417,)), warns=OK)
    yield serve(
        "method-lower-case", "9110 9.1", head(b"get"), passes=BAD | {405, 501}, warns=OK | NOT_FOUND, closing=True
    )
    yield serve("trace", "9110 9.3.8", head(b"TRACE"), passes=frozenset((405, 501)) | BAD | NOT_FOUND, warns=OK)
    yield serve("connect-path", "9110 9.3.6", head(b"CONNECT"), passes=BAD | {405, 501}, warns=NOT_FOUND, closing=True)
    yield refuse("undersend", "9112 6.2", post(b"Content-Length: 10", body=b"hello"), passes=BAD | {408}, waiting=True)
    yield refuse("chunked-no-end", "9112 7.1", chunked(b"5\r\nhello\r\n"), passes=BAD | {408}, waiting=True)
    for ending in (b"\n", b"\r"):
        name = "bare-lf" if ending == b"\n" else "bare-cr"
        warns = OK if ending == b"\n" else frozenset()
        yield refuse(f"{name}-request-line", "9112 2.2", b"GET / HTTP/1.1" + ending + raw(HOST), warns=warns)
        yield refuse(f"{name}-field", "9112 2.2", b"GET / HTTP/1.1\r\n" + HOST + ending + raw(b"X: y"), warns=warns)
    yield refuse("obs-fold", "9112 5.2", head(b"GET", b"X: a\r\n b"), closing=False)
    yield refuse("space-before-colon", "9112 5.1", head(b"GET", b"X : a"), closing=False)
    yield refuse("space-before-fields", "9112 2.2", raw(b"GET / HTTP/1.1", b" ", HOST))
    yield refuse("empty-name", "9112 5", head(b"GET", b": a"))
    yield refuse("bracket-in-name", "9112 5", head(b"GET", b"X[: a"))
    yield refuse("no-colon", "9112 5", head(b"GET", b"NoColonHere"))
    yield refuse("no-target", "9112 3", raw(b"GET HTTP/1.1", HOST))
    yield refuse("two-spaces", "9112 3", raw(b"GET  / HTTP/1.1", HOST), warns=OK)
    yield refuse("tab-in-line", "9112 3", raw(b"GET\t/\tHTTP/1.1", HOST), warns=OK)
    yield refuse("fragment", "9112 3.2", head(b"GET", target=b"/#f"), warns=OK)
    yield refuse("asterisk-get", "9112 3.2.4", head(b"GET", target=b"*"))
    yield refuse("0.9", "9112 2.3", b"GET /\r\n", waiting=True)
    for version in (b"HTTP/9.9", b"HTTP/1", b"HTTP/01.01", b"HTTP/1.1.1", b"HTTP/ 1.1", b"http/1.1", b"HTTP/2.0"):
        name = version.decode().replace(" ", "_")
        yield refuse(f"version-{name}", "9112 2.3", head(b"GET", version=version), passes=BAD | {505})
    yield refuse("no-host", "9112 3.2", raw(b"GET / HTTP/1.1"), closing=False)
    hosts = {
        "two": b"Host: localhost\r\nHost: other",
        "same-twice": b"Host: localhost\r\nHost: localhost",
        "user": b"Host: user@localhost",
        "path": b"Host: localhost/path",
        "empty": b"Host:",
        "comma": b"Host: localhost, other",
    }
    for name, field in hosts.items():
        yield refuse(
            f"host-{name}", "9112 3.2", raw(b"GET / HTTP/1.1", field), closing=name not in ("two", "same-twice")
        )


def smuggling() -> Iterator[Probe]:
    """Messages whose length or end two parsers may see differently."""

    def probe(name: str, section: str, request: bytes, **more: object) -> Probe:
        return Probe("smuggling", name, section, request, **more)  # type: ignore[arg-type]

    both = {"warns": OK, "warns_closing": True}
    yield probe("length-and-coding", "9112 6.1", chunked(b"5\r\nhello\r\n0\r\n\r\n", b"Content-Length: 15"), **both)
    yield probe("cl.te", "9112 6.1", chunked(b"0\r\n\r\n", b"Content-Length: 4"), **both)
    yield probe("te.cl", "9112 6.1", chunked(b"0\r\n\r\n", b"Content-Length: 30"), **both)
    yield probe(
        "cl.te-second",
        "9112 6.3",
        chunked(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n\r\n", b"Content-Length: 6"),
        **both,
    )
    yield probe("two-lengths", "9110 8.6", post(b"Content-Length: 5", b"Content-Length: 10", body=b"helloworld"))
    yield probe("lengths-listed", "9110 8.6", post(b"Content-Length: 5, 10", body=b"helloworld"))
    yield probe("length-repeated", "9110 8.6", post(b"Content-Length: 5, 5", body=b"hello"), warns=OK)
    for name, value in {
        "negative": b"-1",
        "negative-zero": b"-0",
        "plus": b"+5",
        "letters": b"abc",
        "underscore": b"1_0",
        "octal": b"0o5",
        "hex": b"0x5",
        "inner-space": b"1 0",
        "empty": b"",
        "overflow": b"99999999999999999999",
        "float": b"5.0",
    }.items():
        yield probe(f"length-{name}", "9110 8.6", post(b"Content-Length: " + value, body=b"hello"), passes=BAD | {413})
    for name, value in {"leading-zeros": b"005", "trailing-space": b"5 ", "two-spaces": b" 5"}.items():
        yield probe(f"length-{name}", "9110 8.6", post(b"Content-Length: " + value, body=b"hello"), warns=OK)
    yield probe("length-tab", "9110 5.6.3", post(b"Content-Length:\t5", body=b"hello"), passes=OK | BAD)
    both_501 = {"passes": BAD | {501}}
    for name, value in {
        "xchunked": b"xchunked",
        "identity": b"identity",
        "vertical-tab": b"\x0bchunked",
        "form-feed": b"\x0cchunked",
        "nul": b"chunked\x00",
        "empty": b"",
        "quoted": b'"chunked"',
        "parameter": b"chunked;q=1",
        "not-final": b"chunked, gzip",
    }.items():
        request = post(b"Transfer-Encoding: " + value, b"Content-Length: 5", body=b"hello")
        yield probe(f"coding-{name}", "9112 6.1", request, **both_501)
    yield probe("coding-unknown-alone", "9112 6.1", post(b"Transfer-Encoding: bogus"), **both_501)
    for name, value in {
        "trailing-space": b"chunked ",
        "twice": b"chunked, chunked",
        "upper": b"Chunked",
        "trailing-comma": b"chunked,",
        "leading-comma": b", chunked",
    }.items():
        request = post(b"Transfer-Encoding: " + value, b"Content-Length: 15", body=b"5\r\nhello\r\n0\r\n\r\n")
        yield probe(f"coding-{name}", "9112 6.1", request, passes=BAD | {501}, **both)
    yield probe(
        "coding-space-before-colon",
        "9112 5.1",
        post(b"Transfer-Encoding : chunked", b"Content-Length: 5", body=b"hello"),
    )
    yield probe(
        "coding-folded", "9112 5.2", post(b"Transfer-Encoding:\r\n chunked", b"Content-Length: 5", body=b"hello")
    )
    yield probe(
        "coding-two-fields",
        "9112 6.1",
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Content-Length: 5", body=b"hello"),
        **both_501,
    )
    old = b"POST / HTTP/1.0\r\n" + HOST + b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    yield probe("coding-1.0", "9112 6.1", old, passes=BAD | {501}, **both)
    yield probe("bare-cr-in-value", "9112 2.2", head(b"GET", b"X: a\rb"))
    yield probe(
        "bare-cr-hides-coding",
        "9112 2.2",
        post(b"X: a\rTransfer-Encoding: chunked", b"Content-Length: 5", body=b"hello"),
    )
    for name, body in {
        "bare-semicolon": b"5;\r\nhello\r\n0\r\n\r\n",
        "hex-prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
        "underscore": b"1_0\r\nhello world!!!!!\r\n0\r\n\r\n",
        "leading-space": b" 5\r\nhello\r\n0\r\n\r\n",
        "no-final-crlf": b"5\r\nhello0\r\n\r\n",
        "spill": b"5\r\nhello!!\r\n0\r\n\r\n",
        "negative": b"-1\r\nhello\r\n0\r\n\r\n",
        "extension-nul": b"5;a\x00\r\nhello\r\n0\r\n\r\n",
        "extension-cr": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        "bare-cr": b"5\rhello\r\n0\r\n\r\n",
        "bare-cr-everywhere": b"5\rhello\r0\r\r",
        "overflow": b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "wraps": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    }.items():
        yield probe(f"chunk-{name}", "9112 7.1", chunked(body), passes=BAD | {413})
    for name, body in {
        "extension-lf": b"5;a\nhello\r\n0\r\n\r\n",
        "lf": b"5\nhello\n0\n\n",
        "lf-after-data": b"5\r\nhello\n0\r\n\r\n",
        "lf-trailer": b"5\r\nhello\r\n0\r\nX: y\n\r\n",
    }.items():
        yield probe(f"chunk-{name}", "9112 2.2", chunked(body), warns=OK, waiting=name == "lf-trailer")
    for name, field in {
        "length": b"Content-Length: 50",
        "coding": b"Transfer-Encoding: chunked",
        "host": b"Host: other",
        "authorization": b"Authorization: Bearer x",
    }.items():
        yield probe(
            f"trailer-{name}", "9110 6.5.1", chunked(b"5\r\nhello\r\n0\r\n" + field + b"\r\n\r\n"), passes=OK | BAD
        )
    inner = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n\r\n"
    for method in (b"HEAD", b"GET", b"OPTIONS", b"DELETE"):
        request = head(method, b"Content-Length: %d" % len(inner)) + inner
        yield probe(
            f"body-of-{method.decode().lower()}", "9112 6.3", request, passes=OK | BAD | NOT_FOUND | {405, 413, 501}
        )
    yield probe(
        "authority-mismatch",
        "9112 3.2.2",
        head(b"GET", target=b"http://other/"),
        passes=BAD | {421},
        warns=OK | NOT_FOUND,
    )
    yield probe("coding-tab", "9110 5.5", post(b"Transfer-Encoding:\tchunked", body=b"0\r\n\r\n"), passes=OK | BAD)


def malformed() -> Iterator[Probe]:
    """What is no HTTP, and what is too much of it."""

    def probe(name: str, section: str, request: bytes, **more: object) -> Probe:
        return Probe("malformed", name, section, request, **more)  # type: ignore[arg-type]

    noise = bytes((number * 167 + 13) % 256 for number in range(256))
    big = b"A" * 100_000
    yield probe("noise", "9112 2.2", noise, waiting=True)
    yield probe("empty", "9112 2.2", b"", passes=BAD | {408}, waiting=True)
    yield probe(
        "incomplete", "9112 2.2", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: y", passes=BAD | {408}, waiting=True
    )
    yield probe("blank-line", "9112 3", b"   \r\n\r\n", waiting=True)
    yield probe("tls-hello", "9112 2.2", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), waiting=True)
    yield probe("long-target", "9112 3", head(b"GET", target=b"/" + big), passes=BAD | {414, 431})
    yield probe("long-value", "9110 5.4", head(b"GET", b"X: " + big), passes=BAD | {431})
    yield probe("long-name", "9110 5.4", head(b"GET", big + b": x"), passes=BAD | {431})
    yield probe("long-method", "9112 3", head(big), passes=BAD | {414, 431, 501})
    many = (b"X-%d: value" % number for number in range(10_000))
    yield probe("many-fields", "6585 5", head(b"GET", *many), passes=BAD | {431})
    yield probe(
        "long-extension",
        "9112 7.1.1",
        chunked(b"5;" + b"a" * 65536 + b"\r\nhello\r\n0\r\n\r\n"),
        passes=BAD | {413},
        warns=OK,
    )
    yield probe("nul-in-target", "9112 2.2", head(b"GET", target=b"/\x00a"))
    yield probe("control-in-target", "9112 3.2", head(b"GET", target=b"/\x01a"))
    yield probe("utf8-in-target", "9112 3.2", head(b"GET", target=b"/caf\xc3\xa9"), warns=OK | NOT_FOUND)
    yield probe("nul-in-value", "9110 5.5", head(b"GET", b"X: a\x00b"))
    yield probe("controls-in-value", "9110 5.5", head(b"GET", b"X: a\x07\x08\x0bb"))
    yield probe("utf8-in-name", "9112 5", head(b"GET", b"X-\xc3\xab: a"))
    yield probe("escaped-nul", "3986 7.3", head(b"GET", target=b"/a%00b"), passes=BAD | OK | NOT_FOUND)
    yield probe("escaped-crlf", "9110 5.5", head(b"GET", target=b"/a%0d%0aX:y"), warns=OK | NOT_FOUND)
    yield probe("overlong-utf8", "3629 3", head(b"GET", target=b"/%C0%AF"), warns=OK | NOT_FOUND)
    yield probe("backslash", "3986 3.3", head(b"GET", target=b"/a\\b"), warns=OK | NOT_FOUND)
    yield probe(
        "huge-length-no-body", "9112 6.2", post(b"Content-Length: 999999999999"), passes=BAD | {413}, waiting=True
    )


def normalization() -> Iterator[Probe]:
    """Fields that are none, unless somebody makes them so."""

    def probe(name: str, section: str, request: bytes, **more: object) -> Probe:
        return Probe("normalization", name, section, request, **more)  # type: ignore[arg-type]

    yield probe("underscore-length", "9112 5", post(b"Content_Length: 50"), passes=OK | BAD)
    yield probe(
        "underscore-coding", "9112 5", post(b"Transfer_Encoding: chunked", b"Content-Length: 0"), passes=OK | BAD
    )
    yield probe("length-space-colon", "9112 5.1", post(b"Content-Length : 5", body=b"hello"))
    yield probe("tab-in-name", "9112 5", head(b"GET", b"X\tY: a"))
    yield probe(
        "upper-coding", "9110 5.1", post(b"TRANSFER-ENCODING: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), passes=OK
    )


PROBES = [*compliance(), *smuggling(), *malformed(), *normalization()]
