"""Reads an OpenAPI document, and says where the servers are that it names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

BACKEND = "http://backend.invalid"
"""The origin that requests to the backend itself have for the checks, whatever its port (RFC 6761 6.4)."""

Source = str | os.PathLike[str] | Mapping[str, Any]


def read(source: Source) -> tuple[dict[str, Any], str, str]:
    """Return the document, the URI that its references are relative to, and what it is called in messages.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is neither JSON nor YAML, or no document of OpenAPI 3.
    """
    if isinstance(source, Mapping):
        return _checked(_with_text_keys(dict(source))), "", "the OpenAPI document"
    if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        return _checked(_parsed(source)), "", "the OpenAPI document"
    path = Path(source).resolve()
    return _checked(_parsed(path.read_text(encoding="utf-8"))), path.as_uri(), path.name


def _parsed(text: str) -> Any:
    import yaml  # a dependency of openapi-core; JSON is YAML

    loader: Any = type("_Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": _json_types(yaml.SafeLoader)})
    try:
        return _with_text_keys(yaml.load(text, loader))  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"the OpenAPI document is neither JSON nor YAML: {error}") from None


def _json_types(loader: Any) -> dict[str, list[Any]]:
    """Return what reads plain scalars as JSON's types only (OpenAPI 3.1, 4.2): "no" and dates are text."""
    others = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
    found = {
        first: [(tag, pattern) for tag, pattern in pairs if tag not in others]
        for first, pairs in loader.yaml_implicit_resolvers.items()
    }
    for first in "tf":
        found.setdefault(first, []).append(("tag:yaml.org,2002:bool", re.compile("true|false")))
    return found


def _with_text_keys(value: Any) -> Any:
    """Return *value* with numbers as keys made text: ``200:`` is how most write a status."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _with_text_keys(one) for key, one in value.items()}
    return [_with_text_keys(one) for one in value] if isinstance(value, list) else value


def _checked(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise ValueError("from_openapi() takes a document of OpenAPI 3.0 or 3.1, which says `openapi: 3...` at its top")
    return document


def server_urls(document: Mapping[str, Any]) -> list[str]:
    """Return the URLs of the servers, their variables replaced by the defaults, without a slash at the end."""
    urls = []
    servers: list[dict[str, Any]] = document.get("servers") or [{"url": "/"}]
    for server in servers:
        url = str(server.get("url", "/"))
        variables: dict[str, Any] = server.get("variables") or {}
        for name, variable in variables.items():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        urls.append(url.rstrip("/"))
    return urls


def origins(document: Mapping[str, Any]) -> list[str]:
    """Return the origins of the servers that are named with one."""
    parts = [urlsplit(url) for url in server_urls(document)]
    return list(dict.fromkeys(f"{part.scheme}://{part.netloc}" for part in parts if part.netloc))


def base_paths(document: Mapping[str, Any]) -> list[str]:
    """Return the paths that the servers' URLs begin with, without a slash at the end."""
    return list(dict.fromkeys(urlsplit(url).path.rstrip("/") for url in server_urls(document)))


def with_backend(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the backend itself among its servers, under each of their paths."""
    own = [{"url": BACKEND + path} for path in base_paths(document)]
    named = [{"url": url} for url in server_urls(document) if urlsplit(url).netloc]
    return {**document, "servers": [*own, *named]}
