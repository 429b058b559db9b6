"""With the network blocked, other computers are refused at once, and the test is told which and by whom."""

import asyncio
import socket
import urllib.error
import urllib.request

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkProxy, QNetworkReply, QNetworkRequest, QTcpSocket

from qhttpserver_py.testing.intercept.block import NetworkBlock, NetworkBlockedError

ADDRESS = "192.0.2.1"  # for documentation (RFC 5737): nobody answers


@pytest.fixture
def block(qapp):
    block = NetworkBlock(["*.allowed.example", "192.0.2.9"])
    yield block
    block.end()


def only(block):
    (problem,) = block.problems()
    block.forget_problems()
    return str(problem)


def with_urlopen():
    urllib.request.urlopen("https://evil.example/x", timeout=5)


def with_create_connection():
    socket.create_connection(("evil.example", 443), timeout=5)


def with_asyncio():
    asyncio.run(asyncio.open_connection(ADDRESS, 443))


def with_connect_ex():
    with socket.socket() as client:
        client.connect_ex((ADDRESS, 443))


def with_sendto():
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.sendto(b"x", (ADDRESS, 443))


@pytest.mark.parametrize("ask", [with_urlopen, with_create_connection, with_asyncio, with_connect_ex, with_sendto])
def test_python_is_refused(block, ask):
    with pytest.raises(OSError, match="blocked by the test"):
        ask()
    text = only(block)
    assert text.startswith(("blocked: evil.example:443", f"blocked: {ADDRESS}:443"))
    assert f"test_block.py:{ask.__code__.co_firstlineno + 1}" in text or f"in {ask.__name__}" in text


def test_qt_is_refused(block, qtbot):
    manager = QNetworkAccessManager()
    reply = manager.get(QNetworkRequest(QUrl("https://evil.example/x?y=1")))
    qtbot.waitUntil(reply.isFinished)
    assert reply.error() is not QNetworkReply.NetworkError.NoError
    text = only(block)
    assert text.startswith("blocked: https://evil.example/x?y=1\n")
    assert "manager.get(" in text
    client = QTcpSocket()
    client.connectToHost(ADDRESS, 9)
    qtbot.waitUntil(lambda: client.state() is QTcpSocket.SocketState.UnconnectedState)
    assert f"blocked: {ADDRESS}:9" in str(block.problems()[0])


def test_loopback_and_what_is_allowed_pass(block, qhttpserver, qtbot):
    qhttpserver.expect_request("/a").respond_with_data("a")
    assert qhttpserver.call(lambda: urllib.request.urlopen(qhttpserver.url_for("/a"), timeout=5).read()) == b"a"
    manager = QNetworkAccessManager()
    reply = manager.get(QNetworkRequest(QUrl(qhttpserver.url_for("/a"))))
    qtbot.waitUntil(reply.isFinished)
    assert reply.readAll().data() == b"a"
    assert block.problems() == []
    cases = {"a.allowed.example": True, "192.0.2.9": True, "::1": True, "allowed.example": False, ADDRESS: False}
    assert {host: block.allows(host) for host in cases} == cases


def test_what_is_intercepted_passes(block, qhttpserver, qtbot):
    qhttpserver.intercept("https://api.example.com")
    qhttpserver.expect_request("https://api.example.com/a").respond_with_data("a")
    manager = QNetworkAccessManager()
    reply = manager.get(QNetworkRequest(QUrl("https://api.example.com/a")))
    qtbot.waitUntil(reply.isFinished)
    assert reply.readAll().data() == b"a"
    reply = manager.get(QNetworkRequest(QUrl("https://evil.example/")))
    qtbot.waitUntil(reply.isFinished)
    assert "blocked: https://evil.example/" in only(block)


def test_everything_is_as_before(qapp):
    names = [
        (socket, "getaddrinfo"),
        (socket.socket, "connect"),
        (socket.socket, "sendto"),
        (QNetworkAccessManager, "get"),
        (QTcpSocket, "connectToHost"),
    ]
    before = [getattr(owner, name) for owner, name in names]
    proxy = QNetworkProxy.applicationProxy().type()
    for _ in range(3):
        block = NetworkBlock()
        assert [getattr(owner, name) for owner, name in names] != before
        block.end()
        block.end()
        assert [getattr(owner, name) for owner, name in names] == before
        assert QNetworkProxy.applicationProxy().type() is proxy
    assert "connect" not in vars(socket.socket)
    assert issubclass(NetworkBlockedError, ConnectionRefusedError)


SUITE = """
import socket, pytest

def ask():
    try:
        socket.create_connection(("evil.example", 443))
    except OSError:
        pass  # what the application makes of it

@pytest.mark.qhttpserver(block_network=True)
def test_marked():
    ask()

@pytest.mark.qhttpserver(block_network=True)
def test_with_a_backend(qhttpserver):
    qhttpserver.intercept("https://api.example.com")
    ask()

@pytest.mark.qhttpserver(block_network=True)
def test_harmless(qhttpserver):
    socket.create_connection(("127.0.0.1", qhttpserver.port)).close()
"""


@pytest.mark.timeout(300)  # pytest in a process of its own, and two more of xdist's
@pytest.mark.parametrize("options", [(), ("-p", "no:pytest-qt"), ("-n", "2")])
def test_the_marker_fails_the_test(pytester, options):
    pytester.makepyfile(SUITE)
    plugin = () if plugin_is_installed() else ("-p", "qhttpserver_py.pytest_plugin")
    result = pytester.runpytest_subprocess("-W", "error", *plugin, *options)
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(["*blocked: evil.example:443*", "*test_the_marker_fails_the_test.py:5: in ask*"])


@pytest.mark.timeout(300)
def test_the_ini_option_fails_every_test(pytester):
    pytester.makepyfile(SUITE.replace("@pytest.mark.qhttpserver(block_network=True)\n", ""))
    pytester.makeini("[pytest]\nqhttpserver_block_network = true\nqhttpserver_allow_hosts = a.example *.b.example\n")
    plugin = () if plugin_is_installed() else ("-p", "qhttpserver_py.pytest_plugin")
    result = pytester.runpytest_subprocess("-W", "error", *plugin)
    result.assert_outcomes(failed=2, passed=1)


def plugin_is_installed():
    from importlib.metadata import entry_points

    return bool(entry_points(group="pytest11", name="qhttpserver"))
