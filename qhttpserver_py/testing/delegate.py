"""Methods of a part, offered by the object that has the part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Delegated(Generic[Parameters, Result]):
    """A method that is called on a part of its object.

    Parameters:
        part: the name of the attribute that holds the part.
        method: the method of the part's class: its name, its parameters and its documentation are this one's.
    """

    __slots__ = ("method", "part")

    def __init__(self, part: str, method: Callable[Concatenate[Any, Parameters], Result]) -> None:
        self.part = part
        self.method = method

    @overload
    def __get__(self, instance: None, owner: type) -> Callable[Concatenate[Any, Parameters], Result]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[Parameters, Result]: ...

    def __get__(self, instance: object | None, owner: type) -> Callable[..., Result]:
        """Return the method of the part, bound to it; of the class, the function."""
        if instance is None:
            return self.method
        bound: Callable[..., Result] = getattr(getattr(instance, self.part), self.method.__name__)
        return bound
