"""Finds the line of Python that asked for a host: calls of Qt's clients are noted, and a stack is read."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QUrl
from PySide6.QtNetwork import QAbstractSocket, QHostAddress, QNetworkAccessManager, QNetworkRequest, QSslSocket

from qhttpserver_py.testing.intercept.origins import PORTS, ascii_host

_PACKAGE = str(Path(__file__).parents[2])
_LIBRARIES = tuple(
    {*(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), _PACKAGE}
)

_CALLS = (
    (QNetworkAccessManager, ("get", "head", "post", "put", "deleteResource", "sendCustomRequest")),
    (QAbstractSocket, ("connectToHost",)),
    (QSslSocket, ("connectToHostEncrypted",)),
)


class QtCallers:
    """Notes the calls from Python of Qt's clients, until ``end``: QML and C++ are not seen."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], tuple[str, str]] = {}
        self._undo: list[Callable[[], None]] = []
        calls: list[tuple[Any, tuple[str, ...]]] = list(_CALLS)
        sockets = sys.modules.get("PySide6.QtWebSockets")
        if sockets is not None:
            calls.append((sockets.QWebSocket, ("open",)))
        for cls, names in calls:
            for name in names:
                self._wrap(cls, name)

    def end(self) -> None:
        """Stop noting, and restore the classes."""
        while self._undo:
            self._undo.pop()()

    def find(self, host: str, port: int) -> tuple[str, str]:
        """Return the URL and the line that asked last for *host* and *port*, each empty where it is not known."""
        return self._found.get((host, port), ("", ""))

    def _wrap(self, cls: Any, name: str) -> None:
        original = getattr(cls, name)
        inherited = name not in vars(cls)

        def noted(*args: Any, **kwargs: Any) -> Any:
            place = _place(args[1:])
            if place is not None:
                self._found[place[:2]] = (place[2], calling_line())
            return original(*args, **kwargs)

        def undo() -> None:
            if inherited:
                delattr(cls, name)
            else:
                setattr(cls, name, original)

        setattr(cls, name, noted)
        self._undo.append(undo)


def _place(args: tuple[Any, ...]) -> tuple[str, int, str] | None:
    """Return host, port and URL that the arguments of a call name."""
    first = args[0] if args else None
    url = first.url() if isinstance(first, QNetworkRequest) else first
    if isinstance(url, QUrl):
        host = url.host(QUrl.ComponentFormattingOption.FullyEncoded)
        return ascii_host(host), url.port(PORTS.get(url.scheme(), 0)), url.toString()
    if len(args) > 1 and isinstance(args[1], int):
        host = first.toString() if isinstance(first, QHostAddress) else str(first)
        return ascii_host(host), args[1], f"{host}:{args[1]}"
    return None


def calling_line() -> str:
    """Return the innermost line of the stack that is neither of a library nor of this package; else an empty text."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith((*_LIBRARIES, "<")):
            return f"{frame.filename}:{frame.lineno}: in {frame.name}\n      {frame.line}"
    return ""
