"""The pytest plugin, as its users meet it: in runs of their own."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest
import trustme  # noqa: F401
from PySide6 import QtNetwork, QtWidgets  # noqa: F401

import qhttpserver_py

# Loaded here, because each run in this process forgets the modules it loaded itself, and not all bear that.
import qhttpserver_py.aio
import qhttpserver_py.testing

for name in ("requests", "httpx", "pytest_httpserver"):
    if importlib.util.find_spec(name) is not None:
        importlib.import_module(name)

ROOT = Path(qhttpserver_py.__file__).parent.parent
PLUGIN = "qhttpserver_py.pytest_plugin"

GET = """
    def test_get(qhttpserver):
        qhttpserver.expect_request("/a").respond_with_data("b")
        assert qhttpserver.client.get("/a").text == "b"
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a suite with the named plugins and no others, every warning an error, and return the result."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_QT_API", "pyside6")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(source, *args, plugins=("pytestqt.plugin",), ini="", subprocess=False):
        pytester.makepyfile(source)
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        start = pytester.runpytest_subprocess if subprocess else pytester.runpytest_inprocess
        return start(*[f"-p{name}" for name in (PLUGIN, *plugins)], *args)

    return run


def outcome(result, **expected):
    result.assert_outcomes(**expected)
    return result.stdout.str()


# ---- loading


def test_loading_the_plugin_imports_no_qt():
    code = (
        "import sys, qhttpserver_py.pytest_plugin; print([m for m in sys.modules if 'PySide6' in m or 'shiboken' in m])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    assert process.stdout.strip() == "[]"


def test_loading_the_plugin_is_quick(tmp_path):
    code = (
        "import pytest, time, typing, traceback; t = time.process_time();"
        "import qhttpserver_py.pytest_plugin; print(time.process_time() - t)"
    )
    # With its bytecode at hand, as where it is installed.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    run = partial(subprocess.run, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=30)
    seconds = [float(run([sys.executable, "-c", code]).stdout) for _ in range(4)]
    assert min(seconds) < 0.005


def test_pytest_finds_the_plugin_by_its_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"qhttpserver": PLUGIN}


def test_an_unrelated_run_loads_no_qt(run):
    source = """
        import sys
        def test_unrelated():
            assert not [name for name in sys.modules if name.startswith("PySide6")]
    """
    outcome(run(source, plugins=(), subprocess=True), passed=1)


def test_the_marker_and_the_option_are_documented(run):
    text = run("", "--markers").stdout.str()
    assert "@pytest.mark.qhttpserver(" in text
    assert "qhttpserver_strict" in run("", "--help").stdout.str()


def test_the_fixtures_are_documented(run):
    text = run("", "--fixtures").stdout.str()
    for name in ("qhttpserver", "make_qhttpserver", "qhttpserver_tls", "qhttpserver_listen_address"):
        assert f"\n{name}" in text or f"{name} [session scope]" in text


# ---- where it runs


@pytest.mark.parametrize("plugins", [("pytestqt.plugin",), ()], ids=["pytest-qt", "without pytest-qt"])
def test_with_and_without_pytest_qt(run, plugins):
    outcome(run(GET, plugins=plugins, subprocess=True), passed=1)


def test_the_application_object_of_the_suite_is_used(run):
    source = """
        import pytest
        from PySide6.QtCore import QCoreApplication
        made = []
        @pytest.fixture(scope="session")
        def qapp():
            made.append(QCoreApplication.instance() or QCoreApplication([]))
            return made[0]
        def test_it(qhttpserver):
            assert QCoreApplication.instance() is made[0]
    """
    outcome(run(source, plugins=(), subprocess=True), passed=1)


def test_waiting_for_signals_with_qtbot(run):
    source = """
        from PySide6.QtCore import QUrl
        from PySide6.QtNetwork import QNetworkAccessManager, QNetworkRequest
        def test_signals(qhttpserver, qtbot):
            qhttpserver.expect_request("/save").respond_with_json({"ok": True})
            manager = QNetworkAccessManager()
            def is_save(request):
                return request.url().path() == "/save"
            with qtbot.waitSignal(qhttpserver.requestReceived, check_params_cb=is_save) as received:
                with qtbot.waitSignal(qhttpserver.requestHandled, timeout=2000) as handled:
                    reply = manager.get(QNetworkRequest(QUrl(qhttpserver.url_for("/save"))))
            request, response = handled.args
            assert received.args == [request]
            assert bytes(response.data().data()) == b'{"ok": true}'
            qtbot.waitUntil(reply.isFinished)
    """
    outcome(run(source), passed=1)


