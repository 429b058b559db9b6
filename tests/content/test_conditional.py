"""RFC 9110 sections 13 and 14 as tables."""

from __future__ import annotations

from time import gmtime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttpserver_py._content.conditional import Decision, Representation, decide, field, http_date, parse_date

TAG = '"5-a"'
WHEN = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
FILE = Representation(TAG, WHEN, 10)

OK = Decision(200)
FRESH = Decision(304)
FAILED = Decision(412)
UNSATISFIABLE = Decision(416)


def ask(*pairs: tuple[str, str], method: str = "GET", file: Representation = FILE) -> Decision:
    return decide(method, [(name.encode(), value.encode("latin-1")) for name, value in pairs], file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes=0-0", Decision(206, 0, 0)),
        ("bytes=0-4", Decision(206, 0, 4)),
        ("bytes=4-", Decision(206, 4, 9)),
        ("bytes=0-", Decision(206, 0, 9)),
        ("bytes=9-9", Decision(206, 9, 9)),
        ("bytes=5-99", Decision(206, 5, 9)),
        ("bytes=5-" + "9" * 5000, Decision(206, 5, 9)),
        ("bytes=-3", Decision(206, 7, 9)),
        ("bytes=-99", Decision(206, 0, 9)),
        ("Bytes=0-1", Decision(206, 0, 1)),
        ("bytes= 0-1 ", Decision(206, 0, 1)),
        ("bytes=,0-1,", Decision(206, 0, 1)),
        ("bytes=0000000000000000000000001-1", Decision(206, 1, 1)),
        # Not satisfiable (14.1.2)
        ("bytes=10-", UNSATISFIABLE),
        ("bytes=10-12", UNSATISFIABLE),
        ("bytes=" + "9" * 5000 + "-", UNSATISFIABLE),
        ("bytes=-0", UNSATISFIABLE),
        # Malformed, of an unknown unit, or several: ignored (14.2)
        ("bytes=4-2", OK),
        ("bytes=-", OK),
        ("bytes=", OK),
        ("bytes", OK),
        ("bytes=a-b", OK),
        ("bytes=1-2-3", OK),
        ("bytes=+1-2", OK),
        ("bytes=0x1-2", OK),
        ("bytes=0-1,3-4", OK),
        ("lines=0-1", OK),
        ("", OK),
    ],
)
def test_range(text: str, expected: Decision) -> None:
    assert ask(("range", text)) == expected


def test_range_is_for_get_alone() -> None:
    assert ask(("range", "bytes=0-1"), method="HEAD") == OK


@pytest.mark.parametrize(
    ("text", "expected"), [("bytes=0-", UNSATISFIABLE), ("bytes=-5", OK), ("bytes=0-0", UNSATISFIABLE)]
)
def test_range_of_an_empty_file(text: str, expected: Decision) -> None:
    assert ask(("range", text), file=Representation(TAG, WHEN, 0)) == expected


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("if-none-match", TAG)], FRESH),
        ([("if-none-match", f"W/{TAG}")], FRESH),
        ([("if-none-match", f'"x", {TAG}')], FRESH),
        ([("if-none-match", '"x"'), ("if-none-match", TAG)], FRESH),
        ([("if-none-match", "*")], FRESH),
        ([("if-none-match", '"x"')], OK),
        ([("if-none-match", "garbage")], OK),
        # If-None-Match switches the date off (13.1.3)
        ([("if-none-match", '"x"'), ("if-modified-since", DATE)], OK),
        ([("if-modified-since", DATE)], FRESH),
        ([("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")], FRESH),
        ([("if-modified-since", "Sun Nov  6 08:49:37 1994")], FRESH),
        ([("if-modified-since", BEFORE)], OK),
        ([("if-modified-since", "yesterday")], OK),
        # More than one date is none (13.1.3, 13.1.4)
        ([("if-modified-since", f"{DATE}, {DATE}")], OK),
        ([("if-modified-since", DATE), ("if-modified-since", DATE)], OK),
        ([("if-unmodified-since", f"{BEFORE}, {BEFORE}")], OK),
        ([("if-modified-since", "")], OK),
        ([("if-modified-since", "x" * 9999)], OK),
        ([("if-modified-since", "Fri, 31 Dec 9999999999 23:59:59 GMT")], OK),
        ([("if-match", TAG)], OK),
        ([("if-match", "*")], OK),
        ([("if-match", '"x"')], FAILED),
        # Strong comparison (13.1.1)
        ([("if-match", f"W/{TAG}")], FAILED),
        ([("if-match", TAG), ("if-unmodified-since", BEFORE)], OK),
        ([("if-unmodified-since", DATE)], OK),
        ([("if-unmodified-since", BEFORE)], FAILED),
        ([("if-unmodified-since", "never")], OK),
        # Preconditions come before ranges (13.2.2)
        ([("if-none-match", TAG), ("range", "bytes=0-1")], FRESH),
        ([("if-match", '"x"'), ("range", "bytes=0-1")], FAILED),
    ],
)
def test_conditions(pairs: list[tuple[str, str]], expected: Decision) -> None:
    assert ask(*pairs) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TAG, Decision(206, 0, 1)),
        (f"W/{TAG}", OK),
        ('"x"', OK),
        (DATE, Decision(206, 0, 1)),
        (BEFORE, OK),
        ("nonsense", OK),
    ],
)
def test_if_range(value: str, expected: Decision) -> None:
    assert ask(("range", "bytes=0-1"), ("if-range", value)) == expected


