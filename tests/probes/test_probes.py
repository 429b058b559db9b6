"""The probes of tests/probes against a server of ours: none may fail, few may be answered leniently."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from qhttpserver_py import QHttpServer

from ..support.rawclient import bound, spin
from .ask import Answer, ask, judge
from .table import PROBES, Probe

pytestmark = pytest.mark.usefixtures("qapp")

LENIENT = {  # what we answer, though refusing would be allowed as well
    "smuggling/length-trailing-space",  # OWS belongs to no value (RFC 9110 5.5)
    "smuggling/length-two-spaces",
    "smuggling/authority-mismatch",  # Host is ignored beside an absolute-form target (RFC 9112 3.2.2)
    "smuggling/length-leading-zeros",  # a length is decimal, as every server of note reads it
    "malformed/utf8-in-target",  # read as the octets they are, as the original does
    "malformed/escaped-crlf",
    "malformed/overlong-utf8",
    "malformed/backslash",
}


@pytest.fixture(scope="module")
def answers(qapp: object) -> dict[str, Answer]:
    """Ask all probes from a few threads while the event loop runs here."""
    server = QHttpServer()
    server.route("/", lambda request: bytes(request.body().data()) or b"OK")
    port = bound(server)
    found: dict[str, Answer] = {}
    left = list(PROBES)

    def work() -> None:
        while left:
            probe = left.pop()
            found[f"{probe.group}/{probe.name}"] = ask(port, probe.request, 0.5)

    threads: list[threading.Thread] = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    alive: Callable[[], bool] = lambda: any(thread.is_alive() for thread in threads)
    assert spin(lambda: not alive(), 40)
    return found


@pytest.mark.parametrize("probe", PROBES, ids=[f"{probe.group}/{probe.name}" for probe in PROBES])
def test_probe(probe: Probe, answers: dict[str, Answer]) -> None:
    name = f"{probe.group}/{probe.name}"
    answer = answers[name]
    assert judge(probe, answer) == ("WARN" if name in LENIENT else "PASS"), str(answer)