@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="needs pytest-xdist")
def test_in_parallel(run):
    source = """
        import pytest
        @pytest.mark.parametrize("number", range(6))
        def test_get(qhttpserver, number):
            qhttpserver.expect_request(f"/{number}").respond_with_json(number)
            assert qhttpserver.client.get(f"/{number}").json() == number
    """
    outcome(run(source, "-n", "2", plugins=("pytestqt.plugin", "xdist"), subprocess=True), passed=6)


@pytest.mark.skipif(importlib.util.find_spec("pytest_httpserver") is None, reason="needs pytest-httpserver")
def test_beside_pytest_httpserver(run):
    source = """
        import urllib.request
        def test_both(httpserver, qhttpserver):
            httpserver.expect_request("/a").respond_with_data("threads")
            qhttpserver.expect_request("/a").respond_with_data("event loop")
            assert urllib.request.urlopen(httpserver.url_for("/a")).read() == b"threads"
            assert qhttpserver.client.get("/a").text == "event loop"
    """
    outcome(run(source, plugins=("pytestqt.plugin", "pytest_httpserver.pytest_plugin")), passed=1)


def test_the_listen_address_can_be_overridden(run):
    source = """
        import pytest
        @pytest.fixture
        def qhttpserver_listen_address():
            return ("localhost", 0)
        def test_it(qhttpserver):
            assert qhttpserver.url == f"http://localhost:{qhttpserver.port}"
            qhttpserver.expect_request("/").respond_with_data("")
            assert qhttpserver.client.get("/").ok
    """
    outcome(run(source), passed=1)


# ---- markers


@pytest.mark.parametrize(
    "marker, scheme, http2",
    [
        ("tls=True", "https", False),
        ("h2=True", "https", True),
        ("tls=True, h2=True", "https", True),
        ("tls=False", "http", False),
    ],
)
def test_marker_for_tls_and_http2(run, marker, scheme, http2):
    source = f"""
        import pytest
        @pytest.mark.qhttpserver({marker})
        def test_it(qhttpserver):
            qhttpserver.expect_request("/").respond_with_data("")
            assert qhttpserver.url.startswith("{scheme}:")
            assert qhttpserver.client.get("/").http2 is {http2}
    """
    outcome(run(source), passed=1)


def test_the_closest_marker_wins(run):
    source = """
        import pytest
        pytestmark = pytest.mark.qhttpserver(strict=False)
        def test_module(qhttpserver):
            assert not qhttpserver.strict
        @pytest.mark.qhttpserver(strict=True)
        def test_function(qhttpserver):
            assert qhttpserver.strict
        def test_factory(make_qhttpserver):
            assert make_qhttpserver(strict=True).strict
            assert not make_qhttpserver().strict
    """
    outcome(run(source), passed=3)


def test_a_misspelt_marker_is_refused(run):
    source = """
        import pytest
        @pytest.mark.qhttpserver(https=True)
        def test_it(qhttpserver):
            pass
    """
    assert "takes allow_hosts, block_network, h2, strict, tls, trust, not https" in outcome(run(source), errors=1)


# ---- strictness

WRONG = {
    "unexpected": (
        'qhttpserver.client.get("/a")',
        "unexpected request: GET /a",
    ),
    "unmet times": (
        'qhttpserver.expect_request("/a").times(2).respond_with_data("")\n            qhttpserver.client.get("/a")',
        "expected twice, came once: any method /a",
    ),
    "unmet oneshot": (
        'qhttpserver.expect_oneshot_request("/a").respond_with_data("")',
        "expected once, came never: any method /a",
    ),
    "never": (
        'qhttpserver.expect_request("/a").never()\n            qhttpserver.client.get("/a")',
        "must never be requested",
    ),
    "assertion in a handler": (
        'qhttpserver.expect_request("/a").respond_with_handler(wrong)\n            qhttpserver.client.get("/a")',
        "def wrong(request):\n"
        '*assert request is None, "the handler\'s own words"\n'
        "*AssertionError: the handler's own words",
    ),
    "error in a handler": (
        'qhttpserver.expect_request("/a").respond_with_handler(lambda request: 1 / 0)\n'
        '            qhttpserver.client.get("/a")',
        "ZeroDivisionError",
    ),
    "error in a route": (
        'qhttpserver.route("/a", lambda: 1 / 0)\n            qhttpserver.client.get("/a")',
        "ZeroDivisionError",
    ),
    "error in a coroutine": (
        'qhttpserver.expect_request("/a").respond_with_handler(late)\n            qhttpserver.client.get("/a")',
        "KeyError: 'late'",
    ),
    "pytest.fail in a handler": (
        'qhttpserver.expect_request("/a").respond_with_handler(lambda request: pytest.fail("not now"))\n'
        '            qhttpserver.client.get("/a")',
        "Failed: not now",
    ),
    "no response": (
        'qhttpserver.expect_request("/a")\n            qhttpserver.client.get("/a")',
        "never told what to respond",
    ),
}


