"""The pytest plugin: fixtures that give a test a fake backend in its own event loop.

Every pytest run of every user loads this module, so it imports no Qt; the fixtures do.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from qhttpserver_py.testing import FakeBackend, TlsAuthority
    from qhttpserver_py.testing.intercept.block import NetworkBlock

MARKER = "qhttpserver"
CASSETTE = "qhttpserver_cassette"
_OPTIONS = frozenset(("strict", "tls", "h2", "trust"))
_NETWORK = frozenset(("block_network", "allow_hosts"))
_SERVERS = pytest.StashKey["list[FakeBackend]"]()
_BLOCK = pytest.StashKey["NetworkBlock"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    parser.getgroup(MARKER).addoption(
        "--qhttpserver-record",
        dest="qhttpserver_record",
        choices=("none", "once", "new_episodes", "all"),
        default=None,
        help="the mode of all cassettes, over that of their markers",
    )
    parser.addini(
        "qhttpserver_strict",
        "whether unexpected requests, unmet expectations and failed handlers of fake backends fail the test",
        type="bool",
        default=True,
    )
    parser.addini("qhttpserver_block_network", "refuse hosts that are not this computer", type="bool", default=False)
    parser.addini("qhttpserver_allow_hosts", "hosts that block_network lets through", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(strict=True, tls=False, h2=False, trust=True, block_network=False, allow_hosts=[]): "
        "how the fake backend of this test is made. "
        "strict: it fails the test for what was wrong; tls: it serves HTTPS; h2: it offers HTTP/2, over TLS; "
        "trust: Qt clients trust its certificate; block_network: other hosts than this computer are refused, "
        "but for allow_hosts.",
    )
    config.addinivalue_line(
        "markers",
        f"{CASSETTE}(path, target=None, mode='once', ...): the fake backend of this test records the real server at "
        "target, and replays the file at path, relative to the test's; options are those of use_cassette().",
    )


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail the test for what was wrong at its fake backends."""
    __tracebackhide__ = True
    try:
        result = yield
    except Exception as error:
        _explain(item, error)
        raise
    _raise_first_problem(item)
    return result


def _raise_first_problem(item: pytest.Item) -> None:
    """Raise the first problem of a strict backend; add the others to the report."""
    __tracebackhide__ = True
    problems = [problem for server in _servers(item) if server.strict for problem in server.problems()]
    _forget_problems(item)
    if problems:
        _add_section(item, problems[1:])
        raise problems[0]


def _explain(item: pytest.Item, error: Exception) -> None:
    """Add what was wrong at the backends to the report of a failed test, because that is likely to be the reason."""
    __tracebackhide__ = True
    from qhttpserver_py.testing.watchdog import BlockingClientError

    problems = [problem for server in _servers(item) for problem in server.problems() if problem is not error]
    _forget_problems(item)
    for problem in problems:
        if isinstance(problem, BlockingClientError):
            raise problem from error
    _add_section(item, problems)


def _servers(item: pytest.Item) -> list[FakeBackend | NetworkBlock]:
    block = item.stash.get(_BLOCK, None)
    return [*([block] if block is not None else []), *item.stash.get(_SERVERS, [])]


def _forget_problems(item: pytest.Item) -> None:
    for server in _servers(item):
        server.forget_problems()


def _add_section(item: pytest.Item, problems: list[BaseException]) -> None:
    if problems:
        texts = ["".join(traceback.format_exception(problem)).rstrip() for problem in problems]
        item.add_report_section("call", MARKER, "\n\n".join(texts))


@pytest.fixture(scope="session")
def qhttpserver_listen_address() -> tuple[str, int]:
    """Host and port the fake backends listen on; override it to choose others. Port 0 takes a free one."""
    return ("127.0.0.1", 0)


@pytest.fixture(scope="session")
def qhttpserver_tls() -> TlsAuthority:
    """A certificate authority made for this run, and a certificate for localhost signed by it."""
    from qhttpserver_py.testing.intercept.interception import process_authority

    return process_authority()


@pytest.fixture(scope="session")
def _qhttpserver_application() -> object:
    """A QCoreApplication for runs without pytest-qt, kept until the end."""
    from PySide6.QtCore import QCoreApplication

    return QCoreApplication.instance() or QCoreApplication(["pytest"])


def _need_application(request: pytest.FixtureRequest) -> None:
    """Make an application object, by the fixture ``qapp`` of pytest-qt or of the suite, if there is one."""
    try:
        request.getfixturevalue("qapp")
    except pytest.FixtureLookupError as error:
        if error.argname != "qapp":
            raise
        request.getfixturevalue("_qhttpserver_application")


