"""Clients with fixed and foreign URLs reach the fake backend of the test, and no other computer."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from PySide6.QtCore import QProcess, QUrl
from PySide6.QtNetwork import (
    QNetworkAccessManager,
    QNetworkProxy,
    QNetworkReply,
    QNetworkRequest,
    QSslConfiguration,
    QSslSocket,
)

from qhttpserver_py import QHttpServerWebSocketUpgradeResponse

URL = "https://api.example.com/v1/items?page=2"
TEXT = "one two"
H2 = QNetworkRequest.Attribute.Http2AllowedAttribute
WAS_H2 = QNetworkRequest.Attribute.Http2WasUsedAttribute


@pytest.fixture
def backend(qhttpserver):
    qhttpserver.intercept("https://api.example.com", "http://api.example.com", "https://*.example.org:8443")
    qhttpserver.expect_request(URL).respond_with_data(TEXT)
    return qhttpserver


def foreign_peers():
    """Return the peers of this process's TCP sockets that are beyond loopback."""
    mine = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            mine.add(os.readlink(entry))
        except OSError:
            continue
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            peer, inode = fields[2].partition(":")[0], fields[9]
            if f"socket:[{inode}]" in mine and set(peer) != {"0"} and not is_loopback(peer):
                found.append(peer)
    return found


def is_loopback(peer):
    return (peer.endswith("7F") and len(peer) == 8) or peer in ("0" * 24 + "01000000", "0" * 16 + "FFFF00000100007F")


@pytest.fixture(autouse=True)
def nothing_leaves():
    yield
    if sys.platform == "linux":
        assert foreign_peers() == []


def get(qtbot, url, manager=None, h2=True):
    manager = manager or QNetworkAccessManager()
    request = QNetworkRequest(QUrl(url))
    request.setAttribute(H2, h2)
    reply = manager.get(request)
    reply.setParent(None)
    qtbot.waitUntil(reply.isFinished)
    return reply


@pytest.mark.parametrize("h2", [False, True])
@pytest.mark.parametrize("made", ["before", "after"])
def test_a_network_access_manager(qhttpserver, qtbot, h2, made):
    manager = QNetworkAccessManager() if made == "before" else None
    qhttpserver.intercept("https://api.example.com")
    qhttpserver.expect_request(URL).respond_with_data(TEXT)
    reply = get(qtbot, URL, manager, h2)
    assert (reply.error(), reply.readAll().data()) == (QNetworkReply.NetworkError.NoError, TEXT.encode())
    assert bool(reply.attribute(WAS_H2)) is h2
    assert qhttpserver.last_request.url() == QUrl(URL)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/plain",
        "https://a.example.org:8443/plain",
        "https://a.b.EXAMPLE.org:8443/plain",
    ],
)
def test_schemes_ports_and_wildcards(backend, qtbot, url):
    backend.expect_request("/plain").respond_with_data("plain")
    assert get(qtbot, url).readAll().data() == b"plain"


def test_all_hosts(qhttpserver, qtbot):
    qhttpserver.intercept_all()
    qhttpserver.expect_request("https://one.example/a").respond_with_data("1")
    qhttpserver.expect_request("http://two.example:81/a").respond_with_data("2")
    qhttpserver.expect_request("https://192.0.2.7/a").respond_with_data("3")
    urls = ["https://one.example/a", "http://two.example:81/a", "https://192.0.2.7/a"]
    assert [get(qtbot, url).readAll().data() for url in urls] == [b"1", b"2", b"3"]


def test_two_backends_play_two_servers(make_qhttpserver, qtbot):
    servers = [make_qhttpserver(), make_qhttpserver()]
    for server, name in zip(servers, ("one", "two"), strict=True):
        server.intercept(f"https://{name}.example.com")
        server.expect_request("/").respond_with_data(name)
    for name in ("one", "two", "one"):
        assert get(qtbot, f"https://{name}.example.com/").readAll().data() == name.encode()
    servers[1].stop()
    assert get(qtbot, "https://one.example.com/").readAll().data() == b"one"


