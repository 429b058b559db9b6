"""The documentation: its code runs, what it says a request gets is what it gets, and it builds without a warning.

Each page is one program: its ``python`` blocks run in order, in one namespace. An application made there is a
stand-in around the test's own, whose event loop is bounded; port 8080 is any free port. A block below the comment
``<!-- compiled: reason -->`` is compiled only. Below a block, comments say what the server then answers::

    <!-- GET /user/7 => 200 {"user":7} -->
    <!-- POST /echo hello => 200 hello -->

The first word after the path is sent as the body. An answer that ends with ``...`` is a beginning.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import pkgutil
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import QCoreApplication

import qhttpserver_py
from qhttpserver_py import QAbstractHttpServer
from qhttpserver_py.testing import FakeBackend, TlsAuthority
from qhttpserver_py.testing.loop import Waiters, call_in_worker

from ..support.rawclient import settle, spin

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "examples" not in p.parts)]
BLOCK = re.compile(r"^(?P<fence>```+)(?P<language>[^\n]*)\n(?P<code>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r"^<!-- (?P<text>.*?) -->$", re.MULTILINE)
EXPECTED = re.compile(r"(?P<method>[A-Z]+) (?P<target>\S+)(?: (?P<body>.*?))? => (?P<status>\d+)(?: (?P<answer>.*))?$")


@dataclass
class Step:
    """A block to run or to compile, or a request to make."""

    line: int
    code: str = ""
    compiled: bool = False
    request: re.Match[str] | None = None


def steps(page: Path) -> Iterator[Step]:
    text = page.read_text(encoding="utf-8")
    found = [*BLOCK.finditer(text), *REMARK.finditer(text)]
    blocks = [match.span() for match in BLOCK.finditer(text)]
    compiled = False
    for match in sorted(found, key=re.Match.start):
        line = text.count("\n", 0, match.start()) + 1
        if match.re is BLOCK:
            if match["language"].strip() == "python":
                # Line numbers in tracebacks are those of the page.
                yield Step(line, "\n" * line + match["code"].replace("8080", "0"), compiled)
                compiled = False
        elif not any(first <= match.start() < last for first, last in blocks):
            request = EXPECTED.match(match["text"])
            compiled = match["text"].startswith("compiled: ")
            if request is not None:
                yield Step(line, request=request)


class Application:
    """Stands in for QCoreApplication and QApplication: there can be only one, and its loop must end."""

    def __init__(self, *_argv: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(QCoreApplication.instance(), name)

    def exec(self) -> int:
        spin(lambda: False, seconds=0.02)
        return 0

    @staticmethod
    def instance() -> QCoreApplication | None:
        return QCoreApplication.instance()


def server_of(namespace: dict[str, Any]) -> QAbstractHttpServer:
    """Return the server a page's last program serves from."""
    holders = [*namespace.values()]
    servers = [value for value in holders if isinstance(value, QAbstractHttpServer)]
    servers += [value.server for value in holders if isinstance(getattr(value, "server", None), QAbstractHttpServer)]
    listening = [server for server in servers if any(server.serverPorts())]
    assert listening, "no server listens"
    return listening[-1]


def check(namespace: dict[str, Any], request: re.Match[str]) -> None:
    server = server_of(namespace)
    port, wanted = server.serverPorts()[-1], request["answer"]
    beginning = (wanted or "").endswith("...")
    body = (request["body"] or "").encode() or None

    def ask() -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection):
            connection.request(request["method"], request["target"], body)
            answer = connection.getresponse()
            data = answer.read(len(wanted) - 3) if beginning else answer.read()
            return answer.status, data.decode()

    status, text = call_in_worker(ask, Waiters(), 10_000)
    assert status == int(request["status"]), f"{request[0]}: {status} {text}"
    if wanted:
        assert text.replace("\n", " ").strip() == wanted.removesuffix("...").strip(), request[0]


@pytest.fixture
def namespace(
    qapp: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[dict[str, Any]]:
    for module, name in ((QtCore, "QCoreApplication"), (QtWidgets, "QApplication")):
        monkeypatch.setattr(module, name, Application)
    monkeypatch.chdir(tmp_path)
    make_files(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    monkeypatch.setitem(sys.modules, "page", type(sys)("page"))
    yield namespace
    for value in [*namespace.values()]:
        server = getattr(value, "server", value)
        if isinstance(server, QAbstractHttpServer):
            server.close()
        if isinstance(value, QtWidgets.QWidget):
            value.close()
    namespace.clear()
    QtCore.QLoggingCategory.setFilterRules("")
    settle()


def make_files(folder: Path) -> None:
    """Write what the pages' programs read."""
    leaf = TlsAuthority().ca.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
    for name, text in (("web/index.html", "<h1>app</h1>"), ("report.csv", "a,b\n"), ("page.html", "<h1>page</h1>")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def fake_backend(namespace: dict[str, Any]) -> None:
    """Have what the fixtures of the page on testing give, and a server that answers what it shows."""
    backend = namespace["qhttpserver"] = FakeBackend().start()
    backend.expect_request("/items", "GET").respond_with_json({"items": ["one"]})
    backend.expect_request("/items", "POST").respond_with_json({"id": 7}, 201)
    namespace["requests"] = requests
    namespace["pytest"] = pytest


SETUP = {"docs/howto/testing.md": fake_backend}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(page: Path, namespace: dict[str, Any]) -> None:
    name = page.relative_to(ROOT).as_posix()
    SETUP.get(name, lambda _: None)(namespace)
    for step in steps(page):
        if step.request is not None:
            check(namespace, step.request)
            continue
        code = compile(step.code, str(page), "exec")
        if not step.compiled:
            exec(code, namespace)


def test_few_blocks_are_only_compiled() -> None:
    every = [step for page in PAGES for step in steps(page) if step.code]
    compiled = [step for step in every if step.compiled]
    assert len(compiled) * 5 <= len(every), f"{len(compiled)} of {len(every)}"


LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files(page: Path) -> None:
    for target in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        assert (page.parent / target).exists(), target


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(importlib.util.find_spec("furo") is None, reason="needs the extra docs")
def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-b", "html", DOCS, tmp_path / "html"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "html" / "index.html").exists()
    inventory = (tmp_path / "html" / "objects.inv").read_bytes().split(b"\n", 4)[4]  # behind four lines of plain text
    listed = {line.split(" ")[0] for line in zlib.decompress(inventory).decode().splitlines()}
    assert sorted(public_names() - listed) == []


def public_names() -> set[str]:
    """What the reference must list: the names of the package, and of each public module with their signals."""
    modules = [module.name for module in pkgutil.iter_modules(qhttpserver_py.__path__)]
    extras = [name for name in modules if not name.startswith(("_", "q")) and name not in {"cli", "pytest_plugin"}]
    found = {f"qhttpserver_py.{name}" for name in qhttpserver_py.__all__}
    for name in extras:
        module = importlib.import_module(f"qhttpserver_py.{name}")
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        public = [key for key in getattr(module, "__all__", own) if not key.startswith("_")]
        found |= {f"{module.__name__}.{key}" for key in public if callable(getattr(module, key))}
    signals = {f"{name}.{key}" for name in found for key in signals_of(name)}
    return found | signals


def signals_of(name: str) -> list[str]:
    value = getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2])
    return [key for key, member in vars(value).items() if isinstance(member, QtCore.Signal)]
