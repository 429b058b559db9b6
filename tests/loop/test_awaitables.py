"""Waiting for late results."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest
from PySide6.QtCore import QCoreApplication, QTimer

from qhttpserver_py import QFutureHttpServerResponse, aio
from qhttpserver_py._loop.awaitables import watch
from qhttpserver_py._loop.mailbox import Mailbox

from ..support.coroutines import sleeps_until_cancelled
from ..support.rawclient import wait_until

pytestmark = pytest.mark.usefixtures("own_loop")


@pytest.fixture
def post():
    mailbox = Mailbox()
    yield mailbox.post
    mailbox.deleteLater()


class Outcome:
    def __init__(self, result, post):
        self.calls, self.threads = [], []
        self.cancel = watch(result, self.done, post)
        assert not self.calls  # never before watch() has returned

    def done(self, value, error):
        self.calls.append((value, error))
        self.threads.append(threading.get_ident())

    def wait(self):
        wait_until(lambda: self.calls)
        assert len(self.calls) == 1
        assert self.threads == [threading.get_ident()]
        return self.calls[0]


def done_future(result="value"):
    future = Future()
    future.set_result(result)
    return future


def late_future():
    future = Future()
    threading.Timer(0.01, future.set_result, ["value"]).start()
    return future


async def coroutine():
    await asyncio.sleep(0.01)
    return "value"


def task():
    return aio.start(coroutine())


def own_future():
    future = aio.loop().create_future()
    QTimer.singleShot(10, lambda: future.set_result("value"))
    return future


class CustomAwaitable:
    def __await__(self):
        yield from asyncio.sleep(0.001).__await__()
        return "value"


@pytest.mark.parametrize(
    "make",
    [
        done_future,
        late_future,
        lambda: QFutureHttpServerResponse(late_future()),
        coroutine,
        task,
        own_future,
        CustomAwaitable,
    ],
)
def test_the_value_comes_in_this_thread(make, post):
    assert Outcome(make(), post).wait() == ("value", None)


@pytest.mark.parametrize("result", [None, 3, "text", object(), iter([]), QCoreApplication])
def test_other_things_are_not_waited_for(result, post):
    assert watch(result, lambda *_: None, post) is None


def test_an_executor_may_be_used(post):
    with ThreadPoolExecutor(1) as pool:
        assert Outcome(pool.submit(lambda: "value"), post).wait() == ("value", None)


def failing_future():
    future = Future()
    future.set_exception(ValueError("mine"))
    return future


async def failing_coroutine():
    raise ValueError("mine")


@pytest.mark.parametrize("make", [failing_future, failing_coroutine])
def test_an_exception_is_an_outcome(make, post, reported):
    value, error = Outcome(make(), post).wait()
    assert value is None
    assert isinstance(error, ValueError)
    gc.collect()
    assert not reported


def cancelled_future():
    future = Future()
    future.cancel()
    return future


async def cancels_itself():
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (cancelled_future, CancelledError),
        (QFutureHttpServerResponse, CancelledError),
        (cancels_itself, asyncio.CancelledError),
    ],
)
def test_cancellation_is_an_outcome(make, kind, post):
    value, error = Outcome(make(), post).wait()
    assert value is None
    assert isinstance(error, kind)


def test_cancelling_cancels_a_future(post):
    future = Future()
    outcome = Outcome(future, post)
    outcome.cancel()
    outcome.cancel()
    assert future.cancelled()
    QCoreApplication.processEvents()
    assert not outcome.calls


def test_cancelling_what_runs_drops_its_result(post):
    future = Future()
    future.set_running_or_notify_cancel()
    outcome = Outcome(future, post)
    outcome.cancel()
    future.set_result("late")
    QCoreApplication.processEvents()
    assert not outcome.calls


def test_cancelling_between_the_end_and_its_delivery_drops_the_result(post):
    outcome = Outcome(done_future(), post)
    outcome.cancel()
    QCoreApplication.processEvents()
    assert not outcome.calls


def test_cancelling_cancels_a_coroutine(post):
    ended = []
    outcome = Outcome(sleeps_until_cancelled(ended), post)
    for _ in range(3):
        QCoreApplication.processEvents()
    outcome.cancel()
    wait_until(lambda: ended)
    assert not outcome.calls


class LoopElsewhere:
    """An asyncio loop that runs in another thread."""

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        return self.loop

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def test_a_future_of_another_threads_loop_is_waited_for(post):
    with LoopElsewhere() as loop:
        future = loop.create_future()
        outcome = Outcome(future, post)
        loop.call_soon_threadsafe(future.set_result, "value")
        assert outcome.wait() == ("value", None)


def test_a_future_of_another_threads_loop_is_cancelled_there(post):
    with LoopElsewhere() as loop:
        future = loop.create_future()
        outcome = Outcome(future, post)
        outcome.cancel()
        wait_until(future.cancelled)
    outcome.cancel()  # its loop is closed by now
    QCoreApplication.processEvents()
    assert not outcome.calls
