"""The documented Qt HTTP Server API in pure Python, inside the Qt event loop.

``from qhttpserver_py import QHttpServer`` replaces ``from PySide6.QtHttpServer import QHttpServer``.
Names are loaded at first use (PEP 562), so that tools that only inspect the package load no Qt.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qhttpserver_py.httperror import HttpError
    from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer
    from qhttpserver_py.qfuturehttpserverresponse import QFutureHttpServerResponse
    from qhttpserver_py.qhttpserver import QHttpServer
    from qhttpserver_py.qhttpserverconfiguration import QHttpServerConfiguration
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
    from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
    from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
    from qhttpserver_py.qhttpserverrouter import QHttpServerRouter
    from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule
    from qhttpserver_py.qhttpserverwebsocketupgraderesponse import QHttpServerWebSocketUpgradeResponse
    from qhttpserver_py.static import attachment

__version__ = "0.2.0"

__all__ = [
    "HttpError",
    "QAbstractHttpServer",
    "QFutureHttpServerResponse",
    "QHttpServer",
    "QHttpServerConfiguration",
    "QHttpServerRequest",
    "QHttpServerResponder",
    "QHttpServerResponse",
    "QHttpServerRouter",
    "QHttpServerRouterRule",
    "QHttpServerWebSocketUpgradeResponse",
    "attachment",
    "install",
]

_MODULES = {"attachment": "static"}  # of names that have no module of their own


def __getattr__(name: str) -> object:
    if name in __all__:
        value = getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, name.lower())}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def install() -> ModuleType:
    """Replace ``PySide6.QtHttpServer`` by this package, so that an unmodified program runs on it.

    Call it before anything imports ``PySide6.QtHttpServer``; calling it twice is harmless.

    Returns:
        This package, now also known as ``PySide6.QtHttpServer``.

    Raises:
        RuntimeError: the real module is loaded already; objects of both would not mix.

    Not in Qt.
    """
    import PySide6  # a package without Qt in it: nothing is loaded by this

    package = sys.modules[__name__]
    loaded = sys.modules.get("PySide6.QtHttpServer")
    if loaded is not None and loaded is not package:
        raise RuntimeError(
            "PySide6.QtHttpServer was imported before qhttpserver_py.install(); "
            "call install() first, at the top of the program"
        )
    sys.modules["PySide6.QtHttpServer"] = package
    setattr(PySide6, "QtHttpServer", package)  # noqa: B010 - the stubs do not know the attribute
    return package
