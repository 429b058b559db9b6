"""The web's frameworks on one server in the Qt event loop, and clients that use them.

python -m tests.asgi.frameworks plain|qtasyncio|qasync 1|2

Prints the name of each check that holds, and ends with 0 if all do and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import BackgroundTasks, FastAPI, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel
from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress, QTcpServer
from sse_starlette import EventSourceResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, StreamingResponse

from qhttpserver_py import QHttpServer, aio, asgi, wsgi

ORIGIN = "http://page.example"
SEEN: list[str] = []


class Item(BaseModel):
    name: str
    price: float


def make_fastapi(folder: Path) -> Any:
    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
        SEEN.append("up")
        yield {"word": "shared"}
        SEEN.append("down")

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(GZipMiddleware, minimum_size=500)
    app.add_middleware(SessionMiddleware, secret_key="secret")
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_methods=["PUT"])
    app.mount("/static", StaticFiles(directory=folder))
    (folder / "page.html").write_text("<b>{{ word }}</b>")
    templates = Jinja2Templates(folder)

    @app.get("/items/{number}")
    async def item(number: int, q: str = "") -> dict[str, Any]:
        return {"number": number, "q": q, "main": threading.current_thread() is threading.main_thread()}

    @app.post("/items")
    async def make(item: Item) -> Item:
        return item

    @app.get("/blocking")
    def blocking() -> bool:
        return threading.current_thread() is threading.main_thread()

    @app.get("/state")
    async def state(request: Request) -> str:
        return str(request.state.word)

    @app.get("/count")
    async def count(request: Request) -> int:
        request.session["n"] = request.session.get("n", 0) + 1
        return int(request.session["n"])

    @app.post("/upload")
    async def upload(file: UploadFile) -> dict[str, Any]:
        return {"name": file.filename, "size": len(await file.read())}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for number in range(100):
                yield f"{number},"
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), media_type="text/csv")

    @app.get("/events")
    async def events() -> EventSourceResponse:
        async def some() -> AsyncIterator[dict[str, str]]:
            for number in range(3):
                yield {"event": "tick", "data": str(number)}

        return EventSourceResponse(some())

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(SEEN.append, "background")
        return "ok"

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(folder / "a.txt")

    @app.get("/page")
    async def page(request: Request) -> Any:
        return templates.TemplateResponse(request, "page.html", {"word": "templated"})

    @app.get("/large")
    async def large() -> str:
        return "x" * 5000

    @app.exception_handler(LookupError)
    async def missing(_: Request, error: Exception) -> Any:
        return FileResponse(folder / "a.txt", 418)

    @app.get("/lookup")
    async def lookup() -> None:
        raise LookupError

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text((await socket.receive_text()).upper())
        except WebSocketDisconnect as error:
            SEEN.append(f"left {error.code}")

    return app


def make_django() -> tuple[Any, Any]:
    """Return Django's ASGI and its WSGI application, of the same two views."""
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    async def hello(request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"async {request.get_full_path()} {request.GET.get('q')}")

    def form(request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"form {request.POST.get('a')} of {request.META.get('SCRIPT_NAME')}")

    urls = type(sys)("django_urls")
    urls.urlpatterns = [path("hello", hello), path("form", form)]  # type: ignore[attr-defined]
    sys.modules["django_urls"] = urls
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="django_urls", SECRET_KEY="x", USE_TZ=True)
    django.setup()
    return get_asgi_application(), get_wsgi_application()


def make_mcp(widget: Any) -> Any:
    from mcp.server import MCPServer

    server = MCPServer("widgets")

    @server.tool()
    async def read() -> str:
        """Return the widget's text."""
        assert threading.current_thread() is threading.main_thread()
        return str(widget.objectName())

    return server.streamable_http_app()


def make_flask() -> Any:
    import flask

    app = flask.Flask("app")

    @app.route("/hello/<name>")
    def hello(name: str) -> dict[str, Any]:
        return {"name": name, "main": threading.current_thread() is threading.main_thread()}

    return app


# ---- checks: each gets the client and the address


def routing(client: httpx.Client, _: str) -> None:
    assert client.get("/api/items/7?q=a").json() == {"number": 7, "q": "a", "main": True}
    assert client.get("/api/items/x").status_code == 422
    assert client.get("/api/none").json() == {"detail": "Not Found"}
    assert client.get("/api/state").json() == "shared"


def threads(client: httpx.Client, _: str) -> None:
    assert client.get("/api/blocking").text == "false"


def validation(client: httpx.Client, _: str) -> None:
    assert client.post("/api/items", json={"name": "n", "price": 2}).json() == {"name": "n", "price": 2.0}
    assert client.post("/api/items", json={"name": 1}).status_code == 422
    assert client.post("/api/items", content=b"{").status_code == 422


def sessions(client: httpx.Client, _: str) -> None:
    assert [client.get("/api/count").json() for _ in range(3)] == [1, 2, 3]


def compression(client: httpx.Client, _: str) -> None:
    answer = client.get("/api/large", headers={"accept-encoding": "gzip"})
    assert (answer.headers["content-encoding"], answer.text) == ("gzip", '"' + "x" * 5000 + '"')


