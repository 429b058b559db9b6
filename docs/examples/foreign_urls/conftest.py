"""Makes the application importable from its tests, and the fake backend the servers that it asks."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def service(qhttpserver):
    """All of the application's servers."""
    qhttpserver.intercept("https://*.example.com")
    return qhttpserver


@pytest.fixture
def window(qtbot):
    """The application's window, as it is."""
    from app import Window

    window = Window()
    qtbot.addWidget(window)
    window.show()
    return window
