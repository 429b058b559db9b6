"""Starlette, FastAPI and Flask, mounted in the Qt loop."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager

import pytest

from qhttpserver_py import QHttpServer, asgi, wsgi

from ..support.rawclient import RawClient, ask, bound, spin
from ..support.threads import in_thread

starlette = pytest.importorskip("starlette")
fastapi = pytest.importorskip("fastapi")
flask = pytest.importorskip("flask")

from fastapi import (  # noqa: E402 - behind the question whether it is there
    BackgroundTasks,
    FastAPI,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
)
from fastapi.responses import JSONResponse, StreamingResponse  # noqa: E402
from pydantic import BaseModel  # noqa: E402
from starlette.middleware.gzip import GZipMiddleware  # noqa: E402
from websockets.exceptions import InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


@pytest.fixture
def server():
    made = QHttpServer()
    yield made
    made.close()
    spin(lambda: False, 0.05)


class Item(BaseModel):
    name: str
    price: float


def make_fastapi(seen: list[str]):
    @asynccontextmanager
    async def lifespan(_app):
        seen.append("up")
        yield
        seen.append("down")

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(GZipMiddleware, minimum_size=500)

    @app.get("/items/{number}")
    async def item(number: int, q: str = "") -> dict:
        return {"number": number, "q": q, "thread": threading.current_thread() is threading.main_thread()}

    @app.post("/items")
    async def make(item: Item) -> Item:
        return item

    @app.get("/blocking")
    def blocking() -> dict:
        return {"main": threading.current_thread() is threading.main_thread()}

    @app.post("/upload")
    async def upload(file: UploadFile) -> dict:
        return {"name": file.filename, "size": len(await file.read())}

    @app.get("/stream")
    async def stream():
        async def pieces():
            for number in range(5):
                yield f"{number}\n"

        return StreamingResponse(pieces(), media_type="text/plain")

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(seen.append, "background")
        return "ok"

    @app.get("/large")
    async def large() -> str:
        return "x" * 5000

    @app.get("/boom")
    async def boom() -> str:
        raise ZeroDivisionError

    return app


def post(port: int, path: str, data: bytes, kind: str):
    client = RawClient(port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
    client.send(head.encode() + data)
    return client.reply()


def test_fastapi(server, monkeypatch) -> None:
    import sys

    raised = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: raised.append(kind))
    seen: list[str] = []
    asgi.mount(server, "/api", make_fastapi(seen))
    port = bound(server)
    assert ask(port, "/api/items/7?q=a").body == b'{"number":7,"q":"a","thread":true}'
    assert ask(port, "/api/items/x").status == 422
    assert post(port, "/api/items", b'{"name":"n","price":2}', "application/json").body == b'{"name":"n","price":2.0}'
    assert post(port, "/api/items", b'{"name":1}', "application/json").status == 422
    assert ask(port, "/api/blocking").body == b'{"main":false}'
    form = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n'
    assert post(port, "/api/upload", form, "multipart/form-data; boundary=b").body == b'{"name":"a.txt","size":5}'
    assert ask(port, "/api/stream").body == b"0\n1\n2\n3\n4\n"
    assert ask(port, "/api/background").body == b'"ok"'
    assert spin(lambda: "background" in seen)
    assert ask(port, "/api/large", "Accept-Encoding: gzip").headers["content-encoding"] == "gzip"
    assert b"swagger" in ask(port, "/api/docs").body
    assert ask(port, "/api/boom").status == 500
    assert raised == [ZeroDivisionError]
    server.close()
    assert spin(lambda: "down" in seen)
    assert seen[0] == "up"


def test_starlette_sessions_files_and_events(server, tmp_path) -> None:
    pytest.importorskip("itsdangerous")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.sessions import SessionMiddleware
    from starlette.responses import FileResponse, PlainTextResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    (tmp_path / "a.txt").write_text("static")

    async def count(request):
        request.session["n"] = request.session.get("n", 0) + 1
        return PlainTextResponse(str(request.session["n"]))

    async def file(request):
        return FileResponse(tmp_path / "a.txt")

    app = Starlette(
        routes=[Route("/count", count), Route("/file", file), Mount("/static", StaticFiles(directory=tmp_path))],
        middleware=[Middleware(SessionMiddleware, secret_key="x")],
    )
    asgi.mount(server, "/", app)
    port = bound(server)
    first = ask(port, "/count")
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert (first.body, ask(port, "/count", f"Cookie: {cookie}").body) == (b"1", b"2")
    assert ask(port, "/file").body == b"static"
    assert ask(port, "/static/a.txt").body == b"static"
    assert ask(port, "/static/../a.txt").status == 404


def test_websockets_of_starlette_and_fastapi(server, monkeypatch) -> None:
    import sys

    reported: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: reported.append(error))
    app = FastAPI()
    seen: list[tuple[int, str]] = []

    @app.websocket("/rooms/{room}")
    async def rooms(socket: WebSocket, room: int, token: str = "") -> None:
        if token == "bad":
            raise WebSocketException(code=1008)
        await socket.accept()
        try:
            while True:
                await socket.send_json({"room": room, "said": await socket.receive_text()})
        except WebSocketDisconnect as error:
            seen.append((error.code, error.reason))

    @app.websocket("/deny")
    async def deny(socket: WebSocket) -> None:
        await socket.send_denial_response(JSONResponse({"why": "no"}, 418))

    asgi.mount(server, "/api", app)
    port = bound(server)

    def refused(path: str) -> tuple[int, bytes]:
        with pytest.raises(InvalidStatus) as error, connect(f"ws://127.0.0.1:{port}/api{path}"):
            pass
        return error.value.response.status_code, bytes(error.value.response.body or b"")

    def client() -> str:
        with connect(f"ws://127.0.0.1:{port}/api/rooms/7") as peer:
            peer.send("hi")
            answer = peer.recv(5)
            peer.close(4000, "enough")
            return str(answer)

    assert in_thread(client) == '{"room":7,"said":"hi"}'
    assert spin(lambda: seen == [(4000, "enough")])
    assert in_thread(refused, "/rooms/x")[0] == 403  # validation
    assert in_thread(refused, "/rooms/1?token=bad")[0] == 403
    assert in_thread(refused, "/none")[0] == 403
    assert in_thread(refused, "/deny") == (418, b'{"why":"no"}')
    assert reported == []


def test_flask(server) -> None:
    app = flask.Flask("app")

    @app.route("/hello/<name>")
    def hello(name: str) -> dict:
        return {"name": name, "script": flask.request.script_root, "q": flask.request.args.get("q")}

    @app.route("/echo", methods=["POST"])
    def echo() -> bytes:
        return flask.request.get_data()

    @app.route("/boom")
    def boom() -> str:
        raise ZeroDivisionError

    @app.route("/stream")
    def stream():
        return flask.Response((f"{number}\n" for number in range(3)), mimetype="text/plain")

    wsgi.mount(server, "/flask", app)
    port = bound(server)
    assert ask(port, "/flask/hello/x?q=1").body.strip() == b'{"name":"x","q":"1","script":"/flask"}'
    assert post(port, "/flask/echo", b"z" * 100_000, "text/plain").body == b"z" * 100_000
    assert ask(port, "/flask/stream").body == b"0\n1\n2\n"
    assert ask(port, "/flask/boom").status == 500
    assert ask(port, "/flask/none").status == 404


def test_a_wsgi_application_that_is_none(server) -> None:
    with pytest.raises(TypeError, match="callable"):
        wsgi.mount(server, "/", 5)  # type: ignore[arg-type]
