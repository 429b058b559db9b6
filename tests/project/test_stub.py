"""Everything the stub of PySide6.QtHttpServer promises, ours has; a failure names the member."""

import ast
import collections.abc
import enum
import importlib.util
import typing
from pathlib import Path

import PySide6
import PySide6.QtCore
import PySide6.QtNetwork
import pytest
import shiboken6

import qhttpserver_py

from ..support import stub

# A stray of the wheel with nothing in it.
IGNORED = {"QIntList"}

# Ours returns more kinds of things there, for these reasons.
WIDER = {
    "QHttpServerResponse.statusCode": "codes that Qt has no name for read back as int",
    "QHttpServerRouterRule.contextObject": "the stub forgets that there may be none",
}

# Documented for C++, absent from the wheel.
FROM_CPP = [
    "QAbstractHttpServer.addWebSocketUpgradeVerifier",
    "QAbstractHttpServer.handleRequest",
    "QAbstractHttpServer.hasPendingWebSocketConnections",
    "QAbstractHttpServer.missingHandler",
    "QAbstractHttpServer.newWebSocketConnection",
    "QAbstractHttpServer.nextPendingWebSocketConnection",
    "QHttpServer.setMissingHandler",
    "QHttpServerConfiguration.blacklist",
    "QHttpServerConfiguration.setBlacklist",
    "QHttpServerConfiguration.setWhitelist",
    "QHttpServerConfiguration.whitelist",
    "QHttpServerRequest.Methods",
    "QHttpServerRequest.__copy__",
    "QHttpServerResponse.StatusCode",
    "QHttpServerRouter.addRule",
    "QHttpServerRouterRule.bindCaptured",
    "QHttpServerWebSocketUpgradeResponse.__copy__",
]


def find_stub():
    spec = importlib.util.find_spec("PySide6")
    path = Path(spec.submodule_search_locations[0], "QtHttpServer.pyi")
    return path.read_text(encoding="utf-8") if path.is_file() else None


SOURCE = find_stub()
pytestmark = pytest.mark.skipif(SOURCE is None, reason="PySide6-Addons, which has the stub, is not installed")
CLASSES = [entry for entry in stub.classes(SOURCE or "") if entry[0] not in IGNORED]
MEMBERS = [member for *_, members in CLASSES for member in members]
ENUMS = [(name, node) for name, _, nodes, _ in CLASSES for node in nodes]


class Ours:
    """``PySide6`` as annotations of the stub see it: with our classes in place of the wheel's."""

    QtCore = PySide6.QtCore
    QtNetwork = PySide6.QtNetwork
    QtHttpServer = qhttpserver_py


NAMES = {"PySide6": Ours, "typing": typing, "collections": collections, "enum": enum, "Shiboken": shiboken6.Shiboken}
# What our annotations name under TYPE_CHECKING only.
NAMES.update({name: getattr(qhttpserver_py, name) for name in qhttpserver_py.__all__})


def test_the_stub_was_read():
    assert len(CLASSES) == 10
    assert len(MEMBERS) > 110
    assert "QHttpServer.route(rule, callback)" in map(str, MEMBERS)


@pytest.mark.parametrize(("name", "bases"), [pytest.param(name, bases, id=name) for name, bases, *_ in CLASSES])
def test_class(name, bases):
    cls = getattr(qhttpserver_py, name)
    assert isinstance(cls, type)
    assert name in qhttpserver_py.__all__
    for base in bases:
        if base != "Shiboken.Object":
            assert issubclass(cls, eval(base, NAMES))


@pytest.mark.parametrize(("name", "node"), [pytest.param(name, node, id=f"{name}.{node.name}") for name, node in ENUMS])
def test_enumeration(name, node):
    ours = getattr(getattr(qhttpserver_py, name), node.name)
    assert stub.enum_lacks(node, ours) == []


@pytest.mark.parametrize("member", MEMBERS, ids=str)
def test_member(member):
    cls = getattr(qhttpserver_py, member.owner)
    assert stub.member_lacks(member, cls, NAMES, wider_return=member.path in WIDER) == []


@pytest.mark.parametrize("path", WIDER)
def test_exceptions_are_needed(path):
    members = [member for member in MEMBERS if member.path == path]
    assert members
    assert all(stub.member_lacks(member, getattr(qhttpserver_py, member.owner), NAMES) for member in members)


@pytest.mark.parametrize("path", FROM_CPP)
def test_member_that_only_cpp_has(path):
    owner, name = path.split(".")
    assert hasattr(getattr(qhttpserver_py, owner), name)


# -- the checker itself


PROMISE = """
class Thing(Shiboken.Object):
    class Kind(enum.Enum):
        One = 0x1
        Two = 0x2
    @typing.overload
    def put(self, data: str, /, status: int = ...) -> None: ...
    @typing.overload
    def put(self, data: bytes | bytearray, /) -> None: ...
    @staticmethod
    def make(name: str, /) -> int: ...
"""


class Good:
    class Kind(enum.Enum):
        One = 1
        Two = 2
        Three = 3

    def put(self, data: str | bytes | bytearray, /, status: int = 5) -> None: ...

    @staticmethod
    def make(name: object) -> bool: ...


class Lacking:
    class Kind(enum.Enum):
        One = 1
        Two = 3

    @typing.overload
    def put(self, data: str, /, status: int = ...) -> None: ...
    @typing.overload
    def put(self, data: bytes, /) -> None: ...
    def put(self, *arguments: object, status: object = None) -> None: ...

    def make(self, name: str) -> int: ...


class Narrow:
    class Kind(enum.IntEnum):
        One = 1
        Two = 2

    def put(self, data: str, status: int, /) -> None: ...

    @staticmethod
    def make(name: int) -> str: ...


@pytest.mark.parametrize(
    ("cls", "faults"),
    [
        (Good, [[], [], [], []]),
        (Lacking, [["Two = 0x2"], [], ["data takes no bytearray"], ["is not static"]]),
        (
            Narrow,
            [
                ["is no plain Enum"],
                [
                    "cannot be called as (['data'], [])",
                    "cannot be called as (['data'], ['status'])",
                ],
                ["cannot be called as (['data'], [])"],
                ["name takes no str", "may return str"],
            ],
        ),
        (object, [None, ["is missing"], ["is missing"], ["is missing"]]),
    ],
)
def test_the_checker_finds_what_is_missing(cls, faults):
    ((_, _, (kind,), members),) = stub.classes(PROMISE)
    assert isinstance(kind, ast.ClassDef)
    found = [stub.enum_lacks(kind, cls.Kind) if hasattr(cls, "Kind") else None]
    found += [stub.member_lacks(member, cls, NAMES) for member in members]
    assert found == faults