def test_dates_round_trip() -> None:
    assert http_date(WHEN) == DATE
    assert parse_date(DATE) == WHEN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sunday, 06-Nov-94 08:49:37 GMT", WHEN),
        ("Sun Nov  6 08:49:37 1994", WHEN),
        ("Sun, 16 Nov 1994 08:49:60 GMT", WHEN + 864023),  # a leap second
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Thu, 29 Feb 2096 00:00:00 GMT", 3981312000),
        # Not of the three formats, or no day of the calendar (5.6.7)
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("Sun, 06 Nov 1994 08:49:37 +0000", None),
        ("Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT junk", None),
        ("sun, 06 nov 1994 08:49:37 gmt", None),
        ("06 Nov 1994 08:49:37 GMT", None),
        ("Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 94 08:49:37 GMT", None),
        ("Sun, 31 Nov 1994 08:49:37 GMT", None),
        ("Sun, 29 Feb 2095 00:00:00 GMT", None),
        ("Sun, 00 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 0000 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:60:00 GMT", None),
        ("Sun, 06 Nov 1994 08:49:61 GMT", None),
        ("Sun, \u0660\u0666 Nov 1994 08:49:37 GMT", None),
        ("Sun Nov 6 08:49:37 1994", None),
        ("784111777", None),
        ("", None),
    ],
)
def test_dates_of_three_formats(text: str, expected: int | None) -> None:
    assert parse_date(text) == expected


@pytest.mark.parametrize(("years", "expected"), [(-60, 40), (-1, -1), (0, 0), (49, 49), (51, -49), (99, -1)])
def test_a_year_of_two_digits_is_never_more_than_fifty_ahead(years: int, expected: int) -> None:
    this = gmtime().tm_year
    seconds = parse_date(f"Sunday, 06-Nov-{(this + years) % 100:02} 08:49:37 GMT")
    assert seconds is not None
    assert gmtime(seconds).tm_year == this + expected


def test_field_joins_values_in_order() -> None:
    assert field([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")], b"a") == "1, 3"
    assert field([], b"a") is None


@settings(deadline=None, max_examples=300)
@given(
    text=st.text(max_size=30) | st.from_regex(r"bytes=\d{0,22}-\d{0,22}(,\d-)?", fullmatch=True),
    size=st.integers(0, 50),
)
def test_any_range_is_answered_inside_the_file(text: str, size: int) -> None:
    headers = [(b"range", text.encode("latin-1", "replace"))]
    decision = decide("GET", headers, Representation(TAG, WHEN, size))
    assert decision.status in {200, 206, 416}
    if decision.status == 206:
        assert 0 <= decision.first <= decision.last < size


@settings(deadline=None, max_examples=300)
@given(text=st.text(max_size=70))
def test_any_date_is_a_number_or_nothing(text: str) -> None:
    assert isinstance(parse_date(text), (int, type(None)))
