"""Chromium on the demonstration page: loaded, its buttons clicked, the answers read."""

from __future__ import annotations

import hashlib
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .chromium import Browser, missing, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(missing()), reason=missing() or "present"),
]
ROOT = Path(__file__).parents[2]
URL = re.compile(r"http://127\.0\.0\.1:\d+/")


@pytest.fixture(scope="module")
def demonstration() -> Iterator[str]:
    """``python -m qhttpserver_py`` in its own process; ended by SIGINT, as with Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "qhttpserver_py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], 20)
        said = process.stdout.readline() if ready else ""
        while said and not URL.search(said):  # a taken port is mentioned first
            said = process.stdout.readline()
        found = URL.search(said)
        assert found, f"no address was printed: {said!r}"
        yield found.group()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def browser(demonstration: str) -> Iterator[Browser]:
    with Browser() as opened:
        opened.open(demonstration)
        yield opened


def test_page_loads(browser: Browser) -> None:
    assert browser.title() == "qhttpserver_py"
    assert "is running" in browser.text("h1")


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("square", "12", '"square":144'),
        ("square", "many", "404 (no body)"),
        ("half", "2.5", '"half":1.25'),
        ("hello", "żółw/2", "404 (no body)"),
        ("hello", "Łódź", "Łódź"),
    ],
)
def test_typed_arguments(browser: Browser, name: str, value: str, answer: str) -> None:
    browser.script("document.getElementById('typed-out').textContent = ''")
    browser.fill(f"#{name}-in", value)
    browser.click(f"#{name}-go")
    assert answer in browser.text_of("#typed-out", bool)


def test_json(browser: Browser) -> None:
    browser.fill("#json-in", '{"numbers": [2, 4, 9]}')
    browser.click("#json-go")
    answer = browser.text_of("#json-out", bool)
    assert answer.startswith("200 {")
    assert "15" in answer


def test_upload_of_zeros(browser: Browser) -> None:
    browser.click("#sample-go")
    answer = browser.text_of("#upload-out", lambda text: "1048576" in text)
    assert hashlib.sha256(bytes(1 << 20)).hexdigest()[:8] in answer


def test_upload_of_a_file(browser: Browser, tmp_path: Path) -> None:
    data = b"0123456789" * 321
    (tmp_path / "file.bin").write_bytes(data)
    browser.choose_file("#upload-in", tmp_path / "file.bin")
    browser.click("#upload-go")
    answer = browser.text_of("#upload-out", lambda text: "3210" in text)
    assert hashlib.sha256(data).hexdigest()[:8] in answer


def test_after_request_handler(browser: Browser) -> None:
    browser.click("#after-go")
    answer = browser.text_of("#after-out", lambda text: "content-type" in text)
    assert "content-length" in answer
    assert len(re.findall(r"^x-", answer, re.MULTILINE)) >= 1


def test_log_shows_the_requests(browser: Browser, tmp_path: Path) -> None:
    rows = browser.text_of("#log-rows", lambda text: "/statistics" in text and "/upload" in text)
    assert "/square/12" in rows
    picture = Path(os.environ.get("LIVE_SCREENSHOT", tmp_path / "page.png"))
    browser.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_websocket_echo(browser: Browser) -> None:
    for text in ("Hello, socket", "żółw 🐢"):
        browser.script(f"document.getElementById('echo-in').value = {text!r}")
        browser.click("#echo-go")
        assert browser.text_of("#echo-out", lambda shown, text=text: shown == text)


def test_requests_per_second_are_pushed(browser: Browser) -> None:
    browser.click("#rate-go")
    pushed = browser.text_of("#rate-now", lambda text: int(re.match(r"\d*", text)[0] or 0) > 10)
    assert pushed.endswith("2 open WebSockets")
    assert browser.script("return document.getElementById('rate-line').getAttribute('points')")


def test_nothing_but_the_expected_404_was_complained_of(browser: Browser) -> None:
    assert [line for line in browser.complaints() if "404" not in line] == []


def test_another_site_s_page_gets_no_websocket(browser: Browser, demonstration: str) -> None:
    """The same server by another name is another origin; the handshake says so, and the verifier denies."""
    url = demonstration.replace("http", "ws") + "echo"
    browser.open(demonstration.replace("127.0.0.1", "localhost") + "hello/elsewhere")
    browser.script(
        f"window.verdict = ''; const socket = new WebSocket('{url}');"
        "socket.onopen = () => { window.verdict = 'open'; }; socket.onerror = () => { window.verdict = 'refused'; };"
    )
    assert until("the verdict", lambda: browser.script("return window.verdict")) == "refused"
    complaints = browser.complaints()
    assert any("403" in line for line in complaints), complaints
