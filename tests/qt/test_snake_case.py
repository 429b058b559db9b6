"""Every public method of every class has its snake_case name, as with ``from __feature__ import snake_case``."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import qhttpserver_py
from qhttpserver_py import (
    QHttpServer,
    QHttpServerConfiguration,
    QHttpServerRequest,
    QHttpServerResponse,
    QHttpServerRouterRule,
    QHttpServerWebSocketUpgradeResponse,
)
from qhttpserver_py._qt.snake_case import snake_case

from ..support.rawclient import ask, bound

CLASSES = [getattr(qhttpserver_py, name) for name in qhttpserver_py.__all__ if name.startswith("Q")]
METHODS = [
    (cls, name)
    for cls in CLASSES
    for base in cls.__mro__
    if base.__module__.startswith("qhttpserver_py.")
    for name in vars(base)
    if name[0].islower() and snake_case(name) != name and not inspect.isclass(getattr(cls, name))
]


@pytest.mark.parametrize(("cls", "name"), METHODS)
def test_both_names_are_one_method(cls: Any, name: str) -> None:
    first, second = getattr(cls, name), getattr(cls, snake_case(name))
    assert second is first or second == first


def test_they_are_all_here() -> None:
    assert {cls for cls, _ in METHODS} == set(CLASSES)


def test_values_work_under_both() -> None:
    response = QHttpServerResponse.from_file("/none")
    assert response.status_code() is response.statusCode()
    settings = QHttpServerConfiguration()
    settings.set_maximum_body_size(5)
    assert settings.maximumBodySize() == settings.maximum_body_size() == 5
    assert QHttpServerWebSocketUpgradeResponse.pass_to_next().deny_status() == 403
    assert QHttpServerRequest().remote_port() == 0
    assert QHttpServerRouterRule("/", print).context_object() is None


def test_an_override_is_found_under_both() -> None:
    class Mine(QHttpServerRequest):
        def remotePort(self) -> int:
            return 7

    assert Mine().remote_port() == 7


class Logs:
    """A mixin that overrides under the second name, and asks what is behind it."""

    def missing_handler(self, request: Any, responder: Any) -> None:
        self.said.append("mixin")  # type: ignore[attr-defined]
        super().missing_handler(request, responder)  # type: ignore[misc]


class Plain(QHttpServer):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []


class Second(Plain):
    def missing_handler(self, request: Any, responder: Any) -> None:
        self.said.append("second")
        super().missing_handler(request, responder)


class First(Plain):
    def missingHandler(self, request: Any, responder: Any) -> None:
        self.said.append("first")
        super().missingHandler(request, responder)


class SecondOverFirst(First):
    def missing_handler(self, request: Any, responder: Any) -> None:
        self.said.append("second")
        super().missing_handler(request, responder)


class FirstOverSecond(Second):
    def missingHandler(self, request: Any, responder: Any) -> None:
        self.said.append("first")
        super().missingHandler(request, responder)


class Mixed(Logs, Plain): ...


class MixedOverSecond(Logs, Second): ...


class MixedOverFirst(Logs, First): ...


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Plain, []),
        (Second, ["second"]),
        (First, ["first"]),
        (SecondOverFirst, ["second", "first"]),
        (FirstOverSecond, ["first", "second"]),
        (Mixed, ["mixin"]),
        (MixedOverSecond, ["mixin", "second"]),
        (MixedOverFirst, ["mixin", "first"]),
    ],
)
@pytest.mark.usefixtures("qapp")
def test_overrides_and_super_under_either_name(cls: type[Plain], said: list[str]) -> None:
    server = cls()
    assert ask(bound(server), "/nothing").status == 404
    assert server.said == said
    server.said.clear()
    for name in ("missing_handler", "missingHandler"):
        assert callable(getattr(server, name)), name
    server.close()
