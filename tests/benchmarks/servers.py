"""The servers compared, each an application script run in a process of its own."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[2]
START_LIMIT = 20.0  # seconds


@dataclass(frozen=True)
class Server:
    """One contestant: its script, what it can serve, and the module a user imports for it."""

    name: str
    title: str
    script: str
    kinds: tuple[str, ...]
    module: str
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


SERVERS = {
    server.name: server
    for server in (
        Server(
            "ours",
            "qhttpserver_py",
            "qt_app.py",
            ("http", "ws", "ws-deflate", "https", "h2"),
            "qhttpserver_py",
            ("--side", "ours"),
        ),
        Server(
            "wheel",
            "PySide6.QtHttpServer",
            "qt_app.py",
            ("http", "https", "h2"),
            "PySide6.QtHttpServer",
            ("--side", "wheel"),
            ("PySide6.QtHttpServer",),
        ),
        Server(
            "uvicorn",
            "uvicorn (bare ASGI)",
            "uvicorn_app.py",
            ("http", "ws", "ws-deflate", "https"),
            "uvicorn",
            needs=("uvicorn", "uvloop", "websockets"),
        ),
        Server("aiohttp", "aiohttp", "aiohttp_app.py", ("http", "https"), "aiohttp.web", needs=("aiohttp",)),
        Server("hypercorn", "hypercorn", "hypercorn_app.py", ("h2",), "hypercorn", needs=("hypercorn", "uvloop")),
        Server(
            "qwebsocket",
            "bare QWebSocketServer",
            "qwebsocket_app.py",
            ("ws",),
            "PySide6.QtWebSockets",
            needs=("PySide6.QtWebSockets",),
        ),
        Server("floor", "bare QTcpServer", "floor_app.py", ("http",), "PySide6.QtNetwork"),
    )
}


@dataclass(frozen=True)
class Setup:
    """What is the same for all processes of a run."""

    python: str
    certificate: Path
    key: Path
    server_cpu: int | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        inherited = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": path, **self.environment}
        # An installed package is compiled; one that runs from its sources must not pay for that at each start.
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)
        inherited.setdefault("PYTHONPYCACHEPREFIX", os.path.join(tempfile.gettempdir(), "benchmarks-bytecode"))
        return inherited


def absent_modules(server: Server, setup: Setup) -> list[str]:
    """What the server needs and that interpreter has not."""
    code = (
        "import importlib.util, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: found = importlib.util.find_spec(name)\n"
        "    except ImportError: found = None\n"
        "    if found is None: print(name)\n"
    )
    command = [setup.python, "-c", code, *server.needs]
    done = subprocess.run(command, capture_output=True, text=True, env=setup.variables(), check=True)
    return done.stdout.split()


class Running:
    """A started server: its process and port. Use it in a ``with`` statement."""

    def __init__(self, server: Server, kind: str, setup: Setup, script: str = "", extra: tuple[str, ...] = ()) -> None:
        self.server = server
        self.kind = kind
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in stop()
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [
                setup.python,
                str(APPS / (script or server.script)),
                *server.arguments,
                *extra,
                *("--kind", kind, "--certificate", str(setup.certificate), "--key", str(setup.key)),
            ],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=setup.variables(),
        )
        if setup.server_cpu is not None:
            os.sched_setaffinity(self.process.pid, {setup.server_cpu})
        self.port = self._read_port()
        self.ready = time.perf_counter()

    def _read_port(self) -> int:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], START_LIMIT)
        line = self.process.stdout.readline() if readable else b""
        if not line.strip().isdigit():
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace")[-2000:]
            self.stop()
            raise RuntimeError(f"{self.server.title} did not start: {said}")
        return int(line)

    def url(self, path: str) -> str:
        scheme = "https" if self.kind in ("https", "h2") else "http"
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.errors.close()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
