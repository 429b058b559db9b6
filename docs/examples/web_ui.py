"""A program whose user interface is a web page on this computer: files, a JSON API, and live updates.

python docs/examples/web_ui.py [--open] [--port PORT]
"""

import argparse
import signal
import sys
import webbrowser
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtNetwork import QHostAddress, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.security import add_headers, protect_localhost
from qhttpserver_py.sse import EventStream
from qhttpserver_py.static import StaticFiles, mount

Method = QHttpServerRequest.Method


class Notes(QObject):
    changed = Signal(list)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.notes: dict[int, str] = {}
        self.number = 0

    def listed(self) -> list[dict[str, object]]:
        return [{"id": number, "text": text} for number, text in self.notes.items()]

    def add(self, text: str) -> None:
        self.number += 1
        self.notes[self.number] = text
        self.changed.emit(self.listed())

    def remove(self, number: int) -> bool:
        found = self.notes.pop(number, None) is not None
        self.changed.emit(self.listed())
        return found


def make_server(notes: Notes) -> QHttpServer:
    server = QHttpServer()
    protect_localhost(server)  # no page of another site may read or write the notes
    add_headers(server, {"content-security-policy": "default-src 'self'"})

    @server.route("/api/notes", Method.Get)
    def listed() -> list[dict[str, object]]:
        return notes.listed()

    @server.route("/api/notes", Method.Post)
    def add(request: QHttpServerRequest) -> tuple[dict[str, str], int] | int:
        try:
            text = request.json()["text"]
        except (ValueError, TypeError, KeyError):
            return {"error": 'send {"text": "..."}'}, 400
        notes.add(str(text)[:1000])
        return 201

    @server.route("/api/notes/<arg>", Method.Delete)
    def remove(number: int) -> int:
        return 204 if notes.remove(number) else 404

    @server.route("/api/events", Method.Get)
    def events(request: QHttpServerRequest) -> EventStream:
        stream = EventStream(request)
        stream.event(notes.listed())
        stream.connect(notes.changed)
        return stream

    # Last: files answer whatever the routes above do not, and index.html the pages inside the app.
    mount(server, "/", StaticFiles(Path(__file__).with_suffix(""), listing=False, spa=True, cache_control="no-cache"))
    return server


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description="Notes in the browser.")
    parser.add_argument("--open", action="store_true", help="open the browser")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    app = QCoreApplication(sys.argv[:1])
    server, tcp = make_server(Notes()), QTcpServer()
    tcp.listen(QHostAddress.SpecialAddress.LocalHost, options.port)
    if not server.bind(tcp):
        raise SystemExit(tcp.errorString())
    url = f"http://localhost:{tcp.serverPort()}/"
    print("Serving at", url, flush=True)
    if options.open:
        webbrowser.open(url)  # it is ready: what is bound is accepted
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
