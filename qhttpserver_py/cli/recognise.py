"""What kind of object a program names: a server, an ASGI or WSGI application, or what makes one."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from qhttpserver_py.cli.listen import CannotServeError
from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer

_APPLICATIONS = (("QtCore", "QCoreApplication"), ("QtGui", "QGuiApplication"), ("QtWidgets", "QApplication"))

Kind = Literal["server", "asgi", "wsgi", "factory", "none"]


def kind_of(found: object) -> Kind:
    """Return what *found* is, by its type and by what it takes."""
    if isinstance(found, QAbstractHttpServer):
        return "server"
    if not callable(found) or inspect.isclass(found):
        return "factory" if callable(found) else "none"
    call = found if inspect.isroutine(found) else type(found).__call__
    if inspect.iscoroutinefunction(call) and _takes(found, 3):
        return "asgi"
    if _takes(found, 2):
        return "wsgi"
    return "factory"


def _takes(found: Callable[..., Any], count: int) -> bool:
    """Return whether *found* needs just so many arguments."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in parameters) == count


@contextmanager
def without_exec(source: str) -> Iterator[None]:
    """Refuse a program that runs Qt's event loop while it is imported, because the import would not end."""

    def refuse(*_: object) -> None:
        raise CannotServeError(
            f"{source} calls exec() while it is imported, and would block here: put that behind "
            "if __name__ == '__main__', or run the program itself."
        )

    classes = [
        cls
        for module, name in (
            ("QtCore", "QCoreApplication"),
            ("QtGui", "QGuiApplication"),
            ("QtWidgets", "QApplication"),
        )
        if (cls := getattr(sys.modules.get(f"PySide6.{module}"), name, None)) is not None
    ]
    before = [(cls, cls.__dict__["exec"]) for cls in classes if "exec" in cls.__dict__]
    for cls, _ in before:
        cls.exec = staticmethod(refuse)
    try:
        yield
    finally:
        for cls, own in before:
            cls.exec = own
