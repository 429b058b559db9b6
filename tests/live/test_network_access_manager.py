"""Qt's own client in the same thread and event loop as the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEventLoop, QTimer, QUrl
from PySide6.QtNetwork import (
    QHttp2Configuration,
    QNetworkAccessManager,
    QNetworkReply,
    QNetworkRequest,
    QSslCertificate,
    QSslConfiguration,
)

from .application import LARGE, Site

LIMIT = 15_000  # milliseconds
Attribute = QNetworkRequest.Attribute


@pytest.fixture
def manager(site: Site) -> Iterator[QNetworkAccessManager]:
    created = QNetworkAccessManager()
    yield created
    created.clearConnectionCache()
    created.deleteLater()


def request(site: Site, transport: str, path: str, http2: bool = False) -> QNetworkRequest:
    result = QNetworkRequest(QUrl(site.base(transport) + path))
    if transport == "local":
        result.setUrl(QUrl("unix+http://localhost" + path))
        result.setAttribute(Attribute.FullLocalServerNameAttribute, site.local)
    configuration = QSslConfiguration.defaultConfiguration()
    configuration.setCaCertificates(QSslCertificate.fromPath(str(site.ca_file)))
    result.setSslConfiguration(configuration)
    result.setAttribute(Attribute.Http2AllowedAttribute, http2)
    return result


def wait(*replies: QNetworkReply) -> None:
    loop, limit = QEventLoop(), QTimer(singleShot=True)
    limit.timeout.connect(loop.quit)
    limit.start(LIMIT)
    for reply in replies:
        reply.finished.connect(lambda: loop.quit() if all(r.isFinished() for r in replies) else None)
    if not all(reply.isFinished() for reply in replies):
        loop.exec()
    assert all(reply.isFinished() for reply in replies), "no answer in time"


def text(reply: QNetworkReply) -> bytes:
    assert reply.error() == QNetworkReply.NetworkError.NoError, reply.errorString()
    return reply.readAll().data()


transports = pytest.mark.parametrize("transport", ["tcp", "tls", "local"])


@transports
def test_get_and_post(site: Site, manager: QNetworkAccessManager, transport: str) -> None:
    got = manager.get(request(site, transport, "/item/1"))
    asked = request(site, transport, "/echo")
    asked.setHeader(QNetworkRequest.KnownHeaders.ContentTypeHeader, "text/plain")
    posted = manager.post(asked, b"body")
    wait(got, posted)
    assert text(got) == b"item 2"
    assert text(posted) == b"body"
    assert got.attribute(Attribute.HttpStatusCodeAttribute) == 200
    assert got.rawHeader("x-live").data() == b"yes"


@transports
def test_many_at_once(site: Site, manager: QNetworkAccessManager, transport: str) -> None:
    replies = [manager.get(request(site, transport, f"/item/{number}")) for number in range(30)]
    wait(*replies)
    assert [text(reply) for reply in replies] == [b"item %d" % (number + 1) for number in range(30)]


@transports
def test_large_both_ways(site: Site, manager: QNetworkAccessManager, transport: str) -> None:
    asked = request(site, transport, "/echo")
    asked.setHeader(QNetworkRequest.KnownHeaders.ContentTypeHeader, "application/octet-stream")
    got, put = manager.get(request(site, transport, "/large")), manager.put(asked, LARGE)
    wait(got, put)
    assert text(got) == LARGE
    assert text(put) == LARGE


def test_http_2(site: Site, manager: QNetworkAccessManager) -> None:
    asked = request(site, "tls", "/large", http2=True)
    asked.setHttp2Configuration(QHttp2Configuration())
    replies = [manager.get(asked) for _ in range(5)]
    replies += [manager.get(request(site, "tls", f"/item/{number}", http2=True)) for number in range(20)]
    wait(*replies)
    assert all(reply.attribute(Attribute.Http2WasUsedAttribute) for reply in replies)
    assert [text(reply) for reply in replies[:5]] == [LARGE] * 5
    assert text(replies[-1]) == b"item 20"


def test_head_delete_and_errors(site: Site, manager: QNetworkAccessManager) -> None:
    head = manager.head(request(site, "tcp", "/hello"))
    deleted = manager.deleteResource(request(site, "tcp", "/method"))
    missing = manager.get(request(site, "tcp", "/nowhere"))
    wait(head, deleted, missing)
    assert head.header(QNetworkRequest.KnownHeaders.ContentLengthHeader) == 13
    assert text(deleted) == b"Delete"
    assert missing.error() == QNetworkReply.NetworkError.ContentNotFoundError


def test_aborted_request_affects_no_other(site: Site, manager: QNetworkAccessManager) -> None:
    aborted = manager.get(request(site, "tcp", "/large"))
    aborted.abort()
    later = manager.get(request(site, "tcp", "/hello"))
    wait(later)
    assert text(later) == b"Hello, world!"
