"""Asks the real server, in the event loop of the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QUrl
from PySide6.QtNetwork import (
    QNetworkAccessManager,
    QNetworkProxy,
    QNetworkReply,
    QNetworkRequest,
    QSslConfiguration,
)

from qhttpserver_py.testing.cassette.episodes import Fields, RecordedRequest, RecordedResponse
from qhttpserver_py.testing.client import ClientError

TIMEOUT = 30_000
"""Milliseconds without any byte, after which the real server is given up."""

HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length")
)
"""Fields that belong to one connection (RFC 9110 7.6.1), and the length, which is counted anew."""

_OURS = HOP_BY_HOP | {"host", "accept-encoding", "expect"}
_Attribute = QNetworkRequest.Attribute

Done = Callable[[RecordedResponse | None, Exception | None], None]


class Forwarder:
    """Sends requests to the real server, without any proxy of the test, and returns the answers; it follows no
    redirect.
    """

    def __init__(self) -> None:
        self._manager = QNetworkAccessManager()
        self._manager.setProxy(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))
        self._replies: set[QNetworkReply] = set()

    def send(self, request: RecordedRequest, done: Done) -> None:
        """Send *request*; call *done* with the response, or with the error where none came."""
        asked = QNetworkRequest(QUrl(request.uri))
        manual = QNetworkRequest.RedirectPolicy.ManualRedirectPolicy
        asked.setAttribute(_Attribute.RedirectPolicyAttribute, manual)
        for off in (_Attribute.CookieLoadControlAttribute, _Attribute.CookieSaveControlAttribute):
            asked.setAttribute(off, QNetworkRequest.LoadControl.Manual)
        asked.setTransferTimeout(TIMEOUT)
        if asked.url().scheme() == "https":
            asked.setSslConfiguration(_trusting_system())
        for name, value in joined(request.headers):
            if name.lower() not in _OURS:
                asked.setRawHeader(name.encode("latin-1"), value.encode("latin-1"))
        asked.setRawHeader(b"accept-encoding", b"identity")  # a body that people can read
        reply = self._manager.sendCustomRequest(asked, request.method.encode(), request.body)
        self._replies.add(reply)
        reply.finished.connect(lambda: self._finished(reply, request, done))
        if reply.isFinished():
            self._finished(reply, request, done)

    def close(self) -> None:
        """Give up what is not answered."""
        for reply in tuple(self._replies):
            reply.abort()

    def _finished(self, reply: QNetworkReply, request: RecordedRequest, done: Done) -> None:
        if reply not in self._replies:
            return
        self._replies.discard(reply)
        reply.deleteLater()
        status = reply.attribute(_Attribute.HttpStatusCodeAttribute)
        code = reply.error()
        if status is None or (code != QNetworkReply.NetworkError.NoError and int(status) < 400):
            text = f"recording {request.method} {request.uri}: {reply.errorString()} ({code.name})"
            done(None, ClientError(text, code))
            return
        reason = str(reply.attribute(_Attribute.HttpReasonPhraseAttribute) or "")
        fields = [(_text(name), _text(value)) for name, value in reply.rawHeaderPairs()]
        kept = [(name, part) for name, value in fields for part in _split(name, value)]
        done(RecordedResponse(int(status), reason, without_hops(kept), bytes(reply.readAll().data())), None)


def without_hops(fields: Fields) -> Fields:
    """Return *fields* without those that belong to one connection."""
    return [(name, value) for name, value in fields if name.lower() not in HOP_BY_HOP]


def joined(fields: Fields) -> Fields:
    """Return one field for each name, since ``setRawHeader`` replaces; cookies are joined by ``;``."""
    found: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        found[key] = f"{found[key]}{'; ' if key == 'cookie' else ', '}{value}" if key in found else value
    return list(found.items())


def _split(name: str, value: str) -> list[str]:
    """Return the several cookies that Qt puts into one value, a line each."""
    return value.split("\n") if name.lower() == "set-cookie" else [value]


def _trusting_system() -> QSslConfiguration:
    """Return the default settings, with the system's authorities beside those of the test."""
    configuration = QSslConfiguration.defaultConfiguration()
    configuration.setCaCertificates([*configuration.caCertificates(), *configuration.systemCaCertificates()])
    return configuration


def _text(data: Any) -> str:
    return bytes(data).decode("latin-1")
