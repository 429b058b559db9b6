"""Certificates for tests: an authority that is made anew, and what Qt and Python need to use it."""

from __future__ import annotations

import ssl
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

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
    def _localhost(self) -> QSslConfiguration:
        return _server(self._default)

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
        if not hosts and not_after is None:
            configuration = QSslConfiguration(self._localhost)
        else:
            configuration = _server(self.ca.issue_cert(*(hosts or HOSTS), not_after=not_after))
        if h2:
            configuration.setAllowedNextProtocols(PROTOCOLS)
        return configuration

    @cached_property
    def _hosts(self) -> dict[str, QSslConfiguration]:
        return {}

    def host_configuration(self, host: str) -> QSslConfiguration:
        """Return what plays *host*, with HTTP/2 offered; made once for each host. Not in Qt."""
        found = self._hosts.get(host)
        if found is None:
            found = self._hosts[host] = self.server_configuration(host, h2=True)
        return found

    def client_configuration(self) -> QSslConfiguration:
        """Return Qt's default client settings, but with this authority as the only one trusted. Not in Qt."""
        configuration = QSslConfiguration.defaultConfiguration()
        configuration.setCaCertificates([self.ca_certificate])
        return configuration

    def ssl_context(self) -> ssl.SSLContext:
        """Return a client context for Python's own HTTP clients that trusts this authority alone. Not in Qt."""
        return ssl.create_default_context(cadata=self.ca_pem.decode())


def _server(leaf: trustme.LeafCert) -> QSslConfiguration:
    pem = QSsl.EncodingFormat.Pem
    configuration = QSslConfiguration()
    configuration.setLocalCertificateChain([QSslCertificate(part.bytes(), pem) for part in leaf.cert_chain_pems])
    configuration.setPrivateKey(QSslKey(leaf.private_key_pem.bytes(), QSsl.KeyAlgorithm.Ec, pem))
    configuration.setPeerVerifyMode(QSslSocket.PeerVerifyMode.VerifyNone)
    return configuration


class Trust:
    """Makes every Qt client of this process trust an authority until ``revoke``.

    The system's authorities are not trusted meanwhile, because a test must not reach beyond this machine. With
    *beside_system* they are, for a test that intercepts some hosts of many.
    """

    __slots__ = ("_beside_system", "_certificate")

    _active: ClassVar[list[Trust]] = []
    _before: ClassVar[QSslConfiguration | None] = None

    def __init__(self, authority: TlsAuthority, *, beside_system: bool = False) -> None:
        self._certificate = authority.ca_certificate
        self._beside_system = beside_system
        if Trust._before is None:
            Trust._before = QSslConfiguration.defaultConfiguration()
        Trust._active.append(self)
        self._apply()

    def revoke(self) -> None:
        """Restore the former trust; calling it twice is harmless."""
        if self in Trust._active:
            Trust._active.remove(self)
            self._apply()

    @staticmethod
    def _apply() -> None:
        before = Trust._before
        if before is None:
            return
        if Trust._active:
            configuration = QSslConfiguration(before)
            system = before.caCertificates() if any(one._beside_system for one in Trust._active) else []
            configuration.setCaCertificates([*system, *(one._certificate for one in Trust._active)])
            QSslConfiguration.setDefaultConfiguration(configuration)
        else:
            QSslConfiguration.setDefaultConfiguration(before)
            Trust._before = None
