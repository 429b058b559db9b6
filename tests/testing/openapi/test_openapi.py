"""Backends that an OpenAPI document describes: what they answer, and what they find wrong with requests."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_path import SchemaPath

from qhttpserver_py.testing import FakeBackend
from qhttpserver_py.testing.openapi import OpenApi
from qhttpserver_py.testing.openapi.samples import sample

pytestmark = pytest.mark.usefixtures("qapp")

DOCUMENT = """
openapi: 3.1.0
info: {title: Items, version: "1"}
servers:
  - url: https://api.example.com/{version}
    variables: {version: {default: v1}}
security: [{key: []}]
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key}
  schemas:
    Item:
      type: object
      required: [name]
      properties:
        name: {type: string}
        count: {type: integer, minimum: 3}
        made: {type: string, format: date}
        part: {$ref: "#/components/schemas/Item"}
paths:
  /items:
    get:
      operationId: listItems
      security: []
      parameters:
        - {name: limit, in: query, schema: {type: integer, maximum: 50}}
        - {name: trace, in: header, schema: {type: string, minLength: 3}}
        - {name: lang, in: cookie, schema: {enum: [de, en]}}
      responses:
        200:
          description: all
          headers:
            X-Total: {schema: {type: integer}, example: 2}
          content:
            application/json:
              examples:
                two: {value: [{name: hammer}, {name: saw}]}
                none: {value: []}
            text/csv: {example: "name\\nhammer\\n"}
        503: {description: no, content: {text/plain: {example: later}}}
    post:
      operationId: addItem
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: "#/components/schemas/Item"}}
      responses:
        201: {description: made, headers: {Location: {schema: {type: string}, example: /items/7}}}
  /items/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    get:
      operationId: getItem
      security: []
      responses:
        2XX: {description: one, content: {application/json: {schema: {$ref: "#/components/schemas/Item"}}}}
        default: {description: no, content: {application/problem+json: {example: {title: gone}}}}
