"""Conditional and range requests on a file-like representation (RFC 9110 sections 13 and 14).

Pure: header fields and the validators of a representation in, a decision out. The order of the checks is the one of RFC
9110 13.2.2; it is in ``decide`` and nowhere else.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Sequence
from datetime import date
from email.utils import formatdate
from functools import lru_cache
from time import gmtime
from typing import NamedTuple

_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_RANGE_SPEC = re.compile(r"(\d*)-(\d*)", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d):(?P<second>[0-5]\d|60)"
# IMF-fixdate and the two obsolete formats, of RFC 850 and of C's asctime() (RFC 9110 5.6.7).
_DATES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_MAX_DIGITS = 18  # more digits than any file's size has; int() raises for thousands of them


class Representation(NamedTuple):
    """What the checks compare with: the validators and the size in bytes."""

    etag: str
    modified: int  # seconds since the epoch: HTTP dates know no fractions
    size: int


class Decision(NamedTuple):
    """The status to answer, and for 206 the bytes ``first`` to ``last``, both included."""

    status: int
    first: int = 0
    last: int = -1


def field(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return the values of *name* (lower case) joined with a comma, or None if it is absent."""
    values = [value for key, value in headers if key == name]
    return b", ".join(values).decode("latin-1") if values else None


@lru_cache(maxsize=256)
def http_date(seconds: int) -> str:
    """Return *seconds* since the epoch as an IMF-fixdate (RFC 9110 5.6.7)."""
    return formatdate(seconds, usegmt=True)


def parse_date(text: str) -> int | None:
    """Return an HTTP date of any of the three formats as seconds since the epoch, None if it is none."""
    match = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
    if match is None:
        return None
    month = _MONTHS.index(match["month"]) + 1
    try:
        day = date(_year(match["year"]), month, int(match["day"]))
    except ValueError:
        return None
    return timegm((day.year, day.month, day.day, int(match["hour"]), int(match["minute"]), int(match["second"])))


def _year(digits: str) -> int:
    """Return the year of *digits*; two of them mean none that is more than 50 years ahead."""
    if len(digits) == 4:
        return int(digits)
    now = gmtime().tm_year
    year = now + (int(digits) - now) % 100
    return year - 100 if year > now + 50 else year


def decide(method: str, headers: Sequence[tuple[bytes, bytes]], target: Representation) -> Decision:
    """Decide between 200, 206, 304, 412 and 416 for GET or HEAD of *target*.

    Several ranges, units other than bytes and malformed ranges are ignored, as RFC 9110 14.2 allows.
    """
    if not _preconditions_hold(headers, target):
        return Decision(412)
    if _is_fresh(headers, target):
        return Decision(304)
    wanted = field(headers, b"range")
    # Only GET defines range handling (RFC 9110 14.2).
    if wanted is None or method != "GET" or not _range_applies(headers, target):
        return Decision(200)
    return _select_range(wanted, target.size)


def _preconditions_hold(headers: Sequence[tuple[bytes, bytes]], target: Representation) -> bool:
    if_match = field(headers, b"if-match")
    if if_match is not None:
        return if_match.strip() == "*" or target.etag in _ENTITY_TAG.findall(if_match)
    unmodified_since = parse_date(field(headers, b"if-unmodified-since") or "")
    return unmodified_since is None or target.modified <= unmodified_since


def _is_fresh(headers: Sequence[tuple[bytes, bytes]], target: Representation) -> bool:
    if_none_match = field(headers, b"if-none-match")
    if if_none_match is not None:
        # Weak comparison (RFC 9110 13.1.2); the date is not consulted then.
        known = {tag.removeprefix("W/") for tag in _ENTITY_TAG.findall(if_none_match)}
        return if_none_match.strip() == "*" or target.etag in known
    modified_since = parse_date(field(headers, b"if-modified-since") or "")
    return modified_since is not None and target.modified <= modified_since


def _range_applies(headers: Sequence[tuple[bytes, bytes]], target: Representation) -> bool:
    if_range = field(headers, b"if-range")
    if if_range is None:
        return True
    if_range = if_range.strip()
    if if_range.startswith(('"', "W/")):
        return if_range == target.etag  # strong comparison: a weak tag never matches (RFC 9110 13.1.5)
    return parse_date(if_range) == target.modified


def _select_range(text: str, size: int) -> Decision:
    unit, equals, rest = text.partition("=")
    specs = [spec for spec in (part.strip(" \t") for part in rest.split(",")) if spec]
    match = _RANGE_SPEC.fullmatch(specs[0]) if len(specs) == 1 else None
    if not equals or unit.strip().lower() != "bytes" or match is None:
        return Decision(200)
    first_text, last_text = match.groups()
    if not first_text:
        return _select_suffix(last_text, size)
    first = _number(first_text)
    last = _number(last_text) if last_text else first
    if last < first:
        return Decision(200)
    if first >= size:
        return Decision(416)
    return Decision(206, first, min(last, size - 1) if last_text else size - 1)


def _select_suffix(length_text: str, size: int) -> Decision:
    if not length_text:
        return Decision(200)
    length = _number(length_text)
    if length == 0:
        return Decision(416)
    # A suffix of zero bytes is satisfiable, but no Content-Range can express it (RFC 9110 14.1.2).
    return Decision(206, max(0, size - length), size - 1) if size else Decision(200)


def _number(text: str) -> int:
    digits = text.lstrip("0")
    return 10**_MAX_DIGITS if len(digits) > _MAX_DIGITS else int(digits or "0")
