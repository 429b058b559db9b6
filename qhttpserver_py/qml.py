"""A server in QML: ``HttpServer`` with ``Route`` children, whose handlers are JavaScript. Not in Qt.

``register()`` makes the types known to the QML engine; QtQml is a part of PySide6-Essentials and is loaded here only.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from PySide6.QtCore import ClassInfo, Property, QObject, QUrlQuery, Signal, Slot
from PySide6.QtNetwork import QHostAddress, QTcpServer
from PySide6.QtQml import ListProperty, QJSValue, QPyQmlParserStatus, QQmlEngine, qmlEngine, qmlRegisterType

from qhttpserver_py._qt import log
from qhttpserver_py.qhttpserver import QHttpServer
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

Method = QHttpServerRequest.Method
_property: Any = Property  # the stubs know neither types by name
_class_info: Any = ClassInfo  # nor this as a decorator


class HttpRequest(QObject):
    """A request, as a handler in QML gets it; it may be answered later by ``reply()``. Not in Qt."""

    def __init__(self, request: QHttpServerRequest, arguments: list[str], responder: QHttpServerResponder) -> None:
        super().__init__()
        self._request = request
        self._arguments = arguments
        self._responder: QHttpServerResponder | None = responder
        self.done: Callable[[HttpRequest], None] = lambda _: None

    def _method(self) -> str:
        return self._request._message.method

    def _path(self) -> str:
        return self._request.url().path()

    def _query(self) -> dict[str, str]:
        decoded = self._request.url().ComponentFormattingOption.FullyDecoded
        return dict(QUrlQuery(self._request.url()).queryItems(decoded))

    def _headers(self) -> dict[str, str]:
        fields = self._request._message.headers
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}

    def _body(self) -> str:
        return bytes(self._request.body().data()).decode("utf-8", "replace")

    method = _property(str, _method, constant=True)
    """The method, in upper case."""
    path = _property(str, _path, constant=True)
    """The path, decoded."""
    query = _property("QVariantMap", _query, constant=True)
    """The items of the query, decoded."""
    headers = _property("QVariantMap", _headers, constant=True)
    """The header fields, names in lower case."""
    body = _property(str, _body, constant=True)
    """The body as text."""
    arguments = _property("QVariantList", lambda self: self._arguments, constant=True)
    """What ``<arg>`` in the path of the route stands for, as text."""

    @Slot("QVariant")
    @Slot("QVariant", int)
    def reply(self, body: Any = None, status: int = 200) -> None:
        """Answer with text, with an object or an array as JSON, or with nothing; once, and at any time. Not in Qt."""
        responder, self._responder = self._responder, None
        if responder is None:
            log.warning(log.SERVER, f"{self.method} {self.path} was answered before")
            return
        if isinstance(body, QJSValue):
            body = body.toVariant()
        code = QHttpServerResponder.StatusCode(status)
        if body is None:
            responder.write(code)
        elif isinstance(body, str):
            responder.write(body.encode(), "text/plain; charset=utf-8", code)
        else:
            responder.write(body, code)
        self.done(self)


class Route(QObject):
    """A path, a method, and the function that answers it. Not in Qt."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path, self._method = "/", "GET"
        self._handler = QJSValue()
        self._pending: set[HttpRequest] = set()  # not answered yet

    def _set_path(self, path: str) -> None:
        self._path = path
        self.changed.emit()

    def _set_method(self, method: str) -> None:
        self._method = method.upper()
        self.changed.emit()

    def _set_handler(self, handler: QJSValue) -> None:
        self._handler = handler
        self.changed.emit()

    path = _property(str, lambda self: self._path, _set_path, notify=changed)
    """The path, with ``<arg>`` for what varies."""
    method = _property(str, lambda self: self._method, _set_method, notify=changed)
    """The method: "GET" by default, "ANY" for all."""
    handler = _property(QJSValue, lambda self: self._handler, _set_handler, notify=changed)
    """``function(request)``: what it returns is sent, text, an object or an array as JSON, a number as status.

    Nothing (``undefined``) means that ``request.reply()`` is called later.
    """

    def add_to(self, server: QHttpServer) -> bool:
        """Register with *server*; return False where the path is refused. Not in Qt."""
        handler = _with_arguments(self._path.count("<arg>"), self._answer)
        if self._method == "ANY":
            return bool(server.route(self._path, handler))
        methods = {str(method.name).upper(): method for method in Method}
        method = methods.get(self._method)
        if method is None:
            log.warning(log.SERVER, f"Route {self._path}: {self._method} is no method of QHttpServerRequest")
            return False
        return bool(server.route(self._path, method, handler))

    def _answer(self, arguments: list[str], request: QHttpServerRequest, responder: QHttpServerResponder) -> None:
        asked = HttpRequest(request, arguments, responder)
        engine = qmlEngine(self)
        if engine is None or not self._handler.isCallable():
            asked.reply(None, 501)
            return
        self._pending.add(asked)
        asked.done = self._pending.discard
        QQmlEngine.setObjectOwnership(asked, QQmlEngine.ObjectOwnership.CppOwnership)
        result = self._handler.call([engine.newQObject(asked)])
        if result.isError():
            where = f"{result.property('fileName').toString()}:{result.property('lineNumber').toInt()}"
            log.warning(log.SERVER, f"{where}: {result.toString()}")
            if asked._responder is not None:
                asked.reply(None, 500)
        elif not result.isUndefined() and asked._responder is not None:
            _send(asked, result)


