"""From text in a path to values: the table of converters, and the conversions themselves."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore
from PySide6.QtCore import QByteArray, QDate, QDateTime, QMetaType, QTime, QUrl, QUuid

from qhttpserver_py._routing.pattern import INTEGER, REAL, REST, SEGMENT, UNSIGNED

_Type = QMetaType.Type

_DEFAULTS: dict[QMetaType.Type, str] = {
    **dict.fromkeys((_Type.Int, _Type.Long, _Type.LongLong, _Type.Short), INTEGER),
    **dict.fromkeys((_Type.UInt, _Type.ULong, _Type.ULongLong, _Type.UShort), UNSIGNED),
    **dict.fromkeys((_Type.Double, _Type.Float), REAL),
    **dict.fromkeys((_Type.QString, _Type.QByteArray), SEGMENT),
    _Type.QUrl: REST,
    _Type.Void: "",
}


NO_VALUE = (ValueError, ArithmeticError)
"""What a conversion raises for text that is no such value; the errors of decimal and fractions are ArithmeticErrors."""


class UnknownTypeError(Exception):
    """No converter for a type; the text is the type's name."""


class Converter:
    """One type: the expression its text must match, and how the text becomes a value."""

    __slots__ = ("convert", "name", "pure", "regexp")

    def __init__(self, name: str, regexp: str, convert: Callable[[str], object] | None, *, pure: bool) -> None:
        self.name = name
        self.regexp = regexp
        self.convert = convert
        """Raises one of NO_VALUE for text that is no such value; None leaves the text as it is."""
        self.pure = pure

    def __call__(self, text: str) -> object:
        """Return the value of *text*."""
        return text if self.convert is None else self.convert(text)


def _boolean(text: str) -> bool:
    # As in QVariant, all other text is true.
    return text.lower() not in ("", "0", "false")


def _checked(make: Callable[[str], Any], ok: Callable[[Any], bool]) -> Callable[[str], object]:
    """Return a conversion that takes an invalid value for a failure."""

    def convert(text: str) -> object:
        value = make(text)
        if not ok(value):
            raise ValueError(text)
        return value

    return convert


# QtCore.Qt is looked up when it is needed: its enumerations take a tenth of a program's start to make.
def _date(text: str) -> QDate:
    return QDate.fromString(text, QtCore.Qt.DateFormat.ISODate)


def _time(text: str) -> QTime:
    return QTime.fromString(text, QtCore.Qt.DateFormat.ISODateWithMs)


def _moment(text: str) -> QDateTime:
    return QDateTime.fromString(text, QtCore.Qt.DateFormat.ISODateWithMs)


# (conversion, pure): Qt's values can be changed in place, so each request gets its own.
_CONVERSIONS: dict[object, tuple[Callable[[str], object] | None, bool]] = {
    str: (None, True),
    int: (int, True),
    float: (float, True),
    bool: (_boolean, True),
    bytes: (str.encode, True),
    QByteArray: (lambda text: QByteArray(text.encode()), False),
    QUrl: (QUrl, False),
    QUuid: (_checked(QUuid, lambda uuid: not uuid.isNull()), False),
    QDate: (_checked(_date, lambda date: date.isValid()), False),
    QTime: (_checked(_time, lambda time: time.isValid()), False),
    QDateTime: (_checked(_moment, lambda moment: moment.isValid()), False),
}

# The first names the type in the log. Python's int stands for two of Qt's integer types; an entry that was changed for
# either of them is used.
_META_TYPES: dict[object, tuple[QMetaType.Type, ...]] = {
    str: (_Type.QString,),
    int: (_Type.Int, _Type.LongLong),
    float: (_Type.Double,),
    bool: (_Type.Bool,),
    bytes: (_Type.QByteArray,),
    QByteArray: (_Type.QByteArray,),
    QUrl: (_Type.QUrl,),
    QUuid: (_Type.QUuid,),
    QDate: (_Type.QDate,),
    QTime: (_Type.QTime,),
    QDateTime: (_Type.QDateTime,),
}

_PYTHON_TYPES: dict[QMetaType.Type, object] = {
    **{kind: python for python, kinds in reversed(_META_TYPES.items()) for kind in kinds},
    **dict.fromkeys((_Type.Long, _Type.Short, _Type.UInt, _Type.ULong, _Type.ULongLong, _Type.UShort), int),
    _Type.Float: float,
    _Type.QByteArray: QByteArray,
}


