"""Fixtures for tests with real clients: a server in this process, blocking clients in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer

from .application import Site, open_site

Result = TypeVar("Result")
LIMIT = 30_000  # milliseconds


class Worker:
    """Runs a blocking function in a thread while this thread runs the Qt event loop."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.result: object = None
        self.error: BaseException | None = None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._body, daemon=True)

    def _body(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.error = error
        finally:
            self.done.set()

    def run(self) -> object:
        loop = QEventLoop()
        poll, limit = QTimer(), QTimer(singleShot=True)
        poll.timeout.connect(lambda: loop.quit() if self.done.is_set() else None)
        limit.timeout.connect(loop.quit)
        self.thread.start()
        poll.start(2)
        limit.start(LIMIT)
        loop.exec()
        assert self.done.is_set(), "the client did not finish in time"
        self.thread.join()
        if self.error is not None:
            raise self.error
        return self.result


def in_thread(work: Callable[[], Result]) -> Result:
    """Call *work* in a thread, serving meanwhile; return its result or raise what it raised."""
    return Worker(work).run()  # type: ignore[return-value]


@pytest.fixture(scope="session")
def site(qapp: QCoreApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for all tests of a session: what a client leaves behind must not trouble the next."""
    opened = open_site(tmp_path_factory.mktemp("live"))
    yield opened
    opened.server.close(1000)
