"""The file of a cassette: YAML in the format of VCR.py, version 1, made to be read and reviewed.

Beyond that format, a body may have ``pretty``, which says how an indented JSON document was written, and ``file``, the
name of a file beside the cassette, in place of ``string``. Both give back the very bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from qhttpserver_py.testing.cassette.episodes import Episode, Fields, RecordedRequest, RecordedResponse, header

try:
    import yaml
except ImportError as error:
    raise ImportError("cassettes need the package PyYAML: pip install qhttpserver-py[cassettes]") from error

STYLES: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "spaced": {"ensure_ascii": False},
    "compact-ascii": {"separators": (",", ":")},
    "spaced-ascii": {},
}
"""How JSON is commonly written: arguments of ``json.dumps``."""


class CassetteError(ValueError):
    """A file that is no cassette of version 1. Not in Qt."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Plain data alone, and the text that VCR.py under Python 2 wrote."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Text of several lines as a block."""


def _text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Loader.add_constructor("tag:yaml.org,2002:python/unicode", _Loader.construct_yaml_str)
_Dumper.add_representer(str, _text)


# ---- reading


def load(path: Path) -> list[Episode]:
    """Return the episodes of the file at *path*.

    Raises:
        CassetteError: it is no cassette of version 1.
        OSError: it cannot be read.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CassetteError(f"{path} is no YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("interactions"), list):
        raise CassetteError(f"{path} is no cassette: it has no list of interactions")
    if document.get("version", 1) != 1:
        raise CassetteError(f"{path} has version {document['version']!r}; known is 1")
    episodes = []
    for number, item in enumerate(document["interactions"], 1):
        try:
            episodes.append(_episode(item, path.parent))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CassetteError(f"{path}: interaction {number}: {type(error).__name__}: {error}") from error
    return episodes


def _episode(item: Mapping[str, Any], folder: Path) -> Episode:
    asked, answered = item["request"], item["response"]
    status = answered.get("status")
    if status is None:  # as VCR.py recorded httpx at first
        status = {"code": answered["status_code"], "message": ""}
    body = answered["body"] if "body" in answered else answered.get("content")
    when = item.get("recorded_at")
    return Episode(
        RecordedRequest(asked["method"], asked["uri"], _fields(asked["headers"]), _bytes(asked.get("body"), folder)),
        RecordedResponse(
            int(status["code"]), status.get("message") or "", _fields(answered["headers"]), _bytes(body, folder)
        ),
        datetime.fromisoformat(str(when)) if when else None,
    )


def _fields(headers: Mapping[str, Any] | None) -> Fields:
    found: Fields = []
    for name, value in (headers or {}).items():
        found += [(name, _str(item)) for item in (value if isinstance(value, list) else [value])]
    return found


def _str(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: Any, folder: Path) -> bytes:
    if isinstance(body, Mapping):
        if "file" in body:
            file = (folder / body["file"]).resolve()
            if not file.is_relative_to(folder.resolve()):
                raise ValueError(f"{body['file']!r} is not beside the cassette")
            data: bytes = file.read_bytes()
            return data
        if body.get("base64_string") is not None:
            return bytes(base64.b64decode(body["base64_string"]))
        if "pretty" in body:
            return json.dumps(json.loads(body["string"]), **STYLES[body["pretty"]]).encode()
        body = body.get("string")
    if body is None:
        return b""
    return bytes(body) if isinstance(body, bytes) else str(body).encode()


# ---- writing


def save(path: Path, episodes: Iterable[Episode]) -> None:
    """Write *episodes* to *path*, in one step, and binary bodies beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"interactions": [_item(episode, path) for episode in episodes], "version": 1}
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


def _item(episode: Episode, path: Path) -> dict[str, Any]:
    request, response = episode.request, episode.response
    body = _stored(request.body, request.headers, path)
    item: dict[str, Any] = {
        "request": {
            "method": request.method,
            "uri": request.uri,
            "headers": _by_name(request.headers),
            "body": body["string"] if list(body) == ["string"] else body if request.body else None,
        },
        "response": {
            "status": {"code": response.status, "message": response.reason},
            "headers": _by_name(response.headers),
            "body": _stored(response.body, response.headers, path),
        },
    }
    if episode.recorded_at is not None:
        item["recorded_at"] = episode.recorded_at.isoformat(timespec="seconds")
    return item


def _by_name(fields: Fields) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return found


def _stored(body: bytes, headers: Fields, path: Path) -> dict[str, Any]:
    text = _readable(body)
    if text is None:
        return {"file": _put_beside(body, headers, path)}
    for style, indented in _pretty(text):
        return {"string": indented, "pretty": style}
    return {"string": text}


def _readable(body: bytes) -> str | None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\t\r\n" for char in text) else None


def _pretty(text: str) -> Iterator[tuple[str, str]]:
    """Yield the style and the indented form of a JSON document that can be given back to the letter."""
    if text[:1] not in ("{", "["):
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    for style, options in STYLES.items():
        if json.dumps(document, **options) == text:
            yield style, json.dumps(document, indent=2, ensure_ascii=False)
            return


def _put_beside(body: bytes, headers: Fields, path: Path) -> str:
    """Write *body* to a file named by its content; return its name, relative to the cassette."""
    kind = header(headers, "content-type").partition(";")[0].strip().lower()
    name = f"{hashlib.sha256(body).hexdigest()[:16]}{mimetypes.guess_extension(kind) or '.bin'}"
    folder = path.with_suffix(".bodies")
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(body)
    return f"{folder.name}/{name}"
