"""snake_case names beside Qt's, for programs that use ``from __feature__ import snake_case``.

PySide renames only its own types; ``with_snake_case`` gives ours the same second names, by one
mechanism: a descriptor that looks the Qt name up, so that overrides are found under both.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_case(name: str) -> str:
    """Return ``add_after_request_handler`` for ``addAfterRequestHandler``."""
    return _HUMP.sub("_", name).lower()


class _SecondName:
    """Whatever the attribute of Qt's name is, for an instance or for the class."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        return getattr(owner if instance is None else instance, self._name)


def with_snake_case(cls: Class) -> Class:
    """Give the public methods and signals that *cls* defines their snake_case names too."""
    for name in tuple(vars(cls)):
        second = snake_case(name)
        if name[0].islower() and second != name and second not in vars(cls):
            setattr(cls, second, _SecondName(name))
    return cls


def adopt_overrides(cls: type) -> None:
    """Let a subclass override a method under its snake_case name: the server calls Qt's."""
    for name, value in tuple(vars(cls).items()):
        if "_" not in name.strip("_") or not callable(value):
            continue
        for base in cls.__mro__[1:]:
            original = vars(base).get(name)
            if isinstance(original, _SecondName):
                setattr(cls, original._name, value)
                break
