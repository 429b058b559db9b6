"""Names that Qt 6.4 to 6.7 had, and what replaced them: an AttributeError that says so."""

from __future__ import annotations

from typing import NoReturn

FORMER = {
    ("QHttpServer", "listen"): "tcp = QTcpServer(); tcp.listen(address, port); server.bind(tcp)",
    ("QHttpServer", "sslSetup"): "a QSslServer with setSslConfiguration(), given to bind()",
    ("QHttpServer", "afterRequest"): "addAfterRequestHandler(context, callback), which changes the response in place",
    ("QHttpServerResponse", "setHeader"): "headers = response.headers(); headers.replaceOrAppend(name, value); "
    "response.setHeaders(headers)",
    ("QHttpServerResponse", "addHeader"): "headers = response.headers(); headers.append(name, value); "
    "response.setHeaders(headers)",
    ("QHttpServerResponse", "addHeaders"): "setHeaders() with a QHttpHeaders that has them all",
    ("QHttpServerResponse", "clearHeader"): "headers = response.headers(); headers.removeAll(name); "
    "response.setHeaders(headers)",
    ("QHttpServerResponse", "clearHeaders"): "setHeaders(QHttpHeaders())",
    ("QHttpServerResponse", "hasHeader"): "headers().contains(name)",
    ("QHttpServerResponse", "write"): "QHttpServerResponder.sendResponse(response)",
    ("QHttpServerResponder", "writeStatusLine"): "write(status) or writeBeginChunked()",
    ("QHttpServerResponder", "writeHeader"): "write(data, headers, status)",
    ("QHttpServerResponder", "writeHeaders"): "write(data, headers, status)",
    ("QHttpServerResponder", "writeBody"): "write(data, mimeType, status)",
}


def missing_attribute(owner: object, name: str) -> NoReturn:
    """Raise the AttributeError for *name*, which *owner* does not have."""
    for kind in type(owner).__mro__:
        replaced = FORMER.get((kind.__name__, name))
        if replaced is not None:
            raise AttributeError(
                f"{kind.__name__}.{name}() was removed from Qt HTTP Server in 6.8; use {replaced}", name=name, obj=owner
            )
    raise AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}", name=name, obj=owner)
