"""The suite of an application that cannot be given another address."""

import pytest

from qhttpserver_py import QHttpServerWebSocketUpgradeResponse

pytestmark = pytest.mark.qhttpserver(block_network=True)


def texts(window):
    return [window.items.item(row).text() for row in range(window.items.count())]


def test_refresh_fills_the_list(service, window, qtbot):
    service.expect_oneshot_request("https://api.example.com/v1/items", "GET").respond_with_json({"items": ["one"]})
    with qtbot.waitSignal(window.loaded):
        window.refresh.click()
    assert texts(window) == ["one"]


def test_an_error_empties_the_list(service, window, qtbot):
    window.items.addItem("old")
    service.expect_request("https://api.example.com/v1/items").respond_with_data("", 503)
    with qtbot.waitSignal(window.loaded):
        window.refresh.click()
    assert texts(window) == []


def test_changes_are_added(service, window, qtbot):
    service.addWebSocketUpgradeVerifier(service, lambda _: QHttpServerWebSocketUpgradeResponse.accept())
    with qtbot.waitSignal(service.newWebSocketConnection):
        window.watch()
    live = service.nextPendingWebSocketConnection()
    live.sendTextMessage("new")
    qtbot.waitUntil(lambda: texts(window) == ["new"])