def cors(client: httpx.Client, _: str) -> None:
    asked = {"origin": ORIGIN, "access-control-request-method": "PUT"}
    answer = client.options("/api/items/1", headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    evil = client.options("/api/items/1", headers={**asked, "origin": "http://evil.example"})
    assert evil.status_code == 400


def files(client: httpx.Client, _: str) -> None:
    assert client.get("/api/static/a.txt").text == "static"
    assert client.get("/api/static/a.txt", headers={"range": "bytes=1-2"}).text == "ta"
    assert client.get("/api/static/none").status_code == 404
    assert client.get("/api/file").text == "static"
    head = client.head("/api/static/a.txt")
    assert (head.headers["content-length"], head.content) == ("6", b"")


def templates(client: httpx.Client, _: str) -> None:
    assert client.get("/api/page").text == "<b>templated</b>"


def uploads(client: httpx.Client, _: str) -> None:
    answer = client.post("/api/upload", files={"file": ("a.bin", b"z" * 3_000_000)})
    assert answer.json() == {"name": "a.bin", "size": 3_000_000}


def streaming(client: httpx.Client, _: str) -> None:
    assert client.get("/api/stream").text == "".join(f"{number}," for number in range(100))


def events(client: httpx.Client, _: str) -> None:
    with client.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines == ["event: tick", "data: 0", "event: tick", "data: 1", "event: tick", "data: 2"]


def background(client: httpx.Client, _: str) -> None:
    assert client.get("/api/background").json() == "ok"
    deadline = time.monotonic() + 10
    while "background" not in SEEN:
        assert time.monotonic() < deadline
        client.get("/api/state")


def exceptions(client: httpx.Client, _: str) -> None:
    assert client.get("/api/lookup").status_code == 418


def documentation(client: httpx.Client, _: str) -> None:
    assert "swagger" in client.get("/api/docs").text
    assert "/items/{number}" in client.get("/api/openapi.json").json()["paths"]


def websockets(_: httpx.Client, address: str) -> None:
    from websockets.sync.client import connect

    with connect(f"{address.replace('http', 'ws')}/api/echo") as peer:
        peer.send("hi")
        assert peer.recv(10) == "HI"


def mcp(_: httpx.Client, address: str) -> None:
    from mcp import Client

    async def call() -> Any:
        async with Client(f"{address}/mcp") as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["read"]
            return (await client.call_tool("read")).content[0]

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # QtAsyncio has set a policy
        assert runner.run(call()).text == "of the widget"


def django(client: httpx.Client, _: str) -> None:
    assert client.get("/django/hello?q=1").text == "async /django/hello?q=1 1"
    assert client.post("/django/form", data={"a": "b"}).text == "form b of /django"
    assert client.post("/wsgi-django/form", data={"a": "c"}).text == "form c of /wsgi-django"


def flask(client: httpx.Client, _: str) -> None:
    assert client.get("/flask/hello/x").json() == {"name": "x", "main": False}


def prometheus(client: httpx.Client, _: str) -> None:
    for path in ("/metrics", "/wsgi-metrics"):
        assert "python_info{" in client.get(f"{path}/").text


CHECKS: list[Callable[[httpx.Client, str], None]] = [
    routing, threads, validation, sessions, compression, cors, files, templates, uploads, streaming, events, background,
    exceptions, documentation, websockets, mcp, django, flask, prometheus,
]  # fmt: skip


def mount_all(server: QHttpServer, folder: Path) -> list[asgi.Mounted]:
    import prometheus_client

    (folder / "a.txt").write_text("static")
    server.setObjectName("of the widget")
    django_asgi, django_wsgi = make_django()
    return [
        asgi.mount(server, "/api", make_fastapi(folder)),
        asgi.mount(server, "/django", django_asgi),
        wsgi.mount(server, "/wsgi-django", django_wsgi),
        wsgi.mount(server, "/flask", make_flask()),
        asgi.mount(server, "/metrics", prometheus_client.make_asgi_app()),
        wsgi.mount(server, "/wsgi-metrics", prometheus_client.make_wsgi_app()),
        asgi.mount(server, "/", make_mcp(server)),
    ]


def ask_all(port: int, http: str) -> None:
    """Make every check, in a thread of its own."""
    address = f"http://127.0.0.1:{port}"
    options = {"http1": http == "1", "http2": http == "2", "timeout": 30, "trust_env": False}
    with httpx.Client(base_url=address, **options) as client:
        for check in CHECKS:
            check(client, address)
            print(check.__name__, flush=True)
        assert client.get("/api/state").http_version == ("HTTP/2" if http == "2" else "HTTP/1.1")


async def main(http: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = QHttpServer()
        mounted = mount_all(server, Path(folder))
        tcp = QTcpServer()
        assert tcp.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost))
        assert server.bind(tcp)
        raised: list[BaseException] = []

        def work() -> None:
            try:
                ask_all(tcp.serverPort(), http)
            except BaseException as error:  # noqa: BLE001 - told in the main thread
                raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.01)
        if raised:
            raise raised[0]
        server.close(2000)
        await server.wait_closed()
        for one in mounted:
            await one.wait_closed()
        assert not any(one._tasks for one in mounted)
        assert SEEN[-1] == "down"
        # sse_starlette keeps a task for a loop, which watches for the end of uvicorn.
        others = {task for task in asyncio.all_tasks() if "_shutdown_watcher" not in repr(task)}
        others -= {asyncio.current_task()}  # type: ignore[arg-type]
        assert not others, others
        print("closed", flush=True)


def run(loop: str, http: str) -> None:
    app = QCoreApplication([])
    if loop == "plain":
        task = aio.start(main(http))
        task.add_done_callback(lambda _: app.quit())
        app.exec()
        task.result()
    elif loop == "qtasyncio":
        import PySide6.QtAsyncio as QtAsyncio

        QtAsyncio.run(main(http), keep_running=False)
    else:
        import qasync

        with qasync.QEventLoop(app) as its:
            its.run_until_complete(main(http))


if __name__ == "__main__":
    run(*sys.argv[1:3])
