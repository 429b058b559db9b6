"""RequestLogModel: what its rows say, its bound, its life, and Qt's own check of models."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import QModelIndex, QObject, QSortFilterProxyModel, Qt
from PySide6.QtTest import QAbstractItemModelTester

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py._protocol.engine import Message
from qhttpserver_py.qhttpserverrequest import _NO_PEER
from qhttpserver_py.requestlog import RequestLogModel

from .support import rawclient
from .support.rawclient import bound

pytestmark = pytest.mark.usefixtures("qapp")
Column = RequestLogModel.Column


@pytest.fixture
def server() -> Iterator[QHttpServer]:
    server = QHttpServer()
    server.route("/text", lambda: "hello")
    server.route("/missing/<arg>", lambda number: 404)
    yield server
    server.close()


def request(target: str, method: str = "GET") -> QHttpServerRequest:
    return QHttpServerRequest._make(Message(0, method, target.encode(), 11, []), _NO_PEER)


def texts(model: RequestLogModel, row: int) -> list[Any]:
    return [model.data(model.index(row, column)) for column in Column]


@pytest.fixture
def model(server: QHttpServer) -> RequestLogModel:
    model = RequestLogModel(server, limit=3)
    model.checked = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)  # type: ignore[attr-defined]
    return model


def test_over_a_socket(server: QHttpServer, model: RequestLogModel) -> None:
    port = bound(server)
    before = time.time()
    assert rawclient.ask(server.serverPorts()[0], "/text?a=%20").status == 200
    assert rawclient.ask(port, "/missing/7").status == 404
    assert rawclient.ask(port, "/nobody", method="POST", body=b"x").status == 404
    assert [texts(model, row)[1:4] for row in range(model.rowCount())] == [
        ["GET", "/text?a=%20", "200"],
        ["GET", "/missing/7", "404"],
        ["POST", "/nobody", "404"],
    ]
    entry = model.entry(0)
    assert before <= entry.time <= time.time()
    assert (entry.size, entry.peer) == (5, "127.0.0.1")
    assert 0 <= entry.duration < 5


@pytest.mark.parametrize(
    ("status", "size", "seconds", "shown"),
    [
        (200, 0, 0.0, ["200", "0.0 ms", "0 B"]),
        (404, 999, 0.00126, ["404", "1.3 ms", "999 B"]),
        (499, 1500, 2.0, ["499", "2000.0 ms", "1.5 kB"]),
        (777, 12_345_678, 0.01, ["777", "10.0 ms", "12.3 MB"]),
    ],
)
def test_text(model: RequestLogModel, status: int, size: int, seconds: float, shown: list[str]) -> None:
    model._add(request("/x"), status, size, seconds)
    assert texts(model, 0)[3:] == shown
    values = [model.data(model.index(0, column), Qt.ItemDataRole.UserRole) for column in Column]
    assert values[3:] == [status, seconds, size]


@pytest.mark.parametrize(
    ("status", "tip"), [(200, "200 OK"), (499, "the client left"), (599, "599")], ids=["ok", "left", "unnamed"]
)
def test_tool_tip(model: RequestLogModel, status: int, tip: str) -> None:
    model._add(request("/x"), status, 0, 0)
    text = model.data(model.index(0, 2), Qt.ItemDataRole.ToolTipRole)
    assert text.startswith("GET /x HTTP/1.1")
    assert text.endswith(tip)


def test_a_hostile_target_is_made_safe(model: RequestLogModel) -> None:
    model._add(request("/\x1b[31m\n" + "a" * 10_000), 400, 0, 0)
    path = model.entry(0).path
    assert path.startswith("/\\x1b[31m\\x0a")
    assert len(path) < 600


def test_roles_and_headers(model: RequestLogModel) -> None:
    model._add(request("/x"), 200, 0, 0)
    across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
    assert [model.headerData(n, across) for n in range(7)] == [*(column.name for column in Column), None]
    assert model.headerData(0, down) is None
    assert model.headerData(0, across, Qt.ItemDataRole.ToolTipRole) is None
    right = Qt.ItemDataRole.TextAlignmentRole
    assert [bool(model.data(model.index(0, column), right)) for column in Column] == [False] * 3 + [True] * 3
    assert model.data(QModelIndex()) is None
    assert model.data(model.index(0, 0), Qt.ItemDataRole.DecorationRole) is None
    child = model.index(0, 0)
    assert (model.rowCount(child), model.columnCount(child)) == (0, 0)


def test_bound_clear_and_sorting(model: RequestLogModel) -> None:
    proxy = QSortFilterProxyModel()
    proxy.setSourceModel(model)
    proxy.setSortRole(Qt.ItemDataRole.UserRole)
    for number in range(10):
        model._add(request(f"/{number}"), 200, 100 * (number % 4), 0)
    assert [model.entry(row).path for row in range(model.rowCount())] == ["/7", "/8", "/9"]
    proxy.sort(Column.Size)
    assert [proxy.index(row, Column.Path).data() for row in range(3)] == ["/8", "/9", "/7"]
    model.clear()
    assert model.rowCount() == proxy.rowCount() == 0
    for row in (0, -1):
        with pytest.raises(IndexError):
            model.entry(row)


def test_detach(server: QHttpServer, model: RequestLogModel) -> None:
    model.detach()
    model.detach()
    assert server._answers.observers == []


def test_a_limit_that_is_none(server: QHttpServer) -> None:
    with pytest.raises(ValueError, match="positive"):
        RequestLogModel(server, limit=0)


def test_the_server_does_not_keep_it(server: QHttpServer) -> None:
    holder = QObject()
    model = RequestLogModel(server, parent=holder)
    gone = weakref.ref(model)
    del model
    shiboken6.delete(holder)
    gc.collect()
    assert gone() is None
    server._answers.observe(request("/x"), 200, 0, 0.0)
    assert server._answers.observers == []


def test_deleted_by_qt(server: QHttpServer) -> None:
    model = RequestLogModel(server)
    shiboken6.delete(model)
    server._answers.observe(request("/x"), 200, 0, 0.0)
    assert server._answers.observers == []


def test_outlives_its_server(server: QHttpServer) -> None:
    own, holder = QHttpServer(), QObject()
    model = RequestLogModel(own, parent=holder)
    del own
    gc.collect()
    model.detach()
    assert model.rowCount() == 0


def test_a_tool_tip_holds_no_tag_of_the_peers() -> None:
    from qhttpserver_py.requestlog import _plain

    assert "<" not in _plain("GET /<img src=x> HTTP/1.1")