def wrong_suite(body):
    return f"""
        import asyncio, pytest
        def wrong(request):
            assert request is None, "the handler's own words"
        async def late():
            await asyncio.sleep(0)
            raise KeyError("late")
        def test_it(qhttpserver):
            {body}
    """


@pytest.mark.parametrize("name", WRONG)
def test_strict_fails_the_test_itself(run, name):
    body, text = WRONG[name]
    result = run(wrong_suite(body))
    outcome(result, failed=1)
    result.stdout.fnmatch_lines([f"*{line}*" if not line.startswith("*") else f"{line}*" for line in text.split("\n")])


@pytest.mark.parametrize("name", WRONG)
def test_not_strict_leaves_the_test_alone(run, name):
    outcome(run(wrong_suite(WRONG[name][0]), ini="qhttpserver_strict = false"), passed=1)


def test_a_failed_test_shows_what_was_wrong_at_the_server(run):
    source = """
        def test_it(qhttpserver):
            qhttpserver.expect_request("/a").respond_with_handler(lambda request: {}["missing"])
            assert qhttpserver.client.get("/a").status == 200
    """
    text = outcome(run(source), failed=1)
    assert "assert 500 == 200" in text
    assert "Captured qhttpserver call" in text
    assert "KeyError: 'missing'" in text


def test_what_a_check_raised_does_not_fail_the_test_again(run):
    source = """
        import pytest
        def test_it(qhttpserver):
            qhttpserver.client.get("/a")
            with pytest.raises(AssertionError, match="unexpected request: GET /a"):
                qhttpserver.check_assertions()
    """
    outcome(run(source), passed=1)


def test_requests_during_teardown_are_judged_too(run):
    source = """
        import pytest
        @pytest.fixture
        def application(qhttpserver):
            yield
            qhttpserver.client.get("/bye")
        def test_it(application):
            pass
    """
    assert "unexpected request: GET /bye" in outcome(run(source), passed=1, errors=1)


def test_several_servers(run):
    source = """
        def test_it(make_qhttpserver):
            one, other = make_qhttpserver(), make_qhttpserver(tls=True)
            one.expect_request("/").respond_with_redirect(other.url_for("/there"), 307)
            other.expect_request("/there").respond_with_data("here")
            assert one.client.get("/").text == "here"
            assert not [server for server in (one, other) if server.port == 0]
    """
    outcome(run(source), passed=1)


# ---- blocking clients

BLOCKING = {
    "urllib": "import urllib.request; urllib.request.urlopen(qhttpserver.url_for('/a'))",
    "requests": "import requests; requests.get(qhttpserver.url_for('/a'))",
    "httpx": "import httpx; httpx.get(qhttpserver.url_for('/a'))",
    "http.client": "import http.client; c = http.client.HTTPConnection('127.0.0.1', qhttpserver.port);"
    "c.request('GET', '/a'); c.getresponse()",
    "socket": "import socket; s = socket.create_connection(('127.0.0.1', qhttpserver.port)); s.recv(1)",
    "asyncio": "import asyncio; asyncio.run(talk(qhttpserver.port))",
    "kept connection": "import httpx; c = httpx.Client(); url = qhttpserver.url_for('/a');"
    "qhttpserver.call(c.get, url); c.get(url)",
}


@pytest.mark.parametrize("name", BLOCKING)
def test_a_blocking_client_in_the_thread_of_the_test_gets_a_clear_error(run, name):
    if name in ("requests", "httpx", "kept connection"):
        pytest.importorskip("requests" if name == "requests" else "httpx")
    source = f"""
        import pytest
        async def talk(port):
            import asyncio
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await reader.readexactly(1)
            finally:
                writer.close()
        @pytest.mark.filterwarnings("default::ResourceWarning", "default::pytest.PytestUnraisableExceptionWarning")
        def test_it(qhttpserver):
            qhttpserver.expect_request("/a").respond_with_data("")
            {BLOCKING[name]}
    """
    text = outcome(run(source, "-pno:unraisableexception"), failed=1)
    assert "BlockingClientError: a blocking client waits for 127.0.0.1:" in text
    assert "qhttpserver.call(requests.get, url)" in text
