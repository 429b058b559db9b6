"""The suite of the application: one thread, no waiting for time to pass, no port numbers."""

import pytest
from PySide6.QtCore import Qt

LEFT = Qt.MouseButton.LeftButton


def click(qtbot, button):
    qtbot.mouseClick(button, LEFT)


def texts(window):
    return [window.items.item(row).text() for row in range(window.items.count())]


def test_refresh_fills_the_list(window, qtbot, qhttpserver):
    qhttpserver.expect_oneshot_request("/items", "GET").respond_with_json({"items": ["one", "two"]})
    with qtbot.waitSignal(window.loaded):
        click(qtbot, window.refresh)
    assert texts(window) == ["one", "two"]
    assert window.message.text() == ""


def test_a_click_sends_one_request(window, qtbot, qhttpserver):
    qhttpserver.expect_request("/items").times(1).respond_with_json({"items": []})
    with qtbot.waitSignals([qhttpserver.requestReceived, window.loaded]):
        click(qtbot, window.refresh)


def test_the_window_is_busy_until_the_answer_is_there(window, qtbot, qhttpserver):
    qhttpserver.expect_request("/items").respond_with_json({"items": []}).delay(100)
    click(qtbot, window.refresh)
    qhttpserver.wait_for_request("/items")
    assert not window.refresh.isEnabled()
    assert window.progress.isVisible()
    qtbot.waitUntil(window.refresh.isEnabled)
    assert not window.progress.isVisible()


def test_the_token_is_sent(window, qtbot, qhttpserver):
    window.token = "secret"
    expected = {"Authorization": "Bearer secret"}
    qhttpserver.expect_oneshot_request("/items", headers=expected).respond_with_json({"items": []})
    with qtbot.waitSignal(window.loaded):
        click(qtbot, window.refresh)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda e: e.respond_with_data("", 401), "Your session has expired. Please sign in again."),
        (lambda e: e.respond_with_data("", 503), "The service is busy. Try again later."),
        (lambda e: e.respond_with_data("", 500), "The server cannot be reached."),
        (lambda e: e.respond_with_data("<html>"), "The server sent something that is no list of items."),
        (lambda e: e.respond_with_json([]), "The server sent something that is no list of items."),
        (lambda e: e.reset(), "The connection was lost."),
        (lambda e: e.truncate(100), "The connection was lost."),
        (lambda e: e.malformed_chunk(), "The connection was lost."),
    ],
)
def test_error_states(window, qtbot, qhttpserver, answer, message):
    window.retry_ms = 0
    answer(qhttpserver.expect_request("/items"))
    with qtbot.waitSignal(window.failed):
        click(qtbot, window.refresh)
    assert window.message.text() == message
    assert window.refresh.isEnabled()
    assert not window.progress.isVisible()


def test_a_server_that_never_answers(window, qtbot, qhttpserver):
    window.timeout_ms = 100
    qhttpserver.expect_request("/items").hang()
    with qtbot.waitSignal(window.failed):
        click(qtbot, window.refresh)
    assert window.message.text() == "The server does not answer."


def test_cancel(window, qtbot, qhttpserver):
    qhttpserver.expect_request("/items").hang()
    click(qtbot, window.refresh)
    qhttpserver.wait_for_request("/items")
    with qtbot.waitSignal(window.failed):
        click(qtbot, window.cancel)
    assert window.message.text() == "Canceled."


def test_an_old_list_stays_when_refreshing_fails(window, qtbot, qhttpserver):
    qhttpserver.expect_oneshot_request("/items").respond_with_json({"items": ["old"]})
    qhttpserver.expect_oneshot_request("/items").respond_with_data("", 500)
    with qtbot.waitSignal(window.loaded):
        click(qtbot, window.refresh)
    with qtbot.waitSignal(window.failed):
        click(qtbot, window.refresh)
    assert texts(window) == ["old"]
