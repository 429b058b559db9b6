"""TLS for a server: a certificate and its key made into a QSslConfiguration that also offers HTTP/2.

::

    tls = QSslServer()
    tls.setSslConfiguration(server_configuration("cert.pem", "key.pem"))
    tls.listen(QHostAddress.SpecialAddress.Any, 8443)
    server.bind(tls)

Not in Qt.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QByteArray
from PySide6.QtNetwork import QSsl, QSslCertificate, QSslConfiguration, QSslKey, QSslSocket

__all__ = ["server_configuration"]

Pem = str | os.PathLike[str] | bytes
"""The path of a PEM file, or the PEM text itself as bytes."""

_ALGORITHMS = (QSsl.KeyAlgorithm.Ec, QSsl.KeyAlgorithm.Rsa)


def server_configuration(
    certificate: Pem,
    key: Pem,
    passphrase: bytes | str = b"",
    chain: Iterable[Pem] = (),
    alpn: Iterable[str] = ("h2", "http/1.1"),
) -> QSslConfiguration:
    """Return what ``QSslServer.setSslConfiguration`` needs.

    Args:
        certificate: the server's certificate, as a path or as PEM bytes. Further certificates behind
            it are its chain, as in the ``fullchain.pem`` of most authorities.
        key: its private key, RSA or EC, likewise.
        passphrase: what the key is encrypted with.
        chain: intermediate certificates in files of their own, the issuer of *certificate* first.
        alpn: the protocols to offer, the preferred first; without "h2" the server speaks HTTP/1.1 only.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: what was given is no PEM certificate or key, the passphrase is wrong, or the key
            belongs to another certificate.
        RuntimeError: this Qt has no TLS backend.

    Thread-safe. Not in Qt.
    """
    if not QSslSocket.supportsSsl():
        raise RuntimeError("this Qt has no TLS backend: OpenSSL is missing or too old")
    certificates = _certificates(certificate)
    for more in chain:
        certificates += _certificates(more)
    secret = passphrase.encode() if isinstance(passphrase, str) else passphrase
    private_key = _private_key(key, secret)
    # Qt would notice it at the first handshake only, and not report it.
    if not _belong_together(certificates[0], private_key):
        raise ValueError(f"the key ({_named(key)}) does not belong to the certificate ({_named(certificate)})")
    configuration = QSslConfiguration.defaultConfiguration()
    configuration.setLocalCertificateChain(certificates)
    configuration.setPrivateKey(private_key)
    configuration.setPeerVerifyMode(QSslSocket.PeerVerifyMode.VerifyNone)  # clients have no certificates
    configuration.setAllowedNextProtocols([QByteArray(name.encode()) for name in alpn])
    return configuration


def _read(source: Pem) -> bytes:
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def _named(source: Pem) -> str:
    """Return a name of *source* for errors, which is never its contents."""
    return "what was given as bytes" if isinstance(source, bytes) else repr(os.fspath(source))


def _certificates(source: Pem) -> list[QSslCertificate]:
    found = QSslCertificate.fromData(QByteArray(_read(source)), QSsl.EncodingFormat.Pem)
    if not found:
        raise ValueError(f"{_named(source)} holds no PEM certificate")
    return found


def _private_key(source: Pem, passphrase: bytes) -> QSslKey:
    data = QByteArray(_read(source))
    for algorithm in _ALGORITHMS:
        key = QSslKey(data, algorithm, QSsl.EncodingFormat.Pem, QSsl.KeyType.PrivateKey, QByteArray(passphrase))
        if not key.isNull():
            return key
    if b"ENCRYPTED" in data.data():
        trouble = "the passphrase is wrong" if passphrase else "it has a passphrase"
        raise ValueError(f"{_named(source)} cannot be read: {trouble}")
    raise ValueError(f"{_named(source)} holds no PEM private key, RSA or EC")


def _belong_together(certificate: QSslCertificate, key: QSslKey) -> bool:
    """Return whether the private key contains the certificate's public one, which is in both DER forms."""
    public = certificate.publicKey()
    if public.algorithm() != key.algorithm():
        return False
    spelled = bytes(public.toDer().data())
    # A public EC key ends with its point, an RSA one with modulus and (short) exponent.
    part = spelled[-64:] if key.algorithm() == QSsl.KeyAlgorithm.Ec else spelled[-128:-64]
    return part in bytes(key.toDer().data())
