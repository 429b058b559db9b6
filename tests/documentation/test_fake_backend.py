"""The example application's suite and the recipes of docs/howto/testing.md, in a run of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "fake_backend"
FOREIGN = ROOT / "docs" / "examples" / "foreign_urls"


@pytest.mark.parametrize(
    ("folder", "name"),
    [(EXAMPLE, "test_app.py"), (EXAMPLE, "test_recipes.py"), (FOREIGN, "test_app.py")],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_the_example_is_green_offscreen(folder, name):
    plugin = [] if entry_points(group="pytest11", name="qhttpserver") else ["-p", "qhttpserver_py.pytest_plugin"]
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, "-c", os.devnull, "--rootdir", folder, "-W", "error", name],
        cwd=folder,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTEST_QT_API": "pyside6", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_the_example_needs_no_thread_and_no_sleep():
    source = "".join(file.read_text() for file in EXAMPLE.glob("*.py"))
    assert not re.search(r"\b(threading|QThread|sleep|qWait|subprocess)\b", source)


def test_every_recipe_is_on_the_page():
    recipes = re.findall(r"^def (test_\w+)", (EXAMPLE / "test_recipes.py").read_text(), re.MULTILINE)
    page = (ROOT / "docs" / "howto" / "testing.md").read_text()
    assert re.findall(r":pyobject: (\w+)", page) == recipes
    assert len(recipes) == 10
