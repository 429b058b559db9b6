"""server_configuration(): what it takes, what it refuses, and a handshake with what it made."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from PySide6.QtNetwork import QHostAddress, QSsl, QSslServer

from qhttpserver_py import QHttpServer
from qhttpserver_py.testing.loop import Waiters, call_in_worker
from qhttpserver_py.tls import server_configuration

pytestmark = pytest.mark.usefixtures("qapp")

AUTHORITY = trustme.CA()
LEAVES = {
    kind.name: (AUTHORITY.issue_cert("localhost", key_type=kind), AUTHORITY.issue_cert("localhost", key_type=kind))
    for kind in (trustme.KeyType.RSA, trustme.KeyType.ECDSA)
}
FORMATS = (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL)


def certificate_of(leaf: trustme.LeafCert) -> bytes:
    return leaf.cert_chain_pems[0].bytes()


def key_of(leaf: trustme.LeafCert, form: Any = FORMATS[0], passphrase: bytes = b"") -> bytes:
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    encryption: Any = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


@pytest.mark.parametrize("passphrase", [b"", b"open sesame"])
@pytest.mark.parametrize("form", FORMATS, ids=["pkcs8", "traditional"])
@pytest.mark.parametrize("kind", LEAVES)
def test_keys(kind: str, form: Any, passphrase: bytes) -> None:
    leaf, other = LEAVES[kind]
    made = server_configuration(certificate_of(leaf), key_of(leaf, form, passphrase), passphrase)
    assert not made.privateKey().isNull()
    assert [bytes(name.data()) for name in made.allowedNextProtocols()] == [b"h2", b"http/1.1"]
    with pytest.raises(ValueError, match="does not belong to"):
        server_configuration(certificate_of(other), key_of(leaf, form, passphrase), passphrase)


def test_a_key_of_the_other_kind() -> None:
    with pytest.raises(ValueError, match="does not belong to"):
        server_configuration(certificate_of(LEAVES["RSA"][0]), key_of(LEAVES["ECDSA"][0]))


def test_paths_chain_and_protocols(tmp_path: Path) -> None:
    leaf = LEAVES["ECDSA"][0]
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(certificate_of(leaf) + AUTHORITY.cert_pem.bytes())
    key.write_bytes(key_of(leaf, passphrase=b"secret"))
    made = server_configuration(str(certificate), key, "secret", [AUTHORITY.cert_pem.bytes()], alpn=["http/1.1"])
    assert len(made.localCertificateChain()) == 3
    assert [bytes(name.data()) for name in made.allowedNextProtocols()] == [b"http/1.1"]
    assert made.privateKey().algorithm() == QSsl.KeyAlgorithm.Ec


LEAF = LEAVES["ECDSA"][0]
CERTIFICATE, KEY = certificate_of(LEAF), key_of(LEAF)
LOCKED = key_of(LEAF, passphrase=b"right")


@pytest.mark.parametrize(
    ("certificate", "key", "passphrase", "text"),
    [
        (b"nothing", KEY, b"", "what was given as bytes holds no PEM certificate"),
        (KEY, KEY, b"", "holds no PEM certificate"),
        (CERTIFICATE, CERTIFICATE, b"", "holds no PEM private key, RSA or EC"),
        (CERTIFICATE, b"", b"", "holds no PEM private key, RSA or EC"),
        (CERTIFICATE, LOCKED, b"", "cannot be read: it has a passphrase"),
        (CERTIFICATE, LOCKED, b"wrong", "cannot be read: the passphrase is wrong"),
    ],
)
def test_refusals(certificate: bytes, key: bytes, passphrase: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        server_configuration(certificate, key, passphrase)
    assert "PRIVATE KEY" not in str(caught.value)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        server_configuration(tmp_path / "absent", KEY)
    with pytest.raises(FileNotFoundError, match="absent"):
        server_configuration(CERTIFICATE, str(tmp_path / "absent"))


@pytest.mark.parametrize(("alpn", "chosen"), [(("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1")])
def test_a_handshake(alpn: tuple[str, ...], chosen: str) -> None:
    server, tls = QHttpServer(), QSslServer()
    tls.setSslConfiguration(server_configuration(CERTIFICATE, KEY, alpn=alpn))
    assert tls.listen(QHostAddress.SpecialAddress.LocalHost)
    assert server.bind(tls)
    port = server.serverPorts()[0]
    context = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())
    context.set_alpn_protocols(["h2", "http/1.1"])

    def shake_hands() -> str | None:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return secure.selected_alpn_protocol()

    assert call_in_worker(shake_hands, Waiters(), 10_000) == chosen
    server.close()


def test_a_qt_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qhttpserver_py.tls.QSslSocket.supportsSsl", lambda: False)
    with pytest.raises(RuntimeError, match="no TLS backend"):
        server_configuration(CERTIFICATE, KEY)


@pytest.mark.parametrize(
    ("http1", "http2", "spoken"),
    [(True, False, "HTTP/1.1"), (True, True, "HTTP/1.1"), (False, True, "HTTP/2")],
    ids=["by default", "both", "HTTP/2 alone"],
)
def test_httpx_names_http_1_first_and_gets_http_2_if_it_begins_with_it(
    authority: Any, http1: bool, http2: bool, spoken: str
) -> None:
    listener = QSslServer()
    listener.setSslConfiguration(authority.server_configuration(h2=True))
    assert listener.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    server = QHttpServer()
    server.route("/", lambda request: request.url().scheme())
    assert server.bind(listener)
    context = ssl.create_default_context(cadata=authority.ca_pem.decode())

    def ask() -> tuple[str, str]:
        with httpx.Client(http1=http1, http2=http2, verify=context, trust_env=False) as client:
            reply = client.get(f"https://localhost:{listener.serverPort()}/")
            return reply.http_version, reply.text

    assert call_in_worker(ask, Waiters(), 10_000) == (spoken, "https")
    server.close()
