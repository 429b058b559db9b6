"""Handlers that are C++: slots, other methods of Qt's classes, the emit() of signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import QObject, QProcess, QTimeLine, QTimer, Signal

from qhttpserver_py import QHttpServer

from ..support.rawclient import ask, bound, logged, reported
from ..support.routing_fakes import is_hint

pytestmark = pytest.mark.usefixtures("qapp")


class Sender(QObject):
    plain = Signal()
    told = Signal(object)
    both = Signal(object, object)
    text = Signal(str)


def served(path: str, pattern: str, handler: Any) -> tuple[int, bytes]:
    server = QHttpServer()
    assert server.route(pattern, handler)
    reply = ask(bound(server), path)
    return reply.status, reply.body


def timer() -> QTimer:
    made = QTimer()
    made.setInterval(3_600_000)
    return made


@pytest.mark.parametrize(
    ("path", "pattern", "method", "seen"),
    [
        ("/x", "/x", "start", lambda timer: timer.isActive()),
        ("/x/7200000", "/x/<arg>", "start", lambda timer: timer.interval() == 7_200_000),
        ("/x/named", "/x/<arg>", "setObjectName", lambda timer: timer.objectName() == "named"),
    ],
)
def test_a_slot_gets_what_its_class_declares(
    path: str, pattern: str, method: str, seen: Callable[[QTimer], bool]
) -> None:
    clock = timer()
    assert served(path, pattern, getattr(clock, method)) == (200, b"")
    assert seen(clock)
    clock.stop()


def test_text_that_is_no_value_of_the_slot_does_not_match() -> None:
    assert served("/x/soon", "/x/<arg>", timer().start)[0] == 404


def test_the_type_may_stand_for_the_end_of_the_path() -> None:
    line = QTimeLine(1000)
    assert served("/at/300", "/at/", line.setCurrentTime) == (200, b"")
    assert line.currentTime() == 300


@pytest.mark.parametrize(
    ("kind", "slot", "why"),
    [
        (QProcess, "kill", "not enough types"),
        (QTimeLine, "setPaused", "Can not find converter for type: bool"),
    ],
)
def test_a_slot_that_a_path_cannot_fill_is_refused(kind: Any, slot: str, why: str) -> None:
    owner = kind()
    with logged() as lines:
        assert QHttpServer().route("/x/<arg>", getattr(owner, slot)) is False
    assert [why in text for _, _, text in lines if not is_hint(text)] == [True]


@pytest.mark.parametrize("name", ["stop", "objectName", "deleteLater"])
def test_a_method_without_parameters_gets_none(name: str) -> None:
    clock = timer()
    assert served("/x", "/x", getattr(clock, name)) == (200, b"")


def test_a_static_one(qapp: Any) -> None:
    assert served("/quit", "/quit", qapp.quit) == (200, b"")
    assert served("/quit", "/quit", type(qapp).sendPostedEvents) == (200, b"")


def test_signals_are_emitted_with_as_much_as_they_take() -> None:
    sender, seen = Sender(), []
    sender.plain.connect(lambda: seen.append("plain"))
    sender.told.connect(lambda request: seen.append(type(request).__name__))
    sender.text.connect(seen.append)
    assert served("/", "/", sender.plain.emit) == (200, b"")
    assert served("/", "/", sender.told.emit) == (200, b"")
    assert served("/x/y", "/x/<arg>", sender.text.emit) == (200, b"")
    assert seen == ["plain", "QHttpServerRequest", "y"]


def test_a_missing_handler_may_be_a_signal() -> None:
    sender, server = Sender(), QHttpServer()
    sender.both.connect(lambda request, responder: responder.write(request.url().path().encode(), b"text/plain"))
    server.setMissingHandler(sender, sender.both.emit)
    assert ask(bound(server), "/there").body == b"/there"
    sender.plain.connect(lambda: None)
    server.setMissingHandler(sender, sender.plain.emit)
    with logged() as lines:
        assert ask(bound(server), "/there").status == 500  # nobody answered
    assert ["dropped without a reply" in text for _, _, text in lines] == [True]


def test_a_signal_itself_is_refused_with_the_remedy() -> None:
    sender, server = Sender(), QHttpServer()
    with pytest.raises(TypeError, match="give its emit"):
        server.route("/", sender.plain)
    with pytest.raises(TypeError, match="give its emit"):
        server.setMissingHandler(sender, sender.plain)


def test_a_type_error_from_further_in_is_final() -> None:
    calls: list[object] = []

    def slot(request: object) -> None:
        calls.append(request)
        raise TypeError("mine")

    server = QHttpServer()
    sender = Sender()
    sender.told.connect(slot)
    server.route("/sent", sender.told.emit)
    server.route("/max/<arg>/<arg>", max)
    port = bound(server)
    with reported() as errors:
        assert ask(port, "/sent").status == 200  # PySide reports what a slot raises
    assert (len(calls), [str(error) for error in errors]) == (1, ["mine"])
    assert ask(port, "/max/1/2").body == b"2"
