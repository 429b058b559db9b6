"""Messages for a programmer whose registration cannot work, or does something else than it seems to.

Qt's own line is logged first, so that it can be searched for; these say the same in terms of Python, with the remedy.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from qhttpserver_py._routing.binding import REQUEST, RESPONDER, Handler, Parameter, Plan, callable_name

PLACEHOLDER = "<arg>"

# Flask's <name> and <int:id>, FastAPI's {id}, Express' :id. Not groups of a regular expression, nor its {2,3}.
_FOREIGN = re.compile(r"(?<!\?)(?<!\?P)<(?!arg>)[^<>/]*>|(?<!\\)\{[A-Za-z_][^{}/]*\}|(?<=/):[A-Za-z_]\w*")
_NAMES = {"request": REQUEST, "req": REQUEST, "responder": RESPONDER}
_TYPES = {"int": "int", "float": "float", "path": "str", "str": "str", "string": "str", "uuid": "uuid.UUID"}


def place_of(callback: Any) -> str:
    """Return the name of *callback* for a message, and its file and line if they are known."""
    name = callable_name(callback)
    code = getattr(inspect.unwrap(getattr(callback, "__func__", callback)), "__code__", None)
    return f"{name}()" if code is None else f"{name}() ({code.co_filename}:{code.co_firstlineno})"


def why_refused(callback: Any, pattern: str, reason: str) -> str:
    """Return what a programmer can do about a rule that was refused for *reason*."""
    count = pattern.count(PLACEHOLDER)
    takes = _parameters_of(callback)
    given = f"{count} placeholder{'s' * (count != 1)}, {len(takes)} parameter{'s' * (len(takes) != 1)}"
    return f'{place_of(callback)} at "{pattern}": {given}: {_remedy(count, takes, reason)}'


def _remedy(count: int, takes: list[inspect.Parameter], reason: str) -> str:
    if "nothing to give" in reason:
        return (
            f"a handler takes a parameter for each {PLACEHOLDER}, then the request and the responder; "
            f"write {PLACEHOLDER} in the pattern for each value, or give the parameter a default"
        )
    if "converter" in reason:
        return "its annotation has no converter: server.router().addConverter(TheType, r'[a-z]+') makes one"
    if "context" in reason:
        return "give a QObject that lives, and lives in the server's thread"
    if "not enough types" in reason and len(takes) < count:
        return f"each {PLACEHOLDER} needs a parameter: def {_suggested(count)}"
    if "not enough types" in reason:
        return f"the values of the path come first: def {_suggested(count)}"
    if "more than one type" in reason:
        return f"one parameter beyond the {PLACEHOLDER}s stands for the end of the path, not two"
    if "invalid" in reason:
        return "the pattern is a regular expression between its placeholders: escape what is meant literally"
    return f"the handler's first parameters take the values of {PLACEHOLDER}, in order, by their annotations"


def _suggested(count: int) -> str:
    names = ", ".join(f"value{number}: str" for number in range(1, count + 1))
    return f"handler({names})"


def _parameters_of(callback: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(callback).parameters.values())
    except (TypeError, ValueError):
        return []


def warnings_about(callback: Callable[..., Any], handler: Handler, made: Plan, pattern: str) -> Iterator[str]:
    """Return warnings about a rule that is accepted."""
    where = f'{place_of(callback)} at "{pattern}"'
    for found in _FOREIGN.findall(pattern):
        yield f"{where}: {found} is taken literally: {_instead_of(found, pattern)}"
    if pattern and pattern[0] not in "/*^(.[\\":
        yield f'{where}: every path begins with "/", so this matches none: route("/{pattern}", ...)'
    given = dict(zip((p.name for p in handler.parameters if p.positional), made.in_order, strict=False))
    for parameter in handler.parameters:
        source = made.by_name.get(parameter.name, given.get(parameter.name))
        expected = _NAMES.get(parameter.name.lower())
        if expected is not None and parameter.role is None and source not in (None, expected):
            what = source if isinstance(source, str) else "a value of the path"
            yield (
                f'{where}: the parameter "{parameter.name}" is given {what}: the values of {PLACEHOLDER} come first, '
                "then the request, then the responder; annotate it with its class to have it elsewhere"
            )
        elif (
            parameter.optional
            and parameter.positional
            and parameter.annotation is not None
            and source is None
            and parameter.role is None
        ):
            yield (
                f'{where}: nothing fills the parameter "{parameter.name}", it keeps its default: '
                "arguments of a query are in request.query()"
            )


def _looks_filled(parameter: Parameter) -> bool:
    """Return whether *parameter* seems to be meant for a value of the query; what functools.partial has bound is
    not.
    """
    return parameter.optional and parameter.positional and parameter.annotation is not None


def _instead_of(found: str, pattern: str) -> str:
    kind, _, name = found.strip("<>{}:").rpartition(":")
    if found.startswith("{"):
        name, _, kind = found.strip("{}").partition(":")
    annotation = _TYPES.get(kind or name, "str")
    parameter = name if name.isidentifier() and name not in _TYPES else "value"
    right = pattern.replace(found, PLACEHOLDER)
    return f'the placeholder is {PLACEHOLDER}: route("{right}", ...) with def handler({parameter}: {annotation})'
