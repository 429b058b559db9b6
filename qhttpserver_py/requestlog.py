"""A live view of requests: a model of the last ones, for any QTableView. Not in Qt.

::

    model = RequestLogModel(server)
    view = QTableView()
    view.setModel(model)
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from shiboken6 import isValid

from qhttpserver_py._serving.access_log import printable, request_line

if TYPE_CHECKING:
    from qhttpserver_py.qabstracthttpserver import QAbstractHttpServer
    from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

__all__ = ["RequestEntry", "RequestLogModel"]

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
_LEFT = 499
_SHOWN = 500  # characters of a target


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """One answered request.

    ``time`` is in seconds since the epoch and ``duration`` in seconds, both taken when the reply was
    complete; ``size`` is in bytes of body. A ``status`` of 499 means that the client left before.
    ``path`` has its query, percent-encoded as it came.

    Not in Qt.
    """

    time: float
    method: str
    path: str
    status: int
    duration: float
    size: int
    peer: str
    request_line: str


class RequestLogModel(QAbstractTableModel):
    """The last requests that a server answered, the newest in the last row.

    A request appears when its reply is complete. ``Qt.ItemDataRole.UserRole`` gives the values a
    QSortFilterProxyModel can sort by. Watching costs each request some microseconds.

    Args:
        server: whose requests to show. It keeps no reference to the model.
        limit: how many rows are kept; beyond that the oldest are removed.
        parent: the model's parent; *server* where left out.

    Raises:
        ValueError: *limit* is not positive.

    Belongs to the server's thread. Not in Qt.
    """

    class Column(IntEnum):
        """What the columns show. Not in Qt."""

        Time = 0
        Method = 1
        Path = 2
        Status = 3
        Duration = 4
        Size = 5

    def __init__(self, server: QAbstractHttpServer, limit: int = 1000, parent: QObject | None = None) -> None:
        if limit < 1:
            raise ValueError(f"limit must be positive, not {limit}")
        super().__init__(server if parent is None else parent)
        self._rows: deque[RequestEntry] = deque()
        self._limit = limit
        self._server = weakref.ref(server)
        self._observer = _observer(weakref.WeakMethod(self._add), weakref.ref(self), server)
        server._answers.observers.append(self._observer)

    def entry(self, row: int, /) -> RequestEntry:
        """Return what row *row* shows; raises IndexError where there is no such row. Not in Qt."""
        if row < 0:
            raise IndexError(row)
        return self._rows[row]

    def clear(self) -> None:
        """Forget all rows. Not in Qt."""
        self.beginResetModel()
        self._rows.clear()
        self.endResetModel()

    def detach(self) -> None:
        """Stop watching; the rows stay. Calling it again is harmless. Not in Qt."""
        server = self._server()
        if server is not None and self._observer in server._answers.observers:
            server._answers.observers.remove(self._observer)

    # ---- the model

    def rowCount(self, parent: Index = _ROOT, /) -> int:
        """Return the number of requests. Qt: QAbstractItemModel::rowCount."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _ROOT, /) -> int:
        """Return the number of columns, 6. Qt: QAbstractItemModel::columnCount."""
        return 0 if parent.isValid() else len(self.Column)

    def headerData(self, section: int, orientation: Qt.Orientation, /, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the titles of the columns. Qt: QAbstractItemModel::headerData."""
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return self.Column(section).name if 0 <= section < len(self.Column) else None

    def data(self, index: Index, /, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return text, tool tip, alignment or (UserRole) the value. Qt: QAbstractItemModel::data."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        entry, column = self._rows[index.row()], self.Column(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(entry, column)
        if role == Qt.ItemDataRole.UserRole:
            return getattr(entry, column.name.lower())
        if role == Qt.ItemDataRole.ToolTipRole:
            return _plain(f"{entry.request_line}\nfrom {entry.peer}: {_phrase(entry.status)}")
        if role == Qt.ItemDataRole.TextAlignmentRole and column >= self.Column.Status:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    # ---- from the server

    def _add(self, request: QHttpServerRequest, status: int, size: int, seconds: float) -> None:
        message = request._message
        entry = RequestEntry(
            time=time.time(),
            method=message.method,
            path=printable(message.target[:_SHOWN]),
            status=status,
            duration=seconds,
            size=size,
            peer=request.remoteAddress().toString(),
            request_line=request_line(request)[:_SHOWN],
        )
        if len(self._rows) >= self._limit:
            self.beginRemoveRows(_ROOT, 0, 0)
            self._rows.popleft()
            self.endRemoveRows()
        row = len(self._rows)
        self.beginInsertRows(_ROOT, row, row)
        self._rows.append(entry)
        self.endInsertRows()


def _observer(add: weakref.WeakMethod[Any], model: weakref.ref[RequestLogModel], server: QAbstractHttpServer) -> Any:
    """Return an observer that removes itself when the model is deleted, in Python or in C++."""
    observers = server._answers.observers

    def observe(request: QHttpServerRequest, status: int, size: int, seconds: float) -> None:
        alive, call = model(), add()
        if alive is None or call is None or not isValid(alive):
            observers.remove(observe)
            return
        call(request, status, size, seconds)

    return observe


def _text(entry: RequestEntry, column: RequestLogModel.Column) -> str:
    columns = RequestLogModel.Column
    if column is columns.Time:
        return time.strftime("%H:%M:%S", time.localtime(entry.time))
    if column is columns.Duration:
        return f"{entry.duration * 1000:.1f} ms"
    if column is columns.Size:
        return _bytes(entry.size)
    return str(getattr(entry, column.name.lower()))


def _bytes(size: int) -> str:
    for unit, factor in (("MB", 1_000_000), ("kB", 1000)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def _plain(text: str) -> str:
    """Return *text* so that a tool tip shows it as it is: it is a peer's, and Qt interprets a tag as HTML."""
    return text.replace("<", "\u2039")


def _phrase(status: int) -> str:
    if status == _LEFT:
        return "the client left"
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