"""
KEY = {"X-Key": "secret"}


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    with FakeBackend(strict=False) as made:
        yield made


def asked(backend: FakeBackend, line: str, **options: Any) -> Any:
    method, path = line.split()
    return backend.client.request(method, path, **options)


TWO = [{"name": "hammer"}, {"name": "saw"}]
ONE = {"name": "text", "count": 3, "made": "2024-01-31"}

ANSWERS: list[tuple[str, dict[str, str], int, str, object]] = [
    ("GET /v1/items", {}, 200, "application/json", TWO),
    ("GET /v1/items", {"Accept": "text/csv"}, 200, "text/csv", "name\nhammer\n"),
    ("GET /v1/items", {"Accept": "text/*;q=0.1, application/json"}, 200, "application/json", TWO),
    ("GET /v1/items", {"Accept": "image/png"}, 200, "application/json", TWO),
    ("GET /v1/items", {"Prefer": "example=none"}, 200, "application/json", []),
    ("GET /v1/items", {"Prefer": "code=503"}, 503, "text/plain", "later"),
    ("GET /v1/items/7", {}, 200, "application/json", ONE),
    ("GET /v1/items/7", {"Prefer": "code=206"}, 206, "application/json", ONE),
    ("GET /v1/items/7", {"Prefer": 'code="410"'}, 410, "application/problem+json", {"title": "gone"}),
]


@pytest.mark.parametrize(("line", "headers", "status", "kind", "body"), ANSWERS)
def test_answers(
    backend: FakeBackend, line: str, headers: dict[str, str], status: int, kind: str, body: object
) -> None:
    backend.from_openapi(DOCUMENT)
    response = asked(backend, line, headers=headers)
    assert (response.status, response.headers["content-type"]) == (status, kind)
    assert (response.text if isinstance(body, str) else response.json()) == body
    assert backend.problems() == []


def test_header_fields_and_answers_without_content(backend: FakeBackend) -> None:
    backend.from_openapi(DOCUMENT)
    assert asked(backend, "GET /v1/items").headers["x-total"] == "2"
    made = asked(backend, "POST /v1/items", json={"name": "saw"}, headers=KEY)
    assert (made.status, made.headers["location"], made.body) == (201, "/items/7", b"")
    assert "content-type" not in made.headers
    assert backend.problems() == []


MISFITS: list[tuple[str, dict[str, Any], int, str]] = [
    ("GET /v1/nothing", {}, 404, "path: is none of the document's"),
    ("GET /v1/items/7/parts", {}, 404, "path: is none"),
    ("DELETE /v1/items", {}, 405, "method: may be GET, POST"),
    ("GET /v1/items/seven", {}, 400, "path parameter id"),
    ("GET /v1/items?limit=51", {}, 400, "query parameter limit: 51 is greater than the maximum of 50"),
    ("GET /v1/items?limit=many", {}, 400, "query parameter limit"),
    ("GET /v1/items", {"headers": {"Trace": "x"}}, 400, "header parameter trace: 'x' is too short"),
    ("GET /v1/items", {"headers": {"Cookie": "lang=fr"}}, 400, "cookie parameter lang: 'fr' is not one of"),
    ("POST /v1/items", {"json": {"name": "saw"}}, 401, "security: nothing of what key asks for"),
    ("POST /v1/items", {"headers": KEY}, 400, "body: is missing"),
    (
        "POST /v1/items",
        {"headers": {**KEY, "Content-Type": "text/plain"}, "data": b"x"},
        415,
        "may be application/json",
    ),
    ("POST /v1/items", {"headers": {**KEY, "Content-Type": "application/json"}, "data": b"{"}, 400, "body: is no JSON"),
    ("POST /v1/items", {"headers": KEY, "json": {"count": 4}}, 422, "body: 'name' is a required property"),
    ("POST /v1/items", {"headers": KEY, "json": {"name": "x", "count": "4"}}, 422, "body.count: '4' is not of type"),
    (
        "POST /v1/items",
        {"headers": KEY, "json": {"name": "x", "part": {"name": 5}}},
        422,
        "body.part.name: 5 is not of type",
    ),
    ("GET /v1/items", {"headers": {"Prefer": "code=404"}}, 500, "has no response 404; there are 200, 503"),
    (
        "GET /v1/items",
        {"headers": {"Prefer": "example=three"}},
        500,
        "has no example 'three' of response 200; there are two, none",
    ),
]


@pytest.mark.parametrize(("line", "options", "status", "what"), MISFITS)
def test_misfits(backend: FakeBackend, line: str, options: dict[str, Any], status: int, what: str) -> None:
    api = backend.from_openapi(DOCUMENT)
    response = asked(backend, line, **options)
    assert response.status == status
    (problem,) = backend.problems()
    assert what in str(problem) and what in response.text
    assert api.mismatches == [str(problem)]
    if status == 405:
        assert response.headers["allow"] == "GET, POST"


def test_one_line_for_each_misfit_and_the_operation(backend: FakeBackend) -> None:
    backend.from_openapi(DOCUMENT)
    asked(backend, "POST /v1/items", headers=KEY, json={"count": 1})
    assert str(backend.problems()[0]).splitlines() == [
        "POST /v1/items is not as the OpenAPI document has it, operation POST /items (addItem):",
        "  body: 'name' is a required property",
        "  body.count: 1 is less than the minimum of 3",
    ]


def test_without_checks_everything_is_answered(backend: FakeBackend) -> None:
    backend.from_openapi(DOCUMENT, check=False)
    assert asked(backend, "POST /v1/items", json={"count": "x"}).status == 201
    assert backend.problems() == []


def test_expectations_go_first_and_other_paths_are_unexpected(backend: FakeBackend) -> None:
    backend.from_openapi(DOCUMENT)
    backend.expect_request("/v1/items/9").respond_with_data("mine")
    assert asked(backend, "GET /v1/items/9").text == "mine"
    assert asked(backend, "GET /v2/items").status == 500
    assert "below /v1" in str(backend.problems()[0])


def test_use_chooses_what_an_operation_answers(backend: FakeBackend) -> None:
    api = backend.from_openapi(DOCUMENT)
    api.use("listItems", status=503)
    assert asked(backend, "GET /v1/items").status == 503
    api.use("GET /items", example="none")
    assert asked(backend, "GET /v1/items").json() == []
    with pytest.raises(LookupError, match=r"no operation 'dropItem'; it has GET /items \(listItems\)"):
        api.use("dropItem")


def test_calls_and_uncalled_operations(backend: FakeBackend) -> None:
    api = backend.from_openapi(DOCUMENT, require_all=True)
    asked(backend, "GET /v1/items")
    assert [len(operation.calls) for operation in api.operations] == [1, 0, 0]
    assert [str(operation) for operation in api.uncalled] == ["POST /items (addItem)", "GET /items/{id} (getItem)"]
    (problem,) = backend.problems()
    assert "nobody called\n  POST /items (addItem)\n  GET /items/{id} (getItem)" in str(problem)
    with pytest.raises(AssertionError, match="nobody called"):
        backend.check_expectations()


# ---- documents


def test_documents_of_every_kind(backend: FakeBackend, tmp_path: Path) -> None:
    response = {"description": "x", "content": {"text/plain": {"example": "x"}}}
    mapping = {
        "openapi": "3.0.3",
        "info": {"title": "t", "version": "1"},
        "paths": {"/x": {"get": {"responses": {"200": response}}}},
    }
    (tmp_path / "a.json").write_text(json.dumps(mapping), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(DOCUMENT, encoding="utf-8")
    before = copy.deepcopy(mapping)
    for source in (mapping, json.dumps(mapping), tmp_path / "a.json", str(tmp_path / "a.json")):
        with FakeBackend() as one:
            one.from_openapi(source)
            assert asked(one, "GET /x").text == "x"
    assert mapping == before
    assert repr(backend.from_openapi(tmp_path / "b.yaml")) == "OpenAPI document b.yaml"


def test_references_to_other_files(backend: FakeBackend, tmp_path: Path) -> None:
    (tmp_path / "item.yaml").write_text("Item: {type: object, properties: {name: {const: saw}}}", encoding="utf-8")
    main = DOCUMENT.replace('"#/components/schemas/Item"', '"item.yaml#/Item"', 2)
    (tmp_path / "main.yaml").write_text(
        main.replace('"#/components/schemas/Item"', '"item.yaml#/Item"'), encoding="utf-8"
    )
    backend.from_openapi(tmp_path / "main.yaml")
    assert asked(backend, "GET /v1/items/7").json() == {"name": "saw"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("swagger: '2.0'\n", "OpenAPI 3.0 or 3.1"),
        ("- a\n- b\n", "OpenAPI 3.0 or 3.1"),
        ("a: [\n", "neither JSON nor YAML"),
        ("openapi: 3.1.0\npaths: {}\n", "no valid OpenAPI document: .*info"),
        (DOCUMENT.replace("description: all", "description: no: yes"), "neither JSON nor YAML"),
        (DOCUMENT.replace("description: made, ", ""), "no valid OpenAPI document: paths / /items / post"),
    ],
)
def test_documents_that_are_none(backend: FakeBackend, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        backend.from_openapi(text)
    with pytest.raises(FileNotFoundError):
        backend.from_openapi("nowhere.yaml")


def test_plain_words_and_dates_are_text(backend: FakeBackend) -> None:
    text = DOCUMENT.replace("{value: []}", "{value: [no, 2024-01-31, true, 5]}")
    backend.from_openapi(text)
    assert asked(backend, "GET /v1/items", headers={"Prefer": "example=none"}).json() == ["no", "2024-01-31", True, 5]


SCHEMAS: list[tuple[dict[str, Any], object]] = [
    ({"type": "string", "minLength": 6}, "textxx"),
    ({"type": "string", "maxLength": 2}, "te"),
    ({"type": "string", "format": "uuid"}, "123e4567-e89b-12d3-a456-426614174000"),
    ({"type": ["null", "integer"], "minimum": 2}, 2),
    ({"type": "number", "exclusiveMinimum": 1}, 2),
    ({"type": "integer", "maximum": -3}, -3),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"enum": ["a", "b"]}, "a"),
    ({"const": 5}, 5),
    ({"default": [1]}, [1]),
    ({"examples": ["x", "y"]}, "x"),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
    ({"type": "array"}, []),
    ({"items": {"type": "string"}}, ["text"]),
    ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "text"),
    ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
    ({}, {}),
]


@pytest.mark.parametrize(("schema", "value"), SCHEMAS)
def test_samples(schema: dict[str, Any], value: object) -> None:
    assert sample(SchemaPath.from_dict(schema)) == value


# ---- who asks


def test_the_servers_of_the_document_are_intercepted(backend: FakeBackend) -> None:
    api = backend.from_openapi(DOCUMENT, intercept=True)
    assert api.origins == ["https://api.example.com"]
    response = backend.client.get("https://api.example.com/v1/items")
    assert response.json() == TWO
    assert backend.problems() == []


def test_urllib(backend: FakeBackend) -> None:
    backend.from_openapi(DOCUMENT)

    def ask() -> Any:
        with urllib.request.urlopen(f"{backend.url}/v1/items", timeout=10) as reply:
            return json.load(reply)

    assert backend.call(ask) == TWO


def test_without_openapi_core_the_extra_is_named() -> None:
    code = """
import sys
sys.modules["openapi_core"] = None
from PySide6.QtCore import QCoreApplication
app = QCoreApplication([])
from qhttpserver_py.testing import FakeBackend
try:
    FakeBackend().from_openapi("a: b\\n")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'qhttpserver-py[openapi]'" in done.stdout


def test_it_is_a_matcher(backend: FakeBackend) -> None:
    assert isinstance(backend.from_openapi(DOCUMENT), OpenApi)