@pytest.fixture
def make_qhttpserver(
    request: pytest.FixtureRequest, qhttpserver_listen_address: tuple[str, int]
) -> Iterator[Callable[..., FakeBackend]]:
    """Make fake backends, as many as the test needs; each is stopped and checked at its end.

    Called with the parameters of ``FakeBackend``; ``tls=True`` takes the authority of ``qhttpserver_tls``.
    Marker and ini option give the defaults.
    """
    _need_application(request)
    from qhttpserver_py.testing import FakeBackend

    servers: list[FakeBackend] = request.node.stash.setdefault(_SERVERS, [])
    defaults = _marked(request)

    def make(listen_address: tuple[str, int] = qhttpserver_listen_address, **options: Any) -> FakeBackend:
        chosen = {**defaults, **options}
        if chosen.get("h2") and "tls" not in options:
            chosen["tls"] = chosen.get("tls") or True
        if isinstance(chosen.get("tls"), bool):
            chosen["tls"] = request.getfixturevalue("qhttpserver_tls") if chosen["tls"] else None
        server = FakeBackend(listen_address, **chosen)
        servers.append(server)
        server.start()
        if len(servers) == 1:
            _insert_cassettes(request, server)
        return server

    yield make
    _stop(servers)


def _marked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the options of the closest marker, over those of the ini file."""
    options: dict[str, Any] = {"strict": request.config.getini("qhttpserver_strict")}
    for mark in reversed(list(request.node.iter_markers(MARKER))):
        unknown = set(mark.kwargs) - _OPTIONS - _NETWORK
        if unknown or mark.args:
            wrong = ", ".join(sorted(unknown)) or mark.args
            known = ", ".join(sorted(_OPTIONS | _NETWORK))
            raise pytest.UsageError(f"the marker {MARKER} takes {known}, not {wrong}")
        options.update(mark.kwargs)
    return {name: value for name, value in options.items() if name in _OPTIONS}


def _insert_cassettes(request: pytest.FixtureRequest, server: FakeBackend) -> None:
    """Let the first backend of a test use the cassettes that its markers name."""
    mode = request.config.getoption("qhttpserver_record")
    for mark in request.node.iter_markers(CASSETTE):
        if len(mark.args) != 1:
            raise pytest.UsageError(f"the marker {CASSETTE} takes one path, and options of use_cassette()")
        options = {**mark.kwargs, **({"mode": mode} if mode else {})}
        server.use_cassette(request.path.parent / mark.args[0], **options)


def _stop(servers: list[FakeBackend]) -> None:
    """Stop all, then raise what went wrong after the test's own call."""
    __tracebackhide__ = True
    from PySide6.QtCore import QCoreApplication, QEvent

    problems = []
    for server in servers:
        server.stop()
        if server.strict:
            problems += server.problems()
        server.deleteLater()
        QCoreApplication.sendPostedEvents(server, QEvent.Type.DeferredDelete.value)
    if problems:
        raise problems[0]


@pytest.fixture
def qhttpserver(make_qhttpserver: Callable[..., FakeBackend]) -> FakeBackend:
    """A fake backend, listening; stopped and checked at the end of the test."""
    return make_qhttpserver()


@pytest.fixture
def qhttpserver_proxy_environment(qhttpserver: FakeBackend) -> Iterator[dict[str, str]]:
    """Set ``qhttpserver.proxy_environment()`` for the whole test; the value is the variables that it set."""
    with qhttpserver.proxy_environment() as values:
        yield values


@pytest.fixture(autouse=True)
def _qhttpserver_block_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Refuse other computers, where marker or ini option say so; what was refused fails the test."""
    __tracebackhide__ = True
    blocks = request.config.getini("qhttpserver_block_network")
    allowed = list(request.config.getini("qhttpserver_allow_hosts"))
    for mark in reversed(list(request.node.iter_markers(MARKER))):
        blocks = mark.kwargs.get("block_network", blocks)
        allowed += mark.kwargs.get("allow_hosts", ())
    if not blocks:
        yield
        return
    _need_application(request)
    from qhttpserver_py.testing.intercept.block import NetworkBlock

    block = request.node.stash[_BLOCK] = NetworkBlock(allowed)
    try:
        yield
    finally:
        block.end()
        del request.node.stash[_BLOCK]
    if problems := block.problems():
        raise problems[0]
