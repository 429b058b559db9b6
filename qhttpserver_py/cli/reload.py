"""Restarts the program when one of its files changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QFileSystemWatcher, QObject, QTimer

_LIMIT = 1000
"""Files that are watched, those nearest to the directory first; systems allow some thousands."""

_DELAY_MS = 200  # an editor may write a file in several steps


class Reloader(QObject):
    """Watches the Python files below a directory; calls back once when one has changed."""

    def __init__(self, directory: Path, changed: Callable[[str], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._changed = changed
        self._file = ""
        self._watcher = QFileSystemWatcher(self)
        self._watcher.addPaths([str(path) for path in sorted(_sources(directory), key=_depth)[:_LIMIT]])
        self._watcher.fileChanged.connect(self._note)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._tell)

    def _note(self, file: str) -> None:
        self._file = file
        self._timer.start()

    def _tell(self) -> None:
        self._changed(self._file)


def _sources(directory: Path) -> Iterator[Path]:
    """Return the Python files below *directory*, without hidden folders and installed packages."""
    for path in directory.rglob("*.py"):
        folders = path.relative_to(directory).parts[:-1]
        if not any(name.startswith(".") or name == "site-packages" for name in folders):
            yield path


def _depth(path: Path) -> tuple[int, Path]:
    return len(path.parts), path


def restart() -> None:
    """Run this program again with the same arguments, in place of this one; on Windows as a new process."""
    command = [sys.executable, *sys.orig_argv[1:]]
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(sys.executable, command)  # noqa: S606 - the program itself
    subprocess.Popen(command)  # noqa: S603
    app = QCoreApplication.instance()
    if app is not None:
        app.quit()
