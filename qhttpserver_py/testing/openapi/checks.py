"""Compares requests with an OpenAPI document, by the package openapi-core."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, cast

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""What an operation of a path may be called (OpenAPI 3.1, Path Item Object)."""


class Misfit(NamedTuple):
    """One thing in a request that the document does not allow."""

    status: int
    """The status that answers it."""
    where: str
    what: str


class Asked:
    """A request, as openapi-core reads it."""

    def __init__(self, request: QHttpServerRequest, origin: str) -> None:
        from openapi_core.datatypes import RequestParameters
        from werkzeug.datastructures import Headers, ImmutableMultiDict

        message = request._message
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.headers]
        query = request.query().queryItems(request.url().ComponentFormattingOption.FullyDecoded)
        self.host_url = origin
        self.path = request.url().path(request.url().ComponentFormattingOption.FullyEncoded)
        self.method = message.method.lower()
        self.content_type = next((value for name, value in fields if name == "content-type"), "")
        self.body = bytes(message.body) or None
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(query),
            header=Headers(fields),
            cookie=ImmutableMultiDict(request.cookies()),
        )

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.content_type.partition(";")[0].strip().lower()


class Checker:
    """Checks requests against one document."""

    def __init__(self, document: dict[str, Any], base_uri: str) -> None:
        """Raises ValueError where *document* breaks the specification."""
        from openapi_core import OpenAPI
        from openapi_core.templating.paths.finders import APICallPathFinder

        try:
            core: Any = OpenAPI.from_dict(cast("Any", document), base_uri=base_uri)
        except Exception as error:  # jsonschema's and openapi-core's have no base in common
            where = " / ".join(map(str, getattr(error, "absolute_path", ())))
            what = str(error).partition("\n")[0]
            raise ValueError(f"no valid OpenAPI document: {where}: {what}") from error
        self._core = core
        self.spec: Any = self._core.spec
        self._finder = APICallPathFinder(self.spec)

    def find(self, asked: Asked) -> tuple[str, Any, list[str]] | None:
        """Return the template of the path, the operation (None: not of this method) and the methods; None: no path."""
        from openapi_core.templating.paths.exceptions import OperationNotFound, PathError

        try:
            found = self._finder.find(asked.method, asked.host_url + asked.path)
        except OperationNotFound:
            return self._of_other_method(asked)
        except PathError:
            return None
        return str(found.path.parts[-1]), found.operation, _methods(found.path)

    def _of_other_method(self, asked: Asked) -> tuple[str, Any, list[str]]:
        from openapi_core.templating.paths.exceptions import PathError

        for method in METHODS:
            try:
                found = self._finder.find(method, asked.host_url + asked.path)
            except PathError:  # not of this method either
                continue
            return str(found.path.parts[-1]), None, _methods(found.path)
        return asked.path, None, []

    def misfits(self, asked: Asked, operation: Any) -> list[Misfit]:
        """Return what is wrong with a request for *operation*."""
        found = [_misfit(error) for error in self._core.request_validator.iter_errors(asked)]
        strict = self._body_misfits(asked, operation)
        if strict:
            found = [misfit for misfit in found if misfit.where != "body"] + strict
        return found

    def _body_misfits(self, asked: Asked, operation: Any) -> list[Misfit]:
        """Check a JSON body by its schema; openapi-core reads "5" as a number there, as in a query."""
        if asked.body is None or not asked.media_type.endswith(("/json", "+json")) or "requestBody" not in operation:
            return []
        content = operation / "requestBody" / "content"
        kind = next((k for k in list(content.keys()) if k.partition(";")[0].strip().lower() == asked.media_type), None)
        if kind is None or "schema" not in content / kind:
            return []
        try:
            value = json.loads(asked.body)
        except ValueError as error:
            return [Misfit(400, "body", f"is no JSON: {error}")]
        validator = self._core.request_validator.schema_validators_factory.create(content / kind / "schema").validator
        return [Misfit(422, _place(error), str(error.message)) for error in validator.iter_errors(value)]


def _methods(path: Any) -> list[str]:
    return [method.upper() for method in METHODS if method in path]


def _place(error: Any) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return f"body{where}"


_STATUSES = {
    "SecurityValidationError": 401,
    "MissingRequiredRequestBody": 400,
    "InvalidRequestBody": 422,
}


def _misfit(error: BaseException) -> Misfit:
    kind, cause = type(error).__name__, error.__cause__
    details = [str(one.message) for one in getattr(cause, "schema_errors", ())]
    what = "; ".join(details) or str(cause or error)
    if type(cause).__name__ == "MediaTypeNotFound":
        kinds = ", ".join(getattr(cause, "availableMimetypes", ()))
        return Misfit(415, "content-type", f"is {getattr(cause, 'mimetype', '')!r}, and may be {kinds}")
    if kind == "SecurityValidationError":
        schemes = " or ".join(" with ".join(names) for names in getattr(cause, "schemes", ()))
        return Misfit(401, "security", f"nothing of what {schemes or 'the document'} asks for")
    if "RequestBody" in kind:
        return Misfit(_STATUSES.get(kind, 400), "body", "is missing" if kind.startswith("Missing") else what)
    name = getattr(error, "name", "")
    location = getattr(error, "location", "")
    where = f"{location} parameter {name}".strip() if name else "parameters"
    return Misfit(400, where, "is missing" if kind.startswith("Missing") else what)
