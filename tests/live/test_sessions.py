"""What each client does in its own way: kept connections, parallel requests, streamed uploads."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .application import LARGE, Site
from .clients import HAS_CURL, Asked, run_curl, split_reply, standard_connection, with_http_client
from .conftest import in_thread

needs_curl = pytest.mark.skipif(not HAS_CURL, reason="curl is not installed")
transports = pytest.mark.parametrize("transport", ["tcp", "tls", "local"])


@transports
def test_http_client_keeps_one_connection(site: Site, transport: str) -> None:
    def talk() -> list[bytes]:
        connection = standard_connection(site, transport)
        connection.connect()
        first = connection.sock
        bodies = []
        for number in range(20):
            connection.request("POST", "/echo", b"%d" % number)
            bodies.append(connection.getresponse().read())
            assert connection.sock is first, "the server closed the connection"
        connection.close()
        return bodies

    assert in_thread(talk) == [b"%d" % number for number in range(20)]


@transports
def test_http_client_sends_chunks(site: Site, transport: str) -> None:
    def talk() -> bytes:
        connection = standard_connection(site, transport)
        connection.request("POST", "/echo", iter([b"one ", b"two ", b"three"]), encode_chunked=True)
        body = connection.getresponse().read()
        connection.close()
        return body

    assert in_thread(talk) == b"one two three"


def test_requests_session(site: Site) -> None:
    requests = pytest.importorskip("requests")

    def pieces() -> Iterator[bytes]:
        yield from (b"a" * 1000, b"b" * 1000)

    def talk() -> None:
        with requests.Session() as session:
            session.trust_env = False
            for number in range(10):
                assert session.get(f"{site.base('tcp')}/item/{number}", timeout=10).text == f"item {number + 1}"
            reply = session.post(f"{site.base('tcp')}/digest", data=pieces(), timeout=10)
            assert reply.json()["size"] == 2000
            assert session.get(f"{site.base('tcp')}/moved", timeout=10).text == "Hello, world!"
            with session.get(f"{site.base('tcp')}/pieces", stream=True, timeout=10) as streamed:
                assert len(list(streamed.iter_lines())) == 50
            session.post(f"{site.base('tcp')}/digest", files={"f": ("a.bin", LARGE)}, timeout=10).raise_for_status()

    in_thread(talk)


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_httpx_async_in_parallel(site: Site, http2: bool) -> None:
    httpx = pytest.importorskip("httpx")

    async def talk() -> None:
        async with httpx.AsyncClient(verify=site.context, http2=http2, timeout=20, trust_env=False) as client:
            base = site.base("h2" if http2 else "tls")
            replies = await asyncio.gather(*(client.get(f"{base}/item/{n}") for n in range(40)))
            assert [reply.text for reply in replies] == [f"item {n + 1}" for n in range(40)]
            assert {reply.http_version for reply in replies} == {"HTTP/2" if http2 else "HTTP/1.1"}
            large, digest = await asyncio.gather(
                client.get(f"{base}/large"), client.post(f"{base}/digest", content=LARGE)
            )
            assert large.content == LARGE
            assert digest.json()["size"] == len(LARGE)

    in_thread(lambda: asyncio.run(talk()))


def test_aiohttp_in_parallel(site: Site) -> None:
    aiohttp = pytest.importorskip("aiohttp")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 5000

    async def talk() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:

            async def item(number: int) -> str:
                async with session.get(f"{site.base('tcp')}/item/{number}") as reply:
                    return await reply.text()

            assert await asyncio.gather(*map(item, range(50))) == [f"item {n + 1}" for n in range(50)]
            async with session.post(f"{site.base('tcp')}/digest", data=pieces()) as reply:
                assert (await reply.json())["size"] == 50_000

    in_thread(lambda: asyncio.run(talk()))


def test_many_connections_at_once(site: Site) -> None:
    def talk() -> set[bytes]:
        asked = Asked("tcp", "GET", "/hello")
        with ThreadPoolExecutor(20) as pool:
            return {reply.body for reply in pool.map(lambda _: with_http_client(site, asked), range(100))}

    assert in_thread(talk) == {b"Hello, world!"}


@needs_curl
@transports
def test_curl_reuses_its_connection(site: Site, transport: str) -> None:
    url = site.base(transport) + "/item/[1-9]"
    output = in_thread(lambda: run_curl(site, transport, "--write-out", " %{num_connects}\n", url))
    lines = output.decode().splitlines()
    assert lines[0] == "item 2 1"
    assert lines[1:] == [f"item {number + 2} 0" for number in range(1, 9)]


@needs_curl
@transports
def test_curl_waits_for_100_continue(site: Site, transport: str) -> None:
    arguments = ("--include", "--header", "Expect: 100-continue", "--expect100-timeout", "15")
    url = site.base(transport) + "/echo"
    output = in_thread(lambda: run_curl(site, transport, *arguments, "--http1.1", "--data", "abc", url))
    assert output.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert output.endswith(b"abc")


@needs_curl
def test_curl_speaks_http_1_0(site: Site) -> None:
    url = site.base("tcp") + "/pieces"
    reply = split_reply(in_thread(lambda: run_curl(site, "tcp", "--include", "--http1.0", url)))
    assert "transfer-encoding" not in reply.headers
    assert reply.body.count(b"\n") == 50


@needs_curl
def test_curl_speaks_http_2(site: Site) -> None:
    urls = [f"{site.base('tls')}/{path}" for path in ("large", "pieces", "hello")]
    written = ("--http2", "--write-out", "%{http_version}", "--output", "-")
    output = in_thread(lambda: run_curl(site, "tls", *written, *urls))
    assert output.startswith(LARGE)
    assert output.endswith(b"Hello, world!2")


@needs_curl
def test_curl_in_parallel_over_http_2(site: Site, tmp_path: Path) -> None:
    url = site.base("tls") + "/item/[1-50]"
    arguments = ("--http2", "--parallel", "--parallel-max", "20", "--output", f"{tmp_path}/#1")
    in_thread(lambda: run_curl(site, "tls", *arguments, url))
    assert [(tmp_path / str(n)).read_text() for n in range(1, 51)] == [f"item {n + 1}" for n in range(1, 51)]


@needs_curl
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl_uploads_a_form(site: Site, version: str) -> None:
    arguments = (version, "--form", "field=value", "--form", "file=@-;filename=a.bin")
    output = in_thread(lambda: run_curl(site, "tls", *arguments, site.base("tls") + "/digest", data=LARGE))
    assert json.loads(output)["size"] > len(LARGE)


@pytest.mark.parametrize(
    ("transport", "path", "size"),
    [
        ("tcp", "/hello", 13),
        ("tcp", "/large", len(LARGE)),
        ("local", "/hello", 13),
        ("local", "/large", len(LARGE)),
    ],
)
def test_half_closed_client_is_answered(site: Site, transport: str, path: str, size: int) -> None:
    """What ``nc -N`` does: send all, shut the sending side, read."""

    def talk() -> bytes:
        connection = standard_connection(site, transport)
        connection.connect()
        connection.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        connection.sock.shutdown(socket.SHUT_WR)
        with connection.sock.makefile("rb") as stream:
            answer = stream.read()
        connection.close()
        return answer

    assert len(in_thread(talk).partition(b"\r\n\r\n")[2]) == size


def test_client_that_leaves_early_affects_no_other(site: Site) -> None:
    def talk() -> int:
        for _ in range(5):
            with socket.create_connection(("localhost", site.tcp), 10) as peer:
                peer.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
                peer.recv(10)
        connection = http.client.HTTPConnection("localhost", site.tcp, timeout=10)
        connection.request("GET", "/hello")
        status = connection.getresponse().status
        connection.close()
        return status

    assert in_thread(talk) == 200
