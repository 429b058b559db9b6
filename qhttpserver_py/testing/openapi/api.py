"""Answers by an OpenAPI document, and notes what is asked that it does not allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QUrl

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
from qhttpserver_py.testing import reply as replies_of_tests
from qhttpserver_py.testing.intercept.origins import is_loopback
from qhttpserver_py.testing.matcher import Mismatch, RequestMatcher
from qhttpserver_py.testing.openapi import document as documents
from qhttpserver_py.testing.openapi import replies
from qhttpserver_py.testing.openapi.checks import METHODS, Asked, Checker, Misfit
from qhttpserver_py.testing.openapi.replies import NoSuchReplyError, Wish

_FEW = 5  # misfits of one request that are shown


@dataclass
class Operation:
    """One operation of the document. Not in Qt."""

    method: str
    """The method, in upper case."""
    path: str
    """The path as the document has it, with its parameters in braces."""
    operation_id: str
    """The ``operationId``, empty without one."""
    calls: list[QHttpServerRequest] = field(default_factory=list)
    """The requests that came for it, right or wrong, oldest first."""
    wish: Wish = field(default_factory=Wish)

    def __str__(self) -> str:
        """Return method and path, with the id."""
        return f"{self.method} {self.path}" + (f" ({self.operation_id})" if self.operation_id else "")


class OpenApi(RequestMatcher):
    """Answers as an OpenAPI document says; made by ``FakeBackend.from_openapi()``, which says more.

    ``operations`` are those of the document, ``mismatches`` what was wrong with requests, as text.

    Not in Qt.
    """

    def __init__(
        self, source: documents.Source, *, check: bool, require_all: bool, complain: Callable[[str], None]
    ) -> None:
        super().__init__("")
        try:
            import openapi_core  # noqa: F401
        except ImportError as error:
            raise ImportError("from_openapi() needs openapi-core: pip install 'qhttpserver-py[openapi]'") from error
        document, base_uri, self.name = documents.read(source)
        self.origins = documents.origins(document)
        """The origins of the servers that the document names with one. Not in Qt."""
        self.require_all = require_all
        self.mismatches: list[str] = []
        self._check = check
        self._complain = complain
        self._base_paths = documents.base_paths(document)
        self._checker = Checker(documents.with_backend(document), base_uri)
        self.operations = self._operations()

    def _operations(self) -> list[Operation]:
        paths = self._checker.spec / "paths"
        found = []
        for path in list(paths.keys()):
            for method in METHODS:
                if method in paths / path:
                    with (paths / path / method).open() as content:
                        found.append(Operation(method.upper(), path, str(content.get("operationId", ""))))
        return found

    def use(self, operation: str, *, status: int | None = None, example: str | None = None) -> None:
        """Answer *operation* from now on with another response or example of the document.

        Parameters:
            operation: its ``operationId``, or method and path: ``"GET /items/{id}"``.
            status: of the response; None: the lowest 2xx.
            example: the name of the example; None: the first.

        Raises:
            LookupError: the document has no such operation.

        Not in Qt.
        """
        chosen = [one for one in self.operations if operation in (one.operation_id, f"{one.method} {one.path}")]
        if not chosen:
            known = ", ".join(map(str, self.operations))
            raise LookupError(f"{self.name} has no operation {operation!r}; it has {known}")
        chosen[0].wish = Wish(status, example)

    @property
    def uncalled(self) -> list[Operation]:
        """The operations that no request came for. Not in Qt."""
        return [operation for operation in self.operations if not operation.calls]

    def report_uncalled(self) -> str:
        """Return what is wrong where all operations have to be called, else an empty text. Not in Qt."""
        if not (self.require_all and self.uncalled):
            return ""
        return "\n".join([f"{self.name}: nobody called", *(f"  {operation}" for operation in self.uncalled)])

    # ---- a request

    def difference(self, request: QHttpServerRequest) -> list[Mismatch]:
        """Return nothing where *request* is for a server of the document, else how it differs. Not in Qt."""
        origin = self._asked_origin(request)
        if origin not in (documents.BACKEND, *self.origins):
            return [Mismatch("origin", " or ".join(self.origins) or "the backend's", origin)]
        path = request.url().path()
        if any(not base or path == base or path.startswith(f"{base}/") for base in self._base_paths):
            return []
        return [Mismatch("path", " or ".join(f"below {base}" for base in self._base_paths), path)]

    def __repr__(self) -> str:
        """The name of the document."""
        return f"OpenAPI document {self.name}"

    def _asked_origin(self, request: QHttpServerRequest) -> str:
        url = request.url()
        if is_loopback(url.host()):
            return documents.BACKEND
        return f"{url.scheme()}://{url.authority(QUrl.ComponentFormattingOption.FullyEncoded)}"

    def answer(self, request: QHttpServerRequest) -> Any:
        """Return the response to *request*. Not in Qt."""
        asked = Asked(request, self._asked_origin(request))
        found = self._checker.find(asked)
        if found is None:
            return self._refuse(request, "", [Misfit(404, "path", "is none of the document's")])
        template, schema, methods = found
        if schema is None:
            allowed = ", ".join(methods)
            return self._refuse(request, template, [Misfit(405, "method", f"may be {allowed}")], [("allow", allowed)])
        operation = next(one for one in self.operations if (one.method, one.path) == (asked.method.upper(), template))
        operation.calls.append(request)
        misfits = self._checker.misfits(asked, schema) if self._check else []
        if misfits:
            return self._refuse(request, str(operation), misfits)
        return self._reply(request, operation, schema)

    def _reply(self, request: QHttpServerRequest, operation: Operation, schema: Any) -> QHttpServerResponse:
        asked_for = replies.preferred(bytes(request.value("prefer").data()).decode("latin-1"))
        accept = bytes(request.value("accept").data()).decode("latin-1")
        wish = Wish(
            asked_for.status if asked_for.status is not None else operation.wish.status,
            asked_for.example if asked_for.example is not None else operation.wish.example,
        )
        try:
            made = replies.make(schema, wish, accept)
        except NoSuchReplyError as error:
            return self._refuse(request, str(operation), [Misfit(500, "the document", f"has {error}")])
        if not made.body:
            return replies_of_tests.make_empty(made.status, made.headers)
        return replies_of_tests.make_response(made.body, made.status, made.headers)

    def _refuse(
        self,
        request: QHttpServerRequest,
        operation: str,
        misfits: list[Misfit],
        headers: Sequence[tuple[str, str]] = (),
    ) -> QHttpServerResponse:
        lines = [f"{misfit.where}: {misfit.what}" for misfit in misfits[:_FEW]]
        if len(misfits) > _FEW:
            lines.append(f"and {len(misfits) - _FEW} more")
        head = f"{request._message.method} {request.url().path()} is not as {self.name} has it"
        title = f"{head}, operation {operation}:" if operation else f"{head}:"
        text = "\n".join([title, *(f"  {line}" for line in lines)])
        self.mismatches.append(text)
        self._complain(text)
        return replies_of_tests.make_response(
            text.encode(), misfits[0].status, [("content-type", "text/plain"), *headers]
        )
