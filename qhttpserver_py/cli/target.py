"""What the command line serves: the demonstration, a directory, or an object of the user's."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from PySide6.QtCore import QCoreApplication

from qhttpserver_py import asgi, wsgi
from qhttpserver_py.cli.listen import CannotServeError
from qhttpserver_py.cli.recognise import kind_of, without_exec
from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer
from qhttpserver_py.qhttpserver import QHttpServer
from qhttpserver_py.static import StaticFiles, mount


def load(target: str | None, *, factory: bool = False) -> tuple[QAbstractHttpServer, str]:
    """Return the server that *target* stands for and what to call it; *factory*: what it names makes it."""
    if target is None:
        application()
        from qhttpserver_py.cli.demo import make_server

        return make_server(), "the demonstration"
    if Path(target).is_dir():
        application()
        return _directory_server(target), str(Path(target))
    source, colon, name = target.rpartition(":")
    if colon and source and all(part.isidentifier() for part in name.split(".")):
        return _user_server(source, name, factory), target
    if Path(target).exists():
        raise CannotServeError(f"{target!r} is a file: name a directory, or the server in a program (file.py:name).")
    raise CannotServeError(f"There is no directory {target!r}.")


def application() -> QCoreApplication:
    """Return the application object, made now if nobody made one."""
    return QCoreApplication.instance() or QCoreApplication(sys.argv[:1] or ["qhttpserver"])


def _directory_server(directory: str) -> QHttpServer:
    server = QHttpServer()
    # no-cache: files are edited while they are looked at; a 304 costs next to nothing here.
    mount(server, "/", StaticFiles(directory, cache_control="no-cache"))
    return server


def _user_server(source: str, name: str, factory: bool) -> QAbstractHttpServer:
    # Imported before there is an application object: the program may make the kind it needs.
    found: object = _import(source)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise CannotServeError(f"{source!r} has no {name!r}.") from None
    application()
    if callable(found) and (factory or kind_of(found) == "factory"):
        with _in_one_sentence(f"{source}:{name}()"):
            found = found()
    return _as_server(found, f"{source}:{name}")


def _as_server(found: Any, what: str) -> QAbstractHttpServer:
    kind = kind_of(found)
    if kind == "server":
        return found  # type: ignore[no-any-return]
    if kind not in ("asgi", "wsgi"):
        raise CannotServeError(
            f"{what} gives a {type(found).__name__}, not a QHttpServer, an ASGI or a WSGI application."
        )
    server = QHttpServer()
    try:
        if kind == "asgi":
            asgi.mount(server, "/", found)
        else:
            wsgi.mount(server, "/", found)
    except ImportError as error:
        raise CannotServeError(f"{what}: {error}.") from None
    return server


def _import(source: str) -> ModuleType:
    is_file = source.endswith(".py") or os.sep in source or "/" in source
    if not is_file:
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as python -m does; a console script does not
        if not _exists(source):
            raise CannotServeError(f"There is no module {source!r} here or among the installed ones.")
        with _in_one_sentence(source), without_exec(source):
            return importlib.import_module(source)
    path = Path(source).resolve()
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or specification is None or specification.loader is None:
        raise CannotServeError(f"There is no Python file {source!r}.")
    module = importlib.util.module_from_spec(specification)
    sys.path.insert(0, str(path.parent))
    sys.modules[path.stem] = module
    with _in_one_sentence(source), without_exec(source):
        specification.loader.exec_module(module)
    return module


def _exists(module: str) -> bool:
    try:
        return all(part.isidentifier() for part in module.split(".")) and (importlib.util.find_spec(module) is not None)
    except (ImportError, ValueError, AttributeError):
        return False


@contextmanager
def _in_one_sentence(what: str) -> Iterator[None]:
    """Turn what the user's code raises into one sentence that says where."""
    try:
        yield
    except CannotServeError:
        raise
    except SystemExit:
        raise CannotServeError(f"{what} exits instead of giving a server.") from None
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise CannotServeError(f"{what} fails with {text}{place}.") from error
