"""Static files: a directory, or Qt resources, served safely.

::

    mount(server, "/ui", "web")                              # everything below /ui/
    server.route("/static/<arg>", StaticFiles("static"))     # the same as a plain route
    server.setMissingHandler(server, StaticFiles("web").serve)  # whatever no route answers
    server.route("/report", lambda: attachment("out/7.pdf", "Report.pdf"))  # one file, to be saved

Not in Qt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py._content.conditional import Decision, Representation, decide, field
from qhttpserver_py._content.files import REASONS, OpenedFile, content_range, selected
from qhttpserver_py._content.validators import validator_fields
from qhttpserver_py._protocol.path import sent_path
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
from qhttpserver_py.static.downloads import attachment, content_disposition
from qhttpserver_py.static.listing import render
from qhttpserver_py.static.paths import is_hidden, join_url, split_path, target_query
from qhttpserver_py.static.stores import Folder, Place, Resources, Store
from qhttpserver_py.static.types import content_type

if TYPE_CHECKING:
    from qhttpserver_py.qhttpserver import QHttpServer

__all__ = ["StaticFiles", "attachment", "content_disposition", "mount"]

StaticHandler = Callable[[QHttpServerRequest, QHttpServerResponder], None]

_LISTING_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class StaticFiles:
    """Serves the files below a directory; usable as a route's handler and as missing handler.

    GET and HEAD; conditional requests by a strong ``ETag`` (time and size) and ``Last-Modified``;
    single byte ranges; long files are streamed. Nothing outside *directory* can be reached, whatever
    the request says: ``..`` in any spelling, encoded slashes, backslashes, links that lead out.

    Args:
        directory: a directory, or a Qt resource path that starts with ``:/``. It must exist.
        index: the file that stands for a directory, e.g. ``"index.html"``; empty for none.
        listing: answer a directory without *index* with a list of its entries, instead of 404.
        spa: answer paths that name no file, where the client wants HTML, with the top *index*: for
            single-page applications that do their own routing.
        hidden: serve and list names that start with a dot. ``.well-known`` is always served.
        cache_control: value of ``Cache-Control`` on files; empty for no such header.

    Raises:
        NotADirectoryError: *directory* is not a directory.

    Threads: use it in the server's thread only.

    Not in Qt.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        index: str = "index.html",
        listing: bool = True,
        spa: bool = False,
        hidden: bool = False,
        cache_control: str = "",
    ) -> None:
        path = os.fspath(directory)
        self._store: Store = Resources(path) if path.startswith(":/") else Folder(path)
        root = self._store.locate([])
        if root is None or not root.is_directory:
            raise NotADirectoryError(f"{path!r} is not a directory")
        self._index = index
        self._listing = listing
        self._spa = spa
        self._hidden = hidden
        self._cache_control = cache_control

    def __call__(self, path: QUrl, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        """Answer a request of a route whose last placeholder, *path*, takes the rest of the path.

        Not in Qt.
        """
        # Only the number of captured segments is used: QUrl would read "#" and "%" in names anew.
        captured = path.toString(QUrl.ComponentFormattingOption.FullyEncoded).count("/") + 1
        self._answer(request, responder, -captured)

    def serve(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        """Answer a request with the file its whole path names. Fits ``QHttpServer.setMissingHandler``.

        Not in Qt.
        """
        self._answer(request, responder, 0)

    def below(self, skipped: int) -> StaticHandler:
        """Return a handler that leaves the first *skipped* segments of the path out.

        Not in Qt.
        """

        def handler(request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
            self._answer(request, responder, skipped)

        return handler

    def _answer(self, request: QHttpServerRequest, responder: QHttpServerResponder, start: int) -> None:
        message = request._message
        if message.method not in {"GET", "HEAD"}:
            return _refuse(responder, 405, [("allow", "GET, HEAD")])
        segments = split_path(sent_path(message.target, message.method))
        if segments is None:
            return _refuse(responder, 404)
        place = self._locate(segments[start:])
        if place is None:
            return self._fall_back(request, responder)
        if not place.is_directory:
            return self._send(request, responder, place)
        if segments[-1]:
            where = join_url([*segments, ""]) + target_query(message.target)
            return _refuse(responder, 301, [("location", where)])
        return self._send_directory(request, responder, place, segments)

    def _locate(self, segments: list[str]) -> Place | None:
        wants_directory = not segments or not segments[-1]
        place = self._store.locate([segment for segment in segments if segment])
        if place is None or (wants_directory and not place.is_directory):
            return None
        # The resolved names are checked, so that a link, or a short name on Windows, does not reveal a hidden file.
        if not self._hidden and any(map(is_hidden, (*segments, *place.names))):
            return None
        return place

    def _fall_back(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        accepted = field(request._message.headers, b"accept") or ""
        index = self._locate([self._index]) if self._spa and "text/html" in accepted else None
        # A cache has to know what the answer depends on (RFC 9110 12.5.5).
        depends = [("vary", "accept")] if self._spa else []
        if index is None or index.is_directory:
            return _refuse(responder, 404, depends)
        return self._send(request, responder, index, depends)

    def _send_directory(
        self, request: QHttpServerRequest, responder: QHttpServerResponder, place: Place, segments: list[str]
    ) -> None:
        if self._index:
            index = self._locate([*place.names, self._index])
            if index is not None and not index.is_directory:
                return self._send(request, responder, index)
        if not self._listing:
            return self._fall_back(request, responder)
        entries = (entry for entry in self._store.entries(place) if self._hidden or not is_hidden(entry.name))
        headers = _headers(
            [
                ("content-type", "text/html; charset=utf-8"),
                ("cache-control", "no-cache"),
                ("content-security-policy", _LISTING_POLICY),
                ("x-content-type-options", "nosniff"),
            ]
        )
        return responder.write(render(segments, entries).encode(), headers)

    def _send(
        self,
        request: QHttpServerRequest,
        responder: QHttpServerResponder,
        place: Place,
        more: Iterable[tuple[str, str]] = (),
    ) -> None:
        opened = self._store.open(place)
        if opened is None:
            return _refuse(responder, 404)
        message = request._message
        decision = decide(message.method, message.headers, opened.representation)
        fields = [*self._fields(opened.representation), *more]
        if decision.status == 304:
            opened.device.close()
            return responder.write(_headers(fields), 304)
        if decision.status in {412, 416}:
            opened.device.close()
            return _refuse(responder, decision.status, content_range(decision, opened.representation.size))
        fields.insert(0, ("content-type", content_type(place.path)))
        return _send_file(responder, opened, decision, fields)

    def _fields(self, representation: Representation) -> list[tuple[str, str]]:
        fields = [
            *validator_fields(representation),
            # The type follows from the name; a browser that guesses it from the data could run an upload.
            ("x-content-type-options", "nosniff"),
        ]
        if self._cache_control:
            fields.append(("cache-control", self._cache_control))
        return fields


def mount(server: QHttpServer, prefix: str, files: StaticFiles | str | os.PathLike[str]) -> StaticFiles:
    """Serve *files* below the path *prefix* of *server*, as routes like any other.

    Args:
        server: where to add the routes.
        prefix: e.g. ``"/static"``; ``"/"`` for everything no earlier route answers.
        files: a StaticFiles, or a directory to make one of.

    Returns:
        the StaticFiles.

    Raises:
        NotADirectoryError: *files* is not a directory.
        ValueError: *prefix* does not start with a slash, or the route was refused.

    Threads: the server's.

    Not in Qt.
    """
    if not prefix.startswith("/"):
        raise ValueError(f"a path prefix starts with '/': {prefix!r}")
    if not isinstance(files, StaticFiles):
        files = StaticFiles(files)
    names = [name for name in prefix.split("/") if name]
    handler = files.below(len(names))
    base = "".join("/" + re.escape(name) for name in names)
    for pattern in [base, f"{base}/.*"] if names else ["/.*"]:
        if not server.route(pattern, handler):
            raise ValueError(f"the server refused a route for {prefix!r}")
    return files


def _send_file(
    responder: QHttpServerResponder, opened: OpenedFile, decision: Decision, fields: list[tuple[str, str]]
) -> None:
    body = selected(opened, decision)
    if body is None:
        return _refuse(responder, 404)
    fields.extend(content_range(decision, opened.representation.size))
    return responder.write(body, _headers(fields), decision.status)  # type: ignore[call-overload,no-any-return,unused-ignore]


def _refuse(responder: QHttpServerResponder, status: int, fields: list[tuple[str, str]] | None = None) -> None:
    text = f"{REASONS[status]}\n" if status in REASONS else ""
    kind = [("content-type", "text/plain; charset=utf-8")] if text else []
    responder.write(text.encode(), _headers([*kind, *(fields or [])]), status)


def _headers(fields: list[tuple[str, str]]) -> QHttpHeaders:
    headers = QHttpHeaders()
    for name, value in fields:
        headers.append(name, value)
    return headers
