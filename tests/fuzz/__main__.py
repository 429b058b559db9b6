"""Fuzz one target: ``python -m tests.fuzz TARGET --seconds N [--builtin] [input …]``.

Guided by coverage with atheris where that is installed, else by mutations of our own that keep
what takes a new path through the code. Given inputs are just run: that is how a finding is retried.
An input that fails is written to ``tests/fuzz/corpus/TARGET`` and kept there once its fault is mended.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
NAMES = ("http1", "http2", "http2-windows", "router", "response", "connection", "forms", "websocket")


def seeds(name: str) -> list[bytes]:
    """Return the inputs to begin with: those made here, and past findings."""
    made: list[bytes] = importlib.import_module("tests.fuzz.targets").SEEDS[name]
    return made + [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def with_atheris(name: str, seconds: int) -> None:
    """Fuzz until the time is over, or a fault; does not return."""
    import atheris

    with atheris.instrument_imports(include=["qhttpserver_py"], enable_loader_override=False):
        targets: Any = importlib.import_module("tests.fuzz.targets")
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds(name)):
            Path(folder, str(number)).write_bytes(seed)
        findings = CORPUS / name
        findings.mkdir(parents=True, exist_ok=True)
        limits = (f"-max_total_time={seconds}", "-max_len=2000", f"-artifact_prefix={findings}/", "-verbosity=1")
        atheris.Setup([sys.argv[0], folder, *limits], targets.TARGETS[name])
        atheris.Fuzz()


def builtin(name: str, seconds: float, seed: int = 0) -> int:
    """Fuzz with the mutations of ``mutate.py``; return how many inputs were tried."""
    from .mutate import fuzz
    from .targets import TARGETS

    def found(octets: bytes) -> None:
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        (CORPUS / name / f"crash-{abs(hash(octets)):x}").write_bytes(octets)

    return fuzz(TARGETS[name], seeds(name), seconds, seed, found)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("inputs", nargs="*", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--builtin", action="store_true", help="our own mutations, though atheris is installed")
    options = parser.parse_args()
    if options.inputs:
        target = importlib.import_module("tests.fuzz.targets").TARGETS[options.target]
        for path in options.inputs:
            target(path.read_bytes())
            print(f"{path}: well")
    elif not options.builtin and importlib.util.find_spec("atheris") is not None:
        with_atheris(options.target, options.seconds)
    else:
        tried = builtin(options.target, options.seconds, options.seed)
        print(f"{options.target}: {tried} inputs in {options.seconds} s, no fault")


if __name__ == "__main__":
    main()
