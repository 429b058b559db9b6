"""The command line program: a demonstration, a directory, or a user's server, from one command.

Not in Qt.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from PySide6.QtCore import QCoreApplication, QLoggingCategory, QTimer
from PySide6.QtNetwork import QLocalServer, QTcpServer
from shiboken6 import isValid

from qhttpserver_py import __version__
from qhttpserver_py._serving.access_log import AccessLog
from qhttpserver_py.cli.describe import describe_routes, lan_urls
from qhttpserver_py.cli.listen import CannotServeError, listen_local, listen_tcp, resolve, tls_configuration, url_of
from qhttpserver_py.cli.reload import Reloader, restart
from qhttpserver_py.cli.signals import StopSignals
from qhttpserver_py.cli.target import application, load
from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer
from qhttpserver_py.qhttpserver import QHttpServer
from qhttpserver_py.security import protect_unprotected

_DEFAULT_HOST = "127.0.0.1"
_DEFAULT_PORT = 8080
_NEXT_PORTS = 100  # how many ports after the default one are tried
_GRACE = 2000  # milliseconds that replies in flight get after Ctrl-C
_LEVELS = ("debug", "info", "warning", "critical")
_EPILOG = """\
examples:
  qhttpserver                          a demonstration in the browser
  qhttpserver .                        the files of this directory
  qhttpserver app.py:server            the QHttpServer called "server" in app.py
  qhttpserver package.module:make      the QHttpServer that make() returns
  qhttpserver . --tls cert.pem key.pem over HTTPS, HTTP/2 included
