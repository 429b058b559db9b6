"""Runs the tests in a Windows CPython under Wine: python -m tests.windows [--quick] [--if-there] [pytest arguments]

Builds the environment once, from Debian's wine and PyPI's packages, outside of the checkout, and runs test files one by
one, two at a time: a crash costs a file. Ends with pytest's totals.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from .environment import HOME, ROOT, held, python, wine
from .skips import LEFT_OUT, QUICK
from .totals import BAD, complaints, sentence, share_run, totals_of

_TOGETHER = 2


def run_file(file: str, options: list[str]) -> tuple[str, Counter[str], str]:
    """Run one test file; return its totals and what it printed."""
    command = ("-u", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.windows.plugin", "--timeout=60")
    code, output = wine(HOME, str(python(HOME)), *command, file, *options)
    return file, totals_of(code, output), output


def run_files(files: list[str], options: list[str]) -> int:
    """Run test files, print what became of each and the sum; return 1 if a test failed."""
    sums: Counter[str] = Counter()
    with ThreadPoolExecutor(_TOGETHER) as pool:
        for file, totals, output in pool.map(lambda one: run_file(one, options), files):
            sums.update(totals)
            print(f"{file}: {sentence(totals)}", flush=True)
            if any(totals[word] for word in BAD):
                print(complaints(output), flush=True)
    print(f"{sentence(sums)} under Windows; {share_run(sums):.1%} of the tests ran")
    return int(any(sums[word] for word in BAD))


def arguments(words: list[str]) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Return our own options, the test files named, and what is passed on to pytest."""
    parser = argparse.ArgumentParser(prog="python -m tests.windows", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="the part that is worth most")
    parser.add_argument("--if-there", action="store_true", help="succeed where Wine or the packages cannot be had")
    own, rest = parser.parse_known_args(words)
    named = [word for word in rest if word.partition("::")[0].endswith(".py")]
    return own, named, [word for word in rest if word not in named]


def main() -> int:
    own, named, options = arguments(sys.argv[1:])
    excuse = 0 if own.if_there else 2
    if shutil.which("wine") is None:
        print("Wine is not installed: apt-get install wine wine64")
        return excuse
    every = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py"))
    files = named or [one for one in (QUICK if own.quick else every) if one not in LEFT_OUT]
    if not named and not own.quick:
        for file, reason in LEFT_OUT.items():
            print(f"left out: {file}: {reason}")
    try:
        with held(HOME):
            return run_files(files, options)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the Windows environment could not be built: {error}")
        return excuse


if __name__ == "__main__":
    sys.exit(main())