def test_loopback_is_exempt(backend, qtbot):
    backend.intercept_all()
    backend.expect_request("/here").respond_with_data("here")
    assert get(qtbot, backend.url_for("/here")).readAll().data() == b"here"
    assert get(qtbot, backend.url_for("/here").replace("127.0.0.1", "localhost")).readAll().data() == b"here"


def test_a_qml_request(backend, qtbot):
    from PySide6.QtQml import QQmlComponent, QQmlEngine

    engine = QQmlEngine()
    component = QQmlComponent(engine)
    source = f"""
import QtQml
QtObject {{
    property string text
    Component.onCompleted: {{
        var request = new XMLHttpRequest()
        request.onreadystatechange = function() {{ if (request.readyState === 4) text = request.responseText }}
        request.open("GET", "{URL}")
        request.send()
    }}
}}"""
    component.setData(source.encode(), QUrl())
    item = component.create()
    assert item is not None, component.errorString()
    qtbot.waitUntil(lambda: item.property("text") != "")
    assert item.property("text") == TEXT
    item.deleteLater()
    engine.deleteLater()


@pytest.mark.parametrize("scheme", ["wss", "ws"])
def test_a_web_socket(backend, qtbot, scheme):
    from PySide6.QtWebSockets import QWebSocket

    backend.addWebSocketUpgradeVerifier(backend, lambda _: QHttpServerWebSocketUpgradeResponse.accept())
    client = QWebSocket()
    with qtbot.waitSignal(backend.newWebSocketConnection):
        client.open(QUrl(f"{scheme}://api.example.com/chat"))
    server_side = backend.nextPendingWebSocketConnection()
    with qtbot.waitSignal(client.textMessageReceived) as received:
        server_side.sendTextMessage("hello")
    assert received.args == ["hello"]
    client.abort()


def test_a_tls_socket(backend, qtbot):
    client = QSslSocket()
    with qtbot.waitSignal(client.encrypted):
        client.connectToHostEncrypted("api.example.com", 443)
    client.write(b"GET /v1/items?page=2 HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n\r\n")
    with qtbot.waitSignal(client.disconnected):
        pass
    assert client.readAll().data().endswith(b"\r\n\r\none two")


def with_requests():
    import requests

    return requests.get(URL, timeout=5).text


def with_httpx():
    import httpx

    return httpx.get(URL, timeout=5).text


def with_urllib():
    with urllib.request.urlopen(URL, timeout=5) as response:
        return response.read().decode()


def with_urllib_plain():
    with urllib.request.urlopen(URL.replace("https", "http"), timeout=5) as response:
        return response.read().decode()


def with_curl():
    command = ["curl", "-sS", "--write-out", "%{http_version}", URL]
    text = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    assert text[-1] == "2"
    return text[:-1]


@pytest.mark.parametrize("client", [with_requests, with_httpx, with_urllib, with_urllib_plain, with_curl])
def test_clients_by_their_environment(backend, client):
    backend.expect_request("http://api.example.com/v1/items").respond_with_data(TEXT)
    with backend.proxy_environment():
        assert backend.call(client, timeout=20000) == TEXT


CHILD = f"""
import urllib.request
print(urllib.request.urlopen({URL!r}, timeout=5).read().decode(), end="")
"""


def test_a_child_of_qprocess(backend, qtbot, qhttpserver_proxy_environment):
    process = QProcess()
    process.start(sys.executable, ["-c", CHILD])
    with qtbot.waitSignal(process.finished, timeout=20000):
        pass
    assert process.readAllStandardOutput().data().decode() == TEXT, process.readAllStandardError().data().decode()


def test_a_client_that_sees_to_its_own_proxy_is_told_what_to_set(backend, qhttpserver_proxy_environment):
    assert qhttpserver_proxy_environment["HTTPS_PROXY"] == os.environ["https_proxy"]
    assert Path(os.environ["SSL_CERT_FILE"]).read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")


def test_another_origin_is_another_expectation(make_qhttpserver, qtbot):
    server = make_qhttpserver(strict=False)
    server.intercept("https://*.example.com")
    server.expect_request("https://a.example.com/items").respond_with_json({})
    assert get(qtbot, "https://b.example.com/items").attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute) == 500
    (problem,) = server.problems()
    assert "origin: expected 'https://a.example.com'" in str(problem)
    assert "came 'https://b.example.com'" in str(problem)
    server.forget_problems()


