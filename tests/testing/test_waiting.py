"""Waiting for requests, blocking clients in workers, up and down again."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from datetime import timedelta

import pytest
from PySide6.QtCore import QTimer, QUrl
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkRequest, QSslConfiguration

from qhttpserver_py.testing import Client, ClientError, FakeBackend, RequestMatcher
from qhttpserver_py.testing.loop import milliseconds


@pytest.fixture
def server(make_qhttpserver):
    server = make_qhttpserver(strict=False)
    server.expect_request("/a").respond_with_data("a")
    return server


@pytest.fixture
def ask(server):
    """Ask without waiting."""
    manager = QNetworkAccessManager()
    replies = []

    def ask(path, after=0):
        request = QNetworkRequest(QUrl(server.url_for(path)))
        QTimer.singleShot(after, lambda: replies.append(manager.get(request)))

    yield ask
    for reply in replies:
        reply.abort()


@pytest.mark.parametrize("value, expected", [(5, 5), (0.2, 1), (timedelta(seconds=1.5), 1500), (0, 0)])
def test_milliseconds(value, expected):
    assert milliseconds(value) == expected


def test_wait_for_a_request_to_come(server, ask):
    ask("/b")
    ask("/a?x=1", after=30)
    request = server.wait_for_request(path="/a", method="GET", timeout=2000)
    assert request.url().query() == "x=1"
    assert server.wait_for_request(RequestMatcher("/b")).url().path() == "/b"


def test_wait_for_requests_one_by_one(server, ask, qtbot):
    ask("/a?1")
    ask("/a?2", after=10)
    qtbot.waitUntil(lambda: len(server.log) == 2)
    assert [server.wait_for_request("/a").url().query() for _ in range(2)] == ["1", "2"]
    with pytest.raises(TimeoutError, match="no request within 20 ms for: any method /a"):
        server.wait_for_request("/a", timeout=20)


def test_the_timeout_is_that_of_pytest_qt_where_it_is_loaded(server, qtbot):
    with pytest.raises(qtbot.TimeoutError):
        server.wait_for_request("/a", timeout=1)


def test_wait_until_all_is_done(server, ask):
    server.expect_oneshot_request("/one").respond_with_data("")
    server.expect_request("/two").times(2).respond_with_data("")
    with server.wait(timeout=2000) as waiting:
        ask("/one")
        ask("/two")
        ask("/two", after=30)
    assert waiting.result
    assert 0 < waiting.elapsed_time < 2


def test_wait_raises_what_is_still_to_come(server):
    server.expect_oneshot_request("/one").respond_with_data("")
    with pytest.raises(AssertionError, match="expected once, came never: any method /one"):
        with server.wait(timeout=20):
            pass
    with server.wait(raise_assertions=False, timeout=20) as waiting:
        pass
    assert not waiting.result


def test_an_unexpected_request_ends_the_wait(server, ask):
    server.expect_oneshot_request("/one").respond_with_data("")
    ask("/b")
    with pytest.raises(AssertionError, match="unexpected request: GET /b"):
        with server.wait(timeout=5000):
            pass
    ask("/c")
    ask("/one", after=50)
    with server.wait(stop_on_nohandler=False, timeout=5000) as waiting:
        pass
    assert waiting.result


def test_an_error_inside_the_block_is_not_waited_for(server):
    server.expect_oneshot_request("/one").respond_with_data("")
    with pytest.raises(KeyError), server.wait(timeout=5000):
        raise KeyError


def test_call_returns_what_the_function_returns(server):
    def fetch(url, *, suffix):
        with urllib.request.urlopen(url) as response:
            return response.read() + suffix, threading.current_thread()

    body, thread = server.call(fetch, server.url_for("/a"), suffix=b"!")
    assert body == b"a!"
    assert thread is not threading.current_thread()


def test_call_raises_what_the_function_raises(server):
    with pytest.raises(ZeroDivisionError):
        server.call(lambda: 1 / 0)
    with pytest.raises(pytest.fail.Exception, match="no"):
        server.call(pytest.fail, "no")


def test_call_that_takes_too_long_tells_where_it_is(server):
    server.expect_request("/slow").hang()
    with pytest.raises(TimeoutError, match=r"(?s)did not return within 100 ms.*recv_into"):
        server.call(urllib.request.urlopen, server.url_for("/slow"), timeout=100)
    server.stop()


def test_down_and_up_again_on_the_same_port(server):
    port = server.port
    assert server.client.get("/a").ok
    server.stop()
    assert not server.is_running
    with pytest.raises(ClientError):
        Client(f"{server.url}/").get("/a")
    server.start()
    assert server.start() is server
    assert server.port == port
    assert server.client.get("/a").ok


def test_a_port_that_is_taken(server):
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        FakeBackend(("127.0.0.1", server.port)).start()


def test_ipv6(make_qhttpserver):
    if not socket.has_ipv6:
        pytest.skip("needs IPv6")
    try:
        server = make_qhttpserver(("::1", 0))
    except OSError:
        pytest.skip("needs IPv6")
    server.expect_request("/").respond_with_data("six")
    assert server.url == f"http://[::1]:{server.port}"
    assert server.client.get("/").text == "six"


def test_without_pytest():
    with pytest.raises(AssertionError, match="expected once"):
        with FakeBackend() as server:
            server.expect_oneshot_request("/").respond_with_data("")
    with pytest.raises(KeyError), FakeBackend() as server:
        server.expect_oneshot_request("/").respond_with_data("")
        raise KeyError
    assert not server.is_running


def test_url_for(server):
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert server.url_for("/x?y") == server.url_for("x?y") == f"{server.url}/x?y"


# ---- TLS


def get(url):
    manager = QNetworkAccessManager()
    return manager, manager.get(QNetworkRequest(QUrl(url)))


@pytest.mark.qhttpserver(tls=True)
def test_every_qt_client_trusts_the_server_while_it_runs(qhttpserver, qtbot):
    qhttpserver.expect_request("/").respond_with_data("x")
    _manager, reply = get(qhttpserver.url_for("/"))
    qtbot.waitUntil(reply.isFinished)
    assert reply.readAll().data() == b"x"


@pytest.mark.qhttpserver(tls=True, trust=False)
def test_nobody_trusts_it_unless_told_to(qhttpserver, qtbot):
    qhttpserver.expect_request("/").respond_with_data("x")
    _manager, reply = get(qhttpserver.url_for("/"))
    qtbot.waitUntil(reply.isFinished)
    assert reply.error() == reply.NetworkError.SslHandshakeFailedError
    assert qhttpserver.client.get("/").text == "x"
    assert Client(f"{qhttpserver.url}/", verify=False).get("/").text == "x"


def test_trust_is_taken_back(make_qhttpserver):
    before = QSslConfiguration.defaultConfiguration()
    servers = [make_qhttpserver(tls=True) for _ in range(2)]
    assert QSslConfiguration.defaultConfiguration() != before
    for server in servers:
        server.stop()
        server.stop()
    assert QSslConfiguration.defaultConfiguration() == before


def test_certificates_for_other_hosts(make_qhttpserver, qhttpserver_tls):
    server = make_qhttpserver(tls=qhttpserver_tls.server_configuration("elsewhere.example"))
    server.expect_request("/").respond_with_data("x")
    with pytest.raises(ClientError, match="SslHandshakeFailedError"):
        Client(f"{server.url}/", tls=qhttpserver_tls).get("/")


def test_python_clients_over_tls(make_qhttpserver, qhttpserver_tls):
    server = make_qhttpserver(tls=True)
    server.expect_request("/").respond_with_data("x")

    def fetch():
        with urllib.request.urlopen(server.url_for("/"), context=qhttpserver_tls.ssl_context()) as response:
            return response.read()

    assert server.call(fetch) == b"x"


# ---- the cost


def test_start_and_stop_take_under_two_milliseconds(qapp):
    def cycle():
        began = time.thread_time()
        FakeBackend().start().stop()
        return time.thread_time() - began

    assert sorted(cycle() for _ in range(30))[15] < 0.002


def test_no_thread_is_left(qapp):
    before = threading.active_count()
    with FakeBackend() as server:
        server.expect_request("/").respond_with_data("")
        assert server.call(urllib.request.urlopen, server.url_for("/")).status == 200
    assert threading.active_count() == before
