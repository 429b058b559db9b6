"""Certificates for tests: an authority made on the spot, and what Qt and Python need to use it."""

from __future__ import annotations

import ssl
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray
from PySide6.QtNetwork import QSsl, QSslCertificate, QSslConfiguration, QSslKey, QSslSocket

if TYPE_CHECKING:
    import trustme

HOSTS = ("localhost", "127.0.0.1", "::1")
PROTOCOLS = (QByteArray(b"h2"), QByteArray(b"http/1.1"))


class TlsAuthority:
    """A certificate authority that nobody trusts yet, and a server certificate signed by it.

    Needs the package *trustme*. Nothing is written to disk.

    Raises:
        ImportError: trustme is not installed.

    Not in Qt.
    """

    def __init__(self) -> None:
        try:
            import trustme
        except ImportError as error:
            raise ImportError("TLS in tests needs the package trustme: pip install trustme") from error
        self.ca: trustme.CA = trustme.CA()

    @cached_property
    def ca_pem(self) -> bytes:
        """The authority's certificate as PEM. Not in Qt."""
        return self.ca.cert_pem.bytes()

    @cached_property
    def ca_certificate(self) -> QSslCertificate:
        """The authority's certificate, for ``QSslConfiguration.addCaCertificate``. Not in Qt."""
        return QSslCertificate(self.ca_pem, QSsl.EncodingFormat.Pem)

    @cached_property
    def _default(self) -> trustme.LeafCert:
        return self.ca.issue_cert(*HOSTS)

    @cached_property
    def certificate(self) -> QSslCertificate:
        """The certificate of the server, valid for localhost. Not in Qt."""
        return QSslCertificate(self._default.cert_chain_pems[0].bytes(), QSsl.EncodingFormat.Pem)

    def server_configuration(
        self, *hosts: str, h2: bool = False, not_after: datetime | None = None
    ) -> QSslConfiguration:
        """Return what a QSslServer needs.

        Parameters:
            hosts: names and addresses the certificate is for; none means localhost.
            h2: offer HTTP/2 by ALPN.
            not_after: when the certificate expires; a time that is past makes clients refuse it.

        Not in Qt.
        """
        leaf = self._default
        if hosts or not_after is not None:
            leaf = self.ca.issue_cert(*(hosts or HOSTS), not_after=not_after)
        pems = [QSslCertificate(pem.bytes(), QSsl.EncodingFormat.Pem) for pem in leaf.cert_chain_pems]
        configuration = QSslConfiguration()
        configuration.setLocalCertificateChain(pems)
        key = leaf.private_key_pem.bytes()
        configuration.setPrivateKey(QSslKey(key, QSsl.KeyAlgorithm.Ec, QSsl.EncodingFormat.Pem))
        configuration.setPeerVerifyMode(QSslSocket.PeerVerifyMode.VerifyNone)
        if h2:
            configuration.setAllowedNextProtocols(PROTOCOLS)
        return configuration

    def client_configuration(self) -> QSslConfiguration:
        """Return Qt's default client settings with this authority trusted. Not in Qt."""
        configuration = QSslConfiguration.defaultConfiguration()
        configuration.addCaCertificate(self.ca_certificate)
        return configuration

    def ssl_context(self) -> ssl.SSLContext:
        """Return a client context for Python's own HTTP clients that trusts this authority alone. Not in Qt."""
        return ssl.create_default_context(cadata=self.ca_pem.decode())


class Trust:
    """Makes every Qt client of this process trust an authority, until ``revoke``."""

    __slots__ = ("_before",)

    def __init__(self, authority: TlsAuthority) -> None:
        self._before: QSslConfiguration | None = QSslConfiguration.defaultConfiguration()
        QSslConfiguration.setDefaultConfiguration(authority.client_configuration())

    def revoke(self) -> None:
        """Put back what was trusted before; calling it twice is harmless."""
        before, self._before = self._before, None
        if before is not None:
            QSslConfiguration.setDefaultConfiguration(before)
