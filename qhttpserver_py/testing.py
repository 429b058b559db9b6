"""For tests: a fake backend, clients, and stand-ins for the socket and the clock.

``FakeBackend`` plays the server an application talks to; the pytest fixtures hand it out. ``Client`` and
``InMemoryClient`` play the peer of a server made with this package.
"""

from __future__ import annotations

from qhttpserver_py._testing_backend import FakeBackend
from qhttpserver_py._testing_client import Client, ClientError, ClientResponse
from qhttpserver_py._testing_expectation import Expectation, HandlerType, LogEntry
from qhttpserver_py._testing_matcher import METHOD_ALL, UNDEFINED, RequestMatcher
from qhttpserver_py._testing_memory import FakeClock, FakeSocket, InMemoryClient
from qhttpserver_py._testing_tls import TlsAuthority
from qhttpserver_py._testing_uri import UriPattern
from qhttpserver_py._testing_wait import Waiting
from qhttpserver_py._testing_watchdog import BlockingClientError

__all__ = [
    "METHOD_ALL",
    "UNDEFINED",
    "BlockingClientError",
    "Client",
    "ClientError",
    "ClientResponse",
    "Expectation",
    "FakeBackend",
    "FakeClock",
    "FakeSocket",
    "HandlerType",
    "InMemoryClient",
    "LogEntry",
    "RequestMatcher",
    "TlsAuthority",
    "UriPattern",
    "Waiting",
]
