"""For tests: a fake backend, clients, and fakes of the socket and the clock.

``FakeBackend`` replaces the server of an application; the pytest fixtures give it. ``Client`` and ``InMemoryClient``
are peers for a server made with this package.
"""

from __future__ import annotations

from qhttpserver_py.testing.backend import FakeBackend
from qhttpserver_py.testing.client import Client, ClientError, ClientResponse
from qhttpserver_py.testing.expect import Baked
from qhttpserver_py.testing.expectation import Expectation, HandlerType, LogEntry
from qhttpserver_py.testing.headers import HeaderValueMatcher
from qhttpserver_py.testing.hooks import Chain, Garbage
from qhttpserver_py.testing.intercept.block import NetworkBlockedError
from qhttpserver_py.testing.matcher import METHOD_ALL, UNDEFINED, RequestMatcher
from qhttpserver_py.testing.memory import FakeClock, FakeSocket, InMemoryClient
from qhttpserver_py.testing.tls import TlsAuthority
from qhttpserver_py.testing.uri import UriPattern
from qhttpserver_py.testing.wait import Waiting, WaitingSettings
from qhttpserver_py.testing.watchdog import BlockingClientError

__all__ = [
    "METHOD_ALL",
    "UNDEFINED",
    "Baked",
    "BlockingClientError",
    "Chain",
    "Client",
    "ClientError",
    "ClientResponse",
    "Expectation",
    "FakeBackend",
    "FakeClock",
    "FakeSocket",
    "Garbage",
    "HandlerType",
    "HeaderValueMatcher",
    "InMemoryClient",
    "LogEntry",
    "NetworkBlockedError",
    "RequestMatcher",
    "TlsAuthority",
    "UriPattern",
    "Waiting",
    "WaitingSettings",
]
