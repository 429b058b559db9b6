"""snake_case names beside Qt's, for programs that use ``from __feature__ import snake_case``.

PySide renames only its own types; ``with_snake_case`` gives the classes of this package the same second names. Each is
a descriptor that looks the Qt name up, so that overrides are found under both.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)

_WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_case(name: str) -> str:
    """Return ``add_after_request_handler`` for ``addAfterRequestHandler``."""
    return _WORD_BOUNDARY.sub("_", name).lower()


class _SecondName:
    """Whatever the attribute of Qt's name is, for an instance or for the class."""

    __slots__ = ("_name", "_second", "qt_name")

    def __init__(self, qt_name: str, second: str) -> None:
        self.qt_name = qt_name
        self._second = second

    def __get__(self, instance: object, owner: type) -> Any:
        classes = owner.__mro__
        overrides = [place for place, cls in enumerate(classes) if _is_override(vars(cls).get(self._second))]
        if not overrides:
            return getattr(owner if instance is None else instance, self.qt_name)
        # The override hides this name, so it is super() that asks: for what is behind the last of them.
        method = next(vars(cls)[self.qt_name] for cls in classes[overrides[-1] + 1 :] if self.qt_name in vars(cls))
        return method.__get__(instance, owner)


def _is_override(found: object) -> bool:
    return found is not None and not isinstance(found, _SecondName)


def with_snake_case(cls: Class) -> Class:
    """Give the public methods and signals that *cls* defines their snake_case names too."""
    for name in tuple(vars(cls)):
        second = snake_case(name)
        if name[0].islower() and second != name and second not in vars(cls):
            setattr(cls, second, _SecondName(name, second))
    return cls


def adopt_overrides(cls: type) -> None:
    """Let a class, or a mixin of it, override a method under its snake_case name: the server calls Qt's."""
    classes = cls.__mro__
    seconds = {
        name: found.qt_name for base in classes for name, found in vars(base).items() if isinstance(found, _SecondName)
    }
    for name, qt_name in seconds.items():
        for base in classes:
            if qt_name in vars(base):  # nearer under Qt's name, or not overridden
                break
            override = vars(base).get(name)
            if callable(override):
                setattr(cls, qt_name, override)
                break
