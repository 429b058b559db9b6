"""Cookies, as a server writes them (RFC 6265 4.1). Pure."""

from __future__ import annotations

import re

from qhttpserver_py._protocol.engine import Header

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")  # printable ASCII without blank, quote, comma, semicolon and backslash
_PATH = re.compile(r"/[ -:<-~]*")
_SAME_SITE = ("Strict", "Lax", "None")


def set_cookie(
    name: str, value: str, max_age: int | None, path: str, http_only: bool, secure: bool, same_site: str
) -> Header:
    """Return the Set-Cookie field; ValueError where something cannot be sent. Encode a value of other text first."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"a cookie's name is a token (RFC 6265 4.1.1), not {name!r}")
    if not _VALUE.fullmatch(value):
        raise ValueError(
            "a cookie's value is ASCII without blanks, quotes, commas, semicolons and backslashes: encode it"
        )
    if not _PATH.fullmatch(path):
        raise ValueError(f"a cookie's path begins with '/' and has no semicolon: {path!r}")
    if same_site not in _SAME_SITE:
        raise ValueError(f"same_site is one of {', '.join(_SAME_SITE)}, not {same_site!r}")
    if same_site == "None" and not secure:
        raise ValueError("browsers take a cookie with same_site='None' only with secure=True")
    parts = [f"{name}={value}", f"Path={path}"]
    if max_age is not None:
        parts.append(f"Max-Age={int(max_age)}")
    parts += ["HttpOnly"] * http_only + ["Secure"] * secure + [f"SameSite={same_site}"]
    return b"set-cookie", "; ".join(parts).encode("ascii")
