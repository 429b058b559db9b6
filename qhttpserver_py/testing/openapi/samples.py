"""Values of a schema: its example, its default, or the smallest that it allows."""

from __future__ import annotations

from typing import Any

_FORMATS = {
    "date": "2024-01-31",
    "date-time": "2024-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "byte": "dGV4dA==",
    "binary": "text",
    "password": "secret",
}


Above = tuple[int, ...]
"""The identities of the schemas that a value is made inside of."""


def sample(schema: Any, above: Above = ()) -> Any:
    """Return a value of *schema*, a SchemaPath: references are followed by it."""
    for key in ("example", "const", "default"):
        if key in schema:
            return _plain(schema, key)
    if "examples" in schema:
        return _first(_plain(schema, "examples"))
    if "enum" in schema:
        return _plain(schema, "enum")[0]
    if "allOf" in schema:
        return _merged(schema, above)
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return sample(schema / key / 0, above)
    return _of_type(schema, _type_of(schema), above)


def _plain(schema: Any, key: str) -> Any:
    with schema.open() as content:
        return content[key]


def _first(found: Any) -> Any:
    return found[0] if isinstance(found, list) else found


def _type_of(schema: Any) -> str:
    if "type" in schema:
        found = _plain(schema, "type")
        kinds = found if isinstance(found, list) else [found]
        return str(next((kind for kind in kinds if kind != "null"), "null"))
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "any"


def _of_type(schema: Any, kind: str, above: Above) -> Any:
    if kind == "object":
        return _object(schema, above)
    if kind == "array":
        count = _plain(schema, "minItems") if "minItems" in schema else 1
        inside = (*above, _identity(schema))
        if "items" not in schema or _identity(schema / "items") in inside:
            return []
        return [sample(schema / "items", inside) for _ in range(max(int(count), 0))]
    if kind in ("integer", "number"):
        return _number(schema, kind)
    if kind == "string":
        return _string(schema)
    return {"boolean": True, "null": None}.get(kind, {})


def _object(schema: Any, above: Above) -> dict[str, Any]:
    if "properties" not in schema:
        return {}
    properties = schema / "properties"
    inside = (*above, _identity(schema))
    # A schema may hold itself: what is optional ends there.
    names = [name for name in list(properties.keys()) if _identity(properties / name) not in inside]
    made = {name: sample(properties / name, inside) for name in names}
    required = _plain(schema, "required") if "required" in schema else []
    return made | {name: {} for name in required if name in properties and name not in made}


def _identity(schema: Any) -> int:
    with schema.open() as content:
        return id(content)


def _merged(schema: Any, above: Above) -> Any:
    parts = schema / "allOf"
    made = [sample(parts / index, above) for index in range(len(list(parts)))]
    if "properties" in schema:
        made.append(_object(schema, above))
    objects = [value for value in made if isinstance(value, dict)]
    if not objects:
        return made[0]
    return {name: value for found in objects for name, value in found.items()}


def _number(schema: Any, kind: str) -> float:
    low = next((_plain(schema, key) for key in ("minimum", "exclusiveMinimum") if _bound(schema, key)), 0)
    high = _plain(schema, "maximum") if "maximum" in schema else None
    if "exclusiveMinimum" in schema:
        low = low + 1
    value = low if high is None or low <= high else high
    if high is not None and value == 0 and high < 0:
        value = high
    return int(value) if kind == "integer" else value


def _bound(schema: Any, key: str) -> bool:
    return key in schema and not isinstance(_plain(schema, key), bool)  # a flag in OpenAPI 3.0


def _string(schema: Any) -> str:
    text = _FORMATS.get(str(_plain(schema, "format")), "text") if "format" in schema else "text"
    if "minLength" in schema:
        text = text.ljust(int(_plain(schema, "minLength")), "x")
    if "maxLength" in schema:
        text = text[: int(_plain(schema, "maxLength"))]
    return text
