"""Fixtures of the WebSocket tests."""

from __future__ import annotations

import pytest

from ..support.wsclient import Upgrading


@pytest.fixture(params=["qt", "native"])
def either_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with QWebSockets, and with WebSockets of our own."""
    monkeypatch.setattr(Upgrading, "backend", request.param)
    return str(request.param)
