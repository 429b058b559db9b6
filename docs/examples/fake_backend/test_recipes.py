"""The recipes of docs/howto/testing.md, run as tests."""

import json

import pytest
from PySide6.QtCore import QUrl, QUrlQuery
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkReply, QNetworkRequest
from PySide6.QtTest import QSignalSpy


@pytest.fixture
def manager(qtbot):
    return QNetworkAccessManager()


def request(url):
    return QNetworkRequest(QUrl(url))


def test_login_expired(qhttpserver, qtbot, window):
    window.token = "old"
    qhttpserver.expect_request("/items", headers={"Authorization": "Bearer old"}).respond_with_data("", 401)
    qhttpserver.expect_request("/items", headers={"Authorization": "Bearer new"}).respond_with_json({"items": ["a"]})
    with qtbot.waitSignal(window.failed):
        window.refresh.click()
    assert "sign in again" in window.message.text()
    window.token = "new"
    with qtbot.waitSignal(window.loaded):
        window.refresh.click()


def test_slow_backend_with_a_progress_bar(qhttpserver, qtbot, window):
    items = {"items": ["x" * 1000] * 10}
    qhttpserver.expect_request("/items").respond_with_json(items).throttle(20_000)
    values = QSignalSpy(window.progress.valueChanged)
    with qtbot.waitSignal(window.loaded):
        window.refresh.click()
    seen = [values.at(index)[0] for index in range(values.count())]
    assert len(seen) >= 3
    assert seen[-1] == window.progress.maximum()


def test_retry_on_503(qhttpserver, qtbot, window):
    endpoint = qhttpserver.expect_request("/items")
    endpoint.respond_with_sequence([503, 503, {"items": ["third time lucky"]}]).times(3)
    with qtbot.waitSignal(window.loaded):
        window.refresh.click()
    assert window.items.item(0).text() == "third time lucky"


def test_server_sent_events(qhttpserver, qtbot, manager):
    events = [("price", {"eur": 10}), ("price", {"eur": 11})]
    qhttpserver.expect_request("/prices").respond_with_sse(events, interval_ms=20, keep_open=True)
    reply = manager.get(request(qhttpserver.url_for("/prices")))
    text = ""

    def read():
        nonlocal text
        text += reply.readAll().data().decode()

    reply.readyRead.connect(read)
    qtbot.waitUntil(lambda: text.count("\n\n") == 2)
    assert text.startswith('event: price\ndata: {"eur": 10}\n\n')
    assert not reply.isFinished()
    reply.abort()


def test_download_aborted(qhttpserver, qtbot, manager):
    qhttpserver.expect_request("/file").respond_with_data(b"x" * 1000).truncate(400)
    reply = manager.get(request(qhttpserver.url_for("/file")))
    with qtbot.waitSignal(reply.finished):
        pass
    assert reply.error() == QNetworkReply.NetworkError.RemoteHostClosedError
    assert reply.bytesAvailable() == 400


@pytest.mark.qhttpserver(tls=True, trust=False)
def test_tls_error(qhttpserver, qtbot, window):
    with qtbot.waitSignal(window.failed):
        window.refresh.click()
    assert window.message.text() == "The identity of the server cannot be verified."
    assert not qhttpserver.requests


@pytest.mark.qhttpserver(h2=True)
def test_http2(qhttpserver, qtbot, manager):
    qhttpserver.expect_request("/<arg>").respond_with_handler(lambda name: name)
    replies = [manager.get(request(qhttpserver.url_for(f"/{number}"))) for number in range(20)]
    qtbot.waitUntil(lambda: all(reply.isFinished() for reply in replies))
    assert all(reply.attribute(QNetworkRequest.Attribute.Http2WasUsedAttribute) for reply in replies)
    assert len({request.remotePort() for request in qhttpserver.requests}) == 1


def test_oauth_redirect(make_qhttpserver, qtbot, manager):
    provider, application = make_qhttpserver(), make_qhttpserver()

    def authorize(request):
        query = QUrlQuery(request.url())
        return (
            "",
            302,
            {"location": f"{query.queryItemValue('redirect_uri')}?code=7&state={query.queryItemValue('state')}"},
        )

    provider.expect_request("/authorize").respond_with_handler(authorize)
    provider.expect_request("/token", "POST", data={"code": "7"}).respond_with_json({"access_token": "secret"})
    application.expect_request("/callback", query_string={"code": "7", "state": "s"}).respond_with_data("Thank you")

    # What the browser does, and what the application does when the browser comes back.
    page = manager.get(request(f"{provider.url}/authorize?state=s&redirect_uri={application.url_for('/callback')}"))
    callback = application.wait_for_request("/callback")
    form = request(provider.url_for("/token"))
    form.setRawHeader(b"content-type", b"application/x-www-form-urlencoded")
    token = manager.post(form, f"code={QUrlQuery(callback.url()).queryItemValue('code')}".encode())
    qtbot.waitUntil(lambda: page.isFinished() and token.isFinished())
    assert page.readAll().data() == b"Thank you"
    assert json.loads(token.readAll().data()) == {"access_token": "secret"}


def test_websocket(qhttpserver, qtbot):
    from PySide6.QtWebSockets import QWebSocket

    from qhttpserver_py import QHttpServerWebSocketUpgradeResponse

    qhttpserver.addWebSocketUpgradeVerifier(qhttpserver, lambda _: QHttpServerWebSocketUpgradeResponse.accept())
    client = QWebSocket()
    with qtbot.waitSignal(qhttpserver.newWebSocketConnection):
        client.open(QUrl(qhttpserver.url_for("/chat").replace("http", "ws", 1)))
    server_side = qhttpserver.nextPendingWebSocketConnection()
    with qtbot.waitSignal(client.textMessageReceived) as received:
        server_side.sendTextMessage("hello")
    assert received.args == ["hello"]


def test_server_down_then_up(qhttpserver, qtbot, window):
    qhttpserver.expect_request("/items").respond_with_json({"items": ["back"]})
    qhttpserver.stop()
    with qtbot.waitSignal(window.failed):
        window.refresh.click()
    assert window.message.text() == "The server cannot be reached."
    qhttpserver.start()
    with qtbot.waitSignal(window.loaded):
        window.refresh.click()
