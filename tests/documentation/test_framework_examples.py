"""The examples with web frameworks: FastAPI and the MCP SDK in a window, and the same application under uvicorn."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from qhttpserver_py import QHttpServer
from qhttpserver_py.testing.loop import Waiters, call_in_worker

from ..support.rawclient import settle
from .test_examples import EXAMPLES, Caller, load

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


@pytest.fixture
def window(qapp: object) -> Iterator[Any]:
    pytest.importorskip("fastapi")
    made = load("fastapi_window").Window()
    yield made
    made.server.close()
    made.deleteLater()
    settle()


def test_fastapi_window(window: Any) -> None:
    ask = Caller(window.server)
    assert ask("GET", "/state").json() == {"level": 0, "note": ""}
    assert ask("PUT", "/state", json={"level": 40, "note": "n"}).json() == {"level": 40, "note": "n"}
    assert (window.level.value(), window.note.text()) == (40, "n")
    assert ask("PUT", "/state", json={"level": 101}).status_code == 422
    assert ask("POST", "/level/5").json()["level"] == 45
    assert ask("POST", "/level/500").status_code == 409
    assert window.served.text() == "4, the last one: POST /level/500"
    assert "swagger" in ask("GET", "/docs").text
    assert ask("PUT", "/state", json={}, headers={"origin": "http://evil.example"}).status_code == 403
    ask.client.close()


def test_the_sdk_reads_and_sets_a_widget(qapp: object) -> None:
    mcp = pytest.importorskip("mcp")
    from PySide6.QtWidgets import QPlainTextEdit

    editor = QPlainTextEdit("one")
    server: QHttpServer = load("mcp_sdk").make_server(editor)
    ask = Caller(server)

    async def talk() -> list[str]:
        async with mcp.Client(f"{ask.base}/mcp") as client:
            listed = [tool.name for tool in (await client.list_tools()).tools]
            count = await client.call_tool("append_text", {"line": "two"})
            text = await client.call_tool("read_text")
            return [*listed, count.content[0].text, text.content[0].text]

    def run() -> list[str]:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(talk())

    assert ask.run(run) == ["read_text", "append_text", "2", "one\ntwo"]
    assert editor.toPlainText() == "one\ntwo"
    assert ask("POST", "/mcp", json={}, headers={"origin": "http://evil.example"}).status_code == 403
    ask.client.close()
    server.close()
    settle()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nothing listens on {port}"
        time.sleep(0.1)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[int]:
    """Four workers of uvicorn; the port they listen on."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "outgrown:app", "--workers", "4", "--log-level", "error"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=EXAMPLES / "outgrown",
        env={**os.environ, "NOTES": str(tmp_path / "notes.sqlite")},
    )
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def nginx(workers: int, tmp_path: Path) -> Iterator[int]:
    """Return the port of nginx before the workers, with the file of the how-to."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    text = (EXAMPLES / "outgrown" / "nginx.conf").read_text("utf-8")
    text = text.replace("127.0.0.1:8001", f"127.0.0.1:{workers}").replace("listen 8080", f"listen 127.0.0.1:{port}")
    (tmp_path / "nginx.conf").write_text(f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n{text}")
    process = subprocess.Popen([program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="nginx and workers as servers have them")
@pytest.mark.parametrize("front", ["workers", "nginx"])
def test_the_same_application_under_uvicorn_with_four_workers(request: pytest.FixtureRequest, front: str) -> None:
    port = request.getfixturevalue(front)
    address = f"http://127.0.0.1:{port}"

    def get(path: str) -> Any:
        return httpx.get(address + path, trust_env=False, timeout=20).json()

    def use() -> set[int]:
        put = httpx.put(f"{address}/notes/1", json={"text": "x"}, trust_env=False, timeout=20)
        assert (put.status_code, get("/notes/1")) == (200, {"text": "x"})
        seen: set[int] = set()
        deadline = time.monotonic() + 20
        while len(seen) < 2 and time.monotonic() < deadline:  # a connection each: the workers take turns
            with ThreadPoolExecutor(8) as pool:
                seen.update(pool.map(get, ["/worker"] * 8))
        return seen

    assert len(call_in_worker(use, Waiters(), 50_000)) >= 2


def test_the_same_application_in_a_window(qapp: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes.sqlite"))
    monkeypatch.syspath_prepend(str(EXAMPLES / "outgrown"))
    monkeypatch.delitem(sys.modules, "outgrown", raising=False)
    import importlib

    window = importlib.import_module("window").Window()
    ask = Caller(window.server)
    assert ask("PUT", "/notes/7", json={"text": "hello"}).json() == {"text": "hello"}
    assert window.list.item(0).text() == "7: hello"
    assert ask("GET", "/notes/8").status_code == 404
    ask.client.close()
    window.server.close()
    settle()
    for name in ("window", "outgrown"):
        sys.modules.pop(name, None)
