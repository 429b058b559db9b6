"""The work all servers do: what is asked, by which generator, and of whom."""

from __future__ import annotations

from dataclasses import dataclass

from .load import Ab, H2load, Upload, Wrk
from .websockets import Echo, FanOut

BROWSER = (
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Referer: http://localhost:8080/index.html",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-User: ?1",
    "Priority: u=0, i",
)
"""With the Host field that wrk adds, 13 fields."""

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Work:
    """One row of the table; ``load`` is called with a URL, seconds and the processor to run on."""

    name: str
    title: str
    path: str
    load: Wrk | Ab | H2load | Upload | Echo | FanOut
    kind: str = "http"
    floor: bool = False
    """Whether the constant answer of the floor is a fair answer to it."""
    idle: int = 0
    """Connections that are open beside those that ask, and silent."""


CROWDS = (0, 1000, 4000, 8000)

WORK = (
    Work("target", "13 headers, every target new", "/hello", Wrk(BROWSER, "target.lua"), floor=True),
    Work("fresh", "13 headers; target, cookie and reply new", "/fresh", Wrk(BROWSER, "fresh.lua")),
    Work("fresh-json", "JSON text of ten rows, new each time", "/table", Wrk()),
    Work("fresh-100k", "100 kB of text, new each time", "/fresh-100k", Wrk()),
    *(
        Work(f"crowd-{idle}", f"new replies beside {idle:,} idle connections", "/fresh", Wrk(), idle=idle)
        for idle in CROWDS
    ),
    Work("hello", "hello, keep-alive, 16 connections", "/hello", Wrk(), floor=True),
    Work("headers", "the same with 13 browser headers", "/hello", Wrk(BROWSER), floor=True),
    Work("routes", "the 50th of 55 routes", "/route/50", Wrk()),
    Work("typed", "a typed path argument", "/item/12345", Wrk()),
    Work("json", "JSON in and out", "/json", Wrk(script="json.lua")),
    Work("echo", "1 KiB POST, echoed", "/echo", Wrk(script="echo.lua")),
    Work("100k", "100 kB reply", "/100k", Wrk()),
    Work("1m", "1 MB reply", "/1m", Wrk()),
    Work("upload", "20 MB upload", "/upload", Upload(20 * MEBIBYTE)),
    Work("connect", "a new connection per request", "/hello", Ab()),
    Work("tls", "hello over TLS, keep-alive", "/hello", Wrk(), kind="https"),
    Work("h2", "HTTP/2, 8 clients x 10 streams", "/hello", H2load(), kind="h2"),
    Work("h2-100k", "HTTP/2, 100 kB reply", "/100k", H2load(), kind="h2"),
    Work("ws-64", "WebSocket, 64 B echoed", "/ws", Echo(64), kind="ws"),
    Work("ws-64-signals", "the same by signals", "/ws-signals", Echo(64), kind="ws"),
    Work("ws-64-burst", "the same, 32 under way each", "/ws", Echo(64, in_flight=32), kind="ws"),
    Work("ws-64k", "WebSocket, 64 KiB echoed", "/ws", Echo(65536), kind="ws"),
    Work("ws-1m", "WebSocket, 1 MiB echoed", "/ws", Echo(MEBIBYTE), kind="ws"),
    Work("ws-64-deflate", "WebSocket, 64 B, compressed", "/ws", Echo(64, compressed=True), kind="ws-deflate"),
    Work("ws-64k-deflate", "WebSocket, 64 KiB, compressed", "/ws", Echo(65536, compressed=True), kind="ws-deflate"),
    Work("ws-fan-out", "WebSocket, one message to 500", "/fan", FanOut(), kind="ws"),
)
