"""What is not run under Wine, and why; and the part that is worth most."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A fault of Wine: the tests that show it (beginnings of their names), and the program that shows it without us."""

    reason: str
    proof: str  # a file in tests/windows/proofs; it needs PySide6 and the standard library alone
    tests: tuple[str, ...]


WINE_FAULTS: tuple[Fault, ...] = ()

_RUST = "needs pydantic or cryptography, whose parts in Rust Wine 8 does not load"
_WHEEL = "compares with the wheel in a process of its own, and Wine 8 runs only PySide6 6.8"
_POSIX = "starts POSIX programs"

LEFT_OUT = {
    "tests/differential/test_differential.py": _WHEEL,
    "tests/differential/test_http2.py": _WHEEL,
    "tests/project/test_packaging.py": "builds wheels, which needs a virtual environment",
    "tests/project/test_typing.py": "runs mypy and pyright, which are no Windows programs here",
    "tests/project/test_stub.py": _WHEEL,
    "tests/documentation/test_docs.py": "runs Sphinx",
    "tests/live/test_chromium.py": _POSIX,
    "tests/live/test_chromium_http2.py": _POSIX,
    "tests/live/test_fastapi_docs.py": _POSIX,
    "tests/asgi/test_frameworks.py": _RUST,
    "tests/asgi/test_loops.py": _RUST,
    "tests/documentation/test_framework_examples.py": _RUST,
    "tests/transport/test_tls.py": _RUST,
    "tests/transport/test_stream_deadlines.py": "measures the process by the module resource, which is POSIX's",
    "tests/benchmarks/test_targets.py": "the benchmarks measure by the module resource, which is POSIX's",
    "tests/project/test_layering.py": "reads the source, which is the same everywhere",
    "tests/windows/test_runner.py": "starts Wine itself",
    "tests/soak/test_soak.py": "reads /proc",
    "tests/benchmarks/test_budget.py": "counts calls, which are the same everywhere",
}

QUICK = [
    "tests/transport/test_sockets.py",
    "tests/test_qabstracthttpserver.py",
    "tests/test_qhttpserver.py",
    "tests/protocol/http1/test_engine.py",
    "tests/routing/test_table.py",
    "tests/exchange/test_streams.py",
    "tests/static/test_static.py",
    "tests/static/test_exchanged.py",
    "tests/static/test_paths.py",
    "tests/cli/test_recognise.py",
]
