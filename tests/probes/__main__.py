"""Compares our answers to the probes with nginx's: ``python -m tests.probes [--port N] [--all]``."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .ask import RANKS, ask, judge
from .server import running
from .table import PROBES

CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log emerg;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "OK"; }} }}
}}
"""


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def nginx() -> Iterator[int | None]:
    """Run nginx with its default limits; give its port, or None where there is no nginx."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(CONFIGURATION.format(folder=folder, port=port))
        process = subprocess.Popen([program, "-c", str(configuration), "-p", folder])
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def main() -> int:
    """Print the verdicts; 1 if any of ours is worse than nginx's."""
    parser = argparse.ArgumentParser(prog="python -m tests.probes")
    parser.add_argument("--port", type=int, help="also ask a server that runs on this port")
    parser.add_argument("--all", action="store_true", help="print all probes, not only where the servers differ")
    parser.add_argument("--patience", type=float, default=1.0, help="seconds to wait after the last byte")
    options = parser.parse_args()
    totals: dict[str, Counter[str]] = {}
    worse = 0
    with running() as ours, nginx() as theirs:
        ports = {"ours": ours, "nginx": theirs, "other": options.port}
        for probe in PROBES:
            verdicts, cells = {}, []
            for name, port in ports.items():
                if port is not None:
                    answer = ask(port, probe.request, options.patience)
                    verdicts[name] = judge(probe, answer)
                    totals.setdefault(name, Counter())[verdicts[name]] += 1
                    cells.append(f"{name} {verdicts[name]} ({answer})")
            behind = RANKS.index(verdicts["ours"]) > RANKS.index(verdicts.get("nginx", "FAIL"))
            worse += behind
            if options.all or behind or len(set(verdicts.values())) > 1 or verdicts["ours"] == "FAIL":
                print(f"{'WORSE ' if behind else ''}{probe.group}/{probe.name} [{probe.section}]: {', '.join(cells)}")
    for name, total in totals.items():
        print(f"{name}: " + ", ".join(f"{total[rank]} {rank}" for rank in RANKS) + f" of {len(PROBES)}")
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
