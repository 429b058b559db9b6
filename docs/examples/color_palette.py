"""A REST server with a palette of colours: pagination, login with a token, and 401 without one.

python docs/examples/color_palette.py [PORT]
curl 'http://localhost:8080/api/colors?page=1&per_page=2'
curl -d '{"email": "kate@example.org", "password": "pass"}' http://localhost:8080/api/login
curl -H 'token: ...' -d '{"name": "red", "color": "#ff0000"}' http://localhost:8080/api/colors
"""

import re
import secrets
import signal
import sys
from typing import Any

from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress, QTcpServer

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py.security import protect_localhost

Method = QHttpServerRequest.Method
Answer = dict[str, Any] | tuple[Any, int] | int

COLORS: list[dict[str, Any]] = [
    {"id": 1, "name": "cerulean", "color": "#98b2d1"},
    {"id": 2, "name": "fuchsia rose", "color": "#c74375"},
    {"id": 3, "name": "true red", "color": "#bf1932"},
    {"id": 4, "name": "aqua sky", "color": "#7bc4c4"},
    {"id": 5, "name": "tigerlily", "color": "#e2583e"},
]
USERS: list[dict[str, Any]] = [
    {"id": 1, "email": "kate@example.org", "first_name": "Kate", "password": "pass"},
    {"id": 2, "email": "mike@example.org", "first_name": "Mike", "password": "word"},
]


class Palette(QHttpServer):
    def __init__(self) -> None:
        super().__init__()
        self.colors: dict[int, dict[str, Any]] = {color["id"]: dict(color) for color in COLORS}
        self.sessions: dict[str, int] = {}
        self.route("/", lambda: "The palette is at /api/colors\n")
        self.route("/api/login", Method.Post, self.login)
        self.route("/api/logout", Method.Post, self.logout)
        self.route("/api/users", Method.Get, lambda request: paginate(list(map(public, USERS)), request))
        self.route("/api/colors", Method.Get, lambda request: paginate(list(self.colors.values()), request))
        self.route("/api/colors", Method.Post, self.add)
        self.route("/api/colors/<arg>", Method.Get, self.get)
        self.route("/api/colors/<arg>", Method.Put, self.put)
        self.route("/api/colors/<arg>", Method.Delete, self.delete)
        # One check for all: no route can forget it.
        self.addBeforeRequestHandler(self, self.authorize)
        protect_localhost(self)

    def authorize(self, request: QHttpServerRequest) -> Answer | None:
        changes = request.method() & (Method.Post | Method.Put | Method.Delete)
        if not changes or request.url().path() == "/api/login" or self.token(request) in self.sessions:
            return None
        return {"error": "log in and send the token"}, 401

    def token(self, request: QHttpServerRequest) -> str:
        return bytes(request.value("token").data()).decode("latin-1")

    def login(self, request: QHttpServerRequest) -> Answer:
        given = read(request)
        for user in USERS:
            if given and given.get("email") == user["email"] and given.get("password") == user["password"]:
                token = secrets.token_urlsafe()
                self.sessions[token] = user["id"]
                return {"id": user["id"], "token": token}
        return {"error": "wrong email or password"}, 401

    def logout(self, request: QHttpServerRequest) -> Answer:
        del self.sessions[self.token(request)]
        return 200

    def get(self, number: int) -> Answer:
        return self.colors.get(number, 404)

    def add(self, request: QHttpServerRequest) -> Answer:
        color = checked(read(request))
        if color is None:
            return {"error": "send a name and a color like #aabbcc"}, 400
        number = max(self.colors, default=0) + 1
        self.colors[number] = {"id": number, **color}
        return self.colors[number], 201

    def put(self, number: int, request: QHttpServerRequest) -> Answer:
        color = checked(read(request))
        if number not in self.colors:
            return 404
        if color is None:
            return {"error": "send a name and a color like #aabbcc"}, 400
        self.colors[number] = {"id": number, **color}
        return self.colors[number]

    def delete(self, number: int) -> Answer:
        return 404 if self.colors.pop(number, None) is None else 204


def public(user: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in user.items() if name != "password"}


def read(request: QHttpServerRequest) -> dict[str, Any] | None:
    try:
        value = request.json()
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def checked(given: dict[str, Any] | None) -> dict[str, str] | None:
    if given is None or not isinstance(given.get("name"), str):
        return None
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", str(given.get("color"))):
        return None
    return {"name": given["name"], "color": given["color"]}


def paginate(items: list[Any], request: QHttpServerRequest) -> Answer:
    query = request.query()
    try:
        page = int(query.queryItemValue("page") or 1)
        size = int(query.queryItemValue("per_page") or 6)
    except ValueError:
        return {"error": "page and per_page are numbers"}, 400
    if page < 1 or not 1 <= size <= 100:
        return {"error": "page counts from 1, per_page up to 100"}, 400
    first = (page - 1) * size
    return {
        "page": page,
        "per_page": size,
        "total": len(items),
        "total_pages": -(-len(items) // size),
        "data": items[first : first + size],
    }


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QCoreApplication(sys.argv)
    server, tcp = Palette(), QTcpServer()
    tcp.listen(QHostAddress.SpecialAddress.LocalHost, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    if not server.bind(tcp):
        raise SystemExit(tcp.errorString())
    print(f"Serving at http://localhost:{tcp.serverPort()}/", flush=True)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
