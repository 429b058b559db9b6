"""What an application is told of a request: targets, protocols, TLS and local sockets."""

from __future__ import annotations

import ssl
import uuid
from typing import Any

import httpx
import pytest
from PySide6.QtNetwork import QLocalServer, QLocalSocket, QSslServer, QSslSocket

from qhttpserver_py import asgi

from ..support.h2client import Http2Client
from ..support.rawclient import RawClient, ask, bound, wait_until
from ..support.threads import in_thread

pytestmark = pytest.mark.usefixtures("qapp", "own_loop")


class Keeping:
    """Keeps the scopes, and answers."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope, receive, send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]})
        await send({"type": "http.response.body", "body": b"x"})


@pytest.fixture
def mounted(server):
    application = Keeping()
    asgi.mount(server, "/", application, lifespan="off")
    return application


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/a%2Fb%20c", ("/a/b c", b"/a%2Fb%20c", b"")),
        ("GET", "/%FF", ("/\ufffd", b"/%FF", b"")),
        ("GET", "/a?b?c=%41", ("/a", b"/a", b"b?c=%41")),
        ("GET", "http://h/abs?q", ("/abs", b"/abs", b"q")),
        ("GET", "http://h?q", ("/", b"/", b"q")),
        ("OPTIONS", "*", ("*", b"*", b"")),
    ],
)
def test_targets(server, mounted, method, target, expected) -> None:
    assert ask(bound(server), target, method=method).status == 200
    (scope,) = mounted.scopes
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == expected


@pytest.mark.parametrize(
    ("prefix", "target", "expected"),
    [
        ("/api", "/api", ("/api", b"/api", "/api")),
        ("/api", "/api/", ("/api/", b"/api/", "/api")),
        ("/api", "/%61pi/x", ("/api/x", b"/%61pi/x", "/api")),
        ("/a b", "/a%20b/x", ("/a b/x", b"/a%20b/x", "/a b")),
        ("/ü/v1", "/%C3%BC/v1/x%2Fy", ("/ü/v1/x/y", b"/%C3%BC/v1/x%2Fy", "/ü/v1")),
        ("/a.b", "/a.b/x", ("/a.b/x", b"/a.b/x", "/a.b")),
    ],
)
def test_prefixes(server, prefix, target, expected) -> None:
    application = Keeping()
    asgi.mount(server, prefix, application, lifespan="off")
    port = bound(server)
    assert ask(port, target).status == 200
    assert ask(port, f"{target.partition('/x')[0].rstrip('/')}x").status == 404
    (scope,) = application.scopes
    assert (scope["path"], scope["raw_path"], scope["root_path"]) == expected


def test_an_encoded_prefix_is_refused_with_the_remedy(server) -> None:
    with pytest.raises(ValueError, match="'/a b'"):
        asgi.mount(server, "/a%20b", Keeping())


def test_versions_of_the_specifications(server) -> None:
    application = Keeping()
    asgi.mount(server, "/", application)
    assert ask(bound(server), "/").status == 200
    assert [scope["asgi"] for scope in application.scopes] == [
        {"version": "3.0", "spec_version": "2.0"},
        {"version": "3.0", "spec_version": "2.5"},
    ]


def test_scopes_are_the_requests_own(server, mounted) -> None:
    client = RawClient(bound(server))
    for _ in range(2):
        client.get("/", "X: 1")
        assert client.reply().status == 200
        scope = mounted.scopes[-1]
        scope["headers"].clear()
        scope["extensions"].clear()
        scope["asgi"].clear()
    client.get("/", "X: 1")
    assert client.reply().status == 200
    scope = mounted.scopes[-1]
    assert scope["headers"] == [(b"host", b"x"), (b"x", b"1")]
    assert set(scope["extensions"]) == {
        "http.response.trailers",
        "http.response.early_hint",
        "http.response.pathsend",
    }
    assert scope["asgi"]


def test_http_2(server, mounted) -> None:
    client = Http2Client(bound(server))
    fields = [
        (b":method", b"GET"),
        (b":path", b"/a%20b?c"),
        (b":scheme", b"http"),
        (b":authority", b"example.test:81"),
        (b"x-b", b"1"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"x-b", b"2"),
    ]
    client.h2.send_headers(1, fields, end_stream=True)
    client.flush()
    client.wait_for(1)
    (scope,) = mounted.scopes
    assert (scope["http_version"], scope["scheme"]) == ("2", "http")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c")
    names = [name for name, _ in scope["headers"]]
    assert names[0] == b"host"
    assert scope["headers"].count((b"host", b"example.test:81")) == 1
    assert (b"cookie", b"a=1; b=2") in scope["headers"]
    assert [value for name, value in scope["headers"] if name == b"x-b"] == [b"1", b"2"]
    assert not any(name.startswith(b":") for name in names)


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("h2", [False, True])
def test_tls(server, mounted, authority, asked, h2, tmp_path) -> None:
    configuration = authority.server_configuration()
    configuration.setAllowedNextProtocols([b"h2" if h2 else b"http/1.1"])
    if asked:
        configuration.setPeerVerifyMode(QSslSocket.PeerVerifyMode.VerifyPeer)
        configuration.setCaCertificates([authority.ca_certificate])
    secure = QSslServer()
    secure.setSslConfiguration(configuration)
    assert secure.listen()
    assert server.bind(secure)
    context: ssl.SSLContext = authority.ssl_context()
    leaf = authority.ca.issue_cert("client@example.test", common_name="a client, one")
    if asked:
        leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
        context.load_cert_chain(tmp_path / "client.pem")

    def client() -> list[str]:
        with httpx.Client(verify=context, http2=h2, trust_env=False) as session:
            return [session.get(f"https://localhost:{secure.serverPort()}/").http_version for _ in range(2)]

    assert in_thread(client) == ["HTTP/2" if h2 else "HTTP/1.1"] * 2
    for scope in mounted.scopes:
        tls = scope["extensions"]["tls"]
        assert (scope["scheme"], tls["tls_version"], tls["client_cert_error"]) == ("https", 0x0304, None)
        assert ssl.PEM_cert_to_DER_cert(tls["server_cert"]) == bytes(authority.certificate.toDer().data())
        if asked:
            sent = leaf.cert_chain_pems[0].bytes().decode()
            assert ssl.PEM_cert_to_DER_cert(tls["client_cert_chain"][0]) == ssl.PEM_cert_to_DER_cert(sent)
            assert "CN=a client\\, one" in tls["client_cert_name"]
        else:
            assert (tls["client_cert_chain"], tls["client_cert_name"]) == ([], None)


def test_a_local_socket_has_no_addresses(server, mounted) -> None:
    local = QLocalServer()
    assert local.listen(f"qhttpserver-py-{uuid.uuid4().hex}")
    assert server.bind(local)
    client = QLocalSocket()
    client.connectToServer(local.fullServerName())
    client.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(client.bytesAvailable)
    (scope,) = mounted.scopes
    assert (scope["client"], scope["server"]) == (None, None)
    client.abort()
