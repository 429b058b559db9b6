"""Lets documents of others describe a fake backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qhttpserver_py.testing.expectation import Expectation, HandlerType
from qhttpserver_py.testing.inspect import Inspection
from qhttpserver_py.testing.intercept.interception import Interceptions
from qhttpserver_py.testing.ledger import Ledger

if TYPE_CHECKING:
    from qhttpserver_py.testing.openapi import OpenApi
    from qhttpserver_py.testing.openapi.document import Source


class Descriptions:
    """The documents that one fake backend answers by."""

    def __init__(self, ledger: Ledger, inspection: Inspection, interceptions: Interceptions) -> None:
        self._ledger = ledger
        self._inspection = inspection
        self._interceptions = interceptions

    def from_openapi(
        self, document: Source, *, intercept: bool = False, check: bool = True, require_all: bool = False
    ) -> OpenApi:
        """Answer what nothing else expects by the examples of an OpenAPI document, and check requests against it.

        An operation answers with its lowest 2xx response, in the media type that the request accepts: with
        ``example``, else the first of ``examples``, else a value made of the schema. ``OpenApi.use()``, or a field
        ``Prefer: code=404, example=missing`` of the request, chooses another. What the document does not allow is
        answered 400, 401, 404, 405, 415 or 422, and fails the test as an unexpected request does. Expectations go
        before the document.

        Parameters:
            document: a path, the text or the mapping of a document of OpenAPI 3.0 or 3.1, in JSON or YAML.
            intercept: take the place of the servers that the document names, as ``intercept()`` does.
            check: whether parameters, bodies and security are compared with the document.
            require_all: an operation that no request came for fails the test.

        Raises:
            ImportError: openapi-core is not installed; the extra ``openapi`` has it.
            OSError: the file cannot be read.
            ValueError: it is no valid document.

        Not in Qt.
        """
        from qhttpserver_py.testing.openapi import OpenApi

        api = OpenApi(document, check=check, require_all=require_all, complain=self._inspection.add_assertion)
        fallback = Expectation(api, HandlerType.PERMANENT)
        self._ledger.fallbacks.append(fallback.respond_with_handler(api.answer))
        self._ledger.late_checks.append(api.report_uncalled)
        for origin in api.origins if intercept else ():
            self._interceptions.intercept(origin)
        return api
