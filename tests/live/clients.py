"""Real clients behind one small interface: ``fetch(site, transport, method, path, body, headers)``."""

from __future__ import annotations

import asyncio
import http.client
import io
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .application import Site

TIMEOUT = 20


@dataclass(frozen=True)
class Reply:
    """What came back; header names are lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What to ask, and over which kind of socket: tcp, tls or local."""

    transport: str
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class LocalConnection(http.client.HTTPConnection):
    """The standard client over a local socket."""

    def __init__(self, name: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self.name = name

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self.name)


def standard_connection(site: Site, transport: str) -> http.client.HTTPConnection:
    if transport == "local":
        return LocalConnection(site.local)
    if transport == "tls":
        return http.client.HTTPSConnection("localhost", site.tls, context=site.context, timeout=TIMEOUT)
    return http.client.HTTPConnection("localhost", site.tcp, timeout=TIMEOUT)


def with_http_client(site: Site, asked: Asked) -> Reply:
    connection = standard_connection(site, asked.transport)
    try:
        connection.request(asked.method, asked.path, asked.body, dict(asked.headers))
        reply = connection.getresponse()
        return Reply(reply.status, reply.read(), {name.lower(): value for name, value in reply.getheaders()})
    finally:
        connection.close()


def with_httpx(site: Site, asked: Asked) -> Reply:
    import httpx

    local = httpx.HTTPTransport(uds=site.local) if asked.transport == "local" else None
    with httpx.Client(verify=site.context, transport=local, timeout=TIMEOUT, trust_env=False) as client:
        url = site.base(asked.transport) + asked.path
        reply = client.request(asked.method, url, content=asked.body, headers=asked.headers)
        return Reply(reply.status_code, reply.content, dict(reply.headers))


def with_requests(site: Site, asked: Asked) -> Reply:
    import requests

    with requests.Session() as session:
        session.trust_env = False
        reply = session.request(
            asked.method,
            site.base(asked.transport) + asked.path,
            data=asked.body,
            headers=dict(asked.headers),
            verify=str(site.ca_file),
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        return Reply(reply.status_code, reply.content, {k.lower(): v for k, v in reply.headers.items()})


def with_aiohttp(site: Site, asked: Asked) -> Reply:
    async def fetch() -> Reply:
        import aiohttp

        local = aiohttp.UnixConnector(site.local) if asked.transport == "local" else None
        connector = local or aiohttp.TCPConnector(ssl=site.context)
        limit = aiohttp.ClientTimeout(total=TIMEOUT)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=limit) as session,
            session.request(
                asked.method,
                site.base(asked.transport) + asked.path,
                data=io.BytesIO(asked.body) if asked.body else asked.body,
                headers=asked.headers,
                allow_redirects=False,
            ) as reply,
        ):
            return Reply(reply.status, await reply.read(), {k.lower(): v for k, v in reply.headers.items()})

    return asyncio.run(fetch())


def curl_arguments(site: Site, transport: str) -> list[str]:
    arguments = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(TIMEOUT)]
    arguments += ["--cacert", str(site.ca_file)]
    if transport == "local":
        arguments += ["--unix-socket", site.local]
    return arguments


def run_curl(site: Site, transport: str, *arguments: str, data: bytes | None = None) -> bytes:
    command = [*curl_arguments(site, transport), *arguments]
    done = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT + 5, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def split_reply(output: bytes) -> Reply:
    """The last reply of ``curl --include``: interim ones (100) come before it."""
    while True:
        head, _, body = output.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        if status >= 200:
            break
        output = body
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Reply(status, body, headers)


def with_curl(site: Site, asked: Asked) -> Reply:
    arguments = ["--include", "--http1.1"]
    arguments += ["--head"] if asked.method == "HEAD" else ["--request", asked.method]
    for name, value in asked.headers.items():
        arguments += ["--header", f"{name}: {value}"]
    if asked.body is not None:
        arguments += ["--data-binary", "@-"]
    url = site.base(asked.transport) + asked.path
    return split_reply(run_curl(site, asked.transport, *arguments, url, data=asked.body))


Fetch = Callable[[Site, Asked], Reply]

CLIENTS: dict[str, Fetch] = {
    "http.client": with_http_client,
    "httpx": with_httpx,
    "requests": with_requests,
    "aiohttp": with_aiohttp,
    "curl": with_curl,
}
MODULES = {"httpx": "httpx", "requests": "requests", "aiohttp": "aiohttp"}
HAS_CURL = shutil.which("curl") is not None
