"""What a router needs of a server and a responder, recording."""

from PySide6.QtCore import QObject
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._protocol.reply import DONE, WAITING
from qhttpserver_py.qhttpserverrequest import Peer, QHttpServerRequest


class FakeServer(QObject):
    """Notes what it is asked to answer with. ``late``: the answers come later."""

    def __init__(self):
        super().__init__()
        self.results = []
        self.late = False

    def _finish(self, exchange, request, result):
        self.results.append(result)
        if not self.late:
            exchange.state = DONE

    def _await_handler(self, exchange, request, result):
        self.results.append(("awaited", result))


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
