"""The marker for cassettes, in runs of their own."""

from __future__ import annotations

import pytest

from qhttpserver_py.testing import FakeBackend

SUITE = """
    import pytest
    # example
    @pytest.mark.qhttpserver_cassette("items.yaml", target="https://api.example.com")
    def test_items(qhttpserver):
        assert qhttpserver.client.get("/items").json() == {"items": ["one"]}
    # end of example
"""


@pytest.fixture
def real(qapp):
    with FakeBackend(strict=False) as server:
        server.expect_request("/items").respond_with_json({"items": ["one"]})
        yield server


def run(pytester, real, *args, source=SUITE):
    pytester.makepyfile(source.replace("https://api.example.com", real.url))
    plugins = ("-ppytestqt.plugin", "-pqhttpserver_py.pytest_plugin", "-pno:cacheprovider")
    return pytester.runpytest_inprocess(*plugins, *args)


def test_the_second_run_needs_no_server(pytester, monkeypatch, real):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    run(pytester, real).assert_outcomes(passed=1)
    assert (pytester.path / "items.yaml").is_file()
    assert len(real.log) == 1
    run(pytester, real).assert_outcomes(passed=1)
    assert len(real.log) == 1
    run(pytester, real, "--qhttpserver-record=all").assert_outcomes(passed=1)
    assert len(real.log) == 2
    (pytester.path / "items.yaml").unlink()
    run(pytester, real, "--qhttpserver-record=none").assert_outcomes(failed=1)
    assert len(real.log) == 2


def test_a_marker_without_a_path_is_an_error(pytester, monkeypatch, real):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    run(pytester, real, source=SUITE.replace('"items.yaml", ', "")).assert_outcomes(errors=1)
