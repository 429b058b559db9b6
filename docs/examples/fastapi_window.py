"""FastAPI in a window: its handlers read and set widgets, and its documentation page is in the browser.

    python docs/examples/fastapi_window.py [PORT]

Needs fastapi. /docs loads its scripts from a CDN; the API itself needs no network.
"""

import signal
import sys
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException
from pydantic import BaseModel, Field
from PySide6.QtCore import Qt
from PySide6.QtNetwork import QHostAddress, QTcpServer
from PySide6.QtWidgets import QApplication, QFormLayout, QLabel, QLineEdit, QMainWindow, QSlider, QWidget

from qhttpserver_py import QHttpServer, asgi
from qhttpserver_py.security import protect_localhost


class State(BaseModel):
    """What the window shows."""

    level: Annotated[int, Field(ge=0, le=100)]
    note: Annotated[str, Field(max_length=40)] = ""


class Window(QMainWindow):
    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self.setWindowTitle("FastAPI in a window")
        self.level = QSlider(Qt.Orientation.Horizontal)
        self.level.setMaximum(100)
        self.note = QLineEdit()
        self.served = QLabel("no request yet")
        self.requests = 0
        self.server = QHttpServer(self)
        protect_localhost(self.server)
        asgi.mount(self.server, "/", make_app(self))
        self.tcp = QTcpServer()
        if not self.tcp.listen(QHostAddress.SpecialAddress.LocalHost, port) or not self.server.bind(self.tcp):
            raise SystemExit(self.tcp.errorString())
        self.url = f"http://127.0.0.1:{self.tcp.serverPort()}/docs"
        link = QLabel(f'<a href="{self.url}">{self.url}</a>', openExternalLinks=True)
        form = QFormLayout()
        for name, widget in (("Level", self.level), ("Note", self.note), ("API", link), ("Served", self.served)):
            form.addRow(name, widget)
        page = QWidget()
        page.setLayout(form)
        self.setCentralWidget(page)

    def count(self, what: str) -> None:
        self.requests += 1
        self.served.setText(f"{self.requests}, the last one: {what}")

    def state(self) -> State:
        return State(level=self.level.value(), note=self.note.text())


def make_app(window: Window) -> FastAPI:
    app = FastAPI(title="A window")
    app.include_router(make_router(window))
    return app


def make_router(window: Window) -> APIRouter:
    router = APIRouter()

    @router.get("/state")
    async def read() -> State:
        window.count("GET /state")
        return window.state()

    @router.put("/state")
    async def write(state: State) -> State:  # validated: 422 says what is wrong
        window.count("PUT /state")
        window.level.setValue(state.level)
        window.note.setText(state.note)
        return window.state()

    @router.post("/level/{step}")
    async def move(step: int) -> State:
        window.count(f"POST /level/{step}")
        if not 0 <= window.level.value() + step <= 100:
            raise HTTPException(409, "the slider ends here")
        window.level.setValue(window.level.value() + step)
        return window.state()

    return router


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QApplication(sys.argv[:1])
    window = Window(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    window.show()
    print(f"Listening on {window.url}", flush=True)
    sys.exit(app.exec())


if __name__ == "__main__":
    main()
