"""What is shipped: the contents of sdist and wheel, and what importing them costs and needs."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "qhttpserver_py").rglob("*.py")}

needs_build = pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="needs hatchling")


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=ROOT, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "-d", str(folder))
    return {path.suffix: path for path in folder.iterdir()}


@needs_build
def test_wheel(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = set(wheel.namelist())
        metadata = HeaderParser().parsestr(wheel.read(next(n for n in names if n.endswith("/METADATA"))).decode())
        entry_points = wheel.read(next(n for n in names if n.endswith("/entry_points.txt"))).decode()
    files = {name for name in names if ".dist-info/" not in name}
    assert files == MODULES | {"qhttpserver_py/py.typed"}
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert "qhttpserver = qhttpserver_py.cli:main" in entry_points
    assert "qhttpserver = qhttpserver_py.pytest_plugin" in entry_points
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {re.match(r"[\w-]+", line)[0] for line in required} == {"h2", "hpack", "httptools", "pyside6-essentials"}
    assert {"websockets", "forms", "test", "docs"} <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["License-Expression"] == "MIT"


@needs_build
def test_sdist(built: dict[str, Path]) -> None:
    with tarfile.open(built[".gz"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names >= MODULES
    assert {"README.md", "LICENSE", "pyproject.toml", "docs/index.md", "docs/images/gui.png"} <= names
    assert {"tests/project/test_packaging.py", "docs/examples/gui_tool.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".so"))]


@needs_build
@pytest.mark.skipif(importlib.util.find_spec("twine") is None, reason="needs twine")
def test_twine_has_no_complaint(built: dict[str, Path]) -> None:
    said = run("-W", "ignore", "-m", "twine", "check", "--strict", *map(str, built.values()))
    assert said.count("PASSED") == 2


IMPORTED = """
import sys
import qhttpserver_py
assert not [name for name in sys.modules if name.startswith("PySide6")], "tools that only look load no Qt"
for name in qhttpserver_py.__all__:
    getattr(qhttpserver_py, name)
from qhttpserver_py import aio, requestlog, security, sse, static, tls
print(*sorted(name for name in sys.modules if name.startswith("PySide6.Qt")))
"""


def test_only_two_modules_of_qt_are_loaded() -> None:
    assert run("-c", IMPORTED).split() == ["PySide6.QtCore", "PySide6.QtNetwork"]


WINDOWED = """
import os, sys
sys.stdout = sys.stderr = None  # as under pythonw and windowed PyInstaller
import threading, urllib.request
from PySide6.QtCore import QCoreApplication, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer
from qhttpserver_py import QHttpServer, cli
app, server, tcp, found = QCoreApplication([]), QHttpServer(), QTcpServer(), []
server.route("/", lambda: "hello")
server.route("/fails", lambda: 1 / 0)
tcp.listen(QHostAddress.SpecialAddress.LocalHost)
server.bind(tcp)
def ask():
    base = f"http://127.0.0.1:{tcp.serverPort()}"
    found.append(urllib.request.urlopen(base + "/", timeout=10).read())
    try:
        urllib.request.urlopen(base + "/fails", timeout=10)
    except urllib.error.HTTPError as error:
        found.append(error.code)
        error.close()
thread = threading.Thread(target=lambda: (ask(), app.quit()))
QTimer.singleShot(20_000, app.quit)
thread.start()
app.exec()
thread.join()
server.close()
assert cli.main(["--port", "none"]) == 2
os._exit(0 if found == [b"hello", 500] else 1)
"""


def test_it_works_without_stdout() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", WINDOWED], env=environment, check=False, timeout=40, cwd=ROOT)
    assert done.returncode == 0
