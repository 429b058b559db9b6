"""The parts of python -m tests.windows that need no Wine."""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("the runner itself runs outside of Wine", allow_module_level=True)

from tests.windows import environment, plugin, skips
from tests.windows.__main__ import arguments
from tests.windows.processes import TIMED_OUT, marked, process_table, run
from tests.windows.totals import complaints, sentence, share_run, totals_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (0, "..\n3 passed in 0.10s", {"passed": 3}),
        (1, "1 failed, 2 passed, 1 error in 0.10s", {"failed": 1, "passed": 2, "error": 1}),
        (1, "2 passed, 3 errors in 1.10s", {"passed": 2, "error": 3}),
        (0, "2 passed, 1 skipped, 1 xfailed in 61.00s (0:01:01)", {"passed": 2, "skipped": 1, "xfailed": 1}),
        (5, "no tests ran in 0.01s", {}),
        (5, "1 deselected in 0.01s", {}),
        (5, "1 skipped in 0.01s", {"skipped": 1}),
        # A crash after the totals, at the interpreter's end.
        (3, "3 passed in 0.10s", {"passed": 3, "crashed": 1}),
        (139, "3 passed in 0.10s", {"passed": 3, "crashed": 1}),
        (TIMED_OUT, "3 passed in 0.10s\nended after 300 seconds", {"passed": 3, "crashed": 1}),
        # A crash before them; pytest-timeout ends a process by code 1.
        (1, "+++ Timeout +++", {"crashed": 1}),
        (0, "", {"crashed": 1}),
        (4, "ERROR: file or directory not found", {"crashed": 1}),
        (2, "1 error in 0.10s\n!!! Interrupted !!!", {"error": 1, "crashed": 1}),
    ],
)
def test_totals_are_read_and_every_other_end_is_a_crash(code: int, output: str, expected: dict[str, int]) -> None:
    assert dict(totals_of(code, output)) == expected


def test_error_and_errors_are_one_sum() -> None:
    sums = totals_of(1, "1 error in 0.1s") + totals_of(1, "2 errors in 0.1s")
    assert sentence(sums) == "3 error"


def test_the_share_that_ran_counts_skips_and_errors_against_it() -> None:
    assert share_run(totals_of(1, "8 passed, 1 failed, 1 skipped in 1.0s")) == pytest.approx(0.9)
    assert share_run(totals_of(5, "no tests ran in 0.1s")) == 0


def test_complaints_are_the_lines_that_failed_or_else_the_end() -> None:
    assert complaints("a\nFAILED one\nE   two\nb") == "FAILED one\nE   two"
    assert complaints("x" * 5000, 10) == "x" * 10


def test_own_options_files_and_pytest_options_are_told_apart() -> None:
    own, named, options = arguments(["--quick", "-k", "name", "tests/a/test_b.py", "-x", "tests/c.py::test_d"])
    assert own.quick
    assert not own.if_there
    assert named == ["tests/a/test_b.py", "tests/c.py::test_d"]
    assert options == ["-k", "name", "-x"]


def test_requirements_come_from_the_projects_metadata() -> None:
    wanted = environment.requirements((ROOT / "pyproject.toml").read_text())
    names = {environment.Requirement(one).name.lower() for one in wanted}
    assert {"h2", "hpack", "httptools", "websockets", "multipart", "a2wsgi", "pytest-qt", "colorama"} <= names
    assert not names & {"pyside6-essentials", "pyside6-addons", "trustme", "mypy", "uvloop"}


def test_a_new_requirement_makes_the_environment_old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / environment._READY).write_text(environment.json.dumps(environment.recipe()))
    assert environment.is_ready(tmp_path)
    monkeypatch.setattr(environment, "_WINDOWS_ONLY", ("colorama", "another"))
    assert not environment.is_ready(tmp_path)


