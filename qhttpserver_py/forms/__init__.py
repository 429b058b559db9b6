"""HTML forms, with files or without: multipart/form-data and application/x-www-form-urlencoded.

Parsed as they arrive on routes made with ``stream=True``, so that the largest file passes through
little memory; on other routes from the whole body. In a coroutine::

    @server.route("/upload", Method.Post, stream=True, maximum_body_size=10**9)
    async def upload(request: QHttpServerRequest):
        try:
            form = await forms.read_form(request)
        except forms.FormError as error:
            return error.answer
        with form:
            photo = form.file("photo")
            photo.move_to(folder / photo.safe_name)
            return f"thanks for {form['title']}"

Without asyncio, where form errors are answered by themselves::

    @server.route("/upload", Method.Post, stream=True)
    def upload(request: QHttpServerRequest):
        return forms.when_read(request, lambda form: f"thanks for {form['title']}")

Files need the package ``multipart``: ``pip install qhttpserver-py[forms]``. Not in Qt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Self

from qhttpserver_py.forms.files import FormFile, safe_filename
from qhttpserver_py.forms.parsing import FormError, FormLimits, Parser, make_parser
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest

__all__ = ["Form", "FormError", "FormFile", "FormLimits", "parse_form", "read_form", "safe_filename", "when_read"]

Progress = Callable[[int, int], Any]
"""Called with the bytes received and the announced size of the body, -1 if unknown."""

_DEFAULT = FormLimits()


class Form(Mapping[str, str]):
    """The fields of a form by name, and its files.

    ``form["name"]`` is the first value of that name. Temporary files are deleted by ``close()``, at
    the end of a ``with`` block, or when nobody refers to the form's files any more.

    Not in Qt.
    """

    def __init__(self, fields: list[tuple[str, str]], files: list[FormFile]) -> None:
        self.fields: list[tuple[str, str]] = fields
        """All fields that are no files, as (name, value), in the order they came."""
        self.files: list[FormFile] = files
        """All files, in the order they came; inputs that no file was chosen for are left out."""
        self._first: dict[str, str] = {}
        for name, value in fields:
            self._first.setdefault(name, value)

    def __getitem__(self, name: str) -> str:
        return self._first[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def getall(self, name: str) -> list[str]:
        """Return all values of the field *name*, in order; an empty list if there is none. Not in Qt."""
        return [value for field, value in self.fields if field == name]

    def file(self, name: str) -> FormFile | None:
        """Return the first file of the field *name*, or None. Not in Qt."""
        return next((file for file in self.files if file.name == name), None)

    def close(self) -> None:
        """Delete the temporary files. Idempotent. Not in Qt."""
        for file in self.files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Form({self.fields!r}, {self.files!r})"


async def read_form(
    request: QHttpServerRequest,
    *,
    limits: FormLimits = _DEFAULT,
    progress: Progress | None = None,
    directory: str | None = None,
) -> Form:
    """Return the form that *request* carries (coroutine).

    Args:
        request: the request; of a route with ``stream=True`` its body is taken here, as it arrives.
        limits: what the form may have.
        progress: called with (bytes received, size of the body or -1) at each arrival; streamed routes only.
        directory: where temporary files are made; the system's directory for them where None. One on
            the file system where files are to stay makes ``FormFile.move_to`` a renaming.

    Raises:
        FormError: the body is no form, is malformed, or passes a limit; what was stored is deleted.
        BodyAborted: the peer left (``qhttpserver_py.body``).
        ImportError: the package ``multipart`` is not installed.
        OSError: a temporary file cannot be written.

    Call it in the server's thread. Not in Qt.
    """
    if not _is_streamed(request):
        return parse_form(request, limits=limits, directory=directory)
    parser = _parser(request, limits, directory)
    stream = request.stream()
    if progress is not None:
        stream.on_progress(progress)
    try:
        async for piece in stream:
            parser.feed(piece)
        parser.finish()
    except BaseException:
        _clean(parser)
        raise
    return Form(parser.fields, parser.files)


def parse_form(request: QHttpServerRequest, *, limits: FormLimits = _DEFAULT, directory: str | None = None) -> Form:
    """Return the form that *request* carries, on a route without ``stream=True``.

    Arguments and errors are those of ``read_form``.

    Raises:
        RuntimeError: the route has ``stream=True``; use ``read_form`` or ``when_read``.

    Thread-safe. Not in Qt.
    """
    if _is_streamed(request):
        raise RuntimeError(
            "the form arrives piece by piece on a route with stream=True: use read_form() or when_read()"
        )
    parser = _parser(request, limits, directory)
    try:
        parser.feed(request._message.body)
        parser.finish()
    except BaseException:
        _clean(parser)
        raise
    return Form(parser.fields, parser.files)


def when_read(
    request: QHttpServerRequest,
    callback: Callable[[Form], Any],
    *,
    limits: FormLimits = _DEFAULT,
    progress: Progress | None = None,
    directory: str | None = None,
) -> Future[Any]:
    """Call ``callback(form)`` once the form is complete; return a future of its result, for a handler to return.

    For a form that is not accepted the future's result is ``FormError.answer``, which tells the peer why; an exception
    of *callback* is the future's, so the peer gets 500. The temporary files of a form exist as long as something refers
    to them. Arguments are those of ``read_form``.

    Raises:
        ImportError: the package ``multipart`` is not installed.

    Call it in the server's thread. Not in Qt.
    """
    done: Future[Any] = Future()
    done.set_running_or_notify_cancel()
    if _is_streamed(request):
        _Taking(request, callback, done).start(limits, progress, directory)
    else:
        _settle(done, lambda: callback(parse_form(request, limits=limits, directory=directory)))
    return done


class _Taking:
    """Takes a form by callbacks, as it arrives."""

    def __init__(self, request: QHttpServerRequest, callback: Callable[[Form], Any], done: Future[Any]) -> None:
        self._request = request
        self._callback = callback
        self._done = done
        self._parser: Parser | None = None

    def start(self, limits: FormLimits, progress: Progress | None, directory: str | None) -> None:
        """Start taking the body."""
        stream = self._request.stream()
        try:
            self._parser = _parser(self._request, limits, directory)
        except FormError as error:
            self._done.set_result(error.answer)
            return
        if progress is not None:
            stream.on_progress(progress)
        stream.on_data(self._feed, end=self._end, aborted=self._fail)

    def _feed(self, piece: bytes) -> None:
        parser = self._parser
        if parser is None:
            return
        try:
            parser.feed(piece)
        except FormError as error:
            self._give_up()
            self._done.set_result(error.answer)
        except Exception as error:  # noqa: BLE001 - a full disk: the handler's result, not the server's
            self._fail(error)

    def _end(self) -> None:
        parser, self._parser = self._parser, None
        if parser is not None:
            _settle(self._done, lambda: self._callback(_finished(parser)))

    def _fail(self, error: Exception) -> None:
        if self._parser is not None:
            self._give_up()
            self._done.set_exception(error)

    def _give_up(self) -> None:
        parser, self._parser = self._parser, None
        if parser is not None:
            _clean(parser)


def _settle(done: Future[Any], work: Callable[[], Any]) -> None:
    try:
        result = work()
    except FormError as error:
        done.set_result(error.answer)
    except Exception as error:  # noqa: BLE001 - handed to whoever waits
        done.set_exception(error)
    else:
        done.set_result(result)


def _finished(parser: Parser) -> Form:
    try:
        parser.finish()
    except FormError:
        _clean(parser)
        raise
    return Form(parser.fields, parser.files)


def _is_streamed(request: QHttpServerRequest) -> bool:
    return getattr(request, "_stream", None) is not None


def _parser(request: QHttpServerRequest, limits: FormLimits, directory: str | None) -> Parser:
    return make_parser(bytes(request.value(b"content-type").data()).decode("latin-1"), limits, directory)


def _clean(parser: Parser) -> None:
    for file in parser.files:
        file.close()
