"""What every test relies on: an offscreen platform, and garbage collected in the main thread only."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from qhttpserver_py import QHttpServer
    from qhttpserver_py.testing.tls import TlsAuthority

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

_UNCOLLECTED = 20000


@pytest.fixture(autouse=True, scope="session")
def _collect_in_the_main_thread() -> Iterator[None]:
    """A test's dropped server may sit in a cycle (a handler that names it); deleting a QObject in
    whatever worker thread the collector happens to run would crash Qt, so it runs between tests.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def _collect_between_tests(_collect_in_the_main_thread: None) -> Iterator[None]:
    gc.disable()  # whatever the test before did
    yield
    log = sys.modules.get("qhttpserver_py._qt.log")
    assert log is None or not log.HTTP1.isDebugEnabled(), "the test left debug messages on"
    if gc.get_count()[0] > _UNCOLLECTED:
        gc.collect()


@pytest.fixture
def own_loop(qapp: object) -> Iterator[None]:
    """The asyncio loop of the main thread ends with the test."""
    from qhttpserver_py import aio

    yield
    aio.close()
    gc.collect()


@pytest.fixture
def server(qapp: object) -> Iterator[QHttpServer]:
    """A server of the test's own; at its end what it posted is done."""
    from qhttpserver_py import QHttpServer

    from .support.rawclient import spin

    made = QHttpServer()
    yield made
    made.close()
    spin(lambda: False, 0.02)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What is reported through sys.excepthook."""
    seen: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: seen.append(error))
    return seen


@pytest.fixture(scope="session")
def authority() -> TlsAuthority:
    """A certificate authority that clients of the tests trust."""
    from qhttpserver_py.testing.tls import TlsAuthority

    return TlsAuthority()
