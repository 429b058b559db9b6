"""The command line program as a function: what it says, and what it refuses."""

from __future__ import annotations

import io
import re
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest
import trustme
from PySide6.QtCore import QCoreApplication, QLoggingCategory, QTimer
from PySide6.QtNetwork import QHostAddress, QLocalServer, QTcpServer

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._qt.peer import Peer
from qhttpserver_py._serving.access_log import AccessLog
from qhttpserver_py.cli import listen as listening
from qhttpserver_py.cli import main
from qhttpserver_py.cli.listen import CannotServeError, listen_tcp, resolve, url_of
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

pytestmark = pytest.mark.usefixtures("qapp")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and sockets")

APP = """
from qhttpserver_py import QHttpServer
server = QHttpServer()
server.route("/who", lambda: "ours")
number = 7
def make():
    return server
def breaks():
    raise ValueError("no such thing\\nat all")
class holder:
    inner = server
"""


@pytest.fixture
def app_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "myapp.py"
    path.write_text(APP)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "exits.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "stopped.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield path
    for name in ("myapp", "broken", "exits", "stopped"):
        sys.modules.pop(name, None)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run with *arguments* that cannot work; return the one sentence on stderr."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("qhttpserver: ") and err.endswith(".\n") and err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "x"], "no port number"),
        (["--port", "65536"], "no port number"),
        (["--port", "-1"], "no port number"),
        (["--nonsense"], "--nonsense"),
        (["a", "b"], "Unrecognized"),
        (["--tls", "only-one"], "--tls"),
        (["--log-level", "loud"], "--log-level"),
        (["nowhere"], "no directory 'nowhere'"),
        (["./nowhere"], "no directory"),
        (["myapp.py"], "is a file"),
        (["myapp.py:nothing"], "has no 'nothing'"),
        (["myapp.py:number"], "gives a int, not a QHttpServer"),
        (["myapp.py:breaks"], "fails with ValueError: no such thing at all"),
        (["myapp:holder.nothing"], "has no 'holder.nothing'"),
        (["nofile.py:server"], "no Python file 'nofile.py'"),
        (["nomodule:server"], "no module 'nomodule'"),
        (["no.such.module:server"], "no module 'no.such.module'"),
        (["..:server"], "no module"),
        (["broken:server"], "ZeroDivisionError"),
        (["exits.py:server"], "exits instead"),
        ([".", "--host", "not a host"], "no address"),
        ([".", "--host", "192.0.2.1", "--port", "0"], "Cannot listen on 192.0.2.1"),
        ([".", "--tls", "cert.pem", "key.pem"], "no file 'cert.pem'"),
        ([".", "--tls", "myapp.py", "myapp.py"], "holds no PEM certificate"),
    ],
)
def test_refusals(capsys: pytest.CaptureFixture[str], app_file: Path, arguments: list[str], words: str) -> None:
    assert words in refusal(capsys, *arguments)


def test_ctrl_c_while_the_program_is_loaded(app_file: Path) -> None:
    assert main(["stopped:server"]) == 0


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} on 127.0.0.1 is in use" in refusal(capsys, ".", "--port", str(port))


def test_all_ports_in_use() -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as one,
        closing(socket.create_server(("127.0.0.1", 0))) as two,
    ):
        ports = [one.getsockname()[1], two.getsockname()[1]]
        with pytest.raises(CannotServeError, match="are all in use"):
            listen_tcp(resolve("127.0.0.1"), ports, None)


def test_certificates_that_do_not_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    authority = trustme.CA()
    for name in ("one", "two"):
        issued = authority.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    one, two = str(tmp_path / "one.pem"), str(tmp_path / "two.key")
    assert "does not belong to" in refusal(capsys, ".", "--tls", one, two)
    assert "holds no PEM private key" in refusal(capsys, ".", "--tls", one, one)


def test_a_certificate_without_read_permission_is_an_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "x.pem").write_text("x")
    monkeypatch.setattr(Path, "read_bytes", denied)
    path = str(tmp_path / "x.pem")
    assert "cannot be read: Permission denied" in refusal(capsys, ".", "--tls", path, path)


def test_tls(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    assert run(".", "--port", "0", "--tls", str(chain), str(key)) == 0
    assert "https://127.0.0.1:" in capsys.readouterr().out


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"qhttpserver \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert main(["--help"]) == 0
    assert "file.py:name" in capsys.readouterr().out


def test_no_streams_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["nowhere"]) == 2
    assert main(["--version"]) == 0


def run(*arguments: str, code: int = 0) -> int:
    """Run the program in this process until its event loop has run once."""
    app = QCoreApplication.instance()
    assert app is not None
    QTimer.singleShot(0, lambda: app.exit(code))
    return main(arguments)


