"""A few seconds of fuzzing for each target, from another seed each day; findings of the past first."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from .__main__ import CORPUS, NAMES
from .mutate import fuzz
from .targets import SEEDS, TARGETS

pytestmark = pytest.mark.usefixtures("qapp")

FOUND = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", FOUND, ids=[f"{path.parent.name}/{path.name}" for path in FOUND])
def test_past_finding(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_a_little_while(name: str) -> None:
    failing: list[bytes] = []
    day = datetime.now(UTC).toordinal()
    try:
        assert fuzz(TARGETS[name], SEEDS[name], 3, day, failing.append) > 10
    except Exception as error:
        raise AssertionError(f"{name} fails for {failing!r}") from error
