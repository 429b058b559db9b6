"""A certificate for one run."""

from __future__ import annotations

from pathlib import Path

import trustme


def write_certificate(directory: Path) -> tuple[Path, Path]:
    """Write a certificate chain and its key (EC, PEM) for localhost and 127.0.0.1."""
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return certificate, key
