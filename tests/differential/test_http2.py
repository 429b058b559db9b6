"""The same program over HTTP/2: the same fields in the same order and the same body, or a documented difference."""

from __future__ import annotations

import pytest

from .differences import read_differences
from .http2 import STREAMS, Answer

pytestmark = pytest.mark.timeout(120)  # the first test waits for everything to be played
DIFFERENCES = read_differences()


@pytest.mark.parametrize("label", [stream.label for stream in STREAMS])
def test_same_answer_or_documented(label: str, streams: dict[str, tuple[Answer, Answer]]) -> None:
    wheel, ours = streams[label]
    listed = [row for row in DIFFERENCES if row.covers(label)]
    if not listed:
        assert ours == wheel, f"{label} differs and docs/explanation/differences.md does not say so"
        return
    assert ours != wheel, f"{label} no longer differs; differences.md row {listed[0].id} is stale"
    assert ours.summary() in [summary for row in listed for summary in row.ours]
