"""Coroutines on a plain Qt event loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import time

import httpx
import pytest
from PySide6.QtCore import QTimer

from qhttpserver_py import aio
from qhttpserver_py._loop import qteventloop

from ..support.coroutines import run, sleeps, sleeps_until_cancelled, uses_streams
from ..support.rawclient import nested, wait_until

pytestmark = pytest.mark.usefixtures("own_loop")


# ---- what asyncio can do works


async def uses_a_thread():
    return await asyncio.to_thread(lambda: threading.current_thread() is not threading.main_thread())


async def uses_a_subprocess():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(input()[::-1])", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(b"abc\n")
    return out.strip(), process.returncode


async def _http(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
    writer.close()


async def uses_httpx():
    server = await asyncio.start_server(_http, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(f"http://127.0.0.1:{port}/")
    server.close()
    await server.wait_closed()
    return reply.text


async def uses_a_group():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0.01 * n, n)) for n in (3, 1, 2)]
    return [task.result() for task in tasks]


async def times_out():
    try:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(60)
    except TimeoutError:
        return "timed out"


async def is_woken_by_a_thread():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(future.set_result, "woken"))
    thread.start()
    result = await future
    thread.join()
    return result


async def knows_itself():
    loop = asyncio.get_running_loop()
    return loop is aio.loop() and loop.is_running() and asyncio.current_task() in asyncio.all_tasks()


async def uses_a_generator():
    async def numbers():
        for n in range(3):
            await asyncio.sleep(0)
            yield n

    return [n async for n in numbers()]


WORKS = [
    (sleeps, "slept"),
    (uses_a_thread, True),
    (uses_a_subprocess, (b"cba", 0)),
    (uses_streams, [b"ONE\n", b"TWO\n"]),
    (uses_httpx, "hi"),
    (uses_a_group, [3, 1, 2]),
    (times_out, "timed out"),
    (is_woken_by_a_thread, "woken"),
    (knows_itself, True),
    (uses_a_generator, [0, 1, 2]),
]


@pytest.mark.parametrize(("function", "expected"), WORKS)
def test_asyncio_works(function, expected):
    assert run(function(), 20) == expected


@pytest.mark.parametrize(("function", "expected"), WORKS)
def test_asyncio_works_where_the_selector_has_no_descriptor(monkeypatch, function, expected):
    class Polled(qteventloop.SteppedSelector):
        @property
        def fileno(self):
            raise AttributeError

    monkeypatch.setattr(qteventloop, "SteppedSelector", Polled)
    assert run(function(), 20) == expected


def test_a_polled_loop_without_tasks_is_not_polled(monkeypatch):
    class Polled(qteventloop.SteppedSelector):
        @property
        def fileno(self):
            raise AttributeError

    monkeypatch.setattr(qteventloop, "SteppedSelector", Polled)
    run(sleeps())
    steps = count_steps(monkeypatch)
    nested(100)
    assert len(steps) <= 1
    called = []
    thread = threading.Thread(target=aio.loop().call_soon_threadsafe, args=(called.append, 1))
    thread.start()
    wait_until(lambda: called)
    thread.join()


def test_the_loop_can_also_be_run_without_qt():
    assert aio.loop().run_until_complete(sleeps()) == "slept"
    assert run(sleeps()) == "slept"


# ---- how a coroutine is started


def test_start_returns_before_the_coroutine_runs():
    ran = []

    async def note():
        ran.append(asyncio.current_task())

    task = aio.start(note())
    assert isinstance(task, asyncio.Task)
    assert not ran
    wait_until(task.done)
    assert ran == [task]


def test_a_task_without_a_reference_runs_to_its_end():
    ended = []

    async def work():
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.02)
        ended.append(True)

    aio.start(work())
    gc.collect()
    wait_until(lambda: ended)


def test_context_variables_are_those_of_the_caller():
    variable = contextvars.ContextVar("variable", default="default")
    context = contextvars.copy_context()
    context.run(variable.set, "given")

    async def read():
        await asyncio.sleep(0)
        return variable.get()

    assert run(read()) == "default"
    token = variable.set("callers")
    assert run(read()) == "callers"
    variable.reset(token)
    task = aio.start(read(), context=context)
    wait_until(task.done)
    assert task.result() == "given"


def test_only_coroutines_can_be_started():
    with pytest.raises(TypeError):
        aio.start(3)


def test_a_thread_without_a_qt_event_loop_is_refused():
    errors = []
    coroutine = sleeps()

    def attempt():
        try:
            aio.start(coroutine)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert "QCoreApplication" in errors[0]
    assert coroutine.cr_frame is None  # closed: no "never awaited" warning


# ---- calls from Qt code wake the loop


@pytest.mark.parametrize(
    "wake",
    [
        lambda loop, call: loop.call_soon(call),
        lambda loop, call: loop.call_later(0.01, call),
        lambda loop, call: loop.call_at(loop.time() + 0.01, call),
        lambda loop, call: loop.call_soon_threadsafe(call),
        lambda loop, call: loop.create_task(asyncio.sleep(0)).add_done_callback(lambda _: call()),
    ],
)
def test_a_call_from_a_slot_wakes_the_loop(wake):
    called = []
    run(sleeps())  # idle now
    QTimer.singleShot(0, lambda: wake(aio.loop(), lambda: called.append(1)))
    wait_until(lambda: called)


def test_a_future_set_by_a_slot_wakes_its_waiter():
    async def wait():
        future = asyncio.get_running_loop().create_future()
        QTimer.singleShot(10, lambda: future.set_result("set"))
        return await future

    assert run(wait()) == "set"


def test_a_task_is_cancelled_from_a_slot():
    ended = []
    task = aio.start(sleeps_until_cancelled(ended))
    QTimer.singleShot(10, task.cancel)
    wait_until(lambda: ended)
    wait_until(task.cancelled)


# ---- costs


def count_steps(monkeypatch):
    steps = []
    run_ready = qteventloop.QtEventLoop._run_ready
    monkeypatch.setattr(qteventloop.QtEventLoop, "_run_ready", lambda self: (steps.append(1), run_ready(self))[1])
    return steps


def test_an_idle_loop_is_not_woken(monkeypatch):
    run(uses_streams())
    steps = count_steps(monkeypatch)
    nested(150)
    assert not steps


def test_a_waiting_loop_is_woken_once(monkeypatch):
    steps = count_steps(monkeypatch)
    run(asyncio.sleep(0.15))
    assert len(steps) <= 4


def test_a_busy_coroutine_leaves_qt_its_turns():
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(5)

    async def spin_forever():
        while True:
            await asyncio.sleep(0)

    task = aio.start(spin_forever())
    wait_until(lambda: len(ticks) >= 3)
    timer.stop()
    task.cancel()
    wait_until(task.cancelled)


# ---- nested Qt event loops


def test_other_tasks_go_on_while_one_is_in_a_nested_event_loop(reported):
    order = []

    async def quick(name):
        order.append(name)

    async def slow():
        await asyncio.sleep(0.02)
        order.append("slow")

    async def opens_dialog():
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        others = [asyncio.create_task(quick(n)) for n in range(5)] + [asyncio.create_task(slow())]
        nested(80)
        order.append("dialog")
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        assert loop.is_running()
        assert all(other.done() for other in others)
        await asyncio.sleep(0.01)
        return await asyncio.gather(*others)

    run(opens_dialog())
    assert order == [0, 1, 2, 3, 4, "slow", "dialog"]
    assert not reported
    assert run(sleeps()) == "slept"


def test_nested_event_loops_nest(reported):
    async def dialog(depth):
        if depth:
            inner = aio.start(dialog(depth - 1))
            nested(40 * depth)
            assert inner.done()
        await asyncio.sleep(0.001)
        return depth

    assert run(dialog(3)) == 3
    assert not reported


def test_a_slot_of_a_nested_event_loop_starts_coroutines():
    results = []

    async def answer():
        await asyncio.sleep(0.01)
        results.append(await asyncio.to_thread(lambda: "late"))

    async def dialog():
        QTimer.singleShot(10, lambda: aio.start(answer()))
        nested(20)
        wait_until(lambda: results)

    run(dialog())
    assert results == ["late"]


def test_a_task_is_cancelled_while_it_is_in_a_nested_event_loop():
    async def dialog():
        task = asyncio.current_task()
        QTimer.singleShot(5, task.cancel)
        nested(20)
        await asyncio.sleep(60)

    task = aio.start(dialog())
    wait_until(task.done)
    assert task.cancelled()


# ---- exceptions


async def fails():
    await asyncio.sleep(0)
    raise ValueError("mine")


def test_an_exception_that_is_not_awaited_is_reported(reported):
    task = aio.start(fails())
    wait_until(task.done)
    wait_until(lambda: reported)
    assert [str(error) for error in reported] == ["mine"]


def test_an_exception_of_an_inner_task_is_reported(reported):
    async def outer():
        asyncio.get_running_loop().create_task(fails())
        await asyncio.sleep(0.01)

    run(outer())
    gc.collect()
    assert [str(error) for error in reported] == ["mine"]


def test_an_exception_that_is_awaited_is_not_reported(reported):
    async def waits():
        with pytest.raises(ValueError, match="mine"):
            await aio.start(fails())

    run(waits())
    gc.collect()
    assert not reported


def test_an_exception_of_a_callback_is_reported(reported):
    aio.loop().call_soon(lambda: 1 / 0)
    wait_until(lambda: reported)
    assert isinstance(reported[0], ZeroDivisionError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_exit_leaves_the_loop_usable(error, reported):
    async def leaves():
        raise error

    aio.start(leaves())
    with pytest.raises(error):
        aio.loop()._step()
    assert run(sleeps()) == "slept"
