"""How loops of coroutines end, in the main thread and in others, and whole programs on the loops there are."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QObject, QThread, QTimer, Signal

from qhttpserver_py import aio
from qhttpserver_py._loop import eventloop, qteventloop

from ..support.coroutines import run, sleeps, uses_streams
from ..support.rawclient import nested, wait_until

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("own_loop")


# ---- the end


def test_close_cancels_and_lets_tasks_end():
    order = []

    async def generator():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            order.append("generator")

    async def work():
        try:
            async for _ in generator():
                await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            order.append("task")

    loop = aio.loop()
    aio.start(work())
    run(sleeps())
    aio.close()
    assert loop.is_closed()
    assert sorted(order) == ["generator", "task"]
    aio.close()
    assert aio.loop() is not loop
    assert run(sleeps()) == "slept"


def test_close_waits_for_the_default_executor():
    ended = []

    async def work():
        await asyncio.to_thread(lambda: (time.sleep(0.05), ended.append(1)))

    aio.start(work())
    run(sleeps())
    aio.close()
    assert ended


def test_close_gives_up_on_a_task_that_will_not_end(monkeypatch, qtlog):
    monkeypatch.setattr(qteventloop, "CLOSE_SECONDS", 0.05)

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if gave_up:
                    raise

    gave_up = []
    task = aio.start(stubborn())
    run(sleeps())
    aio.close()
    assert any("would not be cancelled" in record.message for record in qtlog.records)
    gave_up.append(True)
    task.get_loop().set_exception_handler(lambda *_: None)  # "destroyed but pending" is true
    eventloop._tasks.discard(task)


def test_close_inside_a_coroutine_waits_for_the_step():
    loop = aio.loop()

    async def closes():
        aio.close()
        assert not loop.is_closed()

    aio.start(closes())
    wait_until(loop.is_closed)


def test_close_inside_a_nested_event_loop_waits_for_the_outer_step():
    loop = aio.loop()
    ended = []

    async def dialog():
        QTimer.singleShot(5, aio.close)
        nested(30)
        ended.append(not loop.is_closed())

    aio.start(dialog())
    wait_until(loop.is_closed)
    assert ended == [True]


def test_release_closes_a_loop_once_it_is_idle():
    task = aio.start(asyncio.sleep(0.03))
    loop = task.get_loop()
    eventloop.release()
    assert not loop.is_closed()
    wait_until(loop.is_closed)
    assert task.done() and not task.cancelled()
    loop = aio.start(sleeps()).get_loop()
    eventloop.release()
    task = aio.start(asyncio.sleep(0.03))  # used again: it stays
    wait_until(task.done)
    assert not loop.is_closed()
    eventloop.release()
    assert loop.is_closed()
    eventloop.release()


def test_release_leaves_a_loop_the_application_asked_for():
    loop = aio.loop()
    eventloop.release()
    assert not loop.is_closed()


def test_many_loops_leave_nothing_behind():
    run(sleeps())
    aio.close()
    before = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    for _ in range(30):
        run(sleeps())
        aio.close()
    after = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    assert after == before
    assert not eventloop._loops
    assert not eventloop._tasks


class InThread(QObject):
    done = Signal()

    def __init__(self, coroutine):
        super().__init__()
        self.coroutine = coroutine
        self.result = self.loop = self.thread_seen = None

    def begin(self):
        task = aio.start(self._work())
        self.loop = task.get_loop()

    async def _work(self):
        self.thread_seen = threading.get_ident()
        self.result = await self.coroutine
        self.thread().quit()


def test_a_qthread_has_a_loop_of_its_own():
    thread = QThread()
    worker = InThread(uses_streams())
    worker.moveToThread(thread)
    thread.started.connect(worker.begin)
    thread.start()
    wait_until(lambda: worker.result)
    assert thread.wait(5000)
    assert worker.result == [b"ONE\n", b"TWO\n"]
    assert worker.thread_seen != threading.get_ident()
    assert worker.loop.is_closed()
    assert worker.loop not in eventloop._loops.values()


# ---- whole programs, each in a process of its own


def program(text, *options):
    """Run *text* with warnings as errors; return what it printed, having printed no error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", *options, "-c", textwrap.dedent(text)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.split()


