import enum
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QByteArray, QDate, QDateTime, QJsonArray, QJsonDocument, QJsonValue, QPoint, QUrl, QUuid

from qhttpserver_py._content import json as qtjson

COMPACT = QJsonDocument.JsonFormat.Compact


def by_qt(value):
    return QJsonDocument.fromVariant(value).toJson(COMPACT).data()


class Colour(enum.IntEnum):
    RED = 3


class Name(str):
    __slots__ = ()


class Row(dict):
    pass


NUMBERS = [
    0,
    1,
    -1,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.0,
    1.0,
    -2.0,
    100.0,
    1.5,
    0.1,
    0.01,
    0.001,
    0.00099,
    0.0001,
    0.00012,
    1e-5,
    1.2345678e-5,
    1e-7,
    5e-324,
    3e-310,
    2.0**53,
    2.0**53 + 2,
    1e15,
    1e16,
    1e17,
    1.2345678901234567e19,
    -9.3e18,
    1e21,
    1e22,
    1e100,
    1e300,
    1.7976931348623157e308,
    123456789.123,
    100000000000000.5,
    math.nan,
    math.inf,
    -math.inf,
]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_printed_as_qt_does(number):
    assert qtjson.dumps([number]) == by_qt([number])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, b"{}"),
        ([], b"[]"),
        ((), b"[]"),
        ({"b": 1, "a": 2, "": 3, "A": 4, "aa": 5}, b'{"":3,"A":4,"a":2,"aa":5,"b":1}'),
        ([True, False, None], b"[true,false,null]"),
        ({"a": (1, [2, {"b": ()}])}, b'{"a":[1,[2,{"b":[]}]]}'),
        ('"\\/\b\f\n\r\t\0\x1f\x7f', b'"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f"'),
        ("é\u2028\U0001f600", '"é\u2028\U0001f600"'.encode()),
        ("\ud800x\udc00", b'"\\ud800x\\udc00"'),
        ({"\ud800": "\udfff"}, b'{"\\ud800":"\\udfff"}'),
        (None, b"null"),
        (5, b"5"),
        (Colour.RED, b"3"),
        (Name("x"), b'"x"'),
        (Row(a=Colour.RED), b'{"a":3}'),
        ({Name("b"): 1, "a": 2}, b'{"a":2,"b":1}'),
    ],
)
def test_text(value, text):
    if isinstance(value, int) and abs(value) >= 2**63:
        text = by_qt([float(value)])[1:-1]
    assert qtjson.dumps(value) == text


def test_keys_are_in_the_order_of_qstring():
    # U+FFEE comes behind U+1F600, whose first UTF-16 unit is D83D.
    value = {"\uffee": 1, "\U0001f600": 2, "é": 3, "a\uffee": 4, "a\U0001f600": 5}
    assert qtjson.dumps(value) == by_qt(value)
    assert qtjson.dumps(value).endswith('"\uffee":1}'.encode())


@pytest.mark.parametrize(
    "value",
    [
        QByteArray(b"x"),
        QUrl("http://x/y z"),
        QDateTime.fromSecsSinceEpoch(0),
        QDate(2024, 1, 2),
        QUuid(),
        QJsonValue("x"),
        QJsonValue(2.5),
        QJsonArray.fromVariantList([1, {"a": "é"}]),
    ],
)
def test_values_of_qt(value):
    assert qtjson.dumps([value]) == by_qt([value])


def test_a_byte_order_mark_is_kept():
    # QJsonDocument writes one; what drops it is the conversion of str or UTF-8 to QString on the way there.
    text = '{"\ufeffa":"\ufeffb"}'.encode()
    escaped = b'{"\\ufeffa":"\\ufeffb"}'
    assert qtjson.dumps({"\ufeffa": "\ufeffb"}) == text
    assert QJsonDocument.fromJson(escaped).toJson(COMPACT).data() == text


def test_documents():
    document = QJsonDocument.fromVariant({"b": [1], "a": 1.5})
    assert qtjson.dumps(document) == b'{"a":1.5,"b":[1]}'
    assert qtjson.dumps({"d": document}) == b'{"d":{"a":1.5,"b":[1]}}'
    assert qtjson.indented(document) == b'{\n    "a": 1.5,\n    "b": [\n        1\n    ]\n}\n'
    assert qtjson.indented(QJsonDocument()) == b""


@pytest.mark.parametrize("value", [object(), b"x", bytearray(b"x"), {1}, 1j, QPoint(1, 2), range(3), len])
def test_what_qt_would_turn_into_null_is_refused(value):
    with pytest.raises(TypeError, match=f"JSON has no {type(value).__name__}"):
        qtjson.dumps({"a": [value]})


@pytest.mark.parametrize("key", [1, None, 2.5, True, b"x", (1,)])
def test_keys_are_text(key):
    with pytest.raises(TypeError, match=f"not {type(key).__name__}"):
        qtjson.dumps({"a": 1, key: 2})


def test_circles_are_refused():
    circle = []
    circle.append({"a": circle})
    with pytest.raises(ValueError, match="contains itself"):
        qtjson.dumps(circle)


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**70), 12345678901234567890])
def test_whole_numbers_beyond_64_bits_are_not_rounded(number):
    assert qtjson.dumps({"n": number}) == b'{"n":%d}' % number


def test_a_number_beyond_doubles_has_all_its_digits():
    assert qtjson.dumps([10**400]) == b"[1%b]" % (b"0" * 400)


def test_more_digits_than_python_prints_are_refused():
    with pytest.raises(ValueError, match="more digits than"):
        qtjson.dumps([10**5000])


def unmarked(text):
    return not text.startswith("\ufeff")


TEXTS = st.text().filter(unmarked) | st.text(st.characters()).filter(unmarked)  # surrogates too
KEYS = st.text(max_size=5).filter(unmarked)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.floats(width=32)
    | st.integers(-(2**60), 2**60).map(float)
    | st.decimals(-(10**6), 10**6, places=6).map(float)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda children: st.lists(children, max_size=5) | st.dictionaries(KEYS, children, max_size=5),
)


@given(st.lists(VALUES, max_size=5) | st.dictionaries(KEYS, VALUES, max_size=5))
@settings(max_examples=150, deadline=None)
def test_every_value_is_written_as_qt_does(value):
    assert qtjson.dumps(value) == by_qt(value)
