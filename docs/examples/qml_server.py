"""A window in QML with a server inside: POST a text to /message and it is shown."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from PySide6.QtGui import QGuiApplication
from PySide6.QtQml import QQmlApplicationEngine

from qhttpserver_py import qml


def load() -> QQmlApplicationEngine:
    """Return an engine with the window."""
    qml.register()
    engine = QQmlApplicationEngine()
    engine.load(Path(__file__).with_suffix(".qml"))
    if not engine.rootObjects():
        raise SystemExit("qml_server.qml cannot be loaded")
    return engine


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QGuiApplication(sys.argv)
    engine = load()
    print(f"Listening on http://127.0.0.1:{engine.rootObjects()[0].property('port')}/message", flush=True)
    sys.exit(app.exec())


if __name__ == "__main__":
    main()
