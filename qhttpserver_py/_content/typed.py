"""Converts text and JSON of a peer to the types that a program names, or says why that is impossible. Pure."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})


class MisfitError(ValueError):
    """A value is not of the type that is wanted; the text says which, and where."""


def fields_of(kind: type) -> list[tuple[str, Any, bool]]:
    """Return name, type and whether it is required, of each field of a dataclass.

    Raises TypeError for what is no dataclass.
    """
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise TypeError(f"a dataclass is expected, not {kind!r}")
    hints = typing.get_type_hints(kind)
    missing = dataclasses.MISSING
    return [
        (field.name, hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(kind)
        if field.init
    ]


def from_query(kind: type[T], values: Mapping[str, list[str]]) -> T:
    """Return a *kind* made of the arguments of a query; a list takes all values of its name. Raises MisfitError."""
    made = {}
    for name, wanted, required in fields_of(kind):
        given = values.get(name)
        if not given:
            if required:
                raise MisfitError(f"the query argument {name!r} is missing")
            continue
        if typing.get_origin(wanted) is list:
            (item,) = typing.get_args(wanted)
            made[name] = [_from_text(item, text, name) for text in given]
        elif len(given) > 1:
            raise MisfitError(f"the query argument {name!r} is given {len(given)} times")
        else:
            made[name] = _from_text(wanted, given[0], name)
    return kind(**made)


def _from_text(wanted: Any, text: str, name: str) -> Any:
    wanted = _without_none(wanted)
    try:
        if wanted is bool:
            if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
        elif wanted in (int, float):
            return wanted(text)
        elif wanted in (str, Any):
            return text
        else:
            return wanted(text)
    except (ValueError, ArithmeticError):
        pass
    raise MisfitError(f"the query argument {name!r} is no {_called(wanted)}: {text[:80]!r}")


def from_json(kind: type[T], value: object, where: str = "the JSON body") -> T:
    """Return a *kind* made of a parsed JSON *value*, nested dataclasses and lists included. Raises MisfitError."""
    if not isinstance(value, dict):
        raise MisfitError(f"{where} is no object")
    made = {}
    for name, wanted, required in fields_of(kind):
        if name in value:
            made[name] = _checked(wanted, value[name], f"{name!r} of {where}")
        elif required:
            raise MisfitError(f"{name!r} of {where} is missing")
    return kind(**made)


def _checked(wanted: Any, value: object, where: str) -> Any:
    if value is None and _without_none(wanted) is not wanted:
        return None
    wanted = _without_none(wanted)
    origin = typing.get_origin(wanted)
    if origin is list and isinstance(value, list):
        (item,) = typing.get_args(wanted)
        return [_checked(item, one, f"item {number} of {where}") for number, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return value
    if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
        return from_json(wanted, value, where)
    if wanted is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if wanted is Any or (isinstance(wanted, type) and type(value) is wanted):
        return value
    raise MisfitError(f"{where} is no {_called(wanted)}")


def _without_none(wanted: Any) -> Any:
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        others = [one for one in typing.get_args(wanted) if one is not type(None)]
        if len(others) == 1:
            return others[0]
    return wanted


def _called(wanted: Any) -> str:
    return getattr(wanted, "__name__", str(wanted))
