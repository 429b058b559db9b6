import enum
import typing
import uuid

import pytest
from PySide6.QtCore import QByteArray, QDate, QDateTime, QMetaType, QTime, QUrl, QUuid

from qhttpserver_py._routing.converters import ConverterTable, UnknownTypeError

Type = QMetaType.Type

INTEGER = r"[+-]?\d+"
UNSIGNED = r"[+]?\d+"
REAL = "[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)"

DEFAULTS = {
    **dict.fromkeys((2, 32, 4, 33), INTEGER),
    **dict.fromkeys((3, 35, 5, 36), UNSIGNED),
    **dict.fromkeys((6, 38), REAL),
    **dict.fromkeys((10, 12), "[^/]+"),
    17: ".*",
    43: "",
}


class Color(enum.Enum):
    RED = "red"


class Order:
    def __init__(self, text):
        self.text = text


UserId = typing.NewType("UserId", int)


def test_the_default_table():
    assert {meta.id(): regexp for meta, regexp in ConverterTable().meta_types().items()} == DEFAULTS


def test_the_table_handed_out_is_a_copy():
    table = ConverterTable()
    table.meta_types().clear()
    assert len(table.meta_types()) == 14
    assert table.meta_types()[QMetaType(Type.Int)] == INTEGER


VALUES = [
    (None, "a+b%", "a+b%"),
    (str, "x", "x"),
    (typing.Any, "x", "x"),
    (int, "-0005", -5),
    (int, "+5", 5),
    (int, "9" * 100, int("9" * 100)),
    (float, ".5", 0.5),
    (float, "5.", 5.0),
    (float, "9" * 400, float("inf")),
    (bytes, "é\ufffd", b"\xc3\xa9\xef\xbf\xbd"),
    (QByteArray, "é", QByteArray(b"\xc3\xa9")),
    (QUrl, "http://h/p?q=1", QUrl("http://h/p?q=1")),
    (QUrl, "", QUrl()),
    (int | None, "5", 5),
    (typing.Optional[int], "5", 5),  # noqa: UP045
    (typing.Annotated[int, "doc"], "5", 5),
    (typing.Annotated[int, Type.UInt], "5", 5),
    (UserId, "5", 5),
    (Type.Long, "5", 5),
    (Type.Float, "5", 5.0),
    (Type.QByteArray, "x", QByteArray(b"x")),
    (QMetaType(Type.UShort), "5", 5),
    (QMetaType(Type.QString), "x", "x"),
]


@pytest.mark.parametrize(("annotation", "text", "value"), VALUES)
def test_values(annotation, text, value):
    made = ConverterTable().find(annotation)(text)
    assert made == value
    assert type(made) is type(value)


CUSTOM = [
    (bool, "false", False),
    (bool, "FALSE", False),
    (bool, "0", False),
    (bool, "true", True),
    (bool, "yes", True),
    (QDate, "2024-02-29", QDate(2024, 2, 29)),
    (QDate, "2024-02-30", None),
    (QTime, "12:30:01", QTime(12, 30, 1)),
    (QTime, "25:00", None),
    (QDateTime, "2024-02-29T12:30:01", QDateTime(QDate(2024, 2, 29), QTime(12, 30, 1))),
    (QDateTime, "never", None),
    (QUuid, "12345678-1234-1234-1234-123456789abc", QUuid("{12345678-1234-1234-1234-123456789abc}")),
    (QUuid, "zzz", None),
    (uuid.UUID, "12345678-1234-1234-1234-123456789abc", uuid.UUID("12345678-1234-1234-1234-123456789abc")),
    (Color, "red", Color.RED),
    (Color, "blue", None),
    (int, "ff", None),
]


@pytest.mark.parametrize(("key", "text", "value"), CUSTOM)
def test_types_that_were_added(key, text, value):
    table = ConverterTable()
    table.add(key, "[^/]+")
    converter = table.find(key)
    assert converter.regexp == "[^/]+"
    if value is None:
        with pytest.raises(ValueError):
            converter(text)
    else:
        assert converter(text) == value


@pytest.mark.parametrize("key", [QMetaType(Type.Bool), Type.Bool, bool])
def test_a_meta_type_serves_its_python_type(key):
    table = ConverterTable()
    table.add(key, "true|false")
    assert table.meta_types()[QMetaType(1)] == "true|false"
    assert table.find(bool)("false") is False
    table.remove(key)
    with pytest.raises(UnknownTypeError, match=r"^bool$"):
        table.find(bool)


@pytest.mark.parametrize(
    ("key", "annotation", "served"),
    [
        (Type.Int, int, True),
        (Type.LongLong, int, True),
        (Type.Short, int, False),
        (Type.Double, float, True),
        (Type.QByteArray, bytes, True),
        (Type.QByteArray, QByteArray, True),
        (bytes, QByteArray, True),
    ],
)
def test_which_entry_a_python_type_follows(key, annotation, served):
    table = ConverterTable()
    table.add(key, "x{2}")
    assert (table.find(annotation).regexp == "x{2}") == served
    table.remove(key)
    if served:
        with pytest.raises(UnknownTypeError):
            table.find(annotation)


UNKNOWN = [
    (bool, "bool"),
    (Order, "Order"),
    (dict, "dict"),
    ([1], "[1]"),
    ("Nowhere", "Nowhere"),
    (int | str, "int | str"),
    (QDate, "QDate"),
    (Type.Bool, "bool"),
    (Type.QLocale, "QLocale"),
    (Type.Void, "void"),
]


@pytest.mark.parametrize(("annotation", "name"), UNKNOWN)
def test_unknown_types(annotation, name):
    with pytest.raises(UnknownTypeError) as error:
        ConverterTable().find(annotation)
    assert str(error.value) == name


def test_after_clear_nothing_is_known_until_it_is_added_again():
    table = ConverterTable()
    table.add(Order, ".")
    table.clear()
    assert table.meta_types() == {}
    for annotation in (str, int, Order):
        with pytest.raises(UnknownTypeError):
            table.find(annotation)
    table.add(str, "[a-z]+")
    assert table.find(None).regexp == "[a-z]+"


def test_a_class_may_be_named_where_its_name_does_not_resolve():
    table = ConverterTable()
    table.add(Order, "o.*")
    assert table.find("orders.Order")("o1").text == "o1"


def test_classes_are_replaced_and_removed():
    table = ConverterTable()
    table.add(Order, "a")
    table.add(Order, "b")
    assert table.find(Order).regexp == "b"
    table.remove(Order)
    table.remove(Order)
    table.remove(Type.Bool)
    with pytest.raises(UnknownTypeError):
        table.find(Order)


@pytest.mark.parametrize("key", ["Int", 2, None, 1.5])
def test_keys_of_other_kinds(key):
    with pytest.raises(TypeError, match="expected a type"):
        ConverterTable().add(key, "x")
    with pytest.raises(TypeError, match="expected a type"):
        ConverterTable().remove(key)


def test_an_expression_is_text():
    with pytest.raises(TypeError, match="expression is a str"):
        ConverterTable().add(int, None)


def test_any_class_will_do_where_there_is_no_table():
    assert ConverterTable().find_or_class(Order)("x").text == "x"
    assert ConverterTable().find_or_class(int)("5") == 5
    with pytest.raises(UnknownTypeError):
        ConverterTable().find_or_class("Nowhere")


@pytest.mark.parametrize(
    ("kind", "pure"), [(int, True), (str, True), (bytes, True), (QUrl, False), (QByteArray, False)]
)
def test_only_immutable_values_are_pure(kind, pure):
    assert ConverterTable().find(kind).pure is pure
