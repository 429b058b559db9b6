"""Skips, under Wine, the tests that show a fault of Wine's own. Loaded by python -m tests.windows."""

from __future__ import annotations

import pytest

from .skips import WINE_FAULTS


def fault_of(test: str) -> str | None:
    """Return why a test is not run under Wine, or None."""
    for fault in WINE_FAULTS:
        if test.startswith(fault.tests):
            return f"Wine: {fault.reason} (tests/windows/proofs/{fault.proof})"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = fault_of(item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
