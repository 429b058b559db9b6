"""Stands in for trustme where cryptography does not load: certificates from a file, made outside."""

from __future__ import annotations

import json
import ssl
from itertools import cycle
from pathlib import Path
from typing import Any

_MADE = cycle(json.loads(Path(__file__).with_name("trustme_files.json").read_text()))


class Blob:
    """A piece of PEM."""

    def __init__(self, text: str) -> None:
        self._octets = text.encode()

    def bytes(self) -> bytes:
        return self._octets

    def write_to_path(self, path: str, append: bool = False) -> None:
        with Path(path).open("ab" if append else "wb") as file:
            file.write(self._octets)


class LeafCert:
    """A certificate, its key and its chain."""

    def __init__(self, made: dict[str, Any]) -> None:
        self.private_key_pem = Blob(made["key"])
        self.cert_chain_pems = [Blob(pem) for pem in made["chain"]]
        self.private_key_and_cert_chain_pem = Blob(made["key"] + "".join(made["chain"]))

    def configure_cert(self, context: ssl.SSLContext) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "leaf.pem")
            path.write_bytes(self.private_key_and_cert_chain_pem.bytes())
            context.load_cert_chain(path)


class CA:
    """One of the authorities that were made."""

    def __init__(self, **_: object) -> None:
        self._made = next(_MADE)
        self.cert_pem = Blob(self._made["ca"])

    def issue_cert(self, *_hosts: str, not_after: object = None, **_: object) -> LeafCert:
        return LeafCert(self._made["leaf" if not_after is None else "expired"])

    def configure_trust(self, context: ssl.SSLContext) -> None:
        context.load_verify_locations(cadata=self.cert_pem.bytes().decode())
