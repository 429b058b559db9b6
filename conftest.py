"""Loads the package's own pytest plugin where it is not installed, so that the tests can use it."""

from __future__ import annotations

from importlib.metadata import entry_points

pytest_plugins = ["pytester"]
if not entry_points(group="pytest11", name="qhttpserver"):
    pytest_plugins.append("qhttpserver_py.pytest_plugin")
