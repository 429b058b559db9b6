"""Draw docs/images/fastapi.png: the window of docs/examples/fastapi_window.py, after three requests.

QT_QPA_PLATFORM=offscreen python docs/_ext/window_picture.py
"""

import runpy
import sys
import threading
from pathlib import Path

import httpx
from PySide6.QtWidgets import QApplication

from qhttpserver_py import aio

DOCS = Path(__file__).parents[1]


def ask(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client:
        client.get("/state").raise_for_status()
        client.put("/state", json={"level": 60, "note": "set by PUT /state"}).raise_for_status()
        client.post("/level/12").raise_for_status()


def main(target: Path) -> None:
    app = QApplication.instance() or QApplication([])
    window = runpy.run_path(str(DOCS / "examples" / "fastapi_window.py"))["Window"](8000)
    window.resize(460, 110)
    window.show()
    thread = threading.Thread(target=ask, args=[8000])
    thread.start()
    while thread.is_alive() or not window.note.text():
        app.processEvents()
    assert window.grab().save(str(target))
    window.server.close()
    aio.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "images" / "fastapi.png")
