"""Freeze a program with PyInstaller, start what came out, and ask it over TLS and HTTP/2.

    pip install pyinstaller trustme "httpx[http2]" && python tests/packaging/frozen.py

Takes a minute, so it is no part of the test run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import trustme

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QHostAddress, QSslServer
from qhttpserver_py import QHttpServer
from qhttpserver_py.static import mount
from qhttpserver_py.tls import server_configuration

app = QCoreApplication(sys.argv)
server, tls = QHttpServer(), QSslServer()
tls.setSslConfiguration(server_configuration(sys.argv[1], sys.argv[2], alpn=sys.argv[4].split(",")))
server.route("/user/<arg>", lambda number: {"user": number})
mount(server, "/files", sys.argv[3])
if not tls.listen(QHostAddress.SpecialAddress.LocalHost) or not server.bind(tls):
    sys.exit(tls.errorString())
print(tls.serverPort(), flush=True)
sys.exit(app.exec())
"""


def freeze(folder: Path) -> Path:
    """Return the executable of a one-folder application."""
    (folder / "app.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--onedir", "--log-level", "WARN"]
    command += ["--paths", str(ROOT), "app.py"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "dist" / "app" / "app"


def ask(executable: Path, folder: Path, protocol: str) -> tuple[str, str, str]:
    """Start the program and return the version of HTTP it spoke, and two replies."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    # Nothing of this computer's Python: what is not in the folder is missing.
    environment = {"PATH": os.environ["PATH"], "QT_QPA_PLATFORM": "offscreen"}
    command = [str(executable), "cert.pem", "key.pem", str(folder / "files"), protocol]
    program = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment)
    with contextlib.closing(httpx.Client(verify=context, http2=protocol == "h2", trust_env=False)) as client:
        try:
            base = f"https://localhost:{int(program.stdout.readline())}"
            user, file = client.get(f"{base}/user/7"), client.get(f"{base}/files/a.js")
            return user.http_version, user.text, f"{file.headers['content-type']} {file.text}"
        finally:
            program.terminate()
            program.wait(10)


def main() -> int:
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "files").mkdir()
        (folder / "files" / "a.js").write_text("1")
        executable = freeze(folder)
        size = sum(path.stat().st_size for path in executable.parent.rglob("*") if path.is_file())
        addons = [path.name for path in executable.parent.rglob("*QtHttpServer*")]
        replies = [ask(executable, folder, protocol) for protocol in ("h2", "http/1.1")]
    finally:
        shutil.rmtree(folder)
    print(f"{size / 1e6:.0f} MB", *replies, sep="\n")
    expected = ('{"user":"7"}', "text/javascript; charset=utf-8 1")
    ok = [reply[0] for reply in replies] == ["HTTP/2", "HTTP/1.1"] and all(reply[1:] == expected for reply in replies)
    print("passed" if ok and not addons else f"FAILED {addons}")
    return 0 if ok and not addons else 1


if __name__ == "__main__":
    sys.exit(main())
