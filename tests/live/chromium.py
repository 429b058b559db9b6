"""A headless Chromium driven over the WebDriver protocol (W3C), which is plain HTTP with JSON."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT = 20.0  # seconds
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--window-size=1200,1000",
]


def missing() -> str:
    """Why Chromium cannot be driven here, or nothing."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not installed (Debian: chromium, chromium-driver)" if absent else ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def until(what: str, ready: Callable[[], Any]) -> Any:
    """Ask *ready* until it is true; its last answer is returned."""
    deadline = time.monotonic() + LIMIT
    while not (answer := ready()):
        assert time.monotonic() < deadline, f"{what} did not happen within {LIMIT:g} s"
        time.sleep(0.05)
    return answer


class Browser:
    """One browser window; close it by leaving the ``with`` statement."""

    def __init__(self, *arguments: str) -> None:
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            until("the driver's start", self._listens)
            options = {"args": [*ARGUMENTS, f"--user-data-dir={self.profile.name}", *arguments]}
            capabilities = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
            session = self._call("POST", "/session", {"capabilities": capabilities})
        except BaseException:
            self._stop()
            raise
        self.base += f"/session/{session['sessionId']}"

    def _listens(self) -> bool:
        try:
            return bool(self._call("GET", "/status")["ready"])
        except OSError:
            return False

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        try:
            with self.opener.open(asked, timeout=LIMIT * 2) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(json.load(error)["value"]["message"]) from None

    def _stop(self) -> None:
        self.driver.terminate()
        self.driver.wait(LIMIT)
        self.profile.cleanup()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._stop()

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def title(self) -> str:
        return str(self._call("GET", "/title"))

    def element(self, selector: str) -> str:
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        return f"/element/{found[ELEMENT]}"

    def click(self, selector: str) -> None:
        self._call("POST", self.element(selector) + "/click", {})

    def text(self, selector: str) -> str:
        return str(self._call("GET", self.element(selector) + "/text"))

    def fill(self, selector: str, text: str) -> None:
        element = self.element(selector)
        self._call("POST", element + "/clear", {})
        self._call("POST", element + "/value", {"text": text})

    def choose_file(self, selector: str, path: Path) -> None:
        self._call("POST", self.element(selector) + "/value", {"text": str(path)})

    def script(self, code: str) -> Any:
        return self._call("POST", "/execute/sync", {"script": code, "args": []})

    def complaints(self) -> list[str]:
        """What the page wrote to its console as an error."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def text_of(self, selector: str, wanted: Callable[[str], bool]) -> str:
        """Wait until the element's text is as *wanted*, and return it."""
        return str(until(f"the text of {selector}", lambda: (t := self.text(selector)) and wanted(t) and t))
