"""One expectation: which requests it matches, how it answers, and what came."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from qhttpserver_py._routing.binding import Binding, UnbindableError, inspect_handler, plan
from qhttpserver_py._serving import results
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
from qhttpserver_py.testing import reply as replies
from qhttpserver_py.testing.hooks import Hook
from qhttpserver_py.testing.loop import Milliseconds, milliseconds
from qhttpserver_py.testing.matcher import RequestMatcher
from qhttpserver_py.testing.reply import Plan, Stream, make_response

Answer = Callable[[QHttpServerRequest, int], Any]
"""Given the request and how many came before it, returns what a handler may return."""


class HandlerType(Enum):
    """For how many requests an expectation is. Not in Qt."""

    PERMANENT = "permanent"
    ONESHOT = "oneshot"
    ORDERED = "ordered"


class LogEntry(NamedTuple):
    """A request and what was answered; None where nothing was, or nothing that is HTTP. Not in Qt."""

    request: QHttpServerRequest
    response: QHttpServerResponse | None


class BoundHandler:
    """A handler, called with what its signature asks for."""

    __slots__ = ("_binding", "_matcher", "wants_responder")

    def __init__(self, handler: Callable[..., Any], matcher: RequestMatcher) -> None:
        try:
            made = plan(inspect_handler(handler), matcher.placeholders)
        except UnbindableError as error:
            raise TypeError(f"{handler!r} cannot handle {matcher!r}: {error}") from None
        matcher.bind(made.values)
        self._matcher = matcher
        self._binding = Binding(handler, made)
        self.wants_responder = self._binding.wants_responder

    def call(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> Any:
        """Return what the handler returns."""
        captures = self._matcher.captures(request)[: len(self._binding.capture_types)]
        return self._binding.call(captures, request, responder)


class Expectation:
    """What the fake backend does about requests of one kind.

    ``respond_with_…`` says what it answers, the other methods how; each returns the expectation, so
    calls can be chained in any order. Made by ``expect_request`` and its relatives.

    Not in Qt.
    """

    def __init__(self, matcher: RequestMatcher, kind: HandlerType) -> None:
        self.matcher = matcher
        self.kind = kind
        self.origin = _caller()
        self.calls: list[LogEntry] = []
        """The requests that came, each with its answer."""
        self.expected: int | None = None if kind is HandlerType.PERMANENT else 1
        self.counted = False  # whether times() or never() was called
        self.handler: BoundHandler | None = None
        self.plan = Plan()
        self.answer: Answer | None = None

    # ---- what came

    @property
    def called(self) -> bool:
        """Whether a request came. Not in Qt."""
        return bool(self.calls)

    @property
    def call_count(self) -> int:
        """How many requests came. Not in Qt."""
        return len(self.calls)

    @property
    def exhausted(self) -> bool:
        """Whether it has answered as often as it is to. Not in Qt."""
        return self.expected is not None and len(self.calls) >= self.expected

    @property
    def met(self) -> bool:
        """Whether as many requests came as are expected; any number is fine where none is set. Not in Qt."""
        return self.expected is None or len(self.calls) == self.expected

    @property
    def forbidden(self) -> bool:
        """Whether no such request is to come. Not in Qt."""
        return self.expected == 0

    def begin(self, request: QHttpServerRequest) -> None:
        """Record a request; its answer follows."""
        self.calls.append(LogEntry(request, None))

    def result(self, request: QHttpServerRequest, responder: QHttpServerResponder) -> tuple[Any, bool]:
        """Return what answers *request*, and whether the handler has the responder and answers itself."""
        if self.handler is not None:
            return self.handler.call(request, responder), self.handler.wants_responder
        if self.answer is None:
            raise AssertionError(f"expected, but never told what to respond: {self!r}")
        index = next((i for i, call in enumerate(self.calls) if call.request is request), 0)
        return self.answer(request, index), False

    # ---- what it answers

    def respond_with_data(
        self,
        response_data: str | bytes = "",
        status: int = 200,
        headers: object = None,
        mimetype: str | None = None,
        content_type: str | None = None,
    ) -> Expectation:
        """Answer with a body; without a content type it is guessed from the data. Not in Qt."""
        return self.respond_with_response(make_response(response_data, status, headers, content_type or mimetype))

    def respond_with_json(
        self,
        response_json: Any,
        status: int = 200,
        headers: object = None,
        content_type: str = "application/json",
    ) -> Expectation:
        """Answer with a JSON document. Not in Qt."""
        import json

        return self.respond_with_data(json.dumps(response_json), status, headers, content_type=content_type)

    def respond_with_response(self, response: object) -> Expectation:
        """Answer with a QHttpServerResponse, or with anything a handler may return. Not in Qt."""
        return self._set(lambda _request, _index: response)

    def respond_with_handler(self, handler: Callable[..., Any]) -> Expectation:
        """Answer with what *handler* returns.

        It is called as a handler of ``QHttpServer.route()``: with what the ``<arg>`` of the pattern
        stand for, converted by its annotations, then the request, then the responder, as far as it takes them.

        Not in Qt.
        """
        self.handler = BoundHandler(handler, self.matcher)
        self.answer = None
        return self

    def respond_with_file(
        self,
        path: str | os.PathLike[str],
        status: int = 200,
        headers: object = None,
        content_type: str | None = None,
    ) -> Expectation:
        """Answer with a file, read at each request.

        Raises:
            FileNotFoundError: there is no such file.

        Not in Qt.
        """
        file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(f"no such file: {file}")

        def answer(_request: QHttpServerRequest, _index: int) -> QHttpServerResponse:
            return make_response(file, status, headers, content_type)

        return self._set(answer)

    def respond_with_stream(
        self,
        chunks: Iterable[str | bytes] | Callable[[], Iterable[str | bytes]],
        interval_ms: Milliseconds = 0,
        status: int = 200,
        headers: object = None,
        content_type: str = "application/octet-stream",
    ) -> Expectation:
        """Answer with a body in pieces of unknown total size.

        Parameters:
            chunks: the pieces, or a callable returning them; a bare iterator is good for one request.
            interval_ms: milliseconds between two pieces.

        Not in Qt.
        """
        fields = list(make_response(b"", status, headers, content_type)._headers)
        interval = milliseconds(interval_ms)

        def answer(_request: QHttpServerRequest, _index: int) -> Stream:
            pieces = chunks() if callable(chunks) else chunks
            return Stream(replies.encoded(pieces), int(status), fields, interval=interval)

        return self._set(answer)

    def respond_with_sse(
        self,
        events: Iterable[object] | Callable[[], Iterable[object]],
        interval_ms: Milliseconds = 0,
        *,
        keep_open: bool = False,
        headers: object = None,
    ) -> Expectation:
        """Answer with server-sent events.

        Parameters:
            events: each a text, an ``(event, data)`` pair, or a mapping with ``event``, ``data``, ``id``,
                ``retry``; data that is no text is sent as JSON. Or a callable returning them.
            interval_ms: milliseconds between two events.
            keep_open: leave the reply open after the last one.

        Not in Qt.
        """
        fields = list(make_response(b"", 200, headers, "text/event-stream")._headers)
        if not any(name == b"cache-control" for name, _ in fields):
            fields.append((b"cache-control", b"no-cache"))
        interval = milliseconds(interval_ms)

        def answer(_request: QHttpServerRequest, _index: int) -> Stream:
            given = events() if callable(events) else events
            stream = Stream(map(replies.sse_piece, given), 200, fields, interval=interval)
            stream.keep_open = keep_open
            return stream

        return self._set(answer)

    def respond_with_redirect(self, location: str, status: int = 302, headers: object = None) -> Expectation:
        """Answer with a redirect to *location*, which may be relative. Not in Qt."""
        fields = [*results.header_fields(headers), (b"location", location.encode("latin-1"))]
        return self.respond_with_data(b"", status, fields)

    def respond_with_sequence(self, answers: Sequence[object]) -> Expectation:
        """Answer the first request with the first of *answers*, and so on; the last one stays.

        Each is anything a handler may return (``503``, ``{"a": 1}``, ``("text", 201)``), or a callable taking
        the request and returning that.

        Not in Qt.
        """
        if not answers:
            raise ValueError("a sequence of no answers cannot answer")
        given = tuple(answers)

        def answer(request: QHttpServerRequest, index: int) -> object:
            item = given[min(index, len(given) - 1)]
            return item(request) if callable(item) else item

        return self._set(answer)

    def _set(self, answer: Answer) -> Expectation:
        self.answer = answer
        self.handler = None
        return self

    # ---- how it answers

    def delay(self, ms: Milliseconds) -> Expectation:
        """Answer *ms* milliseconds after the request came; the event loop goes on meanwhile. Not in Qt."""
        self.plan.delay = milliseconds(ms)
        return self

    def throttle(self, bytes_per_second: float) -> Expectation:
        """Send the body no faster than this, with its Content-Length where it is known. Not in Qt."""
        if bytes_per_second <= 0:
            raise ValueError("throttle() takes a positive number of bytes a second")
        self.plan.rate = bytes_per_second
        return self

    def times(self, count: int) -> Expectation:
        """Expect exactly *count* requests; later ones are not for this expectation. Not in Qt."""
        if count < 0:
            raise ValueError("times() takes a number of requests")
        self.expected = count
        self.counted = True
        return self

    def never(self) -> Expectation:
        """Expect that no such request comes; one that does fails the test. Not in Qt."""
        return self.times(0)

    def with_post_hook(self, hook: Hook) -> Expectation:
        """Let *hook* change or replace each whole response before it is sent.

        It returns None for the response it was given, or another one: anything a handler may return at once.
        Several hooks run in the order they were added, each with what the one before returned.

        Not in Qt.
        """
        self.plan.hooks.append(hook)
        return self

    # ---- faults

    def reset(self) -> Expectation:
        """Break the connection instead of answering, with a TCP reset. Not in Qt."""
        return self._fault(replies.reset)

    def hang(self) -> Expectation:
        """Never answer; the connection stays open until the client or the test ends. Not in Qt."""
        return self._fault(replies.hang)

    def garbage(self, data: bytes = replies.GARBAGE) -> Expectation:
        """Send bytes that are no HTTP, and close. Not in Qt."""
        return self._fault(replies.raw(data))

    def malformed_chunk(self) -> Expectation:
        """Begin a chunked reply, break its framing, and close. Not in Qt."""
        return self._fault(replies.raw(replies.MALFORMED_CHUNK))

    def truncate(self, count: int) -> Expectation:
        """Announce the whole body, send its first *count* bytes, and close. Not in Qt."""
        if count < 0:
            raise ValueError("truncate() takes a number of bytes")
        self.plan.truncate = count
        if self.answer is None and self.handler is None:
            self.respond_with_data(bytes(count + 1024), content_type="application/octet-stream")
        return self

    def _fault(self, fault: Callable[[Any], None]) -> Expectation:
        self.plan.fault = fault
        return self

    def __repr__(self) -> str:
        """What it is about and where it was made."""
        return f"{self.matcher!r} ({self.origin})"


def _caller() -> str:
    """Return file and line of the first frame outside of this package."""
    package = str(Path(__file__).parent)
    for frame in _frames():
        name = frame.f_code.co_filename
        if not name.startswith(package):
            return f"{Path(name).name}:{frame.f_lineno}"
    return "unknown"


def _frames() -> Iterator[Any]:
    frame: Any = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