def test_the_address_is_printed(capsys: pytest.CaptureFixture[str], app_file: Path) -> None:
    assert run(".", "--port", "0") == 0
    assert re.fullmatch(r"Serving \. at http://127\.0\.0\.1:\d+/ - Ctrl-C stops it\.\n", capsys.readouterr().out)
    assert run("--port", "0", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert run("--port", "0", code=3) == 3


def test_a_local_socket_and_a_port(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = str(tmp_path / "s")
    assert run(".", "--local", name, "--port", "0") == 0
    assert re.search(re.escape(name) + r" and http://127\.0\.0\.1:\d+/", capsys.readouterr().out)


def test_a_server_that_refuses_the_socket(capsys: pytest.CaptureFixture[str], app_file: Path) -> None:
    app_file.write_text(APP + "class Wilful(QHttpServer):\n    def bind(self, server):\n        return False\n")
    assert "refused" in refusal(capsys, "myapp.py:Wilful", "--port", "0")


def test_a_server_may_be_deleted_before_the_end(app_file: Path) -> None:
    app_file.write_text(
        APP + "def short_lived():\n"
        "    from PySide6.QtCore import QTimer\n"
        "    from shiboken6 import delete\n"
        "    QTimer.singleShot(0, lambda: delete(server))\n"
        "    return server\n"
    )
    assert run("myapp.py:short_lived", "--port", "0", "--quiet") == 0


def test_it_warns_of_the_network(capsys: pytest.CaptureFixture[str], app_file: Path) -> None:
    assert run("myapp:make", "--port", "0", "--host", "0.0.0.0") == 0
    assert "Every computer" in capsys.readouterr().out


def test_the_next_port_when_the_usual_one_is_taken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("qhttpserver_py.cli._DEFAULT_PORT", port)
        assert run() == 0
    out = capsys.readouterr().out
    assert f"(port {port} is taken)" in out
    assert out.count("\n") == 1


def test_a_server_that_listens_already_is_left_alone(capsys: pytest.CaptureFixture[str], app_file: Path) -> None:
    app_file.write_text(
        APP + "from PySide6.QtNetwork import QTcpServer\n"
        "def bound():\n    tcp = QTcpServer()\n    tcp.listen(port=0)\n"
        "    server.bind(tcp)\n    return server\n"
    )
    assert run("myapp.py:bound") == 0
    assert capsys.readouterr().out.count("http://") == 1


def test_signals_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run("--port", "0", "--quiet") == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_event_loop_runs(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qhttpserver_py.cli._say", lambda _text: signal.raise_signal(number))
    assert main(["--port", "0"]) == 0


def test_log_level(app_file: Path) -> None:
    category = QLoggingCategory("qt.httpserver.security")
    try:
        assert run(".", "--port", "0", "--quiet", "--log-level", "debug") == 0
        assert category.isDebugEnabled()
        assert run(".", "--port", "0", "--quiet", "--log-level", "critical") == 0
        assert not category.isWarningEnabled() and category.isCriticalEnabled()
    finally:
        QLoggingCategory.setFilterRules("")


def request(method: str = "GET", target: str = "/", version: int = 11) -> QHttpServerRequest:
    peer = Peer(QHostAddress("192.0.2.7"), 1, QHostAddress("192.0.2.1"), 80)
    return QHttpServerRequest._make(Message(1, method, target.encode("latin-1"), version, []), peer)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(), '"GET / HTTP/1.1" 200 5 1.5ms'),
        (request("POST", "/a?b", 20), '"POST /a?b HTTP/2" 200 5 1.5ms'),
        # Nothing of a peer's can start a line of its own or steer a terminal.
        (request(target='/"\n\x1b[31m\x9bü\\'), r'"GET /\x22\x0a\x1b[31m\x9b\xfc\\ HTTP/1.1" 200 5 1.5ms'),
    ],
)
def test_access_log(asked: QHttpServerRequest, expected: str) -> None:
    stream = io.StringIO()
    AccessLog(stream)(asked, 200, 5, 0.0015)
    prefix, _, rest = stream.getvalue().partition("] ")
    assert rest == expected + "\n"
    assert re.fullmatch(r"192\.0\.2\.7 - - \[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", prefix)


def test_access_log_goes_on_when_its_reader_has_ended() -> None:
    class Gone(io.StringIO):
        calls = 0

        def write(self, text: str) -> int:
            self.calls += 1
            raise BrokenPipeError

    stream = Gone()
    log = AccessLog(stream)
    log(request(), 200, 0, 0.0)
    log(request(), 200, 0, 0.0)
    assert stream.calls == 1


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("localhost", "http://127.0.0.1:"),
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::1", "http://[::1]:"),
        ("::", "http://[::1]:"),
    ],
)
def test_urls(host: str, url: str) -> None:
    server = QTcpServer()
    if not server.listen(resolve(host), 0):
        pytest.skip(f"no {host} here")
    assert url_of(server).startswith(url)
    server.close()


def test_names_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.9", 0))]
    monkeypatch.setattr(listening.socket, "getaddrinfo", lambda *_a, **_k: found)
    assert resolve("me.example").toString() == "127.0.0.9"


@posix
def test_a_local_socket_left_behind_is_replaced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(path)
    assert run(".", "--local", path) == 0
    assert path in capsys.readouterr().out
    server = QLocalServer()
    assert server.listen(path)
    assert "is in use" in refusal(capsys, ".", "--local", path)
    server.close()
    assert "Cannot listen on the local socket" in refusal(capsys, ".", "--local", str(tmp_path / "no" / "s"))