def _send(asked: HttpRequest, result: QJSValue) -> None:
    if result.isNumber():
        asked.reply(None, result.toInt())
    elif result.isNull():
        asked.reply(None, 204)
    else:
        asked.reply(result.toVariant())


def _with_arguments(count: int, answer: Callable[..., None]) -> Callable[..., None]:
    """Return a handler with *count* parameters for path arguments before request and responder."""

    def handler(*values: Any) -> None:
        answer(list(values[:count]), *values[count:])

    kinds: dict[str, type] = {f"argument{index}": str for index in range(count)}
    kinds |= {"request": QHttpServerRequest, "responder": QHttpServerResponder}
    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, annotation=kind) for name, kind in kinds.items()]
    handler.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    handler.__annotations__ = kinds
    return handler


@_class_info(DefaultProperty="routes")
class HttpServer(QPyQmlParserStatus):
    """A server whose routes are its children. It listens once it is complete, and as long as ``running`` is true.

    Not in Qt.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._address, self._port, self._wanted, self._is_complete = "127.0.0.1", 0, True, False
        self._routes: list[Route] = []
        self._server: QHttpServer | None = None

    def componentComplete(self) -> None:
        """Listen, if it is to. Qt: QQmlParserStatus::componentComplete."""
        self._is_complete = True
        self._follow()

    def classBegin(self) -> None:
        """Nothing. Qt: QQmlParserStatus::classBegin."""

    def _append(self, route: Route) -> None:
        self._routes.append(route)
        if self._server is not None:
            route.add_to(self._server)

    def _follow(self) -> None:
        """Listen or close, as the properties say."""
        if not self._is_complete or self._wanted == (self._server is not None):
            return
        if not self._wanted:
            server, self._server = self._server, None
            if server is not None:
                server.close()
        else:
            self._listen()
        self.changed.emit()

    def _listen(self) -> None:
        tcp = QTcpServer()
        if not tcp.listen(QHostAddress(self._address), self._port):
            log.warning(log.SERVER, f"HttpServer: {self._address}:{self._port}: {tcp.errorString()}")
            return
        self._server = QHttpServer()
        for route in self._routes:
            route.add_to(self._server)
        self._server.bind(tcp)

    def _get_port(self) -> int:
        return self._server.serverPorts()[0] if self._server is not None else self._port

    def _set_port(self, port: int) -> None:
        self._port = port
        self.changed.emit()

    def _set_address(self, address: str) -> None:
        self._address = address
        self.changed.emit()

    def _set_running(self, running: bool) -> None:
        self._wanted = running
        self._follow()

    routes = ListProperty(Route, append=_append)
    """The routes, in the order in which they are asked."""
    port = _property(int, _get_port, _set_port, notify=changed)
    """The port, 0 for any that is free; while it runs, the one it has."""
    address = _property(str, lambda self: self._address, _set_address, notify=changed)
    """The address to listen on: "127.0.0.1" by default, "0.0.0.0" for every network."""
    running = _property(bool, lambda self: self._server is not None, _set_running, notify=changed)
    """Whether it listens; set it to stop and to start. False too where the address cannot be listened on."""


def register(uri: str = "QHttpServer", major: int = 1, minor: int = 0) -> None:
    """Make ``HttpServer`` and ``Route`` known: ``import QHttpServer 1.0``. Call it before QML is loaded. Not in Qt."""
    qmlRegisterType(HttpServer, uri, major, minor, "HttpServer")  # type: ignore[call-overload]
    qmlRegisterType(Route, uri, major, minor, "Route")  # type: ignore[call-overload]
