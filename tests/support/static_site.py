"""A small site on disk, and a responder that remembers what it was told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QIODevice
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.static import StaticFiles

BIG = bytes(range(256)) * 1024  # longer than what is sent in one piece


class Reply:
    """Stands in for the responder, and is the reply afterwards."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.device: QIODevice | None = None

    def write(self, data: bytes | QIODevice | QHttpHeaders, *rest: Any) -> None:
        assert not self.status, "answered twice"
        if isinstance(data, QHttpHeaders):
            data, rest = b"", (data, *rest)
        headers, self.status = rest if len(rest) == 2 else (*rest, 200)
        self.headers = {name.data().decode(): value.data().decode() for name, value in headers.toListOfPairs()}
        if isinstance(data, QIODevice):
            self.device = data
            assert data.isOpen() and not data.isSequential()
            size = data.size() - data.pos()
            pieces = []
            while piece := data.read(65536).data():
                pieces.append(piece)
            self.body = b"".join(pieces)
            assert len(self.body) == size and data.atEnd()
            data.close()
        else:
            self.body = data


def ask(files: StaticFiles, target: str, method: str = "GET", /, **headers: str) -> Reply:
    message = Message(
        1, method, target.encode(), 11, [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
    )
    reply = Reply()
    files.serve(QHttpServerRequest._make(message, None), reply)  # type: ignore[arg-type]
    assert reply.status, "not answered"
    return reply


def make_site(folder: Path) -> Path:
    """Make ``site`` in *folder*, and a file beside it that is none of its business."""
    (folder / "secret.txt").write_text("secret")
    root = folder / "site"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "with index").mkdir()
    (root / ".hidden").mkdir()
    (root / ".well-known").mkdir()
    (root / "a.txt").write_text("hello")
    (root / "empty.txt").write_text("")
    (root / "big.bin").write_bytes(BIG)
    (root / "sub" / "b.js").write_text("1")
    (root / "with index" / "index.html").write_text("<p>index")
    (root / ".env").write_text("KEY=1")
    (root / ".hidden" / "x").write_text("x")
    (root / ".well-known" / "security.txt").write_text("mail us")
    return root
