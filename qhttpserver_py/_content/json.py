"""JSON text, byte for byte as QJsonDocument writes it.

Strategy: a small writer of our own, twice as fast as QJsonDocument; it raises where QJsonDocument silently writes null.
Numbers that Python may print otherwise are printed by QJsonDocument.
"""

from __future__ import annotations

import json.encoder
import re
from collections.abc import Callable
from typing import cast

from PySide6.QtCore import QByteArray, QDate, QDateTime, QJsonArray, QJsonDocument, QJsonValue, QTime, QUrl, QUuid

_COMPACT = QJsonDocument.JsonFormat.Compact
_EXACT_MAX = 2.0**53
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# The types that QJsonValue::fromVariant turns into text or an array.
_QT_TYPES = (QJsonValue, QJsonArray, QByteArray, QUrl, QDateTime, QDate, QTime, QUuid)

# Escapes '"', "\\" and controls and nothing else, exactly as QJsonDocument; written in C.
_quote: Callable[[str], str] = json.encoder.encode_basestring


def dumps(value: object) -> bytes:
    """Return *value* as compact JSON: keys sorted, NaN and infinities as null, 1.0 as 1.

    Takes what JSON has (dict with str keys, list, tuple, str, int, float, bool, None), QJsonDocument,
    QJsonArray, QJsonValue, and the Qt values that QJsonValue has a text for. Raises TypeError for
    anything else, and ValueError for what contains itself. Whole numbers are written with all their digits.
    """
    try:
        text = _text(value)
    except RecursionError:
        raise ValueError("the JSON value contains itself or is nested too deeply") from None
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def indented(document: QJsonDocument) -> bytes:
    """Return *document* as indented JSON: four blanks a level and a final newline; empty if it is null."""
    return bytes(document.toJson().data())


def _text(value: object) -> str:
    return _writer(type(value), _other)(value)


def _object(value: dict[object, object]) -> str:
    keys = _sorted_keys(value)
    pairs = [f"{_quote(key)}:{_writer(type(value[key]), _other)(value[key])}" for key in keys]
    return "{" + ",".join(pairs) + "}"


def _array(value: list[object] | tuple[object, ...]) -> str:
    return "[" + ",".join([_writer(type(item), _other)(item) for item in value]) + "]"


def _sorted_keys(value: dict[object, object]) -> list[str]:
    try:
        joined = "".join(cast("dict[str, object]", value))  # this is also the check that all keys are str
    except TypeError:
        key = next(key for key in value if not isinstance(key, str))
        raise TypeError(f"the keys of a JSON object are str, not {type(key).__name__}: {key!r}") from None
    # QString orders by UTF-16 code unit, str by code point.
    order = None if joined.isascii() else _utf16
    return sorted(cast("dict[str, object]", value), key=order)


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _integer(value: int) -> str:
    """Write all digits, where QJsonDocument would round what is beyond its 64 bits."""
    try:
        return int.__repr__(value)
    except ValueError:  # sys.set_int_max_str_digits()
        raise ValueError("an int has more digits than sys.get_int_max_str_digits() allows") from None


def _number(value: float) -> str:
    # Qt prints the shorter of 0.0001 and 1e-04, Python the first; both are shortest round trips.
    if value.is_integer():
        return repr(int(value)) if abs(value) <= _EXACT_MAX else _by_qt(value)
    return float.__repr__(value) if 0.001 <= abs(value) <= _EXACT_MAX else _by_qt(value)


def _by_qt(value: object) -> str:
    return bytes(QJsonDocument.fromVariant([value]).toJson(_COMPACT).data()[1:-1]).decode()


def _other(value: object) -> str:
    """Write a value of a subclass of a JSON type, or of a type of Qt."""
    if isinstance(value, QJsonDocument):
        return bytes(value.toJson(_COMPACT).data()).decode()
    if isinstance(value, _QT_TYPES):
        return _by_qt(value)
    for kind in (str, int, float, dict, list, tuple):
        if isinstance(value, kind):
            return _WRITERS[kind](value)
    raise TypeError(f"JSON has no {type(value).__name__}: give dict, list, str, int, float, bool or None")


_WRITERS: dict[type, Callable[..., str]] = {
    str: _quote,
    int: _integer,
    float: _number,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): lambda _: "null",
    dict: _object,
    list: _array,
    tuple: _array,
}
_writer = _WRITERS.get
