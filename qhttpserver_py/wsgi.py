"""WSGI applications (PEP 3333) beside the routes of a server, each request in a thread of a pool. Not in Qt.

The work is done by ``a2wsgi``, which makes an ASGI application of one that is WSGI: bodies are streamed both ways, and
the iterable is closed. Handlers of the application run in other threads than the server's, and must not touch widgets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from qhttpserver_py import asgi

if TYPE_CHECKING:
    from qhttpserver_py.qhttpserver import QHttpServer

__all__ = ["WsgiApplication", "mount"]

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application: called with environ and start_response (PEP 3333). Not in Qt."""

THREADS = 10
"""Requests that run at a time, where no executor is given."""


def mount(
    server: QHttpServer, prefix: str, application: WsgiApplication, *, executor: ThreadPoolExecutor | None = None
) -> asgi.Mounted:
    """Serve every path below *prefix*, and *prefix* itself, by a WSGI *application*.

    Args:
        server: the server; see ``asgi.mount``.
        prefix: "/" for all paths that no route of the server has, or a path such as "/admin", its SCRIPT_NAME.
        application: ``application(environ, start_response)``, a Flask or Django application for example.
        executor: the pool it runs in, which stays the caller's; one of ten threads is made where None.

    Returns:
        What is mounted; it ends with the server.

    Raises:
        ImportError: the package ``a2wsgi`` is not installed.
        TypeError: *application* cannot be called.
        ValueError: *prefix* does not begin with "/", or ends with one.
        RuntimeError: called from another thread than the server's.

    Not in Qt.
    """
    try:
        from a2wsgi import WSGIMiddleware
    except ImportError as error:
        raise ImportError("WSGI applications need the package a2wsgi: pip install 'qhttpserver-py[wsgi]'") from error
    if not callable(application):
        raise TypeError(f"mount(): a WSGI application is callable; {type(application).__name__} is not")
    adapted: Any = WSGIMiddleware(application, workers=THREADS)  # type: ignore[arg-type]
    if executor is not None:
        adapted.executor.shutdown(wait=False)
        adapted.executor = executor
    mounted = asgi.mount(server, prefix, adapted, lifespan="off")
    if executor is None:
        server._lifetime.close_hooks.append(lambda: adapted.executor.shutdown(wait=False, cancel_futures=True))
    return mounted
