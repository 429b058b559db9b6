"""WebSocket beside QWebSocket, member by member; and the programs of its page without Addons."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Signal
from PySide6.QtWebSockets import QWebSocket

from qhttpserver_py.websocket import WebSocket

ROOT = Path(__file__).parents[2]

ONLY_A_CLIENTS = {
    "open", "ignoreSslErrors", "continueInterruptedHandshake", "handshakeOptions", "setMaskGenerator", "maskGenerator",
    "setProxy", "proxy", "proxyAuthenticationRequired", "sslErrors", "setSslConfiguration",
    "preSharedKeyAuthenticationRequired", "handshakeInterruptedOnError", "peerVerifyError", "alertReceived",
    "alertSent", "authenticationRequired",
}  # fmt: skip
"""What QWebSocket has for the side that connects, and what is asked of Qt's own TLS."""

NOT_HERE = {
    "maxIncomingMessageSize", "maxIncomingFrameSize", "maxOutgoingFrameSize", "maxAllowedIncomingFrameSize",
    "setMaxAllowedIncomingFrameSize", "outgoingFrameSize", "setOutgoingFrameSize", "pauseMode", "setPauseMode",
    "resume", "readBufferSize", "setReadBufferSize",
}  # fmt: skip
"""What the native one has not: frames and buffers have bounds of their own (docs/explanation/security.md)."""


def members(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")} - set(dir(QObject))


def test_every_member_is_there_or_listed() -> None:
    missing = members(QWebSocket) - members(WebSocket)
    assert missing <= ONLY_A_CLIENTS | NOT_HERE, sorted(missing - ONLY_A_CLIENTS - NOT_HERE)
    assert not {name for name in ONLY_A_CLIENTS | NOT_HERE if name in members(WebSocket)}


SHARED = members(QWebSocket) & members(WebSocket)
SIGNALS = sorted(
    name
    for name in SHARED
    if isinstance(getattr(QWebSocket, name), Signal) and isinstance(getattr(WebSocket, name), Signal)
)


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_carry_the_same(name: str, qapp) -> None:
    def carried(kind: type) -> set[int]:
        text = str(getattr(kind, name))
        return {part.count(",") + bool(part.split(")")[0]) for part in text.split("(")[1:]}

    assert carried(WebSocket) & carried(QWebSocket)


CALLS = {
    "sendTextMessage": ("x",),
    "sendBinaryMessage": (b"x",),
    "close": (1000, "reason"),
    "ping": (b"x",),
    "setMaxAllowedIncomingMessageSize": (1,),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_bind_as_qwebsockets_do(name: str) -> None:
    inspect.signature(getattr(WebSocket, name)).bind(None, *CALLS[name])


PAGES = ["docs/howto/websockets.md"]

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in ("PySide6.QtWebSockets", "PySide6.QtHttpServer"):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
import re
from pathlib import Path
from PySide6.QtCore import QCoreApplication, QTimer
app = QCoreApplication([])
names = {"__name__": "page"}
for block in re.findall(r"```python\\n(.*?)```", Path(sys.argv[1]).read_text("utf-8"), re.S):
    exec(compile(block, sys.argv[1], "exec"), names)
from qhttpserver_py import aio
from qhttpserver_py.websocket import WebSocket
task = aio.start(names["try_it"]())
task.add_done_callback(lambda _: app.quit())
QTimer.singleShot(20000, app.quit)
app.exec()
assert task.result() == "hello", task
assert all(type(one) is WebSocket for one in names["sockets"])
assert "PySide6.QtWebSockets" not in sys.modules
print("ran")
"""


@pytest.mark.parametrize("page", PAGES)
def test_the_page_runs_without_addons(page: str) -> None:
    command = [sys.executable, "-c", BLOCKED, str(ROOT / page)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert ran.stdout.strip().endswith("ran"), ran.stderr[-2000:]
