"""The examples of docs/examples: each answers real requests, and each starts by its one command."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from PySide6.QtCore import QTimer, QUrl
from PySide6.QtNetwork import QHostAddress, QTcpServer

from qhttpserver_py import QHttpServer
from qhttpserver_py.testing import TlsAuthority
from qhttpserver_py.testing.loop import Waiters, call_in_worker

from ..support.rawclient import settle, spin

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
LOCAL = QHostAddress.SpecialAddress.LocalHost
PROCESSES = {
    "simple_server": ["0"],
    "color_palette": ["0"],
    "gui_tool": [],
    "web_ui": [],
    "webhook": ["0"],
    "oauth_redirect": [],
    "metrics": ["0"],
    "mcp_server": ["0"],
    "fastapi_window": [],
    "mcp_sdk": [],
    "qml_server": [],
}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Caller:
    """A blocking client in a worker thread, while the event loop runs."""

    def __init__(self, server: QHttpServer) -> None:
        if not server.servers():
            tcp = QTcpServer()
            assert tcp.listen(LOCAL)
            assert server.bind(tcp)
        self.base = f"http://127.0.0.1:{server.serverPorts()[0]}"
        self.client = httpx.Client(base_url=self.base, trust_env=False, timeout=10)

    def run(self, function: Callable[[], Any]) -> Any:
        return call_in_worker(function, Waiters(), 15_000)

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer: httpx.Response = self.run(lambda: self.client.request(method, path, **options))
        return answer


@pytest.fixture
def call() -> Iterator[Callable[[QHttpServer], Caller]]:
    callers: list[tuple[Caller, QHttpServer]] = []

    def make(server: QHttpServer) -> Caller:
        callers.append((Caller(server), server))
        return callers[-1][0]

    yield make
    for caller, server in callers:
        caller.client.close()
        server.close()
    settle()


Make = Callable[[QHttpServer], Caller]


def test_every_example_is_tested() -> None:
    found = {path.stem for path in EXAMPLES.glob("*.py")}
    assert found == {*PROCESSES, "single_instance"}, "add it to PROCESSES, with a test of its own"


# ---- Qt's two examples


def basic(text: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("path", "fields", "status", "text"),
    [
        ("/", {}, 200, "Hello world"),
        ("/query?name=x", {}, 200, "host 127.0.0.1, name x"),
        ("/query/255", {}, 200, '{"number":255,"text":"ff"}'),
        ("/query/x", {}, 404, ""),
        ("/json", {}, 200, '{"key1":"1","key2":"2"}'),
        ("/assets/none.css", {}, 404, "Not Found\n"),
        ("/assets/..%2Fsimple_server.py", {}, 404, "Not Found\n"),
        ("/remote_address", {}, 200, "127.0.0.1"),
        ("/auth", {}, 401, "Authentication required"),
        ("/auth", basic("Aladdin:open sesame"), 200, "welcome"),
        ("/auth", basic("Aladdin:"), 401, "Authentication required"),
        ("/auth", basic("nobody:"), 401, "Authentication required"),
        ("/auth", {"authorization": "Basic %"}, 401, "Authentication required"),
    ],
)
def test_simple_server(qapp: object, call: Make, path: str, fields: dict[str, str], status: int, text: str) -> None:
    answer = call(load("simple_server").SimpleServer())("GET", path, headers=fields)
    assert (answer.status_code, answer.text) == (status, text)
    if not path.startswith("/assets"):  # answered by a responder, which after-request handlers do not see
        assert answer.headers["server"] == "simple example"
    assert ("www-authenticate" in answer.headers) is (status == 401)


@pytest.mark.parametrize("path", ["/file", "/assets/style.css"])
def test_simple_server_files(qapp: object, call: Make, path: str) -> None:
    answer = call(load("simple_server").SimpleServer())("GET", path)
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.content == (EXAMPLES / "assets" / "style.css").read_bytes()


def test_simple_server_over_tls(qapp: object, tmp_path: Path) -> None:
    authority = TlsAuthority()
    leaf = authority.ca.issue_cert("localhost")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    leaf.private_key_pem.write_to_path(str(key))
    example = load("simple_server")
    server = example.SimpleServer()
    url = example.listen(server, 0, str(certificate), str(key))

    def ask() -> str:
        with httpx.Client(verify=authority.ssl_context(), trust_env=False) as client:
            return client.get(url).text

    assert call_in_worker(ask, Waiters(), 10_000) == "Hello world"
    server.close()


def test_simple_server_echoes(qapp: object, call: Make) -> None:
    from PySide6.QtWebSockets import QWebSocket

    server = load("simple_server").SimpleServer()
    caller, heard = call(server), []
    socket = QWebSocket()
    socket.textMessageReceived.connect(heard.append)
    socket.connected.connect(lambda: socket.sendTextMessage("hello"))
    socket.open(QUrl(caller.base.replace("http", "ws") + "/echo"))
    assert spin(lambda: heard)
    assert heard == ["hello"]
    socket.close()
    assert spin(lambda: not server.sockets)


def test_color_palette(qapp: object, call: Make) -> None:
    ask = call(load("color_palette").Palette())
    page = ask("GET", "/api/colors?page=2&per_page=2").json()
    assert (page["total"], page["total_pages"], [color["id"] for color in page["data"]]) == (5, 3, [3, 4])
    assert ask("GET", "/api/colors?page=x").status_code == 400
    assert ask("GET", "/api/colors/5").json()["name"] == "tigerlily"
    assert ask("GET", "/api/colors/99").status_code == 404
    assert "password" not in ask("GET", "/api/users").text
    red = {"name": "red", "color": "#ff0000"}
    assert ask("POST", "/api/colors", json=red).status_code == 401
    assert ask("POST", "/api/login", json={"email": "kate@example.org", "password": "no"}).status_code == 401
    login = ask("POST", "/api/login", json={"email": "kate@example.org", "password": "pass"}).json()
    token = {"token": login["token"]}
    added = ask("POST", "/api/colors", json=red, headers=token)
    assert (added.status_code, added.json()) == (201, {"id": 6, **red})
    assert ask("PUT", "/api/colors/6", json={**red, "name": "dark"}, headers=token).json()["name"] == "dark"
    assert ask("PUT", "/api/colors/6", json={"color": "red"}, headers=token).status_code == 400
    assert ask("DELETE", "/api/colors/6", headers=token).status_code == 204
    assert ask("DELETE", "/api/colors/6", headers=token).status_code == 404
    assert ask("POST", "/api/logout", headers=token).status_code == 200
    assert ask("DELETE", "/api/colors/1", headers=token).status_code == 401


# ---- Windows and pages


@pytest.fixture
def window(qapp: object) -> Iterator[Any]:
    window = load("gui_tool").Window()
    window.show()
    yield window
    window.close()
    window.deleteLater()
    settle()


def test_gui_tool(window: Any, call: Make) -> None:
    ask, key = call(window.server), {"key": window.key}
    assert "<title>Converter</title>" in ask("GET", "/").text
    assert ask("POST", "/api/job/start").status_code == 401
    assert ask("POST", "/api/job/start", params=key, headers={"origin": "http://evil.example"}).status_code == 403
    assert ask("POST", "/api/job/start", params=key).json()["running"] is True
    assert window.button.text() == "Stop"

    def first_events() -> list[str]:
        with ask.client.stream("GET", "/api/events", params=key) as events:
            lines = (line for line in events.iter_lines() if line.startswith("data:"))
            return [next(lines) for _ in range(3)]

    states = [json.loads(line[5:]) for line in ask.run(first_events)]
    assert [state["progress"] for state in states] == sorted(state["progress"] for state in states)
    assert ask("POST", "/api/job/stop", params=key).json()["running"] is False
    assert window.bar.value() == window.job.progress > 0
    assert [window.log.entry(row).status for row in range(4)] == [200, 401, 403, 200]


def test_gui_tool_opens_the_same_port_again(window: Any) -> None:
    port = window.port
    window.switch.click()
    assert window.server.serverPorts() == []
    window.switch.click()
    assert window.server.serverPorts() == [port]


def test_gui_tool_finishes(window: Any) -> None:
    window.job.progress = 99
    window.job.start()
    assert spin(lambda: window.bar.value() == 100)
    assert window.button.text() == "Start"
    window.button.click()
    assert window.job.progress == 0


def test_web_ui(qapp: object, call: Make) -> None:
    example = load("web_ui")
    notes = example.Notes()
    ask = call(example.make_server(notes))
    index = ask("GET", "/")
    assert "<title>Notes</title>" in index.text
    assert index.headers["content-security-policy"] == "default-src 'self'"
    assert ask("GET", "/inside/the/app", headers={"accept": "text/html"}).text == index.text
    assert ask("GET", "/app.js").headers["content-type"].startswith("text/javascript")
    assert ask("POST", "/api/notes", json={"text": "milk"}).status_code == 201
    assert ask("POST", "/api/notes", content=b"[]").status_code == 400
    assert ask("GET", "/api/notes").json() == [{"id": 1, "text": "milk"}]
    assert ask("DELETE", "/api/notes/1", headers={"origin": "https://evil.example"}).status_code == 403
    assert ask("GET", "/api/notes", headers={"host": "evil.example"}).status_code == 421
    assert ask("DELETE", "/api/notes/1").status_code == 204
    assert ask("DELETE", "/api/notes/1").status_code == 404


# ---- Programs talking to programs


def test_webhook(qapp: object, call: Make) -> None:
    receiver = load("webhook").WebhookReceiver(b"secret")
    heard: list[tuple[str, object]] = []
    receiver.received.connect(lambda *event: heard.append(event))
    ask, body = call(receiver.server), b'{"action": "opened"}'
    sign = {"x-hub-signature-256": "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()}
    named = {**sign, "x-github-event": "issues", "x-github-delivery": "1"}
    assert ask("POST", "/webhook", content=body).status_code == 401
    assert ask("POST", "/webhook", content=body + b" ", headers=named).status_code == 401
    assert [ask("POST", "/webhook", content=body, headers=named).status_code for _ in range(2)] == [204, 204]
    assert heard == [("issues", {"action": "opened"})]
    broken = {"x-hub-signature-256": "sha256=" + hmac.new(b"secret", b"{", hashlib.sha256).hexdigest()}
    assert ask("POST", "/webhook", content=b"{", headers=broken).status_code == 400
    assert ask("POST", "/webhook", content=b"x" * 1_000_001, headers=named).status_code == 413


def test_oauth_redirect(qapp: object, call: Make) -> None:
    example = load("oauth_redirect")
    callback, provider = example.OAuthCallback(), example.made_up_provider()
    codes: list[str] = []
    callback.received.connect(codes.append)
    ask, back = call(provider), call(callback.server)
    assert back("GET", "/favicon.ico").status_code == 404
    assert back("GET", "/callback", params={"code": "forged", "state": "wrong"}).status_code == 400
    assert codes == []
    question = {"redirect_uri": callback.redirect_uri, "state": callback.state}
    answer = ask("GET", "/authorize", params=question, follow_redirects=True)
    assert answer.text == example.DONE
    assert spin(lambda: not callback.server.serverPorts())
    assert codes == ["4/made-up+code"]


@pytest.mark.parametrize("how", ["refused", "timeout", "cancel"])
def test_oauth_redirect_that_fails(qapp: object, call: Make, how: str) -> None:
    callback = load("oauth_redirect").OAuthCallback(timeout=1 if how == "timeout" else 60_000)
    reasons: list[str] = []
    callback.failed.connect(reasons.append)
    if how == "refused":
        ask = call(callback.server)
        refusal = {"error": "access_denied", "state": callback.state}
        assert ask("GET", "/callback", params=refusal).status_code == 400
    elif how == "cancel":
        callback.cancel()
    assert spin(lambda: not callback.server.serverPorts())
    assert reasons == [{"refused": "access_denied", "timeout": "nobody logged in", "cancel": "cancelled"}[how]]


def test_metrics(qapp: object, call: Make) -> None:
    server = QHttpServer()
    metrics = load("metrics").Metrics(server)
    ask = call(server)
    assert ask("GET", "/nowhere").status_code == 404
    assert spin(lambda: metrics.delay_count)
    ask("GET", "/metrics")
    answer = ask("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert 'http_replies_total{method="GET",status="404"} 1' in lines
    assert 'http_replies_total{method="GET",status="200"} 1' in lines
    assert all(line.startswith("# TYPE ") or float(line.rsplit(" ", 1)[1]) >= 0 for line in lines)


def rpc(method: str, number: int | None = 1, **params: Any) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    return message if number is None else {**message, "id": number}


def test_mcp_server(qapp: object, call: Make) -> None:
    server = load("mcp_server").make_server()
    ask = call(server)
    begun = ask("POST", "/mcp", json=rpc("initialize"))
    assert begun.json()["result"]["capabilities"] == {"tools": {}}
    session = {"mcp-session-id": begun.headers["mcp-session-id"]}
    assert ask("POST", "/mcp", json=rpc("tools/list")).status_code == 404
    assert ask("POST", "/mcp", json=rpc("notifications/initialized", None), headers=session).status_code == 202
    tools = ask("POST", "/mcp", json=rpc("tools/list"), headers=session).json()["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["system", "shout", "countdown"]

    def use(name: str, **arguments: Any) -> Any:
        return ask("POST", "/mcp", json=rpc("tools/call", 2, name=name, arguments=arguments), headers=session)

    assert use("shout", text="hi").json()["result"]["content"][0]["text"] == "HI"
    assert use("shout").json()["result"]["isError"] is True
    assert use("none").json()["error"]["code"] == -32602
    slow = use("countdown")
    assert slow.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[5:]) for line in slow.text.splitlines() if line.startswith("data:")]
    assert [event.get("params", {}).get("progress") for event in events] == [1, 2, 3, None]
    assert events[-1]["result"]["content"][0]["text"] == "liftoff"
    assert ask("POST", "/mcp", content=b"{").json()["error"]["code"] == -32700
    assert ask("POST", "/mcp", json=[]).json()["error"]["code"] == -32600
    assert (
        ask("POST", "/mcp", json=rpc("ping"), headers={**session, "origin": "http://evil.example"}).status_code == 403
    )
    assert ask("DELETE", "/mcp", headers=session).status_code == 204
    assert ask("GET", "/mcp", headers=session).status_code == 404


def test_mcp_server_sends_messages_unasked(qapp: object, call: Make) -> None:
    server = load("mcp_server").make_server()
    endpoint = next(child for child in server.children() if hasattr(child, "notify"))
    ask = call(server)
    session = {"mcp-session-id": ask("POST", "/mcp", json=rpc("initialize")).headers["mcp-session-id"]}

    def listen() -> str:
        with ask.client.stream("GET", "/mcp", headers=session) as events:
            return next(line for line in events.iter_lines() if line.startswith("data:"))

    teller = QTimer(interval=5)
    teller.timeout.connect(lambda: endpoint.notify("notifications/tools/list_changed"))
    teller.start()
    assert json.loads(ask.run(listen)[5:])["method"] == "notifications/tools/list_changed"
    teller.stop()
    assert spin(lambda: not endpoint.listeners)


# ---- One command each


def start(name: str, *arguments: str) -> subprocess.Popen[str]:
    """Start an example as its own process, with a user name nobody else has."""
    user = f"test-{os.getpid()}"
    return subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parents[1]), "USER": user, "LOGNAME": user},
    )


def test_single_instance() -> None:
    first = start("single_instance", "one.txt")
    assert first.stdout is not None
    assert first.stdout.readline() == "Opening one.txt\n"
    second = start("single_instance", "two.txt", "three.txt")
    assert second.communicate(timeout=20) == ("Handed over to the instance that runs\n", "")
    assert first.stdout.readline() == "Opening two.txt three.txt\n"
    first.kill()  # leaves its socket behind
    first.communicate()
    third = start("single_instance", "four.txt")
    assert third.stdout is not None
    assert third.stdout.readline() == "Opening four.txt\n"
    third.kill()
    third.communicate()


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All started at once, so that the wait is that for the slowest."""
    started = {name: start(name, *arguments) for name, arguments in PROCESSES.items()}
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", PROCESSES)
def test_one_command(processes: dict[str, subprocess.Popen[str]], name: str) -> None:
    process = processes[name]
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert "http://" in line, process.stderr.read()
    url = next(word for word in line.split() if word.startswith("http://")).partition("#")[0]
    with httpx.Client(trust_env=False, follow_redirects=True, timeout=20) as client:
        assert client.get(url).status_code in {200, 400, 404, 406}  # MCP wants more than a GET
    if name == "oauth_redirect":
        assert process.wait(20) == 0
    else:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT
    said = process.stderr.read().splitlines()
    assert [line for line in said if line != "This plugin does not support propagateSizeHints()"] == []
