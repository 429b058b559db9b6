"""Makes the application importable from its tests, whatever pytest's import mode is."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def window(qtbot, qhttpserver):
    """The application's window, talking to the fake backend of the test."""
    from app import Window

    window = Window(qhttpserver.url)
    qtbot.addWidget(window)
    window.show()
    return window