PENDING = """
    import asyncio
    from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer
    from qhttpserver_py import aio
    app = QCoreApplication([])

    async def gen():
        try:
            yield 1
            yield 2
        finally:
            print("generator")

    async def work():
        asyncio.get_running_loop().run_in_executor(None, int)
        try:
            async for _ in gen():
                await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            print("task")

    aio.start(work())
"""


@pytest.mark.parametrize(
    "ending",
    [
        "QTimer.singleShot(20, app.quit); app.exec()",
        "QTimer.singleShot(20, app.quit); app.exec(); del app",
        "loop = QEventLoop(); QTimer.singleShot(20, loop.quit); loop.exec()",
        "loop = QEventLoop(); QTimer.singleShot(20, loop.quit); loop.exec(); app.shutdown()",
        "loop = QEventLoop(); QTimer.singleShot(20, loop.quit); loop.exec(); app.shutdown(); aio.close()",
    ],
)
def test_a_program_ends_without_a_warning(ending):
    assert sorted(program(textwrap.dedent(PENDING) + ending)) == ["generator", "task"]


def test_an_application_can_follow_another():
    text = """
        import asyncio
        from PySide6.QtCore import QCoreApplication, QTimer
        from qhttpserver_py import aio
        async def work(app):
            await asyncio.sleep(0.01)
            print("worked")
            app.quit()
        for _ in range(3):
            app = QCoreApplication([])
            aio.start(work(app))
            app.exec()
            app.shutdown()
            del app
    """
    assert program(text) == ["worked"] * 3


def test_without_an_application_start_explains_itself():
    text = """
        import asyncio
        from qhttpserver_py import aio
        try:
            aio.start(asyncio.sleep(0))
        except RuntimeError as error:
            print("QCoreApplication" in str(error))
    """
    assert program(text) == ["True"]


FOREIGN = """
    async def inner():
        await asyncio.sleep(0.01)
        return asyncio.get_running_loop()

    async def fails():
        await asyncio.sleep(0)
        raise ValueError("mine")

    async def cancelled():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("cancelled")
            raise

    def from_slot(main):
        results.append(aio.loop() is main)
        task = aio.start(inner())
        task.add_done_callback(lambda done: results.append(done.result() is main))
        aio.start(fails())
        QTimer.singleShot(20, aio.start(cancelled()).cancel)

    async def main():
        QTimer.singleShot(10, lambda loop=asyncio.get_running_loop(): from_slot(loop))
        while len(results) < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        aio.close()
        print(*results)

    results = []
    sys.excepthook = lambda kind, error, trace: results.append(str(error))
"""
QASYNC = """
    import asyncio, sys
    from PySide6.QtCore import QCoreApplication, QTimer
    import qasync
    from qhttpserver_py._loop import eventloop
    from qhttpserver_py import aio
    app = QCoreApplication([])
    {body}
    loop = qasync.QEventLoop(app)
    with loop:
        loop.run_until_complete(main())
    assert not eventloop._loops
"""
QTASYNCIO = """
    import asyncio, sys
    from PySide6.QtCore import QCoreApplication, QTimer
    import PySide6.QtAsyncio as QtAsyncio
    from qhttpserver_py._loop import eventloop
    from qhttpserver_py import aio
    app = QCoreApplication([])
    {body}
    QtAsyncio.run(main(), keep_running=False)
    assert not eventloop._loops
"""


@pytest.mark.parametrize("text", [QASYNC, QTASYNCIO], ids=["qasync", "QtAsyncio"])
def test_a_loop_that_runs_already_is_used(text):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text).replace("{body}", textwrap.dedent(FOREIGN))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    out = done.stdout.split()
    assert sorted(out) == ["True", "True", "cancelled", "mine"]


def test_our_loop_is_stepped_inside_a_foreign_one():
    async def foreign():
        called = []
        own.call_soon(lambda: called.append(asyncio.get_running_loop() is own))
        for _ in range(100):
            QCoreApplication.processEvents()
            await asyncio.sleep(0.001)
            if called:
                break
        return called, asyncio.get_running_loop() is not own

    own = aio.loop()
    assert asyncio.run(foreign()) == ([True], True)
