"""Reads a stub file and says what a class of ours lacks of what the stub promises."""

import ast
import collections.abc
import enum
import inspect
import types
import typing

POSITIONAL = inspect.Parameter.POSITIONAL_ONLY
EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD


class Member:
    """A function of a class in the stub: one overload."""

    def __init__(self, owner, node):
        self.owner = owner
        self.name = node.name
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        self.static = "staticmethod" in decorators
        arguments = node.args
        pairs = [(argument, POSITIONAL) for argument in arguments.posonlyargs]
        pairs += [(argument, EITHER) for argument in arguments.args]
        if not self.static:
            del pairs[0]
        required = len(pairs) - len(arguments.defaults)
        self.parameters = [
            (argument.arg, kind, ast.unparse(argument.annotation), index >= required)
            for index, (argument, kind) in enumerate(pairs)
        ]
        self.returns = ast.unparse(node.returns).replace("typing.Self", f"PySide6.QtHttpServer.{owner}")

    @property
    def path(self):
        return f"{self.owner}.{self.name}"

    def __str__(self):
        return f"{self.path}({', '.join(name for name, *_ in self.parameters)})"

    def calls(self):
        """Return the ways to call it, as (positional names, keyword names)."""
        names = [name for name, *_ in self.parameters]
        required = [name for name, _, _, optional in self.parameters if not optional]
        free = [name for name, kind, _, _ in self.parameters if kind is EITHER]
        found = [(names[:count], []) for count in range(len(required), len(names) + 1)]
        if free:
            found.append(([name for name in names if name not in free], free))
        return found


def classes(source):
    """Return (class name, bases, enumerations, members) of each class in *source*."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            enums = [inner for inner in node.body if isinstance(inner, ast.ClassDef)]
            functions = [inner for inner in node.body if isinstance(inner, ast.FunctionDef)]
            bases = [ast.unparse(base) for base in node.bases]
            yield node.name, bases, enums, [Member(node.name, function) for function in functions]


def enum_lacks(stub, ours):
    """Return what an enumeration of ours lacks."""
    base = {"enum.Enum": enum.Enum, "enum.Flag": enum.Flag}[ast.unparse(stub.bases[0])]
    if not issubclass(ours, base) or issubclass(ours, int):
        return [f"is no plain {base.__name__}"]
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in stub.body}
    return [
        f"{name} = {value:#x}"
        for name, value in values.items()
        if name not in ours.__members__ or ours[name].value != value
    ]


def member_lacks(member, cls, names, *, wider_return=False):
    """Return why *cls* cannot stand in for the class that has *member*, one line each.

    *names* are what annotations of the stub refer to.
    """
    try:
        found = inspect.getattr_static(cls, member.name)
    except AttributeError:
        return ["is missing"]
    if isinstance(found, staticmethod) is not member.static:
        return ["is static" if isinstance(found, staticmethod) else "is not static"]
    function = found.__func__ if member.static else found
    signature = inspect.signature(function)
    forms = [inspect.signature(form) for form in typing.get_overloads(function)] or [signature]
    reasons = [f"cannot be called as {call}" for call in member.calls() if not _binds(signature, member, call)]
    if reasons:
        return reasons
    scope = {**function.__globals__, **vars(cls), **names}
    faults = [_form_lacks(member, form, scope, names, wider_return) for form in forms]
    return min(faults, key=len)


def _form_lacks(member, form, scope, names, wider_return):
    calls = [f"no overload takes {call}" for call in member.calls() if not _binds(form, member, call)]
    if calls:
        return calls * 10  # farther off than any wrong type
    bound = _bind(form, member, member.calls()[-1])
    faults = []
    for (name, _, annotation, _), parameter in zip(member.parameters, bound, strict=True):
        wanted, given = eval(annotation, names), _evaluated(parameter.annotation, scope)
        missing = [kind for kind in _kinds(wanted) if not _accepts(given, kind)]
        faults += [f"{name} takes no {getattr(kind, '__name__', kind)}" for kind in missing]
    returned = _evaluated(form.return_annotation, scope)
    promised = eval(member.returns, names)
    if not wider_return:
        wrong = [kind for kind in _kinds(returned) if not _accepts(promised, kind)]
        faults += [f"may return {getattr(kind, '__name__', kind)}" for kind in wrong]
    return faults


def _binds(signature, member, call):
    try:
        _bind(signature, member, call)
    except TypeError:
        return False
    return True


def _bind(signature, member, call):
    """Return the parameter each argument of *call* goes to, in the order of the stub's parameters."""
    positional, keywords = call
    first = [] if member.static else ["self"]
    bound = signature.bind(*first, *positional, **{name: name for name in keywords})
    targets = {}
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        for one in value if parameter.kind is inspect.Parameter.VAR_POSITIONAL else [value]:
            if isinstance(one, str):
                targets[one] = parameter
    return [targets[name] for name, *_ in member.parameters if name in targets]


def _evaluated(annotation, scope):
    if isinstance(annotation, str):
        return eval(annotation, scope)
    return annotation


def _kinds(annotation):
    """Return the classes an annotation stands for."""
    if isinstance(annotation, typing.TypeVar):
        annotation = annotation.__bound__ or object
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(annotation) for kind in _kinds(part)]
    if annotation is None:
        return [types.NoneType]
    if annotation in (typing.Any, inspect.Parameter.empty):
        return [typing.Any]
    return [origin or annotation]


def _accepts(annotation, kind):
    for accepted in _kinds(annotation):
        if typing.Any in (accepted, kind) or accepted is object:
            return True
        if accepted is collections.abc.Callable or kind is collections.abc.Callable:
            if accepted is kind:
                return True
        elif issubclass(kind, accepted):
            return True
    return False
