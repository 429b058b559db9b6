"""What answers a request: which response of an operation, in which media type, with which example."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from qhttpserver_py.testing.openapi.samples import sample

_PREFERENCE = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|([^\s,;]+))""")


class Wish(NamedTuple):
    """Which of the responses and examples is asked for."""

    status: int | None = None
    example: str | None = None


class Reply(NamedTuple):
    """A response, made."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class NoSuchReplyError(LookupError):
    """The document has no such response or example; the message lists those it has."""


def preferred(field: str) -> Wish:
    """Return what a Prefer field asks for (RFC 7240): ``code=404``, ``example=missing``."""
    found = {name.lower(): quoted or plain for name, quoted, plain in _PREFERENCE.findall(field)}
    code = found.get("code", "")
    return Wish(int(code) if code.isdigit() else None, found.get("example"))


def make(operation: Any, wish: Wish, accept: str) -> Reply:
    """Return the reply of *operation*, a SchemaPath, that fits *wish* and an Accept field.

    Raises:
        NoSuchReplyError: it has none.
    """
    responses = operation / "responses"
    key, status = _choose(list(responses.keys()), wish)
    response = responses / key
    headers = _fields(response)
    if "content" not in response or not list((response / "content").keys()):
        return Reply(status, headers, b"")
    content = response / "content"
    kind = _negotiated(list(content.keys()), accept)
    body = _encoded(_value(content / kind, wish, key), kind)
    concrete = "application/octet-stream" if "*" in kind else kind
    return Reply(status, [("content-type", concrete), *headers], body)


def _choose(keys: list[str], wish: Wish) -> tuple[str, int]:
    keys = [str(key) for key in keys]
    if wish.status is not None:
        for key in (str(wish.status), f"{wish.status // 100}XX", f"{wish.status // 100}xx", "default"):
            if key in keys:
                return key, wish.status
        raise NoSuchReplyError(f"no response {wish.status}; there are {', '.join(keys)}")
    exact = sorted(key for key in keys if key.isdigit())
    for key in [key for key in exact if key.startswith("2")]:
        return key, int(key)
    for key in keys:
        if key.upper() == "2XX" or key == "default":
            return key, 200
    if not exact:
        raise NoSuchReplyError("no response at all")
    return exact[0], int(exact[0])


def _negotiated(kinds: list[str], accept: str) -> str:
    """Return the media type that the client likes best, the first where it likes none (RFC 9110 12.5.1)."""
    ranges = []
    for part in accept.split(","):
        wanted, *parameters = [piece.strip().lower() for piece in part.split(";")]
        quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        ranges.append((wanted, float(quality) if re.fullmatch(r"\d+(\.\d*)?", quality) else 0.0))

    def liked(kind: str) -> float:
        plain = kind.partition(";")[0].strip().lower()
        fits = [(len(wanted), q) for wanted, q in ranges if wanted in (plain, f"{plain.partition('/')[0]}/*", "*/*")]
        return max(fits)[1] if fits else 0.0

    return max(kinds, key=liked) if accept.strip() else kinds[0]


def _value(media: Any, wish: Wish, key: str) -> Any:
    with media.open() as content:
        named = content.get("examples") or {}
        if wish.example is None and "example" in content:
            return content["example"]
    names = list(named)
    if wish.example is not None and wish.example not in names:
        raise NoSuchReplyError(f"no example {wish.example!r} of response {key}; there are {', '.join(names) or 'none'}")
    if names:
        with (media / "examples" / (wish.example or names[0])).open() as example:
            return example.get("value")
    return sample(media / "schema") if "schema" in media else ""


def _encoded(value: Any, kind: str) -> bytes:
    plain = kind.partition(";")[0].strip().lower()
    if plain.endswith(("/json", "+json")):
        return json.dumps(value, ensure_ascii=False).encode()
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


def _fields(response: Any) -> list[tuple[str, str]]:
    """Return the header fields that have an example, or are required."""
    if "headers" not in response:
        return []
    made = []
    headers = response / "headers"
    for name in headers.keys():  # noqa: SIM118 - a path is no dict
        header = headers / name
        with header.open() as content:
            wanted = content.get("required", False) or "example" in content
            value = content.get("example")
        if name.lower() != "content-type" and (wanted or "schema" in header):
            made.append((str(name), str(value if value is not None else sample(header / "schema"))))
    return made