"""


class _Parser(argparse.ArgumentParser):
    """Reports errors in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise CannotServeError(f"{message[:1].upper()}{message[1:]} (see --help).")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port number")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="qhttpserver",
        description="Serve HTTP from a Qt event loop.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "target", nargs="?", help="a directory, module:name or file.py:name; a demonstration if left out"
    )
    parser.add_argument("--host", help=f"address to listen on (default {_DEFAULT_HOST})")
    parser.add_argument(
        "--port", type=_port, help=f"port, 0 for any free one (default {_DEFAULT_PORT} or the next free one)"
    )
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="PEM files; serves HTTPS and HTTP/2")
    parser.add_argument(
        "--local", metavar="NAME", help="a local socket, instead of a port unless one of the above is given"
    )
    parser.add_argument(
        "--allow-host",
        metavar="HOST",
        action="append",
        help="a name that a loopback server is reached by besides localhost; '*' for any (repeatable)",
    )
    parser.add_argument(
        "--allow-origin",
        metavar="ORIGIN",
        action="append",
        help="a site whose pages may change things on a loopback server; '*' for any (repeatable)",
    )
    parser.add_argument("--factory", action="store_true", help="what the target names is called, and gives the server")
    parser.add_argument(
        "--reload", action="store_true", help="start again when a Python file below this directory changes"
    )
    parser.add_argument("--debug", action="store_true", help="show errors of handlers to the client; loopback only")
    parser.add_argument("--routes", action="store_true", help="print the routes of the server, and end")
    parser.add_argument("--log-level", choices=_LEVELS, help="least severe of the server's messages on stderr")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--version", action="version", version=f"qhttpserver {__version__}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with *argv*, ``sys.argv[1:]`` by default.

    Returns:
        0 after Ctrl-C or SIGTERM (or what the application's own exit says), 2 when it could not start.

    Threads: the main thread.

    Not in Qt.
    """
    try:
        return _run(_parser().parse_args(argv))
    except CannotServeError as error:
        if sys.stderr is not None:
            sys.stderr.write(f"qhttpserver: {error}\n")
        return 2
    except KeyboardInterrupt:  # before the event loop ran
        return 0
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)


def _run(options: argparse.Namespace) -> int:
    if options.log_level:
        _set_log_level(options.log_level)
    try:
        server, what = load(options.target, factory=options.factory)
    except CannotServeError as error:
        if not options.reload or sys.stderr is None:
            raise
        sys.stderr.write(f"qhttpserver: {error}\n")
        return _wait_for_change()
    app = application()
    if options.routes:
        for line in describe_routes(server):
            _say(line)
        return 0
    with StopSignals(lambda: _stop_gracefully(server, app)):
        places = _bind(server, options)
        _protect(server, options)
        if options.debug and _is_exposed(server):
            raise CannotServeError("--debug shows traces of the program: it serves loopback addresses alone.")
        server._core.shows_errors = options.debug
        if not options.quiet and sys.stdout is not None:
            _say(f"Serving {what} at {' and '.join(places)} - Ctrl-C stops it.")
            if _is_exposed(server):
                _say("Every computer that can reach this one can use it.")
                for place in lan_urls(server) if options.host else ():
                    _say(f"From a phone in the same network: {place}")
            server._answers.observers.append(AccessLog(sys.stdout))
        reloader = Reloader(Path.cwd(), _restart_for, app) if options.reload else None
        if reloader is not None and not options.quiet:
            _say("Python files below this directory are watched; a change starts it again.")
        code = app.exec()
    if isValid(server):  # the user's program may have deleted it at its end
        server.close()
    return code


def _wait_for_change() -> int:
    """Watch the files of a program that cannot be loaded, until one of them changes or a signal ends it."""
    app = application()
    with StopSignals(app.quit):
        reloader = Reloader(Path.cwd(), _restart_for, app)
        _say("Waiting for a Python file below this directory to change.")
        code = app.exec()
    reloader.deleteLater()
    return code


def _restart_for(file: str) -> None:
    if sys.stdout is not None:
        _say(f"{file} changed; starting again.")
    restart()


def _set_log_level(least: str) -> None:
    shown = _LEVELS.index(least)
    rules = [f"qt.httpserver*.{level}={str(rank >= shown).lower()}" for rank, level in enumerate(_LEVELS)]
    QLoggingCategory.setFilterRules("\n".join(rules))


def _bind(server: QAbstractHttpServer, options: argparse.Namespace) -> list[str]:
    """Listen as *options* say; return where. A server that listens already is left as it is."""
    asked = any(value is not None for value in (options.host, options.port, options.tls, options.local))
    if not asked and (server.servers() or server.localServers()):
        return [*map(url_of, server.servers()), *(local.fullServerName() for local in server.localServers())]
    places = []
    if options.local is not None:
        local = listen_local(options.local)
        _adopt(server, local)
        places.append(local.fullServerName())
    if options.local is None or any((options.host, options.port is not None, options.tls)):
        tcp = _listen(options)
        _adopt(server, tcp)
        fallen_back = options.port is None and tcp.serverPort() != _DEFAULT_PORT
        places.append(url_of(tcp) + (f" (port {_DEFAULT_PORT} is taken)" if fallen_back else ""))
    return places


def _listen(options: argparse.Namespace) -> QTcpServer:
    tls = tls_configuration(*options.tls) if options.tls else None
    ports: Iterable[int] = [options.port]
    if options.port is None:
        ports = range(_DEFAULT_PORT, _DEFAULT_PORT + _NEXT_PORTS)
    return listen_tcp(resolve(options.host or _DEFAULT_HOST), ports, tls)


def _adopt(server: QAbstractHttpServer, listener: QTcpServer | QLocalServer) -> None:
    if not server.bind(listener):
        raise CannotServeError("The server refused the socket it was given.")


def _stop_gracefully(server: QAbstractHttpServer, app: QCoreApplication) -> None:
    """Stop listening at once, and quit when the replies in flight are done or their time is over."""
    server.close(_GRACE)
    looking = QTimer(server)
    looking.timeout.connect(lambda: server._core.connections or app.quit())
    looking.start(10)
    QTimer.singleShot(_GRACE, app.quit)


def _is_exposed(server: QAbstractHttpServer) -> bool:
    return not all(listener.serverAddress().isLoopback() for listener in server.servers())


def _protect(server: QAbstractHttpServer, options: argparse.Namespace) -> None:
    """Refuse pages of other sites where the server is for this computer's user only, because any page can reach
    localhost.
    """
    if not isinstance(server, QHttpServer) or not server.servers() or _is_exposed(server):
        return
    try:
        protect_unprotected(server, options.allow_host or (), options.allow_origin or ())
    except ValueError as error:
        raise CannotServeError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a closed pipe is no reason not to serve
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
