"""What type checkers say to programs that use the package: nothing to good ones, and the line to bad ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "typing"
FILES = sorted(FOLDER.glob("*.py"))
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))

Found = dict[tuple[str, int], str]


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)], capture_output=True, text=True, cwd=ROOT, check=False, timeout=170
    )


def mypy(cache: Path) -> Found:
    done = run("mypy", "--strict", "--no-error-summary", "--output=json", f"--cache-dir={cache}", *FILES, *EXAMPLES)
    assert done.stderr == ""
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        (Path(report["file"]).name, report["line"]): report["message"]
        for report in reports
        if report["severity"] == "error"
    }


def pyright(_cache: Path) -> Found:
    done = run("pyright", "--outputjson", "--pythonpath", sys.executable, *FILES, *EXAMPLES)
    reports = json.loads(done.stdout)["generalDiagnostics"]
    return {
        (Path(report["file"]).name, report["range"]["start"]["line"] + 1): report["message"]
        for report in reports
        if report["severity"] == "error"
    }


def expected() -> set[tuple[str, int]]:
    return {
        (path.name, number)
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "# error: " in line
    }


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_programs(checker: Callable[[Path], Found], tmp_path: Path) -> None:
    found = checker(tmp_path)
    assert {place: text for place, text in found.items() if place not in expected()} == {}, "complained of good code"
    assert expected() - set(found) == set(), "let mistakes pass"
