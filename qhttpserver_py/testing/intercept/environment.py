"""The proxy and the authority of a test, told to Python's clients and to child processes by their environment."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY")
"""Names of the proxy's URL; each is set in lower case too."""

AUTHORITIES = (
    "SSL_CERT_FILE",  # OpenSSL: Python's ssl, httpx, Ruby, Go
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "DENO_CERT",
    "CARGO_HTTP_CAINFO",
)
"""Names of the file with the certificates that are trusted."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@contextmanager
def proxy_environment(
    port: int, ca_pem: bytes, *, system: bool, direct: tuple[str, ...] = ()
) -> Iterator[dict[str, str]]:
    """Set the variables of this process, which its children inherit, for as long as the block lasts; give them.

    Parameters:
        port: of the proxy on 127.0.0.1.
        ca_pem: the authority, as PEM; it is in a file meanwhile.
        system: trust the system's authorities too.
        direct: hosts beside loopback that are asked without the proxy.
    """
    file = _write(ca_pem + (system_authorities() if system else b""))
    try:
        values: dict[str, str] = dict.fromkeys(PROXIES, f"http://127.0.0.1:{port}")
        values["NO_PROXY"] = ",".join((*LOOPBACK, *direct))
        values.update({name.lower(): value for name, value in values.items()})
        values.update(dict.fromkeys(AUTHORITIES, str(file)))
        values["NODE_USE_ENV_PROXY"] = "1"  # Node 24 and later
        with changed(values), fresh_opener():
            yield values
    finally:
        with suppress(OSError):
            file.unlink()


@contextmanager
def changed(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def fresh_opener() -> Iterator[None]:
    """Have ``urllib.request.urlopen``, which keeps the proxies of its first call, read the environment anew."""
    import urllib.request

    before = getattr(urllib.request, "_opener", None)
    install: Callable[[Any], None] = urllib.request.install_opener
    install(None)
    try:
        yield
    finally:
        install(before)


def system_authorities() -> bytes:
    """Return the certificates that the system trusts, as PEM; nothing where they are in no file."""
    place = ssl.get_default_verify_paths()
    path = Path(place.cafile or place.openssl_cafile)
    with suppress(OSError):
        return _read(path, path.stat().st_mtime_ns)
    return b""


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int) -> bytes:
    """Return the file's text, which is the same for all tests of a run until the file changes."""
    return b"\n" + path.read_bytes()


def _write(pem: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(prefix="qhttpserver-", suffix=".pem")
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return Path(name)
