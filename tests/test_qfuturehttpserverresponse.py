"""QFutureHttpServerResponse: Qt's names on a concurrent.futures.Future."""

from __future__ import annotations

import copy
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from qhttpserver_py import QFutureHttpServerResponse

STATE = (
    "isValid", "isStarted", "isRunning", "isFinished", "isCanceled", "resultCount", "progressMinimum",
    "progressMaximum", "progressValue", "progressText",
)  # fmt: skip


def pending():
    return Future()


def running():
    future = Future()
    future.set_running_or_notify_cancel()
    return future


def finished():
    future = Future()
    future.set_result("done")
    return future


def failed():
    future = Future()
    future.set_exception(ValueError("mine"))
    return future


def cancelled():
    future = Future()
    future.cancel()
    return future


@pytest.mark.parametrize(
    ("make", "state"),
    [
        # valid, started, running, finished, canceled, results, minimum, maximum, value, text
        (lambda: None, (False, True, False, True, True, 0, 0, 0, 0, "")),  # as in PySide6
        (pending, (True, False, False, False, False, 0, 0, 1, 0, "")),
        (running, (True, True, True, False, False, 0, 0, 1, 0, "")),
        (finished, (True, True, False, True, False, 1, 0, 1, 1, "")),
        (failed, (True, True, False, True, False, 0, 0, 1, 0, "")),
        (cancelled, (True, True, False, True, True, 0, 0, 1, 0, "")),
    ],
)
def test_the_state(make, state):
    future = make()
    wrapped = QFutureHttpServerResponse() if future is None else QFutureHttpServerResponse(future)
    assert tuple(getattr(wrapped, name)() for name in STATE) == state


@pytest.mark.parametrize("name", ["cancel", "cancelChain"])
def test_cancelling_cancels_the_future(name):
    future = pending()
    wrapped = QFutureHttpServerResponse(future)
    assert getattr(wrapped, name)() is None
    assert future.cancelled()
    assert wrapped.isCanceled()
    assert wrapped.isFinished()


def test_cancelling_what_runs_is_remembered():
    future = running()
    wrapped = QFutureHttpServerResponse(future)
    wrapped.cancel()
    assert wrapped.isCanceled()
    assert wrapped.isRunning()
    future.set_result(1)
    assert wrapped.isFinished()


@pytest.mark.parametrize("make", [QFutureHttpServerResponse, copy.copy])
def test_copies_share_their_state(make):
    first = QFutureHttpServerResponse(running())
    second = make(first)
    first.suspend()
    first.cancel()
    assert second.isSuspending()
    assert second.isCanceled()
    assert second.isValid()


@pytest.mark.parametrize(
    ("calls", "suspending"),
    [
        ([], False),
        ([("suspend",)], True),
        ([("suspend",), ("resume",)], False),
        ([("toggleSuspended",)], True),
        ([("toggleSuspended",), ("toggleSuspended",)], False),
        ([("setSuspended", True)], True),
        ([("setSuspended", True), ("setSuspended", False)], False),
        ([("pause",)], True),
        ([("pause",), ("togglePaused",)], False),
        ([("setPaused", True)], True),
    ],
)
def test_suspending_is_asked_for(calls, suspending):
    wrapped = QFutureHttpServerResponse()
    for name, *arguments in calls:
        assert getattr(wrapped, name)(*arguments) is None
    assert wrapped.isSuspending() is suspending
    assert wrapped.isPaused() is suspending
    assert wrapped.isSuspended() is False


def test_waiting_and_the_result():
    with ThreadPoolExecutor(1) as pool:
        wrapped = QFutureHttpServerResponse(pool.submit(lambda: "made"))
        wrapped.waitForFinished()
        assert wrapped.isFinished()
        assert wrapped.result() == "made"


def test_waiting_raises_nothing_and_the_result_does():
    wrapped = QFutureHttpServerResponse(failed())
    wrapped.waitForFinished()
    with pytest.raises(ValueError, match="mine"):
        wrapped.result()


def test_without_a_future_there_is_nothing_to_wait_for():
    wrapped = QFutureHttpServerResponse()
    wrapped.waitForFinished()
    with pytest.raises(CancelledError):
        wrapped.result()


@pytest.mark.parametrize("wrong", [3, "text", None, object()])
def test_other_things_are_refused(wrong):
    if wrong is None:
        wrong = [None]
    with pytest.raises(TypeError, match=r"concurrent\.futures\.Future"):
        QFutureHttpServerResponse(wrong)