class ConverterTable:
    """The converters of one router."""

    __slots__ = ("_classes", "_meta")

    def __init__(self) -> None:
        self._meta = {QMetaType(kind): regexp for kind, regexp in _DEFAULTS.items()}
        self._classes: dict[object, str] = {}

    def add(self, key: QMetaType | QMetaType.Type | type, regexp: str) -> None:
        """Set the expression of a type."""
        if not isinstance(regexp, str):
            raise TypeError(f"a converter's expression is a str, not {type(regexp).__name__}")
        meta_type = _meta_type(key)
        if meta_type is not None:
            self._meta[meta_type] = regexp
        else:
            self._classes[key] = regexp

    def remove(self, key: QMetaType | QMetaType.Type | type) -> None:
        """Forget a type, if it is known."""
        meta_type = _meta_type(key)
        if meta_type is not None:
            self._meta.pop(meta_type, None)
        else:
            self._classes.pop(key, None)

    def clear(self) -> None:
        """Forget all types."""
        self._meta.clear()
        self._classes.clear()

    def meta_types(self) -> dict[QMetaType, str]:
        """Return a copy of the entries that have a QMetaType."""
        return dict(self._meta)

    def find(self, annotation: object) -> Converter:
        """Return the converter for *annotation*: a type, a QMetaType, or None for text.

        Raises UnknownTypeError if there is none.
        """
        annotation = _plain(annotation)
        if isinstance(annotation, QMetaType):
            annotation = QMetaType.Type(annotation.id()) if annotation.id() in _IDS else annotation
        if isinstance(annotation, QMetaType.Type):
            return self._find_meta_type(annotation)
        if isinstance(annotation, str):
            annotation = self._by_name(annotation)
        regexp = self._classes.get(annotation) if _hashable(annotation) else None
        if regexp is not None:
            return Converter(_name(annotation), regexp, typing.cast(Any, annotation), pure=False)
        kinds = _META_TYPES.get(annotation) if _hashable(annotation) else None
        if kinds is None:
            raise UnknownTypeError(_name(annotation))
        return self._make(annotation, kinds)

    def find_or_class(self, annotation: object) -> Converter:
        """As find(), but any class will do, called with the text."""
        try:
            return self.find(annotation)
        except UnknownTypeError:
            if not isinstance(annotation, type):
                raise
            return Converter(annotation.__name__, "", annotation, pure=False)

    def _find_meta_type(self, kind: QMetaType.Type) -> Converter:
        if kind not in _PYTHON_TYPES:
            raise UnknownTypeError(_meta_name(kind))
        return self._make(_PYTHON_TYPES[kind], (kind,))

    def _make(self, python_type: object, kinds: tuple[QMetaType.Type, ...]) -> Converter:
        regexps = []
        for kind in kinds:
            regexp = self._meta.get(QMetaType(kind))
            if regexp is None:
                raise UnknownTypeError(_meta_name(kind))
            regexps.append(regexp)
        changed = (text for kind, text in zip(kinds, regexps, strict=True) if text != _DEFAULTS.get(kind))
        convert, pure = _CONVERSIONS[python_type]
        return Converter(_meta_name(kinds[0]), next(changed, regexps[0]), convert, pure=pure)

    def _by_name(self, name: str) -> object:
        """Return the registered class of that name: some annotations are known by name only."""
        known = (key for key in self._classes if _name(key) == name.rpartition(".")[2])
        return next(known, name)


_IDS = {kind.value for kind in QMetaType.Type}


def _meta_name(kind: QMetaType.Type) -> str:
    return str(QMetaType(kind).name())


def _meta_type(key: object) -> QMetaType | None:
    """Return the QMetaType that *key* stands for, or None for any other class."""
    if isinstance(key, QMetaType):
        return key
    if isinstance(key, QMetaType.Type):
        return QMetaType(key)
    if not callable(key):
        raise TypeError(f"expected a type, a QMetaType or a QMetaType.Type, not {key!r}")
    kinds = _META_TYPES.get(key)
    return QMetaType(kinds[0]) if kinds is not None else None


def _plain(annotation: object) -> object:
    """Return the type inside Annotated, NewType and Optional; str for none."""
    if annotation is None or annotation is typing.Any:
        return str
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *notes = typing.get_args(annotation)
        meant = [note for note in notes if isinstance(note, (QMetaType, QMetaType.Type))]
        return meant[0] if meant else _plain(inner)
    if isinstance(annotation, typing.NewType):
        return _plain(annotation.__supertype__)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        return _plain(options[0]) if len(options) == 1 else annotation
    return annotation


def _name(annotation: object) -> str:
    name = getattr(annotation, "__name__", None)
    return name if isinstance(name, str) else str(annotation)


def _hashable(annotation: object) -> bool:
    return getattr(annotation, "__hash__", None) is not None
