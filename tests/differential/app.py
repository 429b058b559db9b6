"""The portable application: runs on ``PySide6.QtHttpServer`` or, after ``install()``, on ours.

``python app.py wheel|ours DIRECTORY`` writes its ports as one line of JSON and serves until its standard
input closes. It uses only what the wheel can do: handlers take one request, return ``str`` and are kept
alive by name; every other reply is swapped in by an after-request handler.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
if len(sys.argv) > 1 and sys.argv[1] == "ours":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import qhttpserver_py

    qhttpserver_py.install()

import app_replies as replies
from PySide6.QtCore import QCoreApplication, QSocketNotifier
from PySide6.QtHttpServer import QHttpServer, QHttpServerConfiguration, QHttpServerRequest, QHttpServerResponse
from PySide6.QtNetwork import (
    QHostAddress,
    QLocalServer,
    QSsl,
    QSslCertificate,
    QSslConfiguration,
    QSslKey,
    QSslServer,
    QTcpServer,
)

FILES = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
KEPT: list[object] = []  # the wheel keeps neither handlers nor listeners alive

Handler = Callable[[QHttpServerRequest], object]


def fixed(value: object) -> Handler:
    def handler(_request: QHttpServerRequest) -> object:
        return value

    return handler


def raising(_request: QHttpServerRequest) -> str:
    raise RuntimeError("on purpose")


def echo_url(request: QHttpServerRequest) -> str:
    url = request.url()
    return f"{url.toString()} {url.scheme()} {url.host()} {url.port()} {url.path()} {url.fragment()}"


def echo_path(request: QHttpServerRequest) -> str:
    return f"path {request.url().path()}"


def echo_query(request: QHttpServerRequest) -> str:
    items = request.query().queryItems()
    return f"query {request.query().query()} {[tuple(item) for item in items]} {request.url().query()}"


def echo_headers(request: QHttpServerRequest) -> str:
    headers = request.headers()
    pairs = [(headers.nameAt(i), bytes(headers.valueAt(i))) for i in range(headers.size())]
    return f"headers {pairs}"


def echo_value(request: QHttpServerRequest) -> str:
    asked = request.query().queryItemValue("name").encode()
    return f"value {bytes(request.value(asked).data())!r}"


def echo_body(request: QHttpServerRequest) -> str:
    body = bytes(request.body().data())
    return f"body {len(body)} {body[:200]!r}"


def echo_method(request: QHttpServerRequest) -> str:
    return f"method {request.method().name}"


def echo_address(request: QHttpServerRequest) -> str:
    remote, local = request.remoteAddress().toString(), request.localAddress().toString()
    ports = request.remotePort() > 0, request.localPort() > 0
    return f"{remote} {local} {ports} {request.sslConfiguration().isNull()}"


def echo_copy(request: QHttpServerRequest) -> str:
    return echo_headers(QHttpServerRequest(request))


ECHOES: dict[str, Handler] = {
    "/echo": echo_path,
    "/echo/url": echo_url,
    "/echo/query": echo_query,
    "/echo/headers": echo_headers,
    "/echo/value": echo_value,
    "/echo/body": echo_body,
    "/echo/method": echo_method,
    "/echo/address": echo_address,
    "/echo/copy": echo_copy,
    "/raise": raising,
}


def keep_route(server: QHttpServer, pattern: str, handler: Handler) -> bool:
    KEPT.append(handler)
    return bool(server.route(pattern, handler))


def add_routes(server: QHttpServer) -> None:
    for path, handler in ECHOES.items():
        keep_route(server, path, handler)
    for name, value in replies.RESULTS.items():
        keep_route(server, f"/result/{name}", fixed(value))
    accepted = [keep_route(server, pattern, fixed(f"rule {pattern}")) for pattern in replies.PATTERNS]
    keep_route(server, "/accepted", fixed(json.dumps(accepted)))
    for prefix in ("/swap", "/status", "/file", "/after"):
        keep_route(server, f"{prefix}/.*", fixed("routed"))


def swapped(kind: str, name: str) -> QHttpServerResponse | None:
    if kind == "swap":
        return replies.RESPONSES[name]()
    if kind == "status":
        return QHttpServerResponse(replies.status(int(name)))
    if kind == "file":
        return QHttpServerResponse.fromFile(str(FILES / name) if name != "none" else "")
    return None


def change(request: QHttpServerRequest, response: QHttpServerResponse) -> None:
    kind, _, name = request.url().path()[1:].partition("/")
    other = swapped(kind, name)
    if other is not None:
        response.swap(other)
    if kind == "after":
        headers = response.headers()
        replies.HEADER_CHANGES[name](headers)
        response.setHeaders(headers)
    if request.headers().contains("x-mark"):
        headers = response.headers()
        headers.append("x-seen", f"{response.statusCode().value} {response.mimeType().data().decode()}")
        response.setHeaders(headers)


def fail_after(request: QHttpServerRequest, _response: QHttpServerResponse) -> str:
    if request.headers().contains("x-fail-after"):
        raise RuntimeError("on purpose")
    return "ignored"


def mark_last(request: QHttpServerRequest, response: QHttpServerResponse) -> None:
    if request.headers().contains("x-mark"):
        headers = response.headers()
        headers.append("x-seen", "second")
        response.setHeaders(headers)


def add_after_handlers(server: QHttpServer) -> None:
    for handler in (change, fail_after, mark_last):
        server.addAfterRequestHandler(server, handler)


def configuration(**settings: int) -> QHttpServerConfiguration:
    result = QHttpServerConfiguration()
    for name, value in settings.items():
        setter = getattr(result, "set" + name[0].upper() + name[1:], None)
        if setter is not None:  # maximumConnections came with 6.12
            setter(value)
    return result


def secure_listener(protocol: bytes) -> QSslServer:
    tls = QSslConfiguration.defaultConfiguration()
    tls.setLocalCertificateChain(QSslCertificate.fromPath(str(FILES.parent / "certificate.pem")))
    key = (FILES.parent / "key.pem").read_bytes()
    tls.setPrivateKey(QSslKey(key, QSsl.KeyAlgorithm.Ec, QSsl.EncodingFormat.Pem))
    tls.setAllowedNextProtocols([protocol])
    listener = QSslServer()
    listener.setSslConfiguration(tls)
    return listener


def serve(listener: QTcpServer, **settings: int) -> int:
    server = QHttpServer()
    add_routes(server)
    add_after_handlers(server)
    server.setConfiguration(configuration(**settings))
    assert listener.listen(QHostAddress("127.0.0.1"), 0)
    assert server.bind(listener)
    KEPT.extend((server, listener))
    return server.serverPorts()[0]


def serve_local(name: str) -> None:
    server = QHttpServer()
    add_routes(server)
    add_after_handlers(server)
    listener = QLocalServer()
    QLocalServer.removeServer(name)
    assert listener.listen(name), listener.errorString()
    assert server.bind(listener)
    KEPT.extend((server, listener))


def main() -> None:
    application = QCoreApplication(sys.argv)
    ports = {name: serve(QTcpServer(), **settings) for name, settings in replies.PROFILES.items()}
    ports["tls"] = serve(secure_listener(b"http/1.1"))
    ports["h2"] = serve(secure_listener(b"h2"))
    ports["h2-small"] = serve(secure_listener(b"h2"), **replies.PROFILES["small"])
    local = str(FILES / f"{sys.argv[1]}.sock")
    serve_local(local)
    notifier = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Type.Read)
    notifier.activated.connect(application.quit)
    print(json.dumps({"ports": ports, "local": local}), flush=True)
    application.exec()


if __name__ == "__main__":
    main()
