"""Parsers of the two encodings of HTML forms, fed piece by piece, each bounded in every direction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message as Fields
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from qhttpserver_py.forms.files import FormFile
from qhttpserver_py.httperror import ContentError

# The encodings of the web (WHATWG Encoding 4.2), by the labels in use. Python knows many more codecs, some of which
# take quadratic time, run code of their own, or give what is no text.
_CODECS = {
    **dict.fromkeys(("utf-8", "utf8", "unicode-1-1-utf-8"), "utf-8"),
    **dict.fromkeys(
        ("us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin1", "l1", "windows-1252", "cp1252"), "cp1252"
    ),
    **{f"windows-{number}": f"cp{number}" for number in (874, 1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)},
    **{f"iso-8859-{number}": f"iso8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{label: label for label in ("koi8-r", "koi8-u", "gbk", "gb18030", "big5", "euc-jp", "iso-2022-jp", "euc-kr")},
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("utf-16", "utf-16le"), "utf-16-le"),
    "utf-16be": "utf-16-be",
    "gb2312": "gbk",
    "macintosh": "mac-roman",
    "ibm866": "cp866",
}
_PAIR = re.compile(rb"[^&]+")
_BREAK = re.compile(r"[\r\n\0]")

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"


class FormError(ContentError):
    """The request's body is not a form that is accepted.

    ``status`` is 400 for one that is malformed, 413 for one beyond a limit, 415 for another media
    type. A handler may raise it: it is sent as the answer.

    Not in Qt.
    """

    @property
    def answer(self) -> tuple[str, int]:
        """What a handler returns to refuse the form: the reason as text, and the status. Not in Qt."""
        return f"{self}\n", self.status


@dataclass(frozen=True, kw_only=True, slots=True)
class FormLimits:
    """What a form may have; sizes are bytes. The whole body is limited by the route's ``maximum_body_size``.

    Not in Qt.
    """

    parts: int = 1000
    """Fields and files together."""
    files: int = 100
    """Files."""
    header_size: int = 4096
    """One header line of a part."""
    field_size: int = 1048576
    """The value of one field that is no file."""
    fields_size: int = 8388608
    """Names and values of all fields that are no files; all of them are kept in memory."""
    file_size: int = -1
    """One file; negative for no limit but the body's."""
    spool: int = 262144
    """A file larger than this is kept on disk instead of in memory."""


class Parser(Protocol):
    """Takes a form apart."""

    fields: list[tuple[str, str]]
    files: list[FormFile]

    def feed(self, data: bytes) -> None:
        """Take a piece of the body; raise FormError for what is not accepted."""
        ...

    def finish(self) -> None:
        """The body is complete."""
        ...


class Collected:
    """Fields and files so far, counted against the limits."""

    def __init__(self, limits: FormLimits) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[FormFile] = []
        self._limits = limits
        self._parts = 0
        self._size = 0

    def _count_part(self) -> None:
        self._parts += 1
        if self._parts > self._limits.parts:
            raise FormError(413, f"the form has more than {self._limits.parts} parts")

    def _count_text(self, size: int) -> None:
        self._size += size
        if self._size > self._limits.fields_size:
            raise FormError(413, "the form's fields are too large together")

    def _check_value(self, size: int) -> None:
        if size > self._limits.field_size:
            raise FormError(413, "a field of the form is too large")


class UrlencodedParser(Collected):
    """application/x-www-form-urlencoded (WHATWG URL 5.1), UTF-8."""

    def __init__(self, limits: FormLimits) -> None:
        super().__init__(limits)
        self._rest = bytearray()
        self._longest = 3 * (limits.field_size + limits.header_size) + 1  # every octet may be escaped

    def feed(self, data: bytes) -> None:
        """See ``Parser``."""
        end = data.rfind(b"&")
        if end < 0:
            self._rest += data
        else:
            whole = bytes(self._rest) + data[:end]
            self._rest = bytearray(data[end + 1 :])
            for pair in _PAIR.finditer(whole):  # one by one: the limits count before all are split
                self._take(pair[0])
        if len(self._rest) > self._longest:
            raise FormError(413, "a field of the form is too large")

    def finish(self) -> None:
        """See ``Parser``."""
        self._take(bytes(self._rest))
        self._rest.clear()

    def _take(self, pair: bytes) -> None:
        if not pair:
            return
        self._count_part()
        name, _, value = pair.replace(b"+", b" ").partition(b"=")
        raw = unquote_to_bytes(value)
        self._check_value(len(raw))
        self._count_text(len(pair))
        self.fields.append((_text(unquote_to_bytes(name), "utf-8"), _text(raw, "utf-8")))