def test_only_an_environment_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(FileExistsError, match="is not an environment"):
        environment.clear(tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    (tmp_path / environment._READY).write_text('"unfinished"')
    environment.clear(tmp_path)
    assert not tmp_path.exists()


def test_qt_finds_the_openssl_of_python(tmp_path: Path) -> None:
    (tmp_path / "libssl-3.dll").write_text("ssl")
    environment.link_openssl(tmp_path)
    assert (tmp_path / "libssl-3-x64.dll").read_text() == "ssl"
    assert not (tmp_path / "libcrypto-3-x64.dll").exists()


def test_the_environment_is_built_once_and_under_a_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, built = tmp_path / "windows", []

    def build(where: Path) -> None:
        with (tmp_path / "windows.lock").open("w") as other, pytest.raises(BlockingIOError):
            environment.fcntl.flock(other, environment.fcntl.LOCK_EX | environment.fcntl.LOCK_NB)
        where.mkdir()
        (where / environment._READY).write_text(environment.json.dumps(environment.recipe()))
        built.append(where)

    monkeypatch.setattr(environment, "build", build)
    for _ in range(2):
        with environment.held(home), (tmp_path / "windows.lock").open("w") as other:
            with pytest.raises(BlockingIOError):  # nobody builds it anew now,
                environment.fcntl.flock(other, environment.fcntl.LOCK_EX | environment.fcntl.LOCK_NB)
            # but others may use it.
            environment.fcntl.flock(other, environment.fcntl.LOCK_SH | environment.fcntl.LOCK_NB)
    assert built == [home]


def test_a_timeout_ends_all_that_was_started(tmp_path: Path) -> None:
    # A child in a session of its own, which no signal to the group would reach; it holds the pipe.
    child = "subprocess.Popen(['sleep', '60'], start_new_session=True)"
    script = f"import subprocess, time; print({child}.pid); time.sleep(60)"
    before = time.monotonic()
    code, output = run([sys.executable, "-u", "-c", script], environment={}, folder=tmp_path, seconds=2)
    assert time.monotonic() - before < 30
    assert code == TIMED_OUT
    assert "ended after 2 seconds" in output
    assert _ends(int(output.split()[0]))


def test_what_a_program_left_running_is_ended(tmp_path: Path) -> None:
    script = (
        "import subprocess; n = subprocess.DEVNULL; print(subprocess.Popen(['sleep', '60'], stdout=n, stderr=n).pid)"
    )
    code, output = run([sys.executable, "-c", script], environment={}, folder=tmp_path, seconds=30)
    assert code == 0
    assert _ends(int(output))


def test_wines_own_processes_are_left_alone() -> None:
    mark = b"A=b\0QHTTPSERVER_WINDOWS_RUN=m\0"
    table = {
        1: (b"/usr/lib/wine/wineserver64\0-p0", mark),
        2: (b"C:\\windows\\system32\\services.exe", mark),
        3: (b"/home/python.exe\0-m\0pytest", mark),
        4: (b"/home/python.exe\0-m\0pytest", b"QHTTPSERVER_WINDOWS_RUN=mm\0"),
    }
    assert marked("m", table) == [3]
    assert os.getpid() in process_table()


def test_the_lists_name_files_that_are_there() -> None:
    listed = [*skips.LEFT_OUT, *skips.QUICK]
    for fault in skips.WINE_FAULTS:
        listed += [test.partition("::")[0] for test in fault.tests] + [f"tests/windows/proofs/{fault.proof}"]
    assert [file for file in listed if not (ROOT / file).is_file()] == []
    assert not set(skips.LEFT_OUT) & set(skips.QUICK)


def test_a_fault_of_wine_skips_its_tests_with_reason_and_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = skips.Fault("it does not", "proof.py", ("tests/a/test_b.py::test_c",))
    monkeypatch.setattr(plugin, "WINE_FAULTS", (fault,))
    assert plugin.fault_of("tests/a/test_b.py::test_c[x]") == "Wine: it does not (tests/windows/proofs/proof.py)"
    assert plugin.fault_of("tests/a/test_b.py::test_d") is None


def _ends(number: int) -> bool:
    """Return whether a process has ended, or does soon: a signal takes its time."""
    try:
        descriptor = os.pidfd_open(number)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)
