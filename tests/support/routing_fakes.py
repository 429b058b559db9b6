"""A router, and what it needs of a server and a responder, recording."""

import re

import pytest
from PySide6.QtCore import QObject, QtMsgType, qInstallMessageHandler
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._protocol.reply import DONE, WAITING
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter
from qhttpserver_py.qhttpserverrouterrule import QHttpServerRouterRule

Method = QHttpServerRequest.Method


class FakeAnswers:
    """Notes what it is asked to answer with. ``late``: the answers come later."""

    def __init__(self):
        self.results = []
        self.late = False

    def finish(self, exchange, request, result):
        self.results.append(result)
        if not self.late:
            exchange.state = DONE

    def await_handler(self, exchange, request, result):
        self.results.append(("awaited", result))


class FakeServer(QObject):
    def __init__(self):
        super().__init__()
        self._answers = FakeAnswers()

    @property
    def results(self):
        return self._answers.results


class FakeExchange:
    def __init__(self):
        self.state = WAITING
        self.label = ""
        self.hooks = []

    def when_canceled(self, hook):
        self.hooks.append(hook)


class FakeResponder:
    def __init__(self):
        self._exchange = FakeExchange()


def make_message(target, method="GET"):
    return Message(0, method, target.encode(), 11, [])


def make_request(target, method="GET"):
    peer = Peer(QHostAddress("127.0.0.1"), 1, QHostAddress("127.0.0.1"), 2)
    return QHttpServerRequest._make(make_message(target, method), peer)


def number(n: int):
    return n


class Even:
    """Made anew for each request, of text that may be refused."""

    made = 0

    def __init__(self, written):
        Even.made += 1
        if int(written) % 2:
            raise ValueError(written)
        self.value = int(written)


def add(router, pattern, callback, methods=Method.AnyKnown, context=..., rule_type=QHttpServerRouterRule):
    if context is ...:
        context = router._server.object()
    return router._add_view(pattern, methods, context, callback, rule_type)


def ask(router, target, method="GET"):
    """Return whether a rule answered, and with what."""
    server = router._server.object()
    server.results.clear()
    handled = router.handleRequest(make_request(target, method), FakeResponder())
    return server.results[0] if handled and server.results else handled


def warnings_of(logged):
    """Return Qt's lines; what a hint adds, in terms of Python, follows each and is left out."""
    assert all(category == "qt.httpserver.router.rule" for _, category, _ in logged)
    return [text for kind, _, text in logged if kind == QtMsgType.QtWarningMsg and not is_hint(text)]


def is_hint(text):
    return bool(re.match(r"\S+(\(\)| \(.*:\d+\)| at \")", text)) and ' at "' in text


def fixtures():
    """Return the fixtures *server*, a fake, *router*, and *logged*: what Qt logs as (kind, category, text)."""

    @pytest.fixture
    def server(qapp):
        return FakeServer()

    @pytest.fixture
    def router(server):
        return QHttpServerRouter(server)

    @pytest.fixture
    def logged():
        lines = []
        former = qInstallMessageHandler(lambda kind, context, text: lines.append((kind, context.category, text)))
        yield lines
        qInstallMessageHandler(former)

    return server, router, logged