class MultipartParser(Collected):
    """multipart/form-data (RFC 7578), by the parser of the package ``multipart``."""

    def __init__(self, boundary: str, limits: FormLimits, directory: str | None) -> None:
        super().__init__(limits)
        multipart = _multipart()
        self._error: type[Exception] = multipart.MultipartError
        self._too_much: type[Exception] = multipart.ParserLimitReached
        self._directory = directory
        self._segment: Any = None
        self._value = bytearray()
        self._file: FormFile | None = None
        self._delimiter = b"\r\n--" + boundary.encode("latin-1")
        self._preamble: bytes | None = b"\r\n"  # its end; None behind the first delimiter
        try:
            self._parser = multipart.PushMultipartParser(boundary.encode("latin-1"), max_header_size=limits.header_size)
        except (self._error, ValueError) as error:
            raise FormError(400, f"the form's boundary cannot be used: {error}") from error
        if not 1 <= len(boundary) <= 70:  # RFC 2046 5.1.1
            raise FormError(400, "the form's boundary is not of 1 to 70 characters")

    def feed(self, data: bytes) -> None:
        """See ``Parser``."""
        if self._preamble is not None:
            data = self._behind_preamble(self._preamble + data)
        if not data or self._parser.closed:
            return
        for event in self._events(data):
            if event is None:
                self._end_part()
            elif isinstance(event, (bytes, bytearray)):
                self._take(bytes(event))
            else:
                self._begin_part(event)

    def _behind_preamble(self, data: bytes) -> bytes:
        """Return what begins with the first delimiter, which begins a line (RFC 2046 5.1.1)."""
        start = data.find(self._delimiter[2:])
        if start < 0:
            self._preamble = data[1 - len(self._delimiter) :]
            return b""
        if data[start - 2 : start] != b"\r\n":
            raise FormError(400, "the form's first boundary does not begin a line")
        self._preamble = None
        return data[start:]

    def finish(self) -> None:
        """See ``Parser``."""
        try:
            self._parser.close()
        except self._error as error:
            raise FormError(400, "the form is cut short") from error

    def _events(self, data: bytes) -> Iterator[Any]:
        try:
            yield from self._parser.parse(data)
        except self._too_much as error:
            raise FormError(413, f"the form is too large: {error}") from error
        except self._error as error:
            raise FormError(400, f"the form is malformed: {error}") from error

    def _begin_part(self, segment: Any) -> None:
        self._count_part()
        # The library refuses this only where the body was cut at it.
        if any(_BREAK.search(value) for _, value in segment.headerlist):
            raise FormError(400, "a line of the form's fields is not ended by CRLF")
        self._segment = segment
        self._value.clear()
        self._count_text(len(segment.name) + len(segment.filename or ""))
        if segment.filename is None:
            return
        if len(self.files) >= self._limits.files:
            raise FormError(413, f"the form has more than {self._limits.files} files")
        self._file = FormFile(
            segment.name, segment.filename, segment.content_type or "", self._limits.spool, self._directory
        )
        self.files.append(self._file)

    def _take(self, data: bytes) -> None:
        file = self._file
        if file is None:
            self._value += data
            self._check_value(len(self._value))
            self._count_text(len(data))
            return
        if 0 <= self._limits.file_size < file.size + len(data):
            raise FormError(413, "a file of the form is too large")
        file._write(data)

    def _end_part(self) -> None:
        file, self._file = self._file, None
        if file is None:
            charset = self._segment.charset or "utf-8"
            self.fields.append((self._segment.name, _text(bytes(self._value), charset)))
        elif not file.filename and not file.size:  # a file input for which no file was chosen
            self.files.remove(file)
        else:
            file._rewind()


def make_parser(content_type: str, limits: FormLimits, directory: str | None) -> Parser:
    """Return the parser for a body of *content_type*; raise FormError where that is no form."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MULTIPART:
        fields = Fields()
        fields["content-type"] = content_type
        return MultipartParser(fields.get_boundary(""), limits, directory)
    if kind == URLENCODED:
        return UrlencodedParser(limits)
    raise FormError(415, f"the request's body is not a form but {kind or 'of no stated type'}")


def _multipart() -> Any:
    try:
        import multipart
    except ImportError as error:
        raise ImportError("forms with files need the package multipart: pip install qhttpserver-py[forms]") from error
    return multipart


def _text(octets: bytes, charset: str) -> str:
    codec = _CODECS.get(charset.strip().lower())
    if codec is None:
        raise FormError(400, "a field of the form names a charset that the web does not have")
    try:
        return octets.decode(codec)
    except UnicodeDecodeError as error:
        raise FormError(400, f"a field of the form is not {codec}") from error