def state():
    proxy = QNetworkProxy.applicationProxy()
    return (
        (proxy.type(), proxy.hostName(), proxy.port()),
        len(QSslConfiguration.defaultConfiguration().caCertificates()),
        {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
    )


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_everything_is_as_before(make_qhttpserver, error):
    before = state()
    server = make_qhttpserver()
    try:
        with server, server.proxy_environment() as values:
            server.intercept("https://api.example.com")
            file = Path(values["SSL_CERT_FILE"])
            assert file.exists()
            assert state() != before
            if error is not None:
                raise error
    except BaseException as raised:  # noqa: BLE001
        assert type(raised) is error
    assert state() == before
    assert not file.exists()


def test_the_proxy_that_was_set_is_set_again(make_qhttpserver):
    QNetworkProxy.setApplicationProxy(QNetworkProxy(QNetworkProxy.ProxyType.Socks5Proxy, "127.0.0.1", 9))
    try:
        server = make_qhttpserver()
        server.intercept("https://api.example.com")
        assert QNetworkProxy.applicationProxy().type() is QNetworkProxy.ProxyType.HttpProxy
        server.stop()
        assert QNetworkProxy.applicationProxy().type() is QNetworkProxy.ProxyType.Socks5Proxy
    finally:
        QNetworkProxy.setApplicationProxy(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))


def test_other_hosts_are_passed_on(backend, make_qhttpserver):
    """By the proxy: what is not intercepted goes where it wants to; here to a server of this computer."""
    other = make_qhttpserver()
    other.expect_request("/other").respond_with_data("other")
    with backend.proxy_environment() as values:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": values["HTTP_PROXY"]}))
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ""
        text = backend.call(lambda: opener.open(other.url_for("/other"), timeout=5).read())
        assert text == b"other"
        os.environ["no_proxy"] = ""
        command = ["curl", "-sSp", "-x", values["HTTP_PROXY"], "--noproxy", "", other.url_for("/other")]
        done = backend.call(lambda: subprocess.run(command, capture_output=True, timeout=10, check=True))
        assert done.stdout == b"other"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT api.example.com HTTP/1.1\r\n\r\n", b"400"),
        (b"GET https://[/ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET ftp://api.example.com/ HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", b"502"),
        (b"CONNECT " + b"x" * 70000, b"431"),
    ],
)
def test_a_head_that_is_wrong_is_answered(backend, qtbot, head, status):
    import socket

    with backend.proxy_environment() as values:
        port = int(values["HTTP_PROXY"].rpartition(":")[2])

    def ask():
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(head[:20])
            client.sendall(head[20:])
            answer = b""
            try:
                while data := client.recv(65536):
                    answer += data
            except ConnectionResetError:
                pass
            return answer

    assert backend.call(ask).split(b" ", 2)[1] == status


def test_a_large_plain_reply_arrives_whole(backend, qtbot):
    backend.expect_request("/large").respond_with_data(b"x" * 5_000_000)
    assert get(qtbot, "http://api.example.com/large").readAll().size() == 5_000_000
    assert get(qtbot, "https://api.example.com/large").readAll().size() == 5_000_000


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_five_hundred_interceptions_leave_nothing(qtbot, qapp):
    import tempfile

    from qhttpserver_py.testing import FakeBackend

    manager = QNetworkAccessManager()

    def once():
        with FakeBackend() as server:
            server.intercept("https://api.example.com")
            server.expect_request(URL).respond_with_data(TEXT)
            with server.proxy_environment():
                assert get(qtbot, URL, manager).readAll().data() == TEXT.encode()
        server.deleteLater()
        qtbot.wait(0)

    once()
    before, count = state(), descriptors()
    files = set(Path(tempfile.gettempdir()).glob("qhttpserver-*.pem"))
    for _ in range(500):
        once()
    manager.clearConnectionCache()
    qtbot.waitUntil(lambda: descriptors() <= count + 2)
    assert state() == before
    assert set(Path(tempfile.gettempdir()).glob("qhttpserver-*.pem")) <= files
    assert foreign_peers() == []
