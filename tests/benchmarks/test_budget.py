"""Guards that no clock disturbs: what a request may cost in Python calls and in crossings into Qt."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication

from qhttpserver_py._content import mime

from .probes import idle_websocket_kib
from .profile import REQUESTS, Counts, count
from .servers import SERVERS, Setup

TIMES = 100

# Python functions per request, the handler's own included. Lower them when the path gets shorter;
# a rise has to be earned.
PYTHON_CALLS = {
    "hello": 18,
    "headers": 18,
    "typed": 18,
    "varied": 23,
    "fresh": 24,
    "fresh-json": 27,
    "missing": 58,
    "echo": 38,
}
QT_CALLS = {"missing": 5, "echo": 6}  # a category is asked whether it logs; body() and data() are the handler's
ONCE = ("QTcpSocket.read", "module.write")
NEVER = ("QTimer", "QUrl", "QHttpHeaders", "QUrlQuery", "QHostAddress", "QMimeDatabase")


@pytest.fixture(scope="module", params=list(PYTHON_CALLS))
def counted(request: pytest.FixtureRequest, qapp: QCoreApplication) -> tuple[str, Counts]:
    return request.param, count(REQUESTS[request.param], TIMES)


def per_request(counter: dict[str, int]) -> dict[str, int]:
    """Whole calls per request; what happens now and then (the second's date, the test's poll) drops out."""
    return {what: round(number / TIMES) for what, number in counter.items() if number >= TIMES * 0.9}


def test_python_calls(counted: tuple[str, Counts]) -> None:
    name, counts = counted
    calls = per_request(counts.python)
    assert sum(calls.values()) <= PYTHON_CALLS[name], calls


def test_one_read_and_one_write(counted: tuple[str, Counts]) -> None:
    _, counts = counted
    calls = per_request(counts.native)
    assert {method: calls.get(method) for method in ONCE} == dict.fromkeys(ONCE, 1)


def test_crossings_into_qt(counted: tuple[str, Counts]) -> None:
    """How much there is, the read and its bytes, and under a profiler once more how much: nothing else asks Qt."""
    name, counts = counted
    calls = {what: number for what, number in per_request(counts.native).items() if what.startswith("Q")}
    assert sum(calls.values()) <= QT_CALLS.get(name, 4), calls


def test_no_qt_value_is_built(counted: tuple[str, Counts]) -> None:
    _, counts = counted
    built = [what for what in per_request(counts.native) if what.startswith(NEVER)]
    assert built == []


@pytest.mark.parametrize("name", ["fresh", "fresh-json"])
def test_a_thousand_fresh_replies_ask_no_mime_database(name: str, qapp: QCoreApplication) -> None:
    if mime.read_table(mime.mime_directories()) is None:
        pytest.skip("Qt has no mime.cache here, so QMimeDatabase decides")
    counts = count(REQUESTS[name], 1000)
    assert [what for what in counts.native if "MimeDatabase" in what] == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_an_idle_websocket_takes_at_most_24_kib() -> None:
    """Most is PySide's for the signals; what its handshake needed, and a buffer of Qt's, would double it."""
    assert idle_websocket_kib(SERVERS["ours"], Setup(sys.executable, Path(), Path())) <= 24
