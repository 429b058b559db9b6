"""A Model Context Protocol endpoint in a Qt program: JSON-RPC by POST, replies as JSON or as an event stream.

    python docs/examples/mcp_server.py [PORT]

No asyncio thread: tools run in the Qt thread and may touch widgets, slow ones report progress.
"""

import secrets
import signal
import sys
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, QSysInfo, QTimer
from PySide6.QtNetwork import QHostAddress, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.security import protect_localhost
from qhttpserver_py.sse import EventStream

Method = QHttpServerRequest.Method
VERSION = "2025-06-18"
Json = dict[str, Any]


class Endpoint(QObject):
    def __init__(self, server: QHttpServer) -> None:
        super().__init__(server)
        self.sessions: set[str] = set()
        self.listeners: list[EventStream] = []
        self.tools: dict[str, tuple[Json, Callable[[Json], str]]] = {}
        server.route("/mcp", Method.Post, self.post)
        server.route("/mcp", Method.Get, self.listen)
        server.route("/mcp", Method.Delete, self.end)
        protect_localhost(server)  # the specification asks servers to check Origin

    def add_tool(self, name: str, description: str, schema: Json, function: Callable[[Json], str]) -> None:
        self.tools[name] = ({"name": name, "description": description, "inputSchema": schema}, function)

    def post(self, request: QHttpServerRequest) -> Any:
        try:
            call = request.json()
        except ValueError:
            return error(None, -32700, "not JSON"), 400
        if not isinstance(call, dict) or call.get("jsonrpc") != "2.0":
            return error(None, -32600, "not a JSON-RPC 2.0 message"), 400
        number, method = call.get("id"), call.get("method")
        if method == "initialize":
            return self.initialize(number)
        if self.session(request) not in self.sessions:
            return 404  # the client starts a new session
        if number is None:
            return 202  # a notification
        if method == "tools/list":
            return result(number, {"tools": [description for description, _ in self.tools.values()]})
        if method == "tools/call":
            return self.call(request, number, call.get("params") or {})
        return result(number, {}) if method == "ping" else error(number, -32601, f"no method {method!r}")

    def initialize(self, number: object) -> Any:
        session = secrets.token_urlsafe()
        self.sessions.add(session)
        about = {
            "protocolVersion": VERSION,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "qt-example", "version": "1"},
        }
        return result(number, about), 200, {"mcp-session-id": session}

    def call(self, request: QHttpServerRequest, number: object, params: Json) -> Any:
        if params.get("name") == "countdown":
            return self.countdown(request, number, params)
        tool = self.tools.get(str(params.get("name")))
        if tool is None:
            return error(number, -32602, f"no tool {params.get('name')!r}")
        try:
            text, failed = tool[1](params.get("arguments") or {}), False
        except Exception as problem:  # noqa: BLE001 - the model is told, and may try again
            text, failed = str(problem), True
        return result(number, {"content": [{"type": "text", "text": text}], "isError": failed})

    def countdown(self, request: QHttpServerRequest, number: object, params: Json) -> EventStream:
        """A slow tool: the reply to the POST is an event stream of progress, and at last the result."""
        stream, left = EventStream(request), 3
        token = (params.get("_meta") or {}).get("progressToken")
        timer = QTimer(self, interval=20)

        def step() -> None:
            nonlocal left
            left -= 1
            progress = {"progressToken": token, "progress": 3 - left, "total": 3}
            stream.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress})
            if left == 0:
                stream.event(result(number, {"content": [{"type": "text", "text": "liftoff"}], "isError": False}))
                stream.close()

        timer.timeout.connect(step)
        stream.when_closed(timer.deleteLater)  # a client that leaves stops the tool
        timer.start()
        return stream

    def listen(self, request: QHttpServerRequest) -> Any:
        """What the server has to say unasked."""
        if self.session(request) not in self.sessions:
            return 404
        stream = EventStream(request)
        self.listeners.append(stream)
        stream.when_closed(lambda: self.listeners.remove(stream))
        return stream

    def notify(self, method: str) -> None:
        for stream in tuple(self.listeners):
            stream.event({"jsonrpc": "2.0", "method": method})

    def end(self, request: QHttpServerRequest) -> int:
        self.sessions.discard(self.session(request))
        return 204

    def session(self, request: QHttpServerRequest) -> str:
        return bytes(request.value("mcp-session-id").data()).decode("latin-1")


def result(number: object, value: Json) -> Json:
    return {"jsonrpc": "2.0", "id": number, "result": value}


def error(number: object, code: int, message: str) -> Json:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


def make_server() -> QHttpServer:
    server = QHttpServer()
    endpoint = Endpoint(server)
    nothing = {"type": "object", "properties": {}}
    endpoint.add_tool("system", "Name the operating system", nothing, lambda _: QSysInfo.prettyProductName())
    text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    endpoint.add_tool("shout", "Write in capitals", text, lambda given: given["text"].upper())
    endpoint.add_tool("countdown", "Count down from three", nothing, lambda _: "")
    return server


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QCoreApplication(sys.argv)
    server, tcp = make_server(), QTcpServer()
    tcp.listen(QHostAddress.SpecialAddress.LocalHost, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    if not server.bind(tcp):
        raise SystemExit(tcp.errorString())
    print(f"Serving at http://localhost:{tcp.serverPort()}/mcp", flush=True)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
