"""The same program on the wheel and on ours: the same octets, or a difference that is documented."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from .conftest import CASES, Pair
from .differences import Difference, read_differences
from .exchange import DATE, OWN_DATE
from .http2 import STREAMS

pytestmark = pytest.mark.timeout(120)  # the first test waits for everything to be played
DIFFERENCES = read_differences()
LABELS = [case.label for case in CASES]
NAMED = [*LABELS, *(stream.label for stream in STREAMS)]
FINAL = re.compile(rb"HTTP/1\.[01] [2-5]\d\d ")


@pytest.mark.parametrize("label", LABELS)
def test_same_octets_or_documented(label: str, outcomes: dict[str, Pair]) -> None:
    if label not in outcomes:
        pytest.skip("this PySide6 lacks the setting")
    pair = outcomes[label]
    listed = [row for row in DIFFERENCES if row.covers(label)]
    if not listed:
        assert pair.ours == pair.wheel, f"{label} differs and docs/explanation/differences.md does not say so"
        return
    assert pair.ours != pair.wheel, f"{label} no longer differs; differences.md row {listed[0].id} is stale"
    assert pair.ours.summary() in [summary for row in listed for summary in row.ours]


def test_labels_are_unique_and_many() -> None:
    assert len(set(LABELS)) == len(LABELS) >= 150


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.id)
def test_each_documented_pattern_names_a_case(row: Difference) -> None:
    assert not [pattern for pattern in row.cases if not any(fnmatchcase(label, pattern) for label in NAMED)]


def test_ids_are_unique() -> None:
    ids = [row.id for row in DIFFERENCES]
    assert len(set(ids)) == len(ids)


def test_every_final_answer_is_dated(dated: dict[str, bytes]) -> None:
    """RFC 9110 6.6.1; the one field that the comparison leaves out, right before content-length."""
    data = dated["result/text"]
    assert re.search(rb"\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\ncontent-length: 5\r\n", data)
    for label, octets in dated.items():
        dates = len(DATE.findall(octets)) + octets.count(OWN_DATE)
        assert len(FINAL.findall(octets)) <= dates, f"an answer of {label} has no date"
