"""Starts the portable application on the wheel and on ours, each in its own process."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import PySide6
import pytest
import trustme

from .cases import Case
from .cases_answers import CASES as ANSWERS
from .cases_answers import FILES
from .cases_connection import CASES as CONNECTIONS
from .cases_malformed import CASES as MALFORMED
from .cases_requests import CASES as REQUESTS
from .exchange import Address, Outcome, play_all
from .http2 import STREAMS, Answer, play_streams

APPLICATION = Path(__file__).parent / "app.py"
CASES: list[Case] = [*ANSWERS, *REQUESTS, *CONNECTIONS, *MALFORMED]


class Pair(NamedTuple):
    wheel: Outcome
    ours: Outcome


class Played(NamedTuple):
    """All that one side sent, by label."""

    outcomes: dict[str, Outcome]
    answers: dict[str, Answer]


class Application:
    """The portable application in a process of its own; ends when its standard input is closed."""

    def __init__(self, side: str, files: Path) -> None:
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        self.errors = (files.parent / f"{side}.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", str(APPLICATION), side, str(files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
        )

    def addresses(self) -> dict[str, Address]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the application did not start: {self.log()}"
        ready = json.loads(line)
        ports: dict[str, Address] = {name: ("127.0.0.1", port) for name, port in ready["ports"].items()}
        return {**ports, "local": ready["local"]}

    def log(self) -> str:
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def stop(self) -> int:
        self.process.communicate(timeout=20)
        self.errors.close()
        return self.process.returncode


def write_certificate(directory: Path) -> None:
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    (directory / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (directory / "key.pem").write_bytes(issued.private_key_pem.bytes())


def write_files(directory: Path) -> Path:
    directory.mkdir()
    (directory / "directory").mkdir()
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    return directory


def supported(addresses: dict[str, Address]) -> dict[str, Address]:
    """Without the profiles whose settings this PySide6 does not have."""
    if PySide6.__version_info__[:2] >= (6, 12):
        return addresses
    return {name: value for name, value in addresses.items() if name not in ("connections", "per-host")}


def play_everything(addresses: dict[str, Address]) -> Played:
    return Played(play_all(CASES, addresses), play_streams(STREAMS, addresses))


@pytest.fixture(scope="session")
def sides(tmp_path_factory: pytest.TempPathFactory) -> list[Played]:
    """What the wheel and ours sent for every case, by label; played once for the whole session."""
    # Looked for, not imported: install() refuses to run beside the real module.
    if importlib.util.find_spec("PySide6.QtHttpServer") is None:
        pytest.skip("PySide6.QtHttpServer, to compare with, is not installed")
    files = write_files(tmp_path_factory.mktemp("differential") / "files")
    write_certificate(files.parent)
    applications = [Application("wheel", files), Application("ours", files)]
    try:
        addresses = [supported(application.addresses()) for application in applications]
        with ThreadPoolExecutor(len(addresses)) as pool:
            played = list(pool.map(play_everything, addresses))
    finally:
        codes = [application.stop() for application in applications]
    assert codes == [0, 0]
    return played


@pytest.fixture(scope="session")
def outcomes(sides: list[Played]) -> dict[str, Pair]:
    """Both sides' outcomes by label, ours without its date fields."""
    wheel, ours = (side.outcomes for side in sides)
    return {label: Pair(wheel[label].compared(), ours[label].compared()) for label in wheel}


@pytest.fixture(scope="session")
def streams(sides: list[Played]) -> dict[str, tuple[Answer, Answer]]:
    """What both sides answered over HTTP/2 by label, ours without its date fields."""
    wheel, ours = (side.answers for side in sides)
    return {label: (wheel[label].compared(), ours[label].compared()) for label in wheel}


@pytest.fixture(scope="session")
def dated(sides: list[Played]) -> dict[str, bytes]:
    """All octets of ours, dates included."""
    return {label: outcome.data for label, outcome in sides[1].outcomes.items()}
