"""What the command line recognises, and what it says of the rest."""

from __future__ import annotations

import sys

import pytest

from qhttpserver_py import QHttpServer
from qhttpserver_py.cli.listen import CannotServeError
from qhttpserver_py.cli.recognise import kind_of
from qhttpserver_py.cli.reload import Reloader
from qhttpserver_py.cli.target import load

from ..support.rawclient import ask, bound, spin

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


async def asgi_function(scope, receive, send): ...


def wsgi_function(environ, start_response): ...


class AsgiObject:
    async def __call__(self, scope, receive, send): ...


class WsgiObject:
    def __call__(self, environ, start_response): ...


def test_kinds() -> None:
    found = [asgi_function, wsgi_function, AsgiObject(), WsgiObject(), lambda: 1, AsgiObject, 5, QHttpServer()]
    assert [kind_of(one) for one in found] == [
        "asgi", "wsgi", "asgi", "wsgi", "factory", "factory", "none", "server",
    ]  # fmt: skip


PROGRAM = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"wsgi"]

def make():
    return app
"""


@pytest.mark.parametrize(
    ("name", "factory", "body"), [("app", False, b"asgi"), ("wsgi", False, b"wsgi"), ("make", True, b"asgi")]
)
def test_applications_are_served(tmp_path, monkeypatch, name, factory, body) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "served_program.py").write_text(PROGRAM)
    server, _ = load(f"{tmp_path}/served_program.py:{name}", factory=factory)
    assert ask(bound(server), "/x").body == body
    server.close()


def test_a_program_that_runs_the_event_loop_at_import(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "looping.py").write_text("from PySide6.QtCore import QCoreApplication\nQCoreApplication.exec()\n")
    with pytest.raises(CannotServeError, match="calls exec\\(\\) while it is imported"):
        load(f"{tmp_path}/looping.py:server")


def test_a_change_is_noticed_once(tmp_path) -> None:
    file = tmp_path / "a.py"
    file.write_text("x = 1")
    seen = []
    reloader = Reloader(tmp_path, seen.append)
    file.write_text("x = 2")
    file.write_text("x = 3")
    assert spin(lambda: seen)
    assert seen == [str(file)]
    reloader.deleteLater()
